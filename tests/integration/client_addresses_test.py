#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which client addresses may request what, and how often: --allow, --deny and --rate-limit, with curl from several loopback addresses."""
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from curled import PATIENCE, Server, raw
from served import DAEMON, ENVIRONMENT

FROM_2 = ("--interface", "127.0.0.2")
FROM_3 = ("--interface", "127.0.0.3")
# Of every kind: files, an evhttp callback, native handlers, settings, a path without a route.
PATHS = ("/", "/hello/get", "/json/hello", "/metrics", "/healthz", "/openapi.json", "/api/settings", "/events", "/no/such/thing")


def metric(server, sample, *words):
    page = server.curl("/metrics", *words)[2]
    return int(re.search(rf"^{re.escape(sample)} (\d+)$", page, re.MULTILINE).group(1))


def statuses(received):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


# --- allow and deny ---------------------------------------------------------------------------------------------------


def a_denied_address_gets_403_from_every_route():
    with Server("--deny", "127.0.0.2") as server:
        for path in PATHS:
            status, headers, body = server.curl(path, *FROM_2)
            assert status == 403 and headers["content-type"] == "application/problem+json", (path, status)
            assert '"detail":"Your address may not request this resource."' in body, body
        for path in PATHS[:-2]:
            assert server.status(path, *FROM_3) == 200, path
        for method in ("OPTIONS", "DELETE", "POST", "PUT"):
            assert server.status("/api/settings", *FROM_2, method=method) == 403, method
        assert server.status("/", "-I", *FROM_2, method="HEAD") == 403
        assert metric(server, 'http_rejected_total{reason="address_denied"}') == len(PATHS) + 5


def an_allowed_prefix_refuses_all_others():
    with Server("--allow", "/api/ 127.0.0.2, 127.0.0.3", "--allow", "/api/settings/open all") as server:
        for path in ("/api/settings", "//api/settings", "/%61pi/settings", "/x/../api/settings", "/api"):
            assert server.status(path, "--path-as-is") == 403, path
        assert server.status("/api/settings", *FROM_2) == 200 and server.status("/api/settings", *FROM_3) == 200
        assert server.status("/api/settings/open") == 404
        assert server.status("/apis") == 404 and server.status("/healthz") == 200


def a_client_of_ipv4_is_one_on_a_listener_of_both_families():
    with Server("--deny", "127.0.0.0/8", listen=("[::]:0",)) as server:
        assert server.status("/healthz") == 403
        assert server.status("/healthz", "-g", address="[::1]") == 200
    with Server("--deny", "::/0", listen=("[::]:0",)) as server:
        assert server.status("/healthz") == 200
        assert server.status("/healthz", "-g", address="[::1]") == 403


def a_client_of_a_unix_socket_must_be_allowed_as_such():
    for flags, status in ((("--deny", "127.0.0.0/8"), 200), (("--allow", "127.0.0.0/8"), 403), (("--deny", "unix:"), 403),
                          (("--allow", "127.0.0.0/8 unix:"), 200)):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/socket"
            with Server("--listen", f"unix:{path}", *flags) as server:
                assert server.status("/healthz", "--unix-socket", path) == status, flags


def a_refusal_keeps_the_connection():
    with Server("--deny", "/api/ 127.0.0.2") as server:
        for prefix, before in (("/api/x", 403), ("/healthz", 200)):
            done = subprocess.run(["curl", "-sS", *FROM_2, "-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n",
                                   f"http://127.0.0.1:{server.ports[0]}{prefix}", f"http://127.0.0.1:{server.ports[0]}/healthz"],
                                  capture_output=True, text=True, timeout=PATIENCE, check=True)
            assert done.stdout == f"{before} 1\n200 0\n", done.stdout


def a_refusal_comes_before_the_body():
    with Server("--deny", "127.0.0.2", "--rate-limit", "/api/ 1/h") as server, tempfile.NamedTemporaryFile() as body:
        body.truncate(900 * 1024)
        assert server.status("/api/settings") == 200
        for words, status in ((FROM_2, 403), ((), 429)):
            # Not invited, or sent all the same and discarded.
            for expect in ("100-continue", ""):
                got, headers, _ = server.curl("/api/settings", *words, "-T", body.name, "-H", f"Expect: {expect}", method="PUT")
                assert got == status and headers["connection"] == "close", (got, headers)
        with socket.create_connection(("127.0.0.1", server.ports[0]), PATIENCE) as client:
            client.sendall(b"PUT /api/settings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n")
            assert statuses(client.recv(65536)) == [429]


def a_proxy_that_speaks_https_brings_hsts():
    with Server("--hsts", "1h", "--trusted-proxy", "127.0.0.1") as server:
        for scheme, expected in (("https", "max-age=3600"), ("http", None)):
            for path in ("/healthz", "/hello/get"):
                headers = server.curl(path, "-H", f"X-Forwarded-Proto: {scheme}", "-H", "X-Forwarded-For: 192.0.2.1")[1]
                assert headers.get("strict-transport-security") == expected, (scheme, path, headers)


def the_health_check_is_a_client():
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for flags, status in ((("--allow", "127.0.0.2"), 1), (("--allow", "127.0.0.2", "--allow", "/healthz all"), 0)):
        with Server(*flags, listen=(address,)):
            done = subprocess.run([DAEMON, "--healthcheck", "--listen", address], capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT, check=False)
            assert done.returncode == status and ("403" in done.stderr) == bool(status), done.stderr


# --- rates ------------------------------------------------------------------------------------------------------------


def requests_above_the_burst_get_429():
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder, "access")
        with Server("--rate-limit", "/json/ 1/h burst=3", "--access-log", str(log)) as server:
            got = [server.curl("/json/hello") for _ in range(5)]
            assert [status for status, _, _ in got] == [200, 200, 200, 429, 429]
            for _, headers, body in got[3:]:
                assert headers["content-type"] == "application/problem+json" and "sent too many requests" in body
                # An hour after the first token was taken, in whole seconds.
                assert re.fullmatch(r"[1-9]\d*", headers["retry-after"]) and int(headers["retry-after"]) <= 3600, headers
            assert server.status("/json/hello", *FROM_2) == 200 and server.status("/healthz") == 200
            assert metric(server, 'http_rejected_total{reason="rate_limit"}') == 2
            assert metric(server, 'http_requests_total{method="GET",route="/json/hello",code="429"}') == 2
        lines = log.read_text().splitlines()
        assert len([line for line in lines if '"GET /json/hello HTTP/1.1" 429 ' in line]) == 2, lines


def every_kind_of_route_is_limited():
    with Server("--rate-limit", "1/h") as server:
        assert server.status("/healthz") == 200
        for path in PATHS:
            assert server.status(path) == 429, path
        assert server.status("/hello/post", "-d", "x", method="POST") == 429
        assert server.status("/", "-I", method="HEAD") == 429


def pipelined_requests_are_counted_one_by_one():
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Server("--rate-limit", "1/h burst=4") as server:
        received = raw(server.ports[0], 7 * request)
        assert statuses(received) == [200] * 4 + [429] * 3 and received.count(b"Retry-After: ") == 3
        assert b"Connection: close" not in received


def workers_share_the_tokens():
    with Server("--rate-limit", "1/h burst=20", "--workers", "4") as server:
        done = subprocess.run(["curl", "-sS", "--no-keepalive", "-H", "Connection: close", "-Z", "--parallel-max", "8", "-o", "/dev/null",
                               "-w", "%{http_code}\n", f"http://127.0.0.1:{server.ports[0]}/healthz?[1-80]"],
                              capture_output=True, text=True, timeout=PATIENCE, check=True)
        codes = done.stdout.split()
        assert sorted(set(codes)) == ["200", "429"] and codes.count("200") == 20 and len(codes) == 80, codes


def clients_of_unix_sockets_are_not_limited():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        with Server("--listen", f"unix:{path}", "--rate-limit", "1/h") as server:
            assert [server.status("/healthz", "--unix-socket", path) for _ in range(5)] == [200] * 5


def a_denied_request_takes_no_token():
    with Server("--rate-limit", "/api/ 1/h", "--deny", "/api/x 127.0.0.1") as server:
        assert [server.status("/api/x") for _ in range(3)] == [403] * 3
        assert server.status("/api/settings") == 200 and server.status("/api/settings") == 429


def a_limit_comes_before_the_host_and_the_password():
    with Server("--rate-limit", "1/h", "--hosts", "nas.example.com") as server:
        assert server.status("/healthz", Host="evil.example") == 421
        assert server.status("/healthz", Host="evil.example") == 429


# --- configuration ----------------------------------------------------------------------------------------------------


def every_wrong_rule_is_reported():
    flags = ("--allow", "10.1.2.3/8", "--allow", "/x 10.0.0.0/40", "--deny", "/a/../b ::1", "--rate-limit", "10", "--rate-limit", "/x 1/s burst=0",
             "--trusted-proxy", "10.0.0.1/8", "--trusted-proxy", "proxy.example")
    right = ("use 10.0.0.0/8 for the network", "use 0 to 32, as in 10.0.0.0/8", "use [PREFIX] and addresses or networks",
             "use [PREFIX] N/s, N/m or N/h [burst=N]", "the burst is not 1 to 1000000 requests; use ",
             "use 10.0.0.0/8 for the network", "not a network; use addresses or networks")
    for check in ((), ("--check",)):
        done = subprocess.run([DAEMON, "--listen", "127.0.0.1:0", *flags, *check], capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT, check=False)
        lines = done.stderr.splitlines()
        assert done.returncode == 2 and len(lines) == len(right), done.stderr
        for line, name, value, words in zip(lines, flags[::2], flags[1::2], right):
            assert line.startswith(f"pipit: error: {name} {value}: ") and words in line, line


def the_place_of_a_wrong_rule_is_named():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "pipit.conf")
        file.write_text("allow = 10.0.0.1\n\nallow = 10.0.0.0/33\nallow = 10.0.0.2\nrate-limit = 1/d\nrate-limit = /x 1/s\n")
        done = subprocess.run([DAEMON, "--check", "--config", str(file)], capture_output=True, text=True, timeout=PATIENCE,
                              env={**ENVIRONMENT, "PIPIT_DENY": "/x 10.0.0.0/8\n::1/0"}, check=False)
        starts = [f'pipit: error: {file}:3: allow = "10.0.0.0/33": ', 'pipit: error: environment: PIPIT_DENY = "::1/0": ',
                  f'pipit: error: {file}:5: rate-limit = "1/d": ']
        lines = done.stderr.splitlines()
        assert done.returncode == 2 and len(lines) == len(starts), done.stderr
        for line, start in zip(lines, starts):
            assert line.startswith(start), line


def trust_in_every_client_is_a_warning():
    words = "every client may then say which address it has; use the networks of the proxies"
    for values, warned in ((("10.0.0.0/8", "all"), "all"), (("127.0.0.1 0.0.0.0/0",), "127.0.0.1 0.0.0.0/0"), (("::/0", "all"), "::/0"), (("unix:", "128.0.0.0/1"), None)):
        flags = [word for value in values for word in ("--trusted-proxy", value)]
        done = subprocess.run([DAEMON, "--check", "--listen", "127.0.0.1:0", *flags], capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT, check=False)
        assert done.returncode == 0 and done.stderr == (f"pipit: warn: --trusted-proxy {warned}: {words}\n" if warned else ""), done.stderr


def a_network_in_both_lists_is_an_error():
    done = subprocess.run([DAEMON, "--check", "--allow", "/x/ 10.0.0.0/8", "--deny", "/x 10.0.0.0/8"], capture_output=True, text=True,
                          timeout=PATIENCE, env=ENVIRONMENT, check=False)
    assert done.returncode == 2 and done.stderr == "pipit: error: --deny: 10.0.0.0/8 is allowed and denied for /x/; use one of both\n", done.stderr


def main():
    if not shutil.which("curl"):
        sys.exit("not found: curl; install Debian's package curl")
    for test in (a_denied_address_gets_403_from_every_route, an_allowed_prefix_refuses_all_others, a_client_of_ipv4_is_one_on_a_listener_of_both_families,
                 a_client_of_a_unix_socket_must_be_allowed_as_such, a_refusal_keeps_the_connection, a_refusal_comes_before_the_body,
                 a_proxy_that_speaks_https_brings_hsts, the_health_check_is_a_client,
                 requests_above_the_burst_get_429, every_kind_of_route_is_limited, pipelined_requests_are_counted_one_by_one, workers_share_the_tokens,
                 clients_of_unix_sockets_are_not_limited, a_denied_request_takes_no_token, a_limit_comes_before_the_host_and_the_password,
                 every_wrong_rule_is_reported, the_place_of_a_wrong_rule_is_named, trust_in_every_client_is_a_warning, a_network_in_both_lists_is_an_error):
        test()
        print(f"passed: {test.__name__}", flush=True)


main()
