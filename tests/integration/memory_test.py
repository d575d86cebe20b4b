#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The memory of the real daemon: under each kind of load, with bodies of at most 64 KiB, its peak stays below the formula of
docs/limits.md; changes of the settings wait as text; and after a burst of large documents the heap goes back to the system."""
import selectors
import socket
import sys
import threading
import time

from served import ROOT, Daemon, Group, end_with_verdict, put, running, temporary_folder, wait_for

sys.path.append(str(ROOT / "tests"))
from memory_formula import memory_at_worst  # noqa: E402 pylint: disable=wrong-import-position

KIB, MIB = 1024, 1024 * 1024
JSON = ("Content-Type", "application/json")
CLIENTS = 200
LIMITS = {"workers": 2, "max-output-bytes": 16 * KIB, "max-body-bytes": 64 * KIB, "settings-max-bytes": 64 * KIB, "max-json-values": 5000,
          "max-connections": CLIENTS, "memory-limit": 8 * MIB}
# A load has settled when for so long neither a byte nor the memory has moved.
SETTLED_SECONDS = 0.5
LOAD_SECONDS = 30
# Above the memory of a new daemon.
BURST_SLACK_BYTES = 8 * MIB


class Load:
    """Clients that send what they can and read nothing, or everything."""

    def __init__(self, daemon, count, bytes_of, reads=False):
        self.daemon, self.reads, self.moved, self.ready = daemon, reads, 0, selectors.DefaultSelector()
        self.silent = []  # kept, but neither sent to nor read from
        for number in range(count):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            client.connect_ex(daemon.address)
            self.ready.register(client, selectors.EVENT_WRITE | (selectors.EVENT_READ if reads else 0), [memoryview(bytes_of(number))])

    def close(self, client):
        self.ready.unregister(client)
        client.close()

    def move(self, client, rest, events):
        try:
            if events & selectors.EVENT_READ:
                received = client.recv(256 * KIB)
                self.moved += len(received)
                if not received:
                    self.close(client)
                    return
            if events & selectors.EVENT_WRITE:
                sent = client.send(rest[0])
                self.moved += sent
                rest[0] = rest[0][sent:]
                if not rest[0] and self.reads:
                    self.ready.modify(client, selectors.EVENT_READ, rest)
                elif not rest[0]:
                    self.ready.unregister(client)
                    self.silent.append(client)
        except BlockingIOError:
            pass
        except OSError:
            self.close(client)

    def run(self):
        end = time.monotonic() + LOAD_SECONDS
        still, last = time.monotonic() + SETTLED_SECONDS, None
        while time.monotonic() < min(still, end):
            for key, events in self.ready.select(0.05):
                self.move(key.fileobj, key.data, events)
            now = self.moved, self.daemon.memory("VmRSS")
            if now != last:
                still, last = time.monotonic() + SETTLED_SECONDS, now
        for key in list(self.ready.get_map().values()):
            self.close(key.fileobj)
        for client in self.silent:
            client.close()


def request(line, *fields, content=None):
    lines = [line + " HTTP/1.1", "Host: x", *fields]
    if content is not None:
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join(lines + ["", ""]).encode() + (content or b"")


def array(bytes_at_most, values=LIMITS["max-json-values"] - 2):
    """Most values of all documents of this size, up to the limit."""
    return b"[" + b",".join([b"1"] * min(values, bytes_at_most // 2 - 1)) + b"]"


def members():
    """The document that takes most memory for each of its values."""
    return b"{" + b",".join(b'"%d":"x"' % number for number in range(LIMITS["max-json-values"] - 2)) + b"}"


ECHO = request("POST /json/echo", ": ".join(JSON), content=members())
PUT = request("PUT /api/settings/a", ": ".join(JSON), content=members())
# What each client sends. Those with "read" in their name also read.
LOADS = {
    "idle connections": lambda _: b"GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n",
    "slow heads": lambda _: b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * (7 * KIB) + b"\r\nB: " + b"x" * (7 * KIB),
    "slow bodies": lambda _: request("POST /hello/post", "Content-Type: text/plain", "Content-Length: 65536") + b"x" * (63 * KIB),
    "pipelined requests": lambda _: request("GET /json/hello") * 10000,
    "pipelined requests of evhttp callbacks": lambda _: request("GET /hello/get") * 10000,
    "bodies of evhttp callbacks": lambda _: request("POST /hello/post", "Content-Type: text/plain", content=b"x" * (60 * KIB)) * 20,
    "event streams": lambda _: request("GET /events"),
    "settings changes": lambda _: PUT * 3,
    "settings changes that are read": lambda _: PUT * 2,
    "JSON echo": lambda _: ECHO * 20,
    "JSON echo that is read": lambda _: ECHO * 5,
    "file downloads": lambda _: request("GET /large.bin") * 5,
    "compressed files": lambda number: request(f"GET /{number}.txt", "Accept-Encoding: gzip") * 5,
    "listings": lambda _: request("GET /many/") * 20,
}


def make_root(root):
    put(root, "large.bin", b"x" * (8 * MIB))
    for number in range(CLIENTS):
        put(root, f"{number}.txt", b"some text, %d\n" % number * 4000)
    for number in range(2000):
        put(root, f"many/{number:040}", b"")


def peaks(folder, group):
    root = folder / "root"
    make_root(root)
    worst = memory_at_worst(LIMITS)
    options = [word for name, value in LIMITS.items() for word in (f"--{name}", str(value))]
    for name, bytes_of in LOADS.items():
        with running(Daemon(root, "--listing", "--settings", str(folder / "settings.json"), *options)) as daemon:
            Load(daemon, CLIENTS, bytes_of, reads="read" in name).run()
            peak = daemon.memory("VmHWM")
            group.true(name, f"at most {worst / MIB:.1f} MiB, by docs/limits.md", peak <= worst, f"{peak / MIB:.1f} MiB")
            group.notes.append(f"{name} {peak / MIB:.1f} MiB")
    group.notes.append(f"the formula {worst / MIB:.1f} MiB")


def put_at_once(daemon, count, content, name="a"):
    """One change by each of the clients. Returns the statuses."""
    statuses = []

    def change():
        client = daemon.client()
        statuses.append(client.ask(f"/api/settings/{name}", JSON, method="PUT", content=content).status)
        client.close()

    threads = [threading.Thread(target=change) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def waiting_changes(folder, group):
    """60 changes of 100,000 values: a tree of each would take 480 MB."""
    content = array(MIB, 99990)
    (folder / "root").mkdir()
    with running(Daemon(folder / "root", "--settings", str(folder / "settings.json"))) as daemon:
        fresh = daemon.memory("VmRSS")
        statuses = put_at_once(daemon, 60, content)
        peak = daemon.memory("VmHWM") - fresh
        group.true("changes", "201 once, 204 or 503", statuses.count(201) == 1 and set(statuses) <= {201, 204, 503}, statuses)
        # Bodies, whose buffers double; and the trees of the document, of what replaces it, and of the index.
        most = 60 * 2 * len(content) + 3 * 100_000 * 80
        group.true("peak", f"at most {most / MIB:.0f} MiB above that of a new daemon", peak <= most, f"{peak / MIB:.1f} MiB")
        group.notes.append(f"{peak / MIB:.1f} MiB")


def bursts(folder, group):
    """Clients that send documents of 1 MiB at once: later the daemon is as small as before, but for its caches."""
    content = array(MIB, 524_000)
    (folder / "root").mkdir()
    with running(Daemon(folder / "root", "--settings", str(folder / "settings.json"), "--settings-max-bytes", "2m", "--max-json-values", "1000000",
                        "--memory-limit", "1g")) as daemon:
        fresh = daemon.memory("VmRSS")
        statuses = put_at_once(daemon, 60, content)
        group.true("changes", "201 once, 204 or 503", statuses.count(201) == 1 and set(statuses) <= {201, 204, 503}, statuses)
        peak = daemon.memory("VmHWM") - fresh
        group.true("peak", "more than remains", peak > 4 * BURST_SLACK_BYTES, f"{peak / MIB:.1f} MiB")
        group.same("the document is small again", 204, daemon.client().ask("/api/settings/a", JSON, method="PUT", content=b"1").status)
        wait_for("the heap is trimmed", lambda: daemon.memory("VmRSS") <= fresh + BURST_SLACK_BYTES)
        group.notes.append(f"{peak / MIB:.1f} MiB, then {(daemon.memory('VmRSS') - fresh) / MIB:.1f} MiB")


def main():
    with temporary_folder() as folder:
        for check in (waiting_changes, bursts, peaks):
            (folder / check.__name__).mkdir()
            with Group(check.__name__) as group:
                check(folder / check.__name__, group)
    end_with_verdict()


if __name__ == "__main__":
    sys.exit(main())
