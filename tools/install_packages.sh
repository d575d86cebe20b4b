#!/bin/sh
# SPDX-License-Identifier: MIT
# install_packages.sh FOR PACKAGE...: install those of the Debian packages that are missing, as root or by sudo. Names them first, and
# says that they are FOR that. No service that comes with them is started, now or when the machine starts; one that was there before
# stays as it is. On other systems nothing happens: the build says what it does not find.
set -eu

root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing() {
	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf ' %s' "$package"
	done
}

# UNIT links of systemd, and the names of init scripts that start by themselves.
started_units() {
	find /etc/systemd/system /etc/systemd/user -path '*.wants/*' -type l 2>/dev/null | sort
}
started_scripts() {
	find /etc/rc[2-5].d -name 'S*' 2>/dev/null | sed 's|.*/S[0-9]*||' | sort -u
}
added() {
	printf '%s\n' "$2" | while read -r one; do
		[ -z "$one" ] || printf '%s\n' "$1" | grep -qxF "$one" || printf '%s\n' "$one"
	done
}

# Debian asks this program before it starts a service. An existing one is left as it is.
policy=/usr/sbin/policy-rc.d
forbid_starts() {
	[ ! -e $policy ] || return 0
	trap 'root rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' | root tee $policy >/dev/null
	root chmod 755 $policy
}

# Without systemctl, as in many containers, the link is all there is.
disable_unit() {
	kind=--system
	case $1 in */systemd/user/*) kind=--global ;; esac
	if command -v systemctl >/dev/null; then
		root systemctl --quiet $kind --root=/ disable "$(basename "$1")"
	else
		root rm -f "$1"
	fi
}

disable_added() {
	added "$1" "$(started_units)" | while read -r link; do disable_unit "$link"; done
	added "$2" "$(started_scripts)" | while read -r script; do root update-rc.d "$script" disable; done
}

purpose=$1
shift
command -v dpkg-query >/dev/null || exit 0
packages=$(missing "$@")
[ -n "$packages" ] || exit 0
echo "$purpose: installing Debian packages:$packages"
units=$(started_units)
scripts=$(started_scripts)
forbid_starts
# shellcheck disable=SC2086 # words
if ! { root apt-get update -qq && root env DEBIAN_FRONTEND=noninteractive \
	apt-get install -y -qq --no-install-recommends $packages >/dev/null; }; then
	echo "$purpose: could not install$packages: install these packages yourself, then try again" >&2
	exit 1
fi
disable_added "$units" "$scripts"
