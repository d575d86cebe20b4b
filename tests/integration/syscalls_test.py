#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""System calls per request, counted by strace: one recv() and one send() for each request, or for each batch.

Requests that mark the beginning and the end of a measurement cut the trace into pieces; only whole turns of the loop, from one
epoll_wait() to the next, are compared. Calls of an idle daemon are subtracted.
"""
import collections
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAEMON = os.environ.get("PIPIT_DAEMON", str(ROOT / "build/pipit"))
# The daemon reads every PIPIT_ variable as an option, and would refuse PIPIT_DAEMON.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
PATIENCE_SECONDS = 60
SKIPPED = 77
REQUESTS = 50
PIPELINED = 16
CONNECTIONS = 20
IDLE_SECONDS = 1  # some sweeps
SMALL_FILE = "small.txt"
SMALL_CONTENT = b"pipit" * 200
WAIT = {"epoll_wait", "epoll_pwait", "epoll_pwait2"}
# Other calls that an idle daemon may make: clock_gettime() where the kernel does not map the clock.
CLOCK = {"clock_gettime", "gettimeofday"}
# To open, stat and read a small file; the name of stat() depends on the machine, openat() replaces openat2() where that is refused.
OPENING = {"openat2", "openat"}
LOOKS = {"fstat", "newfstatat", "statx"}
FILE = OPENING | LOOKS | {"pread64", "close"}
HELLO = b"GET /json/hello HTTP/1.1\r\nHost: x\r\n\r\n"
# An evhttp callback.
CALLBACK = b"GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"
CONTENT = b'{"list":[1,2,3],"name":"Ada"}'
ECHO = (b"POST /json/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(CONTENT), CONTENT))

Call = collections.namedtuple("Call", "name arguments result")


# --- clients ----------------------------------------------------------------------------------------------------------


class Client:
    """One connection; every request is one write."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes = b""

    def more(self):
        received = self.socket.recv(65536)
        assert received, f"closed behind {self.bytes[-200:]}"
        self.bytes += received

    def answer(self):
        while b"\r\n\r\n" not in self.bytes:
            self.more()
        head, _, self.bytes = self.bytes.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = int(re.search(rb"\r\nContent-Length: (\d+)", head).group(1))
        while len(self.bytes) < length:
            self.more()
        content, self.bytes = self.bytes[:length], self.bytes[length:]
        return content

    def ask(self, question, answers=1):
        assert self.socket.send(question) == len(question)
        return [self.answer() for _ in range(answers)]

    def is_closed(self):
        return not self.bytes and not self.socket.recv(1)


class Traced:
    """A daemon with one worker under strace, and the connection that marks its trace."""

    def __init__(self, folder, *flags):
        self.trace, root = pathlib.Path(folder, "trace"), pathlib.Path(folder, "root")
        # -D: the daemon is the child, and strace a separate process.
        self.process = subprocess.Popen(["strace", "-D", "-f", "-s", "80", "-o", str(self.trace), DAEMON,
                                         "--listen", "127.0.0.1:0", "--workers", "1", "--root", str(root), *flags],
                                        stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self.marking = Client(self.port)

    def mark(self, name):
        self.marking.ask(f"GET /hello/get?name={name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def measure(self, name, work):
        """Runs work() between two marks, which piece() finds."""
        self.mark(f"{name}1")
        result = work()
        self.mark(f"{name}2")
        return result

    def stop(self):
        self.process.terminate()
        status = self.process.wait(timeout=PATIENCE_SECONDS)
        assert status == 0, f"the daemon ended with {status}"
        wait_for("strace has written everything", lambda: "+++ exited with" in self.trace.read_text())
        self.turns = turns_of(self.trace.read_text())

    def piece(self, name):
        """The turns of the loop between the marks."""
        marks = [number for number, turn in enumerate(self.turns)
                 if any(call.name == "recvfrom" and f"?name={name}" in call.arguments for call in turn)]
        assert len(marks) == 2, f"{name}: {len(marks)} marks in the trace"
        return Piece(name, self.turns[marks[0] + 1:marks[1]])


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_SECONDS} s"
        time.sleep(0.05)


# --- the trace --------------------------------------------------------------------------------------------------------


def turns_of(trace):
    """Lists of calls; each begins with the loop's epoll_wait()."""
    turns = [[]]
    for line in trace.splitlines():
        match = re.match(r"\d+ +(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)", line)
        if not match:
            assert "unfinished" not in line and "resumed" not in line, f"more than one thread: {line}"
            continue
        call = Call(match.group(1), match.group(2), match.group(3))
        if call.name in WAIT:
            turns.append([])
        turns[-1].append(call)
    return turns


def is_sample(call):
    return call.name in OPENING and "/proc/self/stat" in call.arguments


def without_samples(calls):
    """Once a second the figures of GET /events are collected: the process's memory, descriptors and their limit."""
    rest = []
    while calls:
        if is_sample(calls[0]):
            names = [call.name for call in calls[:5]]
            assert names[1:3] == ["read", "close"] and "stat" in names[3] and names[4] == "prlimit64", f"a sample: {names}"
            calls = calls[5:]
        else:
            rest.append(calls[0])
            calls = calls[1:]
    return rest


class Piece:
    def __init__(self, name, turns):
        self.name = name
        self.wakeups = sum(int(turn[0].result) > 0 for turn in turns)
        self.calls = without_samples([call for turn in turns for call in turn if call.name not in WAIT | CLOCK])
        self.samples = sum(is_sample(call) for turn in turns for call in turn)
        self.counts = dict(collections.Counter(call.name for call in self.calls))

    def count(self, name, condition=lambda call: True):
        return sum(call.name == name and condition(call) for call in self.calls)

    def must_be(self, **expected):
        assert self.counts == expected, f"{self.name}: expected {expected}, got {self.counts}"
        print(f"{self.name}: {self.counts}")


# --- requests, and their permitted calls -------------------------------------------------------------------------------


def repeat(client, question, times=REQUESTS):
    for _ in range(times):
        client.ask(question)


def ask_for_small_file(client):
    """Whole seconds of the piece: the cache may have checked the file that often."""
    begin = time.monotonic()
    for _ in range(REQUESTS):
        assert client.ask(f"GET /{SMALL_FILE} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) == [SMALL_CONTENT]
    return int(time.monotonic() - begin + 0.001)


def come_and_go(port, times):
    for _ in range(times):
        client = Client(port)
        client.ask(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert client.is_closed()


def rest():
    """Seconds of the piece, rounded up: the figures may have been collected that often."""
    begin = time.monotonic()
    time.sleep(IDLE_SECONDS)
    return int(time.monotonic() - begin) + 1


def check_idle(piece, seconds):
    piece.must_be()
    assert piece.samples <= seconds + 1, f"idle: {piece.samples} samples in {seconds} s"


def check_small_file(piece, seconds):
    """Cached: opened now and then, and looked at once by each request at most. The root is opened with it."""
    opened = sum(piece.count(name, lambda call: SMALL_FILE in call.arguments and not call.result.startswith("-")) for name in OPENING)
    looks = sum(piece.counts.get(name, 0) for name in LOOKS)
    assert opened <= 1 + seconds, f"{piece.name}: opened {opened} times in {seconds} s"
    assert looks <= REQUESTS + 2 * opened, f"{piece.name}: {piece.counts}"
    others = {name: count for name, count in piece.counts.items() if name not in FILE}
    assert others == {"recvfrom": REQUESTS, "sendto": REQUESTS}, f"{piece.name}: {piece.counts}"
    print(f"{piece.name}: {piece.counts}")


def check_connections(piece):
    """accept4() returns the client's address, and the socket inherits its options."""
    def succeeded(call):
        return not call.result.startswith("-")

    def is_look(call):
        return "MSG_PEEK" in call.arguments

    needed = {"accept4", "recvfrom", "sendto", "close"}
    assert needed <= set(piece.counts) <= needed | {"epoll_ctl", "shutdown"}, f"{piece.name}: {piece.counts}"
    exact = {
        "accepted": piece.count("accept4", succeeded),
        "received": piece.count("recvfrom", lambda call: succeeded(call) and not is_look(call)),
        "sent": piece.count("sendto"),
        "closed": piece.count("close"),
    }
    assert all(count == CONNECTIONS for count in exact.values()), f"{piece.name}: {exact} of {CONNECTIONS} connections"
    # One more accept4() finds no other connection, one more recvfrom() no further request; shutdown() sends the
    # end with the reply. A socket whose request arrives after its accept takes one more recvfrom(), and is added to epoll
    # and removed.
    added = piece.count("epoll_ctl", lambda call: "EPOLL_CTL_ADD" in call.arguments)
    for name, limit in (("accept4", 2 * CONNECTIONS), ("recvfrom", 2 * CONNECTIONS + added), ("shutdown", CONNECTIONS)):
        assert piece.counts.get(name, 0) <= limit, f"{piece.name}: {piece.counts}"
    assert added <= CONNECTIONS and piece.counts.get("epoll_ctl", 0) <= 2 * added, f"{piece.name}: {piece.counts}"
    print(f"{piece.name}: {piece.counts}")


def check_requests(folder):
    daemon = Traced(folder)
    try:
        client = Client(daemon.port)
        for question in (HELLO, CALLBACK, ECHO, f"GET /{SMALL_FILE} HTTP/1.1\r\nHost: x\r\n\r\n".encode()):
            repeat(client, question, 10)
        client.ask(HELLO * PIPELINED, PIPELINED)
        client.ask(CALLBACK * PIPELINED, PIPELINED)
        come_and_go(daemon.port, 5)
        idle_seconds = daemon.measure("idle", rest)
        daemon.measure("keptalive", lambda: repeat(client, HELLO))
        daemon.measure("pipelined", lambda: client.ask(HELLO * PIPELINED, PIPELINED))
        daemon.measure("callback", lambda: repeat(client, CALLBACK))
        daemon.measure("batchedcallback", lambda: client.ask(CALLBACK * PIPELINED, PIPELINED))
        daemon.measure("content", lambda: repeat(client, ECHO))
        seconds = daemon.measure("smallfile", lambda: ask_for_small_file(client))
        daemon.measure("connections", lambda: come_and_go(daemon.port, CONNECTIONS))
    finally:
        daemon.stop()
    check_idle(daemon.piece("idle"), idle_seconds)
    kept_alive = daemon.piece("keptalive")
    kept_alive.must_be(recvfrom=REQUESTS, sendto=REQUESTS)
    assert kept_alive.wakeups == REQUESTS, f"{kept_alive.wakeups} wake-ups for {REQUESTS} requests"
    daemon.piece("pipelined").must_be(recvfrom=1, sendto=1)
    # libevent writes its own buffers.
    daemon.piece("callback").must_be(recvfrom=REQUESTS, writev=REQUESTS)
    daemon.piece("batchedcallback").must_be(recvfrom=1, writev=1)
    daemon.piece("content").must_be(recvfrom=REQUESTS, sendto=REQUESTS)
    check_small_file(daemon.piece("smallfile"), seconds)
    check_connections(daemon.piece("connections"))


def ask_at_once(clients):
    for client in clients:
        assert client.socket.send(HELLO) == len(HELLO)
    for client in clients:
        client.answer()


def check_access_log(folder):
    log = pathlib.Path(folder, "access.log")
    daemon = Traced(folder, "--access-log", str(log))
    try:
        clients = [Client(daemon.port) for _ in range(8)]
        client = clients[0]
        for each in clients:
            repeat(each, HELLO, 2)
        client.ask(HELLO * PIPELINED, PIPELINED)
        daemon.measure("loggedalone", lambda: repeat(client, HELLO))
        daemon.measure("loggedbatch", lambda: client.ask(HELLO * PIPELINED, PIPELINED))
        daemon.measure("loggedrequests", lambda: [ask_at_once(clients) for _ in range(REQUESTS)])
    finally:
        daemon.stop()
    daemon.piece("loggedalone").must_be(recvfrom=REQUESTS, sendto=REQUESTS, write=REQUESTS)
    daemon.piece("loggedbatch").must_be(recvfrom=1, sendto=1, write=1)
    together = daemon.piece("loggedrequests")
    # The number of requests per turn depends on the machine.
    together.must_be(recvfrom=len(clients) * REQUESTS, sendto=len(clients) * REQUESTS, write=together.wakeups)
    lines = log.read_text().count('"GET /json/hello HTTP/1.1" 200 ')
    assert lines == (2 + REQUESTS) * len(clients) + 2 * PIPELINED + REQUESTS, f"{lines} lines in the access log"


# --- whether strace works here --------------------------------------------------------------------------------------


def skip_where_strace_may_not():
    if not shutil.which("strace"):
        sys.exit("not found: strace; install Debian's package strace")
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder, "trace")
        trial = subprocess.run(["strace", "-D", "-f", "-o", str(trace), "true"], capture_output=True, text=True)
        traced = trace.exists() and "+++ exited with 0 +++" in trace.read_text()
    if re.search("Operation not permitted|Permission denied|Function not implemented", trial.stderr):
        print(f"skipped: strace may not trace here: {trial.stderr.strip().splitlines()[0]}")
        sys.exit(SKIPPED)
    assert trial.returncode == 0 and traced, f"strace does not work: {trial.stderr}"


def main():
    skip_where_strace_may_not()
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "root").mkdir()
        pathlib.Path(folder, "root", SMALL_FILE).write_bytes(SMALL_CONTENT)
        check_requests(folder)
        check_access_log(folder)


if __name__ == "__main__":
    main()
