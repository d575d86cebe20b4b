# SPDX-License-Identifier: MIT
"""Memory of thousands of idle connections, and whether tens of thousands are answered."""

import contextlib
import dataclasses
import socket
import ssl

import wrk
from answers import read_answer
from machine import OPEN_FILES_BESIDES, Failure
from servers import start

IDLE_CONNECTIONS = 5000


@dataclasses.dataclass(frozen=True)
class Memory:
    fresh_kib: int
    per_connection_kib: float
    connection_count: int


@dataclasses.dataclass(frozen=True)
class OpenConnections:
    """As many connections as the limits allow, and how many of them were answered when all were open."""

    open_count: int
    answered_count: int
    per_connection_kib: float
    open_files: int  # the limit of a process


def read_one(client, answer):
    with client.makefile("rb") as reader:
        answer.check(*read_answer(reader))


def open_connections(server, count, stack):
    """Each gets one answer before the next is opened, so that the server has accepted all of them."""
    load, clients = server.peer.probe, []
    for number in range(count):
        try:
            client = stack.enter_context(server.connect())
            client.sendall(load.request)
            read_one(client, load.answer)
        except OSError as error:
            raise Failure(f"connection {number + 1:,}: {error}") from error
        clients.append(client)
    return clients


def is_open(client):
    """As the client sees it: the kernel's table may list a connection twice while others open and close."""
    client.setblocking(False)
    try:
        return client.recv(1, 0 if isinstance(client, ssl.SSLSocket) else socket.MSG_PEEK) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def check_open(clients):
    stayed = sum(map(is_open, clients))
    if stayed != len(clients):
        raise Failure(f"{stayed:,} of {len(clients):,} connections stayed open")


def warm_up(server, options):
    """Memory that the server allocates under its first load is not memory of idle connections."""
    wrk.run(server, server.peer.probe, options.connections, min(options.seconds, 1))
    server.wait_until_unconnected()


def measure_memory(peer, options):
    needed = options.idle + OPEN_FILES_BESIDES
    if options.open_files < needed:
        raise Failure(f"{needed:,} open files are needed, {options.open_files:,} allowed here (ulimit -Hn)")
    with contextlib.ExitStack() as stack:
        server = start(peer, options, stack)
        fresh = server.resident_kib()
        warm_up(server, options)
        before = server.resident_kib()
        clients = open_connections(server, options.idle, stack)
        after = server.resident_kib()
        check_open(clients)
        return Memory(fresh, (after - before) / options.idle, options.idle)


def ask_all_at_once(server, clients):
    """Every connection has a request under way before the first answer is read."""
    load = server.peer.probe
    for client in clients:
        client.sendall(load.request)
    for number, client in enumerate(clients):
        try:
            read_one(client, load.answer)
        except OSError as error:
            raise Failure(f"connection {number + 1:,} of {len(clients):,} is not answered: {error}") from error
    return len(clients)


def measure_many_open(peer, options):
    count = min(options.many, options.open_files - OPEN_FILES_BESIDES)
    with contextlib.ExitStack() as stack:
        server = start(peer, options, stack)
        warm_up(server, options)
        before = server.resident_kib()
        clients = open_connections(server, count, stack)
        after = server.resident_kib()
        answered = ask_all_at_once(server, clients)
        check_open(clients)
        return OpenConnections(count, answered, (after - before) / count, options.open_files)
