# SPDX-License-Identifier: MIT
"""Programs of Debian that use evhttp, started bare or by pipit-guard, each in a folder and on a port of its own."""

import contextlib
import dataclasses
import http.client
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUARD = pathlib.Path(os.environ.get("PIPIT_GUARD_PROGRAM", ROOT / "build/pipit-guard"))
ADDRESS = "127.0.0.1"
# Only a hang takes that long.
PATIENCE = 120
# Variables of pipit are the test's own.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_") and name != "LD_PRELOAD"}
DESCRIPTORS = 8192


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(0.02)
    return found


def free_port():
    with socket.create_server((ADDRESS, 0)) as listener:
        return listener.getsockname()[1]


def allow_descriptors():
    """For clients by the thousand; programs inherit it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY:
        assert hard >= DESCRIPTORS, f"at most {hard} descriptors: the tests need {DESCRIPTORS}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))


@dataclasses.dataclass(frozen=True, eq=False)
class Kind:
    """A program, and what a client needs to know of it."""

    name: str
    needs: tuple  # programs that must be installed
    words: tuple  # {port} and {folder} stand for those of a run
    method: str  # of a small request that it answers ...
    path: str
    status: int  # ... with this status ...
    text: bytes  # ... and a body that contains this
    large: bytes  # a request with the largest reply, as it is on the wire
    body: bytes | None = None
    headers: dict = dataclasses.field(default_factory=dict)

    def missing(self):
        return [name for name in self.needs if not shutil.which(name)]

    def small(self, more=""):
        """The small request, as it is on the wire, with more header lines."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: guarded", *(f"{name}: {value}" for name, value in self.headers.items())]
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + f"\r\n{more}\r\n").encode() + (self.body or b"")

    def large_often(self):
        """Requests for more than the kernel takes for a client that does not read."""
        return self.large if self.method == "POST" else self.large * 250


TRANSMISSION = Kind(
    name="transmission-daemon",
    needs=("transmission-daemon", "transmission-remote", "transmission-create"),
    words=(
        "transmission-daemon --foreground --config-dir {folder} --port {port} --rpc-bind-address 127.0.0.1 --no-portmap --no-auth "
        "--no-dht --no-lpd --no-utp --peerport 0 --bind-address-ipv4 127.0.0.1 --download-dir {folder}"
    ).split(),
    method="GET",
    path="/transmission/web/index.html",
    status=200,
    text=b"Transmission Web Interface",
    large=b"GET /transmission/web/javascript/jquery/jquery-ui.min.js HTTP/1.1\r\nHost: guarded\r\n\r\n",  # 240 KB
)
# The password is not a secret: every run has it.
LITECOIN_AUTHORIZATION = "Basic cGlwaXQ6cGlwaXQ="  # pipit:pipit
LITECOIN_ECHO = b'{"id":1,"method":"echo","params":["%s"]}' % (b"x" * 3_000_000)
LITECOIN = Kind(
    name="litecoind",
    needs=("litecoind", "litecoin-cli"),
    words=(
        "litecoind -regtest -datadir={folder} -rpcport={port} -rpcuser=pipit -rpcpassword=pipit -server -listen=0 -dnsseed=0 "
        "-printtoconsole=0 -disablewallet -dbcache=4"
    ).split(),
    method="POST",
    path="/",
    status=200,
    text=b'"result":0,',
    body=b'{"id":1,"method":"getblockcount","params":[]}',
    headers={"Authorization": LITECOIN_AUTHORIZATION},
    large=b"POST / HTTP/1.1\r\nHost: guarded\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s"
    % (LITECOIN_AUTHORIZATION.encode(), len(LITECOIN_ECHO), LITECOIN_ECHO),
)
USTREAMER = Kind(
    name="ustreamer",
    needs=("ustreamer", ),
    words="ustreamer --device /dev/none --host 127.0.0.1 --port {port} --drop-same-frames 0".split(),
    method="GET",
    path="/state",
    status=200,
    text=b'"ok": true',
    large=b"GET /snapshot HTTP/1.1\r\nHost: guarded\r\n\r\n",  # 14 KB
)
KINDS = (TRANSMISSION, LITECOIN, USTREAMER)


class Running:
    """A program, with `guard` behind pipit-guard. `words` and `variables` are added to its own; words of `before` stand in front, as
    those of taskset. `source` is the address of the good client."""

    def __init__(self, kind, guard, *words, before=(), source=None, metrics=True, **variables):
        self.kind, self.is_guarded, self.source = kind, guard, source
        self.folder = tempfile.mkdtemp(prefix="pipit-guarded-")
        self.port = free_port()
        self.metrics_port = free_port() if metrics else None
        self.log_file = pathlib.Path(self.folder, "program.log")
        command = [*before, *self.guard_words(), *(word.format(port=self.port, folder=self.folder) for word in kind.words), *words]
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                            env=ENVIRONMENT | {"HOME": self.folder} | variables)
        try:
            wait_until(self.is_ready, f"{kind.name} answers")
        except BaseException:
            self.close()
            raise

    def guard_words(self):
        if not self.is_guarded:
            return []
        return [str(GUARD), *(["--metrics", f"{ADDRESS}:{self.metrics_port}"] if self.metrics_port else [])]

    def log(self):
        return self.log_file.read_text(errors="replace")

    def is_ready(self):
        assert self.process.poll() is None, f"{self.kind.name} has ended ({self.process.returncode}): {self.log()[-2000:]}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.is_good(self.ask_good())
        return False

    def connection(self, source=None):
        source_address = (source, 0) if source else None
        return http.client.HTTPConnection(ADDRESS, self.port, timeout=PATIENCE, source_address=source_address)

    def ask(self, method, path, body=None, headers=None, source=None):
        """(status, headers, body) over a new connection. `source`: the client's address."""
        with contextlib.closing(self.connection(source)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def ask_good(self):
        return self.ask(self.kind.method, self.kind.path, self.kind.body, self.kind.headers, self.source)

    def is_good(self, answer):
        return answer[0] == self.kind.status and self.kind.text in answer[2]

    def dial(self, receive_bytes=None):
        """A socket that has connected. `receive_bytes`: the size of its buffer, for clients that do not read."""
        client = socket.socket()
        client.settimeout(PATIENCE)
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.connect((ADDRESS, self.port))
        return client

    def metrics(self):
        """{sample: value} of the guard."""
        with contextlib.closing(http.client.HTTPConnection(ADDRESS, self.metrics_port, timeout=PATIENCE)) as connection:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def total(self, name, **labels):
        """The sum of the samples of this name that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(value for sample, value in self.metrics().items()
                   if re.split(r"[{ ]", sample)[0] == name and all(want in sample for want in wanted))

    def memory_kib(self, name):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)[1])

    def resident_kib(self):
        return self.memory_kib("VmRSS")

    def peak_kib(self):
        return self.memory_kib("VmHWM")

    def cpu_ns(self):
        """Of all threads. Those that have ended are not counted."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks)

    def end(self):
        """Its exit status after SIGTERM."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running(kind, guard, *words, **variables):
    program = Running(kind, guard, *words, **variables)
    try:
        yield program
        assert program.process.poll() is None, f"{kind.name} has ended ({program.process.returncode}): {program.log()[-2000:]}"
    finally:
        program.close()
