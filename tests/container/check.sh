#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Build the container image without a container engine running and without a registry, run it, and prove what the
# Dockerfile promises.

set -euo pipefail

usage() {
	cat <<'TEXT'
usage: tests/container/check.sh [--keep] [--help]

Makes a Debian base image from the mirror that apt is configured for, builds the
Dockerfile on it, runs the image on a free port of the loopback, and checks:
  - /hello/get, /healthz, /metrics and / answer 200
  - the process runs as 65532:65532
  - the health check inside finds the server, which got its address as an argument
  - after SIGTERM, new connections are served while /readyz answers 503
  - SIGTERM ends it with exit status 0
Then it prints the image's size and files.

Needs root, and debootstrap, buildah, podman, runc and curl, which it installs
with apt-get when they are missing. Everything it makes lies in one temporary
directory; your own images and containers are not touched.

  --keep   leave image, container and storage, and say where they are
  --help   show this text
TEXT
}

readonly packages=(debootstrap buildah podman runc curl)
readonly base=localhost/pipit-check-base
readonly image=localhost/pipit-check
readonly container=pipit-check
source_directory=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly source_directory
keep=no
work=

say() {
	printf 'check.sh: %s\n' "$*" >&2
}

fail() {
	say "FAILED: $*"
	exit 1
}

parse_options() {
	while (($# > 0)); do
		case $1 in
		--keep) keep=yes ;;
		--help | -h)
			usage
			exit 0
			;;
		*)
			usage >&2
			exit 2
			;;
		esac
		shift
	done
}

install_missing_packages() {
	local package missing=()

	# Each of these packages has a program of its own name.
	for package in "${packages[@]}"; do
		command -v "$package" >/dev/null || missing+=("$package")
	done
	((${#missing[@]} > 0)) || return 0
	"$source_directory/tools/install_packages.sh" 'make container' "${missing[@]}" >&2
}

# Storage of our own; vfs, because overlay cannot be mounted everywhere (it cannot inside a container).
run_buildah() {
	buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run" "$@"
}

run_podman() {
	podman --storage-driver vfs --root "$work/storage" --runroot "$work/run" --tmpdir "$work/libpod" \
		--cgroup-manager cgroupfs --events-backend file --runtime runc "$@"
}

remove_all() {
	local status=$?

	trap - EXIT
	if ((status != 0)) && run_podman container exists "$container"; then
		run_podman logs "$container" >&2 || true
	fi
	if [[ $keep == yes ]]; then
		say "kept: podman --storage-driver vfs --root $work/storage --runroot $work/run --tmpdir $work/libpod …"
		exit "$status"
	fi
	run_podman rm --force --time 0 "$container" >/dev/null 2>&1 || true
	run_podman image unmount --all >/dev/null 2>&1 || true
	# A mount that something left below must not lead rm out of the directory.
	rm -rf --one-file-system "$work"
	exit "$status"
}

# "SITE RELEASE" of every main archive of this machine's suite: the suite itself first, then updates and security.
list_archives() {
	local suite=$1

	# shellcheck disable=SC2016 # apt's placeholders, not ours
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
		awk -v suite="$suite" '$3 == "main" && ($2 == suite || index($2, suite "-") == 1) { print $1, $2 }' |
		sort -u -k2,2
}

make_base() {
	local suite archives mirror maker

	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	archives=$(list_archives "$suite")
	mirror=$(awk -v suite="$suite" '$2 == suite { print $1 }' <<<"$archives")
	[[ -n $mirror ]] || fail "apt knows no main archive of $suite; run apt-get update first"
	say "making a base image of $suite"
	debootstrap --variant=minbase "$suite" "$work/base" "$mirror" >"$work/debootstrap.log" ||
		fail "debootstrap: $(tail -n 5 "$work/debootstrap.log")"
	awk '{ print "deb", $1, $2, "main" }' <<<"$archives" >"$work/base/etc/apt/sources.list"
	# As an archive, because copying a directory would give every file to root.
	tar -C "$work/base" --one-file-system --exclude './dev/*' --exclude './var/cache/apt/archives/*.deb' \
		-cf "$work/base.tar" .
	maker=$(run_buildah from scratch)
	run_buildah add "$maker" "$work/base.tar" / >/dev/null
	run_buildah commit --rm "$maker" "$base" >/dev/null 2>&1
	rm -rf --one-file-system "$work/base" "$work/base.tar"
}

build_image() {
	say "building the Dockerfile"
	# In OCI's own format an image has no HEALTHCHECK.
	run_buildah build --isolation chroot --format docker --build-arg "BASE=$base" --tag "$image" \
		"$source_directory" >"$work/build.log" 2>&1 || fail "$(tail -n 30 "$work/build.log")"
}

# A port below those that the kernel hands out, without a listener now.
choose_port() {
	local port

	while true; do
		port=$((20000 + RANDOM % 10000))
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

start_container() {
	local port=$1

	# Without the image's health check, because podman asks systemd for a timer; check_health runs it itself.
	run_podman run --detach --name "$container" --network host --ulimit nofile=20000:20000 --ulimit nproc=1000:1000 \
		--read-only --cap-drop ALL --security-opt no-new-privileges --no-healthcheck \
		"$image" --listen "127.0.0.1:$port" >/dev/null || fail "the container does not start"
}

check_answers() {
	local url=$1 path

	curl --silent --output /dev/null --retry 10 --retry-max-time 10 --retry-connrefused "$url/healthz" ||
		fail "no answer from $url"
	for path in /hello/get /healthz /metrics /; do
		curl --silent --show-error --fail --max-time 5 --output "$work/answer" "$url$path" || fail "GET $path"
		[[ -s $work/answer ]] || fail "GET $path: no content"
		say "ok: GET $path"
	done
	curl --silent --max-time 5 "$url/hello/get" | grep -qxF '{"message":"Hello, World!"}' ||
		fail "GET /hello/get greets in other words"
}

check_user() {
	local pid ids

	pid=$(run_podman inspect --format '{{.State.Pid}}' "$container")
	ids=$(awk '/^[UG]id:/ { print $2, $3, $4, $5 }' "/proc/$pid/status" | sort -u)
	[[ $ids == "65532 65532 65532 65532" ]] || fail "runs as $ids"
	say "ok: runs as 65532:65532"
}

check_health() {
	local test

	test=$(run_podman image inspect --format '{{.HealthCheck.Test}}' "$image")
	[[ $test == "[CMD /pipit --healthcheck]" ]] || fail "the image's health check is $test"
	run_podman exec "$container" /pipit --healthcheck >&2 || fail "--healthcheck exits with $?"
	say "ok: health check"
}

check_end() {
	local url=$1 status

	run_podman kill --signal TERM "$container" >/dev/null
	until [[ $(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "$url/readyz") == 503 ]]; do
		[[ $(run_podman inspect --format '{{.State.Running}}' "$container") == true ]] ||
			fail "/readyz does not answer 503 before the end"
	done
	curl --silent --show-error --fail --max-time 5 --output /dev/null "$url/hello/get" ||
		fail "no answer within the delay"
	say "ok: 503 of /readyz, and answers, while the drain is delayed"
	run_podman wait "$container" >/dev/null
	status=$(run_podman inspect --format '{{.State.ExitCode}}' "$container")
	[[ $status == 0 ]] || fail "SIGTERM ended it with $status"
	say "ok: SIGTERM ended it with 0"
}

print_image() {
	local root

	root=$(run_podman image mount "$image")
	printf 'image: %s bytes\n' "$(run_podman image inspect --format '{{.Size}}' "$image")"
	find "$root" ! -type d -printf '%10s  /%P\n' | sort -k2
}

main() {
	local port

	parse_options "$@"
	((EUID == 0)) || fail "only root can make the base image and run a container on it"
	install_missing_packages
	work=$(mktemp -d /tmp/pipit-check.XXXXXX)
	trap remove_all EXIT
	make_base
	build_image
	port=$(choose_port)
	start_container "$port"
	check_answers "http://127.0.0.1:$port"
	check_user
	check_health
	check_end "http://127.0.0.1:$port"
	print_image
}

main "$@"
