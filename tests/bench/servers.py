# SPDX-License-Identifier: MIT
"""A running peer: start on its cores, check its answers, read its figures from /proc, stop."""

import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time

from answers import read_answer
from machine import ADDRESS, HERE, Failure
from preparation import CERTIFICATE, KEY, built

# Both are long enough for a server under valgrind on a busy machine.
START_SECONDS = 30
STOP_SECONDS = 30
LOWEST_PORT = 10000
PORT_TRIES = 100


class Server:
    def __init__(self, peer, options):
        self.peer = peer
        self.port = 0 if peer.announces else free_port()
        self.directory = tempfile.TemporaryDirectory(prefix="pipit-bench-")
        self.names = {"port": self.port, "directory": self.directory.name, "files": options.files, "pipit": options.pipit}
        if peer.probe.tls:
            self.names |= {"certificate": f"{options.certificates}/{CERTIFICATE}", "key": f"{options.certificates}/{KEY}"}
            self.tls = ssl.create_default_context(cafile=self.names["certificate"])
        self.log = self.path("log")
        cores = ",".join(map(str, peer.cores))
        command = ["taskset", "-c", cores, *self.fill_in(peer.command)]
        self.write_template()
        # A session of its own: Ctrl-C reaches this script only, which then stops the servers.
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def path(self, name):
        return pathlib.Path(self.directory.name, name)

    def fill_in(self, words):
        return [word.format(**self.names, built=built(self.peer)) for word in words]

    def write_template(self):
        if self.peer.template:
            text = (HERE / self.peer.template).read_text()
            names = {"tls": "ssl" if self.peer.probe.tls else "", "tls_settings": self.peer.tls_settings, **self.names}
            for name, value in names.items():
                text = text.replace(f"@{name.upper()}@", str(value))
            self.path(self.peer.template.removesuffix(".in")).write_text(text)

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            problem = self.problem()
            # The answer may be that of another process.
            has_ended = self.process.poll() is not None
            if not problem and not has_ended:
                return
            if has_ended or time.monotonic() > deadline:
                raise Failure(f"{self.peer.name} does not serve: {problem or 'it has ended'}\n{self.log.read_text(errors='replace')}")
            time.sleep(0.02)

    def problem(self):
        """Why the server is not ready; empty if it is."""
        if not self.port:
            found = re.search(r"listening on https?://[^\s/]+:(\d+)", self.log.read_text(errors="replace"))
            if not found:
                return "it has not printed where it listens"
            self.port = int(found[1])
        try:
            self.ask(self.peer.probe.request, [self.peer.probe.answer])
        except Failure as failure:
            return str(failure)
        return ""

    def connect(self):
        client = socket.create_connection((ADDRESS, self.port), START_SECONDS)
        return self.tls.wrap_socket(client, server_hostname=ADDRESS) if self.peer.probe.tls else client

    def ask(self, sent, answers, closes=False):
        """Send bytes on a new connection and check the answers."""
        try:
            with self.connect() as client:
                client.sendall(sent)
                with client.makefile("rb") as reader:
                    for answer in answers:
                        answer.check(*read_answer(reader))
                    if closes and reader.read(1):
                        raise Failure("sends more than was asked for")
        except (OSError, ValueError) as error:
            raise Failure(str(error) or repr(error)) from error

    def pids(self):
        """The process and its descendants (nginx works in a child)."""
        found = [self.process.pid]
        for pid in found:
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):  # the thread has just ended
                    found += map(int, task.read_text().split())
        return found

    def cpu_ns(self):
        """CPU time of all threads since their start."""
        tasks = [task for pid in self.pids() for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")]
        if not tasks:
            raise Failure("the server has ended")
        return sum(int(task.read_text().split()[0]) for task in tasks)

    def resident_kib(self):
        texts = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(re.search(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)[1]) for text in texts)

    def open_connections(self):
        """Connections that the server has not closed: in /proc/net/tcp by local port, in state 01 or 08."""
        ours = re.compile(rf"^\s*\d+: [0-9A-F]+:{self.port:04X} \S+ (?:01|08) ", re.MULTILINE)
        return len(ours.findall(pathlib.Path("/proc/net/tcp").read_text()))

    def wait_until_unconnected(self):
        """Wait until the server has closed the connections of its last clients."""
        deadline = time.monotonic() + STOP_SECONDS
        while self.open_connections() > 0:
            if time.monotonic() > deadline:
                raise Failure("connections stay open after their clients closed them")
            time.sleep(0.02)

    def end(self):
        """End the process and keep its files."""
        if self.process.poll() is not None:
            return
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()

    def stop(self):
        self.end()
        self.directory.cleanup()


def start(peer, options, stack):
    """A server that is ready. `stack` stops it."""
    server = Server(peer, options)
    stack.callback(server.stop)
    server.wait_until_ready()
    if peer.prepare:
        peer.prepare(server)
    return server


def free_port():
    """A port that the kernel gives neither to clients nor to servers that ask for any port: another process that got it
    before our server binds it would answer in its place."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(LOWEST_PORT, first) or [0]
    for _ in range(PORT_TRIES):
        with contextlib.suppress(OSError), socket.create_server((ADDRESS, random.choice(ports))) as probe:
            return probe.getsockname()[1]
    raise Failure(f"no free port from {LOWEST_PORT} to {first - 1} in {PORT_TRIES} tries")
