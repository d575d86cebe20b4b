#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--admin-listen of the real daemon: what it serves alone, and that the health check asks it."""
import json
import sys

from served import Client, Group, end_with_verdict, put, refusal, temporary_folder
from sockets_test import Listening, healthcheck

ADMIN = ["/metrics", "/healthz", "/readyz", "/api/settings"]
ALL = ["/hello/get", "/json/hello", "/openapi.json"]


def address_of(name):
    host, port = name.removeprefix("http://").split(" ")[0].rsplit(":", 1)
    return host, int(port)


def status(address, target, method="GET"):
    client = Client(address)
    client.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head = client.read_head()
    client.close()
    return head.status


def paths(address):
    return set(json.loads(Client(address).ask("/openapi.json").content)["paths"])


def check(group, daemon, dashboard, files):
    """dashboard: its path. files: a path that both serve, or None."""
    group.true("the lines", "one of them marked", daemon.names[1].endswith(" (admin)"), daemon.names)
    public, admin = map(address_of, daemon.names)
    for target in ADMIN + ["/events", dashboard]:
        group.same(f"{target} elsewhere", 404, status(public, target))
        # files are served with all methods that they allow, whatever the path
        group.same(f"OPTIONS {target} elsewhere", 204 if files else 404, status(public, target, "OPTIONS"))
        group.same(f"{target} there", 200, status(admin, target))
    for target in ALL + ([files] if files else []):
        for address in (public, admin):
            group.same(f"{target} at {address}", 200, status(address, target))
    group.same("described elsewhere", {"/hello/get", "/hello/post", "/json/hello", "/json/echo", "/openapi.json"}, paths(public))
    group.true("described there", "all", {"/metrics", "/events", "/api/settings", "/healthz"} <= paths(admin), paths(admin))
    host, port = admin
    said = healthcheck("--admin-listen", f"{host}:{port}", "--listen", "127.0.0.1:1")
    group.same("the health check", (0, ""), (said.returncode, said.stderr))
    said = healthcheck("--listen", "{}:{}".format(*public))
    group.true("the health check elsewhere", "404", said.returncode == 1 and "404" in said.stderr, said.stderr)


def main():
    with temporary_folder() as folder, Group("--admin-listen") as group:
        root, settings = folder / "root", folder / "settings"
        root.mkdir()
        settings.mkdir()
        put(root, "a.txt", b"a")
        options = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--settings", str(settings / "s.json")]
        with Listening(*options, count=2) as daemon:
            check(group, daemon, "/", None)
        with Listening(*options, "--root", str(root), count=2) as daemon:
            check(group, daemon, "/_pipit/", "/a.txt")
        with Listening(*options, "--admin-listen", f"unix:{folder}/admin.sock,mode=0600", count=2) as daemon:
            group.same("a UNIX socket", f"unix:{folder}/admin.sock (admin)", daemon.names[1])
            group.same("a UNIX socket", 200, status(f"{folder}/admin.sock", "/metrics"))
            group.same("elsewhere", 404, status(address_of(daemon.names[0]), "/metrics"))
        group.true("afterwards", "no file", not (folder / "admin.sock").exists())
        for listen, admin in ((":8080", ":8080"), ("127.0.0.1:8080", "0.0.0.0:8080"), ("unix:/a", "unix:/a")):
            code, said = refusal("--listen", listen, "--admin-listen", admin)
            group.true(f"{listen} and {admin}", "refused", code == 2 and f"--admin-listen {admin}: overlaps with {listen}" in said, said)
        code, said = refusal("--admin-listen", "nowhere")
        group.true("no address", "refused", code == 2 and "--admin-listen nowhere: not an address; use ADDR:PORT" in said, said)
        with Listening("--listen", "127.0.0.1:0") as daemon:
            taken = daemon.names[0].removeprefix("http://")
            code, said = refusal("--admin-listen", taken)
            group.true("a port in use", "refused", code == 1 and f"--admin-listen {taken}: cannot be used: " in said, said)
    end_with_verdict()


if __name__ == "__main__":
    sys.exit(main())
