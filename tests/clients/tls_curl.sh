#!/bin/sh
# SPDX-License-Identifier: MIT
# tls_curl.sh URL CERTIFICATE COUNT: one curl, each request on a connection of its own. Prints status and body of each.
url=$1 certificate=$2 count=$3
set --
while [ "$count" -gt 0 ]; do
	set -- "$@" "$url"
	count=$((count - 1))
done
exec curl -sS --max-time 300 --cacert "$certificate" -H 'Connection: close' -w ' %{http_code}\n' "$@"
