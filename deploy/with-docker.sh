#!/bin/sh
# Runs a command with a docker daemon: with the one that answers, or else with one it starts, and stops when the command has ended.
#
#   deploy/with-docker.sh deploy/ci-compose.sh
set -eu
[ $# -gt 0 ] || {
	echo "with-docker: expected a command" >&2
	exit 2
}
if docker version >/dev/null 2>&1; then
	exec "$@"
fi
command -v dockerd >/dev/null || {
	echo "with-docker: no docker daemon answers, and dockerd is not installed" >&2
	exit 1
}
[ "$(id -u)" = 0 ] || {
	echo "with-docker: no docker daemon answers, and only root may start one" >&2
	exit 1
}
log=$(mktemp)
echo "with-docker: no docker daemon answers: starting dockerd" >&2
dockerd >"$log" 2>&1 &
daemon=$!
stop() {
	echo "with-docker: stopping the dockerd started before" >&2
	kill "$daemon" 2>/dev/null || true
	wait "$daemon" 2>/dev/null || true
	rm -f "$log"
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
tries=0
until docker version >/dev/null 2>&1; do
	tries=$((tries + 1))
	if [ $tries -gt 60 ] || ! kill -0 "$daemon" 2>/dev/null; then
		echo "with-docker: dockerd did not get ready; it says:" >&2
		tail -n 20 "$log" >&2
		exit 1
	fi
	sleep 1
done
"$@"
