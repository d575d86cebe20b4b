#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which hosts and origins may ask the daemon for what, and what CORS tells a browser; with curl, as a page's browser would ask."""
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from curled import PATIENCE, Server, raw
from served import DAEMON, ENVIRONMENT

# --- hosts ------------------------------------------------------------------------------------------------------------


def a_listener_on_loopback_answers_to_names_that_nobody_else_owns():
    with Server() as server:
        for host in ("127.0.0.1", "127.0.0.1:1", "localhost", "localhost:8080", "pipit.localhost", "[::1]", "10.1.2.3", "pipit", socket.gethostname()):
            assert server.status("/healthz", Host=host) == 200, host
            assert server.put(Host=host) == 204, host
        for path in ("/healthz", "/", "/metrics", "/hello/get", "/no/such/thing"):
            status, headers, body = server.curl(path, Host="evil.example")
            assert status == 421 and headers["content-type"] == "application/problem+json", (path, status)
            assert "evil.example" in body
        assert server.put(Host="evil.example", Origin="http://evil.example") == 421
        assert raw(server.ports[0], b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 421 ")
        assert raw(server.ports[0], b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        log = server.log()
        # Once, however many are refused.
        assert log.count("refused a request for the host \"evil.example\" with 421") == 1 and "allow it with the option hosts" in log, log
        assert server.rejected("unknown_host") == 7


def other_listeners_answer_to_every_name_but_keep_their_settings():
    with Server(listen=("0.0.0.0:0",)) as server:
        for path in ("/healthz", "/", "/metrics", "/hello/get"):
            assert server.status(path, Host="nas.example.com") == 200, path
        # DNS rebinding: the page and its target have the same origin.
        assert server.put(Host="evil.example", Origin="http://evil.example") == 421
        assert server.status("/api/settings", Host="evil.example") == 421
        for path in ("/hello/post", "/json/echo"):
            assert server.status(path, "-d", "{}", method="POST", Host="evil.example", Content_Type="application/json") == 421, path
        assert server.put(Host="192.168.1.1") == 204


def loopback_is_found_however_it_is_written():
    for address in ("[0:0:0:0:0:0:0:1]:0", "localhost:0"):
        with Server(listen=(address,)) as server:
            host = "[::1]" if "]" in address else "127.0.0.1"
            assert server.status("/healthz", "-g", Host="evil.example", address=host) == 421, address
            assert server.status("/healthz", "-g", address=host) == 200, address


def each_listener_has_its_rule():
    with Server(listen=("0.0.0.0:0", "127.0.0.1:0")) as server:
        # The port of the second one is any for the configuration, so loopback addresses count as its.
        assert server.status("/healthz", Host="evil.example", port=server.ports[1]) == 421
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Server(listen=("0.0.0.0:0", f"127.0.0.1:{port}")) as server:
        assert server.status("/healthz", Host="evil.example", port=server.ports[0]) == 200
        assert server.status("/healthz", Host="evil.example", port=server.ports[1]) == 421


def as_many_listeners_as_there_may_be_have_the_rule():
    """The admin address is one more."""
    with Server("--admin-listen", "127.0.0.1:0", listen=["127.0.0.1:0"] * 16) as server:
        for port in server.ports:
            assert server.status("/hello/get", port=port) == 200
            assert server.status("/hello/get", port=port, Host="nas") == 200
            assert server.status("/hello/get", port=port, Host="evil.example") == 421


def hosts_lists_the_names():
    with Server("--hosts", "nas.example.com, *.lan.example") as server:
        for host in ("nas.example.com", "NAS.example.com.:8080", "a.lan.example", "localhost", "127.0.0.1"):
            assert server.status("/", Host=host) == 200, host
            assert server.put(Host=host) == 204, host
        for host in ("example.com", "10.0.0.1", "pipit", "lan.example"):
            assert server.status("/", Host=host) == 421, host
        assert raw(server.ports[0], b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 421 ")
    with Server("--hosts", "*") as server:
        assert server.status("/", Host="evil.example") == 200
        assert server.put(Host="evil.example") == 204


# --- origins ----------------------------------------------------------------------------------------------------------


def pages_of_other_origins_change_nothing():
    with Server() as server:
        own = f"http://127.0.0.1:{server.ports[0]}"
        assert server.put() == 204
        assert server.put(Origin=own) == 204
        assert server.put(Origin=own, Sec_Fetch_Site="same-origin") == 204
        for origin in ("http://evil.example", "null", own + "1", "http://localhost", own.replace("http:", "https:") + "x"):
            assert server.put(Origin=origin) == 403, origin
        assert server.put(Sec_Fetch_Site="cross-site") == 403
        assert server.status("/hello/post", "-d", "x", method="POST", Origin="http://evil.example") == 403
        assert server.status("/json/echo", "-d", "{}", method="POST", Origin="http://evil.example", Content_Type="application/json") == 403
        # Without CORS, a page sends what it may not read.
        status, headers, _ = server.curl("/json/hello", Origin="http://evil.example")
        assert status == 200 and "access-control-allow-origin" not in headers
        assert server.status("/json/hello", "-I", method="HEAD", Origin="http://evil.example") == 200
        # Before the body is invited.
        answer = raw(server.ports[0], b"POST /json/echo HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 403 "), answer
        log = server.log()
        assert log.count("warn: refused a request of the origin") == 1, log
        assert f'refused a request of the origin "http://evil.example" for the host "127.0.0.1:{server.ports[0]}" with 403' in log, log
        assert "allow it with the options cors-origins and cors-methods" in log, log
        assert server.rejected("foreign_origin") == 9
    with Server("--log-level", "debug") as server:
        for _ in range(3):
            assert server.put(Origin="null") == 403
        assert server.log().count('refused a request of the origin "null"') == 3, server.log()


def cors_lets_listed_origins_in():
    with Server("--cors-origins", "https://app.example.com, http://localhost:3000", "--cors-methods", "GET, PUT", "--cors-headers", "Content-Type, If-Match",
                "--cors-expose-headers", "ETag", "--cors-credentials", "--cors-max-age", "1h") as server:
        status, headers, _ = server.curl("/json/hello", Origin="https://app.example.com")
        assert status == 200 and headers["access-control-allow-origin"] == "https://app.example.com", headers
        assert headers["access-control-allow-credentials"] == "true" and headers["access-control-expose-headers"] == "ETag"
        assert "Origin" in headers["vary"]
        assert server.put(Origin="http://localhost:3000", Sec_Fetch_Site="cross-site") == 204
        assert server.status("/json/echo", "-d", "{}", method="POST", Origin="https://app.example.com", Content_Type="application/json") == 403
        assert server.put(Origin="https://evil.example") == 403
        status, headers, _ = server.curl("/json/hello", Origin="https://evil.example")
        assert status == 200 and "access-control-allow-origin" not in headers and "Origin" in headers["vary"]
        # A caches' entry for one origin is not that of another, or of none.
        assert "Origin" in server.curl("/json/hello")[1]["vary"]
        # An evhttp callback, an error and a refusal by the transport carry the headers too.
        for path, words in (("/hello/get", ()), ("/no/such/thing", ())):
            assert server.curl(path, *words, Origin="https://app.example.com")[1]["access-control-allow-origin"] == "https://app.example.com", path
        status, headers, _ = server.curl("/api/settings", "-T", DAEMON, method="PUT", Origin="https://app.example.com", Expect="")
        assert status == 413
        assert headers["access-control-allow-origin"] == "https://app.example.com", headers


def a_preflight_is_answered_without_a_handler():
    with Server("--cors-origins", "https://app.example.com", "--cors-methods", "GET, PUT") as server:
        question = {"Origin": "https://app.example.com", "Access_Control_Request_Method": "PUT"}
        for path in ("/api/settings", "/hello/get", "/no/such/thing", "/json/echo"):
            status, headers, _ = server.curl(path, method="OPTIONS", **question)
            assert status == 204 and headers["access-control-allow-methods"] == "GET, PUT", (path, status, headers)
            assert headers["access-control-allow-headers"] == "Content-Type" and headers["access-control-max-age"] == "600"
            assert headers["access-control-allow-origin"] == "https://app.example.com" and "allow" not in headers
        status, headers, _ = server.curl("/json/echo", method="OPTIONS", **(question | {"Origin": "https://evil.example"}))
        assert status == 204 and "POST" in headers["allow"] and "access-control-allow-origin" not in headers, headers


def cors_for_every_origin():
    with Server("--cors-origins", "*") as server:
        status, headers, _ = server.curl("/json/hello", Origin="https://any.example")
        assert status == 200 and headers["access-control-allow-origin"] == "*" and "Origin" not in headers.get("vary", "")
        assert server.status("/json/echo", "-d", "{}", method="POST", Origin="https://any.example", Content_Type="application/json") == 200


# --- headers ----------------------------------------------------------------------------------------------------------


def headers_are_added_by_path():
    with Server("--header", "/*: X-Frame-Options: DENY", "--header", "/json/*: X-Where: json, with: a colon") as server:
        for path in ("/", "/hello/get", "/no/such/thing", "/metrics"):
            headers = server.curl(path)[1]
            assert headers["x-frame-options"] == "DENY" and "x-where" not in headers, (path, headers)
        head = server.curl("/", "-I", method="HEAD")[1]
        assert head["referrer-policy"] == "same-origin" and "frame-ancestors 'self'" in head["content-security-policy"], head
        headers = server.curl("/json/hello")[1]
        assert headers["x-frame-options"] == "DENY" and headers["x-where"] == "json, with: a colon", headers
        assert server.curl("/%6Ason/hello")[1]["x-where"]


def headers_hold_for_every_spelling_of_a_path():
    with tempfile.TemporaryDirectory() as root:
        pathlib.Path(root, "app").mkdir()
        pathlib.Path(root, "app", "p.html").write_text("x")
        with Server("--root", root, "--header", "/app/*: X-A: b", "--header", "/: X-Root: c") as server:
            for path in ("/app/p.html", "//app/p.html", "/./app/p.html", "/x/../app/p.html", "/%61pp/p.html", "/app//p.html", "/app/"):
                assert server.curl(path, "--path-as-is")[1].get("x-a") == "b", path
            assert server.curl("//", "--path-as-is")[1].get("x-root") == "c"


def wrong_options_are_reported():
    every = ("--cors-origins", "*")
    for flags, reason in ((("--hosts", "a:80"), "is not a name"), (("--cors-origins", "app.example.com"), "is not an origin"),
                          (("--cors-origins", "https://app.example.com:443"), "is not an origin"), (("--cors-origins", "https://*.example.com"), "is not an origin"),
                          (("--hosts", ","), "no name"),
                          ((*every, "--cors-credentials"), "list the origins"), ((*every, "--cors-methods", "GTE"), "is not a method"),
                          (("--cors-methods", "GTE"), '"GTE" is not a method'), ((*every, "--cors-headers", "A: b"), '"A:" is not the name of a header'),
                          ((*every, "--cors-expose-headers", "ETag, a/b"), '"a/b" is not the name of a header'), (("--header", "X: y"), "not a rule"),
                          (("--header", "/*: A: " + "x" * 3900, "--header", "/*: B: " + "x" * 3900), "more than 6000 bytes"),
                          (("--header", "/*: Date: now"), "/*: Date: now: pipit sets this header itself; use another name"),
                          (("--header", "/*: X Y: z"), "/*: X Y: z: the name is not one of a header; use letters, digits and -")):
        wrong = [flag for flag in flags if flag.startswith("--")][-1]
        for check in ((), ("--check",)):
            done = subprocess.run([DAEMON, "--listen", "127.0.0.1:0", *flags, *check], capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT, check=False)
            assert done.returncode == 2 and reason in done.stderr, (flags, done.stderr)
            assert re.fullmatch(rf"pipit: error: {wrong}\b.*\n", done.stderr), done.stderr


def main():
    if not shutil.which("curl"):
        sys.exit("not found: curl; install Debian's package curl")
    for test in (a_listener_on_loopback_answers_to_names_that_nobody_else_owns, other_listeners_answer_to_every_name_but_keep_their_settings,
                 loopback_is_found_however_it_is_written, each_listener_has_its_rule,
                 as_many_listeners_as_there_may_be_have_the_rule, hosts_lists_the_names, pages_of_other_origins_change_nothing, cors_lets_listed_origins_in,
                 a_preflight_is_answered_without_a_handler, cors_for_every_origin, headers_are_added_by_path, headers_hold_for_every_spelling_of_a_path, wrong_options_are_reported):
        test()
        print(f"passed: {test.__name__}", flush=True)


main()
