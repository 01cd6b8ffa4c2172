#!/bin/sh
# Proves that docker-compose.yml works, from outside: builds the images, starts the demo, posts deliveries with curl, sees the commit in
# the fake CodeArts and the messages at the fake robots, delivers again, replaces the broker's container in the middle, and takes
# everything down with its volumes. Prints a line for each step, and the logs when one fails.
# Needs docker, docker compose (v2) or docker-compose (1.29), and curl. It takes two free ports of the loopback, and its own project name.
set -eu
cd "$(dirname "$0")/.."

export COMPOSE_PROJECT_NAME="millrace-ci-$$"
export MILLRACE_PUBLISH=127.0.0.1:0 MILLRACE_PUBLISH_FAKE=127.0.0.1:0
unset MILLRACE_CONFIG_FOLDER MILLRACE_ENV_FILE
patience=90 # seconds for any one thing to happen
repository=2111000001
token=$(sed -n 's/^SHOP_WEBHOOK_TOKEN=//p' deploy/compose/demo.env)

say() { printf 'compose: %s\n' "$*"; }
fail() {
	say "FAILED: $*" >&2
	exit 1
}
if docker compose version >/dev/null 2>&1; then
	tool='docker compose'
else
	tool='docker-compose'
	command -v docker-compose >/dev/null || fail "neither docker compose nor docker-compose is installed"
fi
# --env-file: an operator's .env is not meant for this.
compose() { $tool --env-file .env.example --profile demo "$@"; }

work=$(mktemp -d)
finish() {
	code=$?
	trap - EXIT
	if [ $code -ne 0 ]; then
		{ compose ps && compose logs --no-color --tail=200; } >&2 || true
	fi
	compose down --volumes --remove-orphans --timeout 40 >"$work/down" 2>&1 || { cat "$work/down" >&2; code=1; }
	[ -z "$(docker ps -aq --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")" ] || { say "containers are left" >&2; code=1; }
	[ -z "$(docker volume ls -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")" ] || { say "volumes are left" >&2; code=1; }
	rm -rf "$work"
	[ $code -ne 0 ] || say "taken down; everything is as it should be"
	exit $code
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# await WHAT COMMAND…: tries until the command succeeds.
await() {
	what=$1
	shift
	end=$(($(date +%s) + patience))
	until "$@"; do
		[ "$(date +%s)" -lt "$end" ] || fail "waited $patience s in vain for $what"
		sleep 1
	done
}

get() { curl --silent --show-error --fail --max-time 10 "$@"; }

container() { compose ps -q "$1"; }

healthy() {
	for service in nats receiver worker codearts; do
		[ "$(docker inspect --format '{{.State.Health.Status}}' "$(container $service)" 2>/dev/null)" = healthy ] || return 1
	done
}

# find_ports: where the servers can be reached from outside; another container may be elsewhere.
find_ports() {
	receiver=http://$(compose port receiver 8080)
	fake=http://$(compose port codearts 8090)
}

# push MESSAGE: somebody pushes, and nobody delivers it. Its commit is in $commit, its body in $work/MESSAGE.
push() {
	get -X POST "$fake/_fake/push" -d "{\"message\":\"$1\",\"quiet\":true,\"after\":\"1s\"}" >"$work/push" || fail "the fake takes no push"
	commit=$(sed -n 's/.*"commit":"\([0-9a-f]*\)".*/\1/p' "$work/push")
	[ -n "$commit" ] || fail "the fake names no commit: $(cat "$work/push")"
	get "$fake/_fake/pushes/$commit" >"$work/$1"
}

# deliver BODY TOKEN CODE WORD: posts as CodeArts Repo does, and wants that answer.
deliver() {
	code=$(curl --silent --max-time 20 -o "$work/answer" -w '%{http_code}' -X POST "$receiver/hooks/shop" -H 'Content-Type: application/json' \
		-H 'X-Devcloud-Event: Push Hook' -H "X-Repo-Token: $2" --data-binary "@$work/$1") || return 1
	[ "$code" = "$3" ] && grep -q "$4" "$work/answer"
}

# count TEXT PATH: how often the fake shows a text there.
count() { get "$fake$2" >"$work/seen" && grep -c -- "$1" "$work/seen" || true; }
commits() { [ "$(count '"via": "api"' "/_fake/repos/$repository/commits")" = "$1" ]; }
returned() { [ "$(count '"status": 202' /_fake/state)" = "$1" ]; } # the only deliveries the fake makes here
messages() { [ "$(get "$fake/_fake/messages" | grep -o "\"kind\":\"[a-z]*\",\"token\":\"[a-z-]*\",\"title\":\"$1" | wc -l)" -eq "$2" ]; }

begin=$(date +%s)
compose build --build-arg VERSION=ci >"$work/build" 2>&1 || {
	tail -n 60 "$work/build" >&2
	fail "the images cannot be built; where no registry can be reached, deploy/offline-images.sh makes the base images"
}
say "images are built ($(($(date +%s) - begin)) s)"

compose up -d --no-build >"$work/up" 2>&1 || {
	cat "$work/up" >&2
	fail "compose does not start"
}
await "all four to be healthy" healthy
find_ports
say "nats, receiver, worker and the fake CodeArts are healthy"

for service in nats receiver worker codearts; do
	seen=$(docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Privileged}}' "$(container $service)")
	[ "$seen" = '65532:65532 true [ALL] [no-new-privileges:true] false' ] || fail "$service runs as: $seen"
done
for image in receiver worker millrace broker; do
	seen=$(docker inspect --format '{{.Config.User}}' "millrace/$image")
	[ "$seen" = 65532:65532 ] || fail "image millrace/$image is for user '$seen'"
	if docker run --rm --network none --entrypoint /bin/sh "millrace/$image" -c true >/dev/null 2>&1; then
		fail "image millrace/$image has a shell"
	fi
done
say "they run as user 65532, read-only, without capabilities; the images have no shell"

push one
first=$commit
deliver one guessed 401 '' || fail "a wrong token is answered $(cat "$work/answer")"
deliver one "$token" 202 '"accepted"' || fail "the push is answered $(cat "$work/answer")"
say "push $first is accepted, and was refused with a wrong token"
await "the follow-up commit" commits 1
get "$fake/_fake/repos/$repository/commits" | grep -q 'docs: record failed build' || fail "the commit is another one"
await "the team's message" messages 'Build ' 1
say "the failed build is found, recorded by one commit, and told to the team"
await "the alert" messages 'CodeArts-pro: 7 days left' 1
say "the package that runs out is announced to ops"

deliver one "$token" 202 '"duplicate"' || fail "the redelivery is answered $(cat "$work/answer")"
say "the redelivery is recognised"

compose rm --stop --force nats >"$work/rm" 2>&1 || fail "the broker's container cannot be removed: $(cat "$work/rm")"
push two
deliver two "$token" 202 '"accepted"' || fail "without a broker a delivery is answered $(cat "$work/answer")"
compose up -d --no-build nats >"$work/up" 2>&1 || fail "the broker does not start again: $(cat "$work/up")"
await "all four to be healthy" healthy
find_ports
await "the accepted delivery to be published" deliver two "$token" 202 '"duplicate"'
deliver one "$token" 202 '"duplicate"' || fail "with a new container of the broker the redelivery is answered $(cat "$work/answer")"
say "without the broker a delivery is accepted by the journal; a new container finds the old volume, and the servers find it"

get -X POST "$fake/_fake/package" -d '{"days":3}' >/dev/null
await "the second commit" commits 2
await "the second message" messages 'Build ' 2
await "the next rung of the alert" messages 'CodeArts-pro: 3 days left' 1
await "our own commits to come back" returned 2
say "our own 2 commits came back from the fake, as deliveries"
messages 'CodeArts-pro: 7 days left' 1 || fail "the first rung was announced again"
messages 'Build ' 2 && commits 2 || fail "something was done twice"
say "nothing was done twice: 2 pushes, 2 commits, 2 messages, 2 rungs of the alert; our own commits led to nothing"

compose stop --timeout 40 receiver worker >"$work/stop" 2>&1 || fail "the servers do not stop: $(cat "$work/stop")"
for service in receiver worker; do
	code=$(docker inspect --format '{{.State.ExitCode}}' "$(compose ps -aq $service)")
	[ "$code" = 0 ] || fail "$service stopped with exit code $code"
done
say "receiver and worker stop cleanly"
