#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs those of the named Debian packages that are missing. Services of the new packages are neither started nor left enabled.
# Elsewhere than on Debian and Ubuntu it does nothing: the build says what it does not find.
set -eu
command -v dpkg-query >/dev/null || exit 0

missing=
for package in "$@"; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
echo "installing the packages$missing"

# dpkg asks this program before a package starts its service (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap '$as_root rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
	$as_root chmod 755 $policy
fi
units=/etc/systemd/system
before=$(find $units -path '*.wants/*' 2>/dev/null || true)

# shellcheck disable=SC2086 # a list
if ! { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; }; then
	echo "could not install the packages$missing: install them yourself, then try again" >&2
	exit 1
fi

# A package enables its service with links in these folders.
find $units -path '*.wants/*' 2>/dev/null | while read -r link; do
	case "
$before
" in *"
$link
"*) continue ;; esac
	$as_root rm -f "$link"
	echo "not enabled: $(basename "$link")"
done
