#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The real curl, as on a command line, against the real daemon. With `--under COMMAND…` the daemon runs under that command
# (valgrind_test.sh does).
set -euo pipefail

daemon=${PIPIT_DAEMON:-build/pipit}
# The daemon reads every PIPIT_ variable as an option, and would refuse PIPIT_DAEMON.
unset "${!PIPIT_@}"
under=()
if [ "${1:-}" = --under ]; then
	shift
	under=("$@")
fi
folder=$(mktemp -d)
pid=
finish() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
	rm -rf "$folder"
}
trap finish EXIT

fail() {
	echo "FAILED: $1" >&2
	cat "$folder/err" >&2
	exit 1
}

# expect NAME WANTED COMMAND…: the command prints exactly WANTED.
checks=0
expect() {
	local name=$1 wanted=$2 got
	shift 2
	got=$("$@") || true
	[ "$got" = "$wanted" ] || fail "$name: wanted [$wanted], got [$got]"
	checks=$((checks + 1))
}

# A big upload, so that curl asks with Expect: 100-continue; and a site.
mkdir "$folder/site"
echo '<h1>home</h1>' >"$folder/site/index.html"
head -c 3000000 /dev/urandom >"$folder/site/big.bin"
seq 1 5000 >"$folder/site/numbers.txt"
mkdir "$folder/site/list"
cp "$folder/site/numbers.txt" "$folder/site/list/neighboured.txt"
gzip -k "$folder/site/list/neighboured.txt"
# A file that was just written has a weak ETag.
find "$folder/site" -exec touch -d '2020-01-01' {} +
sleep 0.2
head -c 2000000 /dev/zero | tr '\0' x >"$folder/upload"

mkfifo "$folder/out"
"${under[@]}" "$daemon" --listen 127.0.0.1:0 --workers 2 --root "$folder/site" --listing --max-body-bytes 1m \
	--access-log "$folder/access.log" >"$folder/out" 2>"$folder/err" &
pid=$!
read -r line <"$folder/out"
[[ $line == "listening on http://127.0.0.1:"* ]] || fail "no readiness line: $line"
url=${line#listening on }
status() { curl -sS -o /dev/null -w '%{http_code}' "$@"; }
json='Content-Type: application/json'

expect hello '{"message":"Hello, World!"}' curl -sS "$url/hello/get"
expect name '{"message":"Hello, Zoë!"}' curl -sS -G --data-urlencode 'name=Zoë' "$url/hello/get"
expect form '{"message":"Hello, Ada!","received":"form","bytes":8}' curl -sS -d name=Ada "$url/hello/post"
expect text '{"message":"Hello, Bob!","received":"text","bytes":3}' \
	curl -sS -H 'Content-Type: text/plain' --data-binary Bob "$url/hello/post"
expect json '{"message":"Hello, Eve!","received":"json","bytes":14}' curl -sS -H "$json" -d '{"name":"Eve"}' "$url/hello/post"
expect echo '{"a":[1,2.5,null,true,"x"]}' curl -sS -H "$json" -d '{ "a" : [1, 2.5, null, true, "x"] }' "$url/json/echo"
expect chunked '[1,2]' sh -c "printf '[1, 2]' | curl -sS -H '$json' -H 'Transfer-Encoding: chunked' -T - -X POST $url/json/echo"
expect 'bad json' 400 status -H "$json" -d '[1,' "$url/json/echo"
expect 'wrong type' 415 status -H 'Content-Type: image/png' -d x "$url/json/echo"
expect 'too large, asked first' 413 status -H "$json" --data-binary "@$folder/upload" "$url/json/echo"
expect 'too large, not asked' 413 status -H 'Expect:' -H "$json" --data-binary "@$folder/upload" "$url/json/echo"
expect 'wrong method' 405 status -X DELETE "$url/hello/get"
expect 'unknown method' 501 status -X BREW "$url/hello/get"
expect 'allow' 'Allow: GET, HEAD, OPTIONS' sh -c "curl -sSi -X OPTIONS $url/hello/get | tr -d '\r' | grep ^Allow"
expect health '{"status":"ok"}' curl -sS "$url/healthz"
expect ready '{"status":"ready"}' curl -sS "$url/readyz"
expect page '<h1>home</h1>' curl -sS "$url/"
expect missing 404 status "$url/nothing"
expect traversal 400 status --path-as-is "$url/../../../etc/passwd"
expect 'http/1.0' '{"message":"Hello, World!"}' curl -sS --http1.0 "$url/hello/get"
expect 'head' '200 27' sh -c "curl -sSI -o $folder/head -w '%{http_code} ' $url/hello/get; tr -d '\r' <$folder/head | sed -n 's/^Content-Length: //p'"
curl -sS -o "$folder/big" "$url/big.bin"
cmp "$folder/big" "$folder/site/big.bin" || fail 'the big file differs'
for path in numbers.txt list/neighboured.txt; do
	curl -sS --compressed -D "$folder/head" -o "$folder/numbers" "$url/$path"
	grep -qi '^content-encoding: gzip' "$folder/head" || fail "$path: not compressed"
	cmp "$folder/numbers" "$folder/site/numbers.txt" || fail "$path: differs"
done
etag=$(curl -sSI "$url/big.bin" | tr -d '\r' | sed -n 's/^ETag: //p')
expect 'same tag' 304 status -H "If-None-Match: $etag" "$url/big.bin"
expect 'other tag' 412 status -H 'If-Match: "x"' "$url/big.bin"
curl -sS -r 1000-1999999 -o "$folder/part" "$url/big.bin"
cmp "$folder/part" <(tail -c +1001 "$folder/site/big.bin" | head -c 1999000) || fail 'a range differs'
head -c 1000000 "$folder/site/big.bin" >"$folder/resumed"
curl -sS -C - -o "$folder/resumed" "$url/big.bin"
cmp "$folder/resumed" "$folder/site/big.bin" || fail 'a resumed download differs'
expect 'several ranges' '206 multipart/byteranges' sh -c "curl -sS -r 0-9,2000000-2500000,-5 -o $folder/parts \
	-w '%{http_code} %{content_type}' $url/big.bin | cut -d ';' -f 1"
expect 'no such range' 416 status -r 3000000- "$url/big.bin"
expect listing '<tr><td><a href="./neighboured.txt">neighboured.txt</a></td><td>23893</td><td>2020-01-01T00:00:00Z</td></tr>' \
	sh -c "curl -sS $url/list/ | grep 'neighboured.txt<'"
modified=$(curl -sSI "$url/big.bin" | tr -d '\r' | sed -n 's/^Last-Modified: //p')
expect 'not modified' 304 status -H "If-Modified-Since: $modified" "$url/big.bin"
expect 'two on one connection' 0 sh -c "curl -sS -o /dev/null -o /dev/null $url/hello/get $url/healthz -w '%{num_connects}\n' | tail -1"
expect metrics 1 sh -c "curl -sS $url/metrics | grep -c '^pipit_build_info{'"
expect classes 'HTTP/1.1 200 OK' sh -c "curl -sSi $url/metrics | head -1 | tr -d '\r'"

kill -TERM "$pid"
wait "$pid" || fail "the daemon ended with $?"
pid=
lines=$(wc -l <"$folder/access.log")
[ "$lines" -ge "$checks" ] || fail "the access log has $lines lines for $checks checks"
grep -q '"GET /hello/get?name=Zo%[cC]3%[aA][bB] HTTP/1.1" 200 ' "$folder/access.log" || fail 'a line is missing in the access log'
echo "$checks passed, 0 failed"
