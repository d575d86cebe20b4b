#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every limit of the real daemon, one below it, at it, and one above: the answer changes between the last two, and nowhere else."""
import contextlib
import json
import pathlib
import socket
import time

from served import Group, PATIENCE_SECONDS, Daemon, end_with_verdict, put, refusal, running, settle, temporary_folder, write_request

GET = "GET {} HTTP/1.1\r\nHost: x\r\n"
POST = "POST /json/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
# Its size is that of the text.
OBJECT = '{{"a":"{}"}}'


# --- requests of a size -----------------------------------------------------------------------------------------------


def target(size):
    return (GET.format("/" + "a" * (size - 1)) + "\r\n").encode()


def query(size):
    return (GET.format("/json/hello?" + "a" * (size - len("/json/hello?"))) + "\r\n").encode()


def head(size):
    start = GET.format("/json/hello") + "A: "
    return (start + "a" * (size - len(start) - 4) + "\r\n\r\n").encode()


def fields(count):
    return (GET.format("/json/hello") + "A: b\r\n" * (count - 1) + "\r\n").encode()


def field(size):
    return (GET.format("/json/hello") + "A: " + "a" * (size - 3) + "\r\n\r\n").encode()


def text(size):
    return b'"' + b"a" * (size - 2) + b'"'


def body(size):
    return f"{POST}Content-Length: {size}\r\n\r\n".encode() + text(size)


def chunked(size, chunk=1 << 20):
    content = text(size)
    pieces = [content[at:at + chunk] for at in range(0, size, chunk)]
    return f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode() + b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def chunks_of_a_byte(size):
    return chunked(size, 1)


def trailers(size):
    start, end = b"5\r\n\"abc\"\r\n0\r\n", b"\r\n\r\n"
    return f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode() + start + b"A: " + b"a" * (size - 3 - len(end)) + end


def trailer_fields(count):
    return f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode() + b"5\r\n\"abc\"\r\n0\r\n" + b"A: b\r\n" * count + b"\r\n"


def extensions(size):
    """The CR counts."""
    return f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode() + b"5;" + b"a" * (size - 1) + b"\r\n\"abc\"\r\n0\r\n\r\n"


def echo(content):
    return f"{POST}Content-Length: {len(content)}\r\n\r\n{content}".encode()


def depth(levels):
    return echo("[" * levels + "]" * levels)


def object_depth(levels):
    return echo('{"a":' * (levels - 1) + "{}" + "}" * (levels - 1))


def values(count):
    """The array is one."""
    return echo("[" + ",".join("1" * (count - 1)) + "]")


def members(count):
    return echo("{" + ",".join(f'"{i}":1' for i in range(count - 1)) + "}")


def ranges(count):
    wanted = ",".join(f"{10 * i}-{10 * i}" for i in range(count))
    return (GET.format("/ranges.txt") + f"Range: bytes={wanted}\r\n\r\n").encode()


# options, the limit, requests by their size, the statuses up to it and above
HEADS = [
    (["--max-target-bytes", "100"], 100, target, 404, 414),
    (["--max-target-bytes", "100"], 100, query, 200, 414),
    (["--max-head-bytes", "500", "--max-target-bytes", "100"], 500, head, 200, 431),
    (["--max-fields", "5"], 5, fields, 200, 431),
    (["--max-field-bytes", "50"], 50, field, 200, 431),
    ([], 8192, target, 404, 414),
    ([], 16384, head, 431, 431),
    (["--max-field-bytes", "0"], 16384, head, 200, 431),
    ([], 8192, field, 200, 431),
    ([], 100, fields, 200, 431),
    (["--max-fields", "256", "--max-head-bytes", "64k"], 256, fields, 200, 431),
]
BODIES = [
    (["--max-body-bytes", "100"], 100, body, 200, 413),
    (["--max-body-bytes", "100"], 100, chunked, 200, 413),
    (["--max-body-bytes", "100"], 100, chunks_of_a_byte, 200, 413),
    ([], 1 << 20, body, 200, 413),
    ([], 1 << 20, chunked, 200, 413),
    (["--max-body-bytes", "0", "--memory-limit", "256k"], 256 << 10, body, None, 413),
    (["--max-head-bytes", "300", "--max-target-bytes", "100"], 300, trailers, 200, 431),
    (["--max-fields", "5"], 5, trailer_fields, 200, 431),
    ([], 4096, extensions, 200, 400),
]
JSON = [
    (["--max-json-depth", "5"], 5, depth, 200, 400),
    (["--max-json-depth", "5"], 5, object_depth, 200, 400),
    (["--max-json-depth", "1"], 1, depth, 200, 400),
    ([], 64, depth, 200, 400),
    (["--max-json-depth", "512"], 512, depth, 200, 400),
    (["--max-json-values", "10"], 10, values, 200, 400),
    (["--max-json-values", "10"], 10, members, 200, 400),
    ([], 100000, values, 200, 400),
]
FILES = [
    ([], 32, ranges, 206, 416),
]


def ask(address, request):
    """The status; a refused client may not be able to send everything."""
    with socket.create_connection(address, PATIENCE_SECONDS) as s:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(request)
        answer = b""
        while b"\r\n" not in answer:
            received = s.recv(65536)
            assert received, f"closed after {answer!r}"
            answer += received
        return int(answer.split()[1])


def check_requests(group, root, table):
    for options, limit, make, up_to, above in table:
        with running(Daemon(root, *options)) as daemon:
            for size in range(max(limit - 1, 1), limit + 2):
                expected = above if size > limit else up_to
                if expected is not None:
                    group.same(f"{make.__name__}({size}) with {' '.join(options) or 'the defaults'}", expected,
                               ask(daemon.address, make(size)))


# --- connections ------------------------------------------------------------------------------------------------------


def connect(address, request):
    """An open connection, and the status of its first reply."""
    s = socket.create_connection(address, PATIENCE_SECONDS)
    s.sendall(request)
    answer = b""
    while b"\r\n" not in answer:
        received = s.recv(65536)
        assert received, "closed without a reply"
        answer += received
    return s, int(answer.split()[1])


def check_simultaneous(group, root, option, limit, path, refused):
    """Connections that stay: as many as the limit, one above, and again one when another is closed."""
    with running(Daemon(root, option, str(limit))) as daemon, contextlib.ExitStack() as opened:
        request = (GET.format(path) + "\r\n").encode()
        clients = []
        for count in range(1, limit + 2):
            s, status = connect(daemon.address, request)
            clients.append(opened.enter_context(s))
            group.same(f"{option} {limit}: connection {count}", 200 if count <= limit else refused, status)
        clients[0].close()
        # The server notices it within a sweep; the test ends when it does not.
        end = time.monotonic() + PATIENCE_SECONDS
        while status != 200 and time.monotonic() < end:
            s, status = connect(daemon.address, request)
            opened.enter_context(s)
        group.same(f"{option} {limit}: after one is closed", 200, status)


def check_requests_of_a_connection(group, root, limit):
    with running(Daemon(root, "--max-requests-per-connection", str(limit))) as daemon:
        client = daemon.client()
        for count in range(1, limit + 1):
            reply = client.ask("/json/hello")
            group.same(f"request {count} of {limit}: {reply.status}, close", count == limit, reply.get("connection") == "close")
        client.close()


# --- settings ---------------------------------------------------------------------------------------------------------


def put_settings(content, path="", method="PUT", media_type="application/json"):
    return write_request(method, "/api/settings" + path, [("Content-Type", media_type)], content=content.encode())


def check_settings(group, root, folder):
    with running(Daemon(root, "--settings", str(folder / "sizes.json"), "--settings-max-bytes", "1k")) as daemon:
        for size in (1023, 1024, 1025):
            document = OBJECT.format("a" * (size - len(OBJECT.format(""))))
            group.same(f"a document of {size} bytes", 413 if size > 1024 else 204,
                       ask(daemon.address, put_settings(document)))
    with running(Daemon(root, "--settings", str(folder / "patches.json"))) as daemon:
        for count in (999, 1000, 1001):
            patch = json.dumps([{"op": "add", "path": "/a", "value": 1}] * count)
            status = ask(daemon.address, put_settings(patch, method="PATCH", media_type="application/json-patch+json"))
            group.same(f"a patch of {count} operations", count <= 1000, status < 300)


    with running(Daemon(root, "--settings", str(folder / "pointers.json"), "--max-target-bytes", "13k")) as daemon:
        for size in (4095, 4096, 4097):
            for letter in ("a", "%61"):
                name = letter * (size - 1)
                status = ask(daemon.address, put_settings("1", "/" + name))
                group.same(f"a pointer of {size} bytes in {letter}", size <= 4096, status < 300)


# --- files ------------------------------------------------------------------------------------------------------------


def check_compression(group, root):
    for size in (1023, 1024, 1025, 262143, 262144, 262145):
        put(root, f"{size}.txt", b"hello, " * (size // 7) + b"x" * (size % 7))
    settle()
    with running(Daemon(root)) as daemon:
        client = daemon.client()
        for size in (1023, 1024, 1025, 262143, 262144, 262145):
            reply = client.ask(f"/{size}.txt", ("Accept-Encoding", "gzip"))
            group.same(f"a file of {size} bytes", 1024 <= size <= 262144, reply.get("content-encoding") == "gzip")
        client.close()


def check_listing(group, root):
    for count in (1999, 2000, 2001):
        for i in range(count):
            put(root, f"{count}/{i:04}", b"")
    with running(Daemon(root, "--listing")) as daemon:
        client = daemon.client()
        for count in (1999, 2000, 2001):
            page = client.ask(f"/{count}/", ("Accept", "text/html")).content
            listed = json.loads(client.ask(f"/{count}/", ("Accept", "application/json")).content)
            group.same(f"names of {count} in JSON", min(count, 2000), len(listed))
            group.same(f"names of {count} on the page", min(count, 2000), page.count(b'<tr><td><a href="./'))
            group.same(f"the page of {count} says that there are more", count > 2000, b"has more entries" in page)
        client.close()


# --- configuration ----------------------------------------------------------------------------------------------------


def starts(*options):
    return refusal("--check", *options)[0] == 0


def check_configuration(group, folder):
    file = folder / "pipit.conf"
    for size in (4095, 4096, 4097):
        file.write_text("#" + "a" * (size - 1) + "\nmax-fields = 7\n")
        group.same(f"a line of {size} bytes", size <= 4096, starts("--config", str(file)))
    for count in (15, 16, 17):
        group.same(f"{count} addresses", count <= 16, refusal("--check", *["--listen", "127.0.0.1:0"] * (count - 1))[0] == 0)
    for size in (254, 255, 256):
        group.same(f"a Cache-Control of {size} bytes", size <= 255,
                   starts("--root", str(folder), "--cache-control", f"*={'a' * size}"))
    for size in (3999, 4000, 4001):
        name = ("a/" * 2000)[:size - 1] + "x"
        status, messages = refusal("--check", "--root", name)
        group.true(f"a text of {size} bytes", "a refusal of its length above 4000", ("4000" in messages) == (size > 4000), messages)


def main():
    with temporary_folder() as folder:
        root = pathlib.Path(folder, "root")
        root.mkdir()
        put(root, "index.html", b"index")
        put(root, "ranges.txt", b"0123456789" * 100)
        for name, table in (("heads", HEADS), ("bodies", BODIES), ("JSON", JSON), ("files", FILES)):
            with Group(name) as group:
                check_requests(group, root, table)
        with Group("connections") as group:
            check_simultaneous(group, root, "--max-connections-per-address", 3, "/json/hello", 429)
            check_simultaneous(group, root, "--max-streams", 2, "/events", 503)
            check_simultaneous(group, root, "--max-connections", 3, "/events", 503)
            for limit in (1, 2, 5):
                check_requests_of_a_connection(group, root, limit)
        with Group("settings") as group:
            check_settings(group, root, folder)
        with Group("compression") as group:
            check_compression(group, root)
        with Group("listings") as group:
            check_listing(group, root)
        with Group("configuration") as group:
            check_configuration(group, folder)
    end_with_verdict()


if __name__ == "__main__":
    main()
