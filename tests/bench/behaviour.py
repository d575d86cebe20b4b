#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare how pipit and its peers treat requests that RFC 9112 forbids, and a client whose request head never ends.

The answers do not depend on the speed of the machine. --write puts them into BEHAVIOUR.md; it takes two minutes.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import itertools
import os
import socket
import sys
import tempfile
import time

import comparison
import preparation
import results
from machine import ADDRESS, PIPIT, ROOT, Failure, say
from peers import PEERS
from servers import start
from tables import table

VECTORS = ROOT / "tests/vectors/guard"

# The requests that a server MUST refuse: white space before a colon (RFC 9112 §5.1); no Host, several, or an invalid one (§3.2); an
# invalid Content-Length, or two that differ (§6.3).
FORBIDDEN = (
    "400-field-colon-*",
    "400-host-form-*",
    "400-host-ipv6-*",
    "400-host-missing*",
    "400-host-port-*",
    "400-host-repeated-*",
    "400-length-form-*",
    "400-length-repeated-different",
    "400-length-repeated-list-of-different",
    "400-length-repeated-zero-first",
)
# Of these the grammar of a Host allows some, the text of §3.2 is about HTTP/1.1 only, and a list may have an empty member.
ARGUABLE = {
    "400-host-ipv6-future",
    "400-host-ipv6-zone",
    "400-host-missing-in-http-1-2",
    "400-host-port-alone",
    "400-host-port-beyond-64-bits",
    "400-host-port-too-high",
    "400-length-form-comma-at-end",
}
# What every server must accept, or its refusals would mean nothing.
VALID = ("200-get-shortest", "200-length-plain")
PATHS = (b"/hello/get", b"/hello/post")  # of the vectors
NEXT = b"GET /json/hello HTTP/1.1\r\nHost: next\r\n\r\n"
ANSWER_SECONDS = 5
SLOW_SECONDS = 90
BYTE_SECONDS = 1


@dataclasses.dataclass(frozen=True)
class Behaviour:
    accepted: list  # names of vectors that were answered with success
    closed_after: float | None  # seconds; None: still open


def vectors(folder, patterns):
    return sorted({path for pattern in patterns for path in (VECTORS / folder).glob(pattern + ".http")})


def forbidden():
    return [path for path in vectors("reject", FORBIDDEN) if path.stem not in ARGUABLE]


def adapted(path, server):
    """The bytes of a vector, for the one path that peers have; pipit's daemon has those of the vectors."""
    sent = path.read_bytes()
    if server.peer.chosen_by != "pipit":
        for old in PATHS:
            sent = sent.replace(old, b"/json/hello", 1)
    return sent


def status(server, sent):
    """The first status that a server answers; 0: it closes, or says nothing."""
    with socket.create_connection((ADDRESS, server.port), ANSWER_SECONDS) as client:
        # Another request behind it completes what a lenient server takes for a longer body.
        with contextlib.suppress(OSError):
            client.sendall(sent + NEXT)
            words = client.makefile("rb").readline().split()
            return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return 0


def accepts(server, sent):
    return 200 <= status(server, sent) < 400


def accepted(server):
    for path in vectors("accept", VALID):
        if not accepts(server, adapted(path, server)):
            raise Failure(f"{server.peer.name} refuses {path.stem}")
    return [path.stem for path in forbidden() if accepts(server, adapted(path, server))]


def closed_after(server, most_seconds):
    """How long a client keeps its connection whose head grows by a byte each second."""
    with socket.create_connection((ADDRESS, server.port), ANSWER_SECONDS) as client:
        began = time.monotonic()
        client.sendall(b"GET /json/hello HTTP/1.1\r\nHost: slow\r\nA: ")
        client.settimeout(BYTE_SECONDS)
        while time.monotonic() - began < most_seconds:
            with contextlib.suppress(TimeoutError):
                try:
                    client.recv(1)
                    return time.monotonic() - began
                except ConnectionResetError:
                    return time.monotonic() - began
            try:
                client.sendall(b"b")
            except OSError:
                return time.monotonic() - began
    return None


def observe(peers, options):
    with contextlib.ExitStack() as stack:
        servers = [start(peer, options, stack) for peer in peers]
        found = {server.peer.name: accepted(server) for server in servers}
        say(f"waiting for at most {options.slow_seconds:g} s with a slow client of each server")
        with concurrent.futures.ThreadPoolExecutor(len(servers)) as pool:
            slow = dict(zip(found, pool.map(closed_after, servers, itertools.repeat(options.slow_seconds))))
    return {name: Behaviour(found[name], slow[name]) for name in found}


def page(behaviours, options):
    count = len(forbidden())
    rows = [
        [name, f"{len(one.accepted)} of {count}", f"{one.closed_after:.0f} s" if one.closed_after else f"more than {options.slow_seconds:g} s"]
        for name, one in behaviours.items()
    ]
    heads = ["server", "forbidden requests answered with success", "slow head: closed after"]
    details = "\n".join(f"- {name}: {', '.join(f'`{one}`' for one in b.accepted) or 'none'}" for name, b in behaviours.items())
    return f"""# Behaviour

Written by `behaviour.py --write`.

{table(heads, rows, names=1)}
**Forbidden requests** are the vectors of [tests/vectors](../vectors/README.md) that a server MUST refuse: white space before a colon (RFC 9112 §5.1), no
valid Host or several (§3.2), no valid Content-Length (§6.3). A request counts as answered with success when the first status is 2xx or 3xx. **Slow head**:
the client sends one more byte of a header each second. Servers run as the benchmark configures them ([README.md](README.md#servers)).

Answered with success:

{details}

{results.last_line(options)}"""


def parse_options():
    parser = argparse.ArgumentParser(description="Compare how servers treat forbidden requests and slow clients.")
    parser.add_argument("--pipit", default=str(PIPIT), metavar="FILE", help="the daemon; libpipit.a lies beside it")
    parser.add_argument("--no-install", action="store_true", help="leave out servers whose packages are missing")
    parser.add_argument("--slow-seconds", type=float, default=SLOW_SECONDS, metavar="N", help="how long a slow client waits (%(default)s)")
    parser.add_argument("--write", action="store_true", help="write BEHAVIOUR.md and the comparison in README.md")
    return parser.parse_args()


def run(options):
    if options.write and (options.no_install or options.slow_seconds < SLOW_SECONDS):
        raise Failure("--write takes all servers and the default time")
    options.commit = results.commit()
    peers = preparation.with_folder([next(peer for peer in PEERS if peer.name == name) for name in comparison.NAMES])
    if options.no_install:
        peers, _ = preparation.leave_out_missing(peers, [])
    preparation.prepare(peers, [], options.pipit)
    with tempfile.TemporaryDirectory(prefix="pipit-bench-") as options.files:
        text = page(observe(peers, options), options)
    if options.write:
        comparison.BEHAVIOUR.write_text(text)
        comparison.write()
    print(text, end="")


def main():
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    try:
        run(parse_options())
    except (Failure, OSError) as error:
        say(f"behaviour.py: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
