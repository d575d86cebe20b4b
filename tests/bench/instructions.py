# SPDX-License-Identifier: MIT
"""Instructions that a server executes in user space for each request on a keep-alive connection, counted by callgrind.

A server runs twice under callgrind and answers different numbers of requests. The difference of the instructions, divided
by the difference of the requests, leaves out start and end of the process. Other load on the machine does not matter."""

import concurrent.futures
import contextlib
import dataclasses
import re
import socket

import wrk
from answers import read_answer
from machine import ADDRESS, BOTH_CORES, Failure
from peers import EVHTTP_WORKLOADS, INSTRUCTIONS
from servers import START_SECONDS, start
from workloads import WORKLOADS

COUNTED_WORKLOADS = ("get", "browser", "pipeline16", *EVHTTP_WORKLOADS, "echo")
OUTPUT = "callgrind.out"
# The longer run has so many times the requests of the shorter one.
SHORTER = 4


def counted_rows(peers):
    """Workload, server, label and load of each row. The GET of echo is left out, because get has it."""
    rows = {}
    for workload in (workload for workload in WORKLOADS if workload.name in COUNTED_WORKLOADS):
        for peer in (peer for peer in peers if {INSTRUCTIONS, workload.name} <= {*peer.serves}):
            for label, load in workload.loads.items():
                rows.setdefault((peer.name, load), (workload, peer, label, load))
    return list(rows.values())


def under_callgrind(peer):
    command = ("valgrind", "--tool=callgrind", "--callgrind-out-file={directory}/" + OUTPUT)
    return dataclasses.replace(peer, command=(*command, *peer.command, *peer.one_process), cores=BOTH_CORES)


def repeat(server, load, sent, bursts):
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(socket.create_connection((ADDRESS, server.port), START_SECONDS))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = stack.enter_context(client.makefile("rb"))
        for _ in range(bursts):
            client.sendall(sent)
            for _ in range(load.burst):
                load.answer.check(*read_answer(reader))


def without_port(sent):
    """Host as wrk sends it to port 80. A port takes about 150 instructions to parse, in pipit as in nginx."""
    return re.sub(rb"^(Host: [\d.]+):\d+\r$", rb"\1\r", sent, flags=re.MULTILINE)


def total(peer, load, bursts, options):
    """Instructions from the start of the process to its end."""
    sent = without_port(wrk.capture(load))
    with contextlib.ExitStack() as stack:
        server = start(under_callgrind(peer), options, stack)
        repeat(server, load, sent, bursts)
        server.end()
        found = re.search(r"^(?:totals|summary): (\d+)", server.path(OUTPUT).read_text(), re.MULTILINE)
    if not found:
        raise Failure(f"callgrind wrote no sum to {OUTPUT}")
    return int(found[1])


def count_instructions(peer, load, options):
    """Of one request. Both runs take place at the same time."""
    longer = max(options.requests // load.burst, 1)
    shorter = longer // SHORTER
    with concurrent.futures.ThreadPoolExecutor() as pool:
        totals = list(pool.map(lambda bursts: total(peer, load, bursts, options), (longer, shorter)))
    return (totals[0] - totals[1]) / ((longer - shorter) * load.burst)
