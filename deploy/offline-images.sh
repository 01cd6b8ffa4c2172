#!/bin/sh
# Makes stand-ins for the base images of deploy/Dockerfile and of the container tests, under the same tags, from what this machine
# has: for machines that reach no image registry. They are for building and testing, not for production.
#
#   golang:1.26              busybox, the local CA certificates, the local Go toolchain, and the modules of go.mod
#   nats:2.15.2, nats:2.12.0 nats-server, built from its module, and nothing else, as the official image of that tag
#
# An image that is there already and is no stand-in is left alone. A stand-in is made again when what it is made of has changed.
# Needs docker, go, busybox (statically linked) and ca-certificates; go finds modules as it always does.
set -eu
cd "$(dirname "$0")/.."

golang=golang:1.26
nats='2.15.2 2.12.0'
label=millrace.stand-in

say() { printf 'offline-images: %s\n' "$*"; }
fail() {
	say "$*" >&2
	exit 1
}

for tool in docker go busybox tar; do
	command -v "$tool" >/dev/null || fail "$tool is missing"
done
docker version >/dev/null 2>&1 || fail "the docker daemon does not answer: start it, or run this as deploy/with-docker.sh deploy/offline-images.sh"
certificates=/etc/ssl/certs/ca-certificates.crt
[ -s "$certificates" ] || fail "$certificates is missing: install ca-certificates"
if (ldd "$(command -v busybox)" 2>/dev/null | grep -q '=>'); then
	fail "busybox is not statically linked: install busybox-static"
fi

work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# wanted TAG MADE-OF: whether the image has to be made.
wanted() {
	if ! have=$(docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$1" 2>/dev/null); then
		return 0
	fi
	case $have in
	'') say "$1 is there and is no stand-in: left alone" && return 1 ;;
	"$2") say "$1 is up to date" && return 1 ;;
	esac
}

# root FOLDER: what both kinds of image need.
root() {
	mkdir -p "$1/etc/ssl/certs" "$1/tmp"
	chmod 1777 "$1/tmp"
	cp "$certificates" "$1/etc/ssl/certs/"
}

made_of="$(go version) $(cat go.mod go.sum | sha256sum | cut -c1-16) $(sha256sum <"$certificates" | cut -c1-16)"
if wanted "$golang" "$made_of"; then
	say "$golang: $(go version | cut -d' ' -f3), modules of go.mod, busybox"
	tree=$work/golang
	root "$tree"
	mkdir -p "$tree/bin" "$tree/usr/local/go" "$tree/go/pkg" "$tree/root"
	cp "$(command -v busybox)" "$tree/bin/busybox"
	for applet in $(busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$tree/etc/passwd"
	tar -C "$(go env GOROOT)" --exclude=./test --exclude=./api --exclude=./doc --exclude=./misc --exclude=./.git -cf - . |
		tar -C "$tree/usr/local/go" -xf -
	# The modules come from the local cache where it has them, packed: the build unpacks them. go.sum says whether they are right.
	modules=$work/modules
	GOMODCACHE=$modules GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" GOFLAGS=-modcacherw go mod download
	mkdir -p "$tree/go/pkg/mod/cache"
	mv "$modules/cache/download" "$tree/go/pkg/mod/cache/"
	tar -C "$tree" --numeric-owner --owner=0 --group=0 -cf - . | docker import \
		--change "LABEL $label=\"$made_of\"" \
		--change 'ENV PATH=/go/bin:/usr/local/go/bin:/bin GOPATH=/go GOPROXY=off GOTOOLCHAIN=local HOME=/root' \
		--change 'WORKDIR /go' --change 'CMD ["/bin/sh"]' \
		--message 'a stand-in made by deploy/offline-images.sh' - "$golang" >/dev/null
	say "$golang is made"
fi

for version in $nats; do
	made_of="nats-server $version $(go version)"
	wanted "nats:$version" "$made_of" || continue
	say "nats:$version: nats-server $version, and nothing else"
	tree=$work/nats-$version
	root "$tree"
	GOBIN=$tree CGO_ENABLED=0 go install -trimpath -ldflags='-s -w' "github.com/nats-io/nats-server/v2@v$version"
	tar -C "$tree" --numeric-owner --owner=0 --group=0 -cf - . | docker import \
		--change "LABEL $label=\"$made_of\"" \
		--change 'ENV PATH=/' --change 'EXPOSE 4222 8222 6222' \
		--change 'ENTRYPOINT ["/nats-server"]' --change 'CMD ["--jetstream"]' \
		--message 'a stand-in made by deploy/offline-images.sh' - "nats:$version" >/dev/null
	say "nats:$version is made"
done
