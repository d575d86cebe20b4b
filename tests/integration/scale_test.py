#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""As many keep-alive connections as descriptors allow, up to 20,000: all are answered and kept, and each takes little memory."""
import http.client
import os
import pathlib
import re
import resource
import select
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAEMON = os.environ.get("PIPIT_DAEMON", str(ROOT / "build/pipit"))
# The daemon reads every PIPIT_ variable as an option, and would refuse PIPIT_DAEMON.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
PATIENCE_SECONDS = 60
SKIPPED = 77
CONNECTIONS_MAX = 20_000
CONNECTIONS_MIN = 1_000
# Descriptors of the daemon that are not connections; more than this script needs.
DESCRIPTORS_BESIDES = 256
# Fewer than --listen-backlog, so that no SYN is repeated.
BATCH = 500
# Memory is measured from this number on: everything that is not per connection is then allocated.
FIRST_CONNECTIONS = 1_000
GROWTH_MAX_BYTES = 2560
# Clients use several addresses, so that ports do not run out, here or for tests that run at the same time.
ADDRESSES = [f"127.0.1.{number}" for number in range(1, 5)]
IP_BIND_ADDRESS_NO_PORT = 24
REQUEST = b"GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"
CONTENT = b'\r\n\r\n{"message":"Hello, World!"}'


class Daemon:
    def __init__(self):
        self.process = subprocess.Popen([DAEMON, "--listen", "127.0.0.1:0", "--max-connections", str(CONNECTIONS_MAX),
                                         "--workers", "1", "--idle-timeout", "0", "--log-level", "error"],
                                        stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        self.address = self.process.stdout.readline().split("http://")[1].strip()

    def metric(self, sample):
        """Without the connection that asks for the metrics."""
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", "/metrics", headers={"Connection": "close"})
            page = connection.getresponse().read().decode()
        finally:
            connection.close()
        return float(re.search(rf"^{re.escape(sample)} (\S+)$", page, re.MULTILINE).group(1))

    def idle_besides(self):
        return self.metric('http_connections{state="idle"}') - 1

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE).group(1)) * 1024

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE_SECONDS)


class Clients:
    """Connections that stay open, in one loop."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.address, self.clients, self.ready = (host, int(port)), {}, select.epoll()

    def connect(self):
        client = socket.socket()
        client.settimeout(PATIENCE_SECONDS)
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        client.bind((ADDRESSES[len(self.clients) % len(ADDRESSES)], 0))
        client.connect(self.address)
        client.setblocking(False)
        self.ready.register(client, select.EPOLLIN)
        self.clients[client.fileno()] = client
        return client.fileno()

    def ask(self, numbers):
        """Sends one request on each of these connections and reads the response."""
        missing = {number: b"" for number in numbers}
        for number in numbers:
            assert self.clients[number].send(REQUEST) == len(REQUEST)
        while missing:
            events = self.ready.poll(PATIENCE_SECONDS)
            assert events, f"timeout: {len(missing)} of {len(numbers)} connections are not answered"
            for number, _ in events:
                received = self.clients[number].recv(4096)
                assert received and number in missing, f"a connection got {received} when {missing.get(number)} was there"
                missing[number] += received
                if missing[number].endswith(CONTENT):
                    answer = missing.pop(number)
                    assert answer.startswith(b"HTTP/1.1 200 ") and answer.count(b"HTTP/1.1") == 1, answer

    def grow(self, count):
        while len(self.clients) < count:
            self.ask([self.connect() for _ in range(min(BATCH, count - len(self.clients)))])

    def close(self):
        self.ready.close()
        for client in self.clients.values():
            client.close()
        self.clients = {}


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_SECONDS} s"
        time.sleep(0.05)


def raise_limit():
    """Raises the limit of both processes. Returns the possible number of connections; one more is needed for the metrics."""
    wanted = CONNECTIONS_MAX + DESCRIPTORS_BESIDES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Only a privileged process may raise the hard limit, and not everywhere.
    for limit in ((max(soft, wanted), max(hard, wanted)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            break
        except (ValueError, OSError):
            continue
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(CONNECTIONS_MAX - 1, soft - DESCRIPTORS_BESIDES)


def check_growth(daemon, clients, count, first, resident):
    growth = (daemon.resident_bytes() - resident) / (count - first)
    assert growth < GROWTH_MAX_BYTES, f"{growth:.0f} bytes per connection from {first} to {count}"
    return growth


def check_clients(daemon, clients, count):
    first = min(FIRST_CONNECTIONS, count // 2)
    clients.grow(first)
    resident = daemon.resident_bytes()
    clients.grow(count)
    check_growth(daemon, clients, count, first, resident)
    clients.ask(list(clients.clients))
    growth = check_growth(daemon, clients, count, first, resident)
    assert daemon.idle_besides() == count, f"{daemon.idle_besides()} of {count} connections are idle"
    assert daemon.metric("http_connections_evicted_total") == 0
    clients.close()
    wait_for("all connections are closed", lambda: daemon.idle_besides() == 0)
    print(f"{count} connections were answered twice: {growth:.0f} bytes for each of them, {resident // 1024} KiB with {first}")


def main():
    count = raise_limit()
    if count < CONNECTIONS_MIN:
        print(f"skipped: descriptors allow only {count} connections: raise the limit (ulimit -n)")
        sys.exit(SKIPPED)
    daemon = Daemon()
    clients = Clients(daemon.address)
    try:
        check_clients(daemon, clients, count)
    finally:
        status = daemon.stop()
    assert status == 0, f"the daemon ended with {status}"


if __name__ == "__main__":
    main()
