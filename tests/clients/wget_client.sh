#!/bin/bash
# SPDX-License-Identifier: MIT
# wget_client.sh URL METHOD BYTES length COUNT [NAME=VALUE]...: wget, which cannot send chunks.
url=$1 method=$2 size=$3 count=$5
shift 5
fields=()
for field; do fields+=(--header "${field%%=*}: ${field#*=}"); done
content=$(mktemp)
trap 'rm -f "$content"' EXIT
head -c "$size" /dev/zero >"$content"
for ((i = 0; i < count; i++)); do
	LC_ALL=C wget -S -T 60 -t 1 -O /dev/null --method "$method" "${fields[@]}" --body-file "$content" "$url" 2>&1 |
		sed -n 's|^ *HTTP/1.[01] \([0-9]*\).*|\1|p;/[Ee]rror.*\(pipe\|reset\)/p' | paste -sd ' '
done
