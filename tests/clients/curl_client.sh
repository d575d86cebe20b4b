#!/bin/bash
# SPDX-License-Identifier: MIT
# curl_client.sh URL METHOD BYTES length|chunked COUNT [NAME=VALUE]...: curl, without waiting for 100 (Continue).
url=$1 method=$2 size=$3 framing=$4 count=$5
shift 5
fields=(-H 'Expect:' -H 'Content-Type: application/octet-stream')
[ "$framing" = length ] || fields+=(-H 'Transfer-Encoding: chunked')
for field; do fields+=(-H "${field%%=*}: ${field#*=}"); done
content=$(mktemp)
trap 'rm -f "$content"' EXIT
head -c "$size" /dev/zero >"$content"
for ((i = 0; i < count; i++)); do
	curl -sS -m 60 -o /dev/null -w '%{http_code}\n' -X "$method" "${fields[@]}" --data-binary "@$content" "$url" 2>&1 | paste -sd ' '
done
