#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measure pipit beside its peers: CPU time per request, latency, and memory per connection.

Every server is pinned to core 0, wrk to core 1. On two cores wrk itself is the limit near 100,000 requests a second, so
throughput says little about fast servers; the CPU time that the server's own threads used, divided by the requests it
answered, says much. Servers take turns round by round, because a machine's speed drifts: the ratio to nginx is that of
neighbours in time.

A peer is one entry in PEERS, a workload one entry in WORKLOADS.
"""

import argparse
import contextlib
import dataclasses
import datetime
import http.client
import os
import pathlib
import platform
import re
import resource
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "bench"
BUILD = ROOT / "build" / "bench"
PIPIT = ROOT / "build" / "pipit"
RESULTS = HERE / "RESULTS.md"
README = ROOT / "README.md"
README_BEGIN, README_END = "<!-- bench -->", "<!-- /bench -->"

ADDRESS = "127.0.0.1"
PATH = "/hello/get"
CONTENT = b'{"message":"Hello, World!"}'
CONTENT_TYPE = "application/json"
SERVER_CORE, CLIENT_CORE = 0, 1
IDLE_CONNECTIONS = 5000
OPEN_FILES = 20000
START_SECONDS = 10
STOP_SECONDS = 10
MEMORY = "memory"
GUARD = "guard"
CFLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror"]


class Failure(Exception):
    """Something that makes a row, or the whole run, worthless; its text is for the reader."""


@dataclasses.dataclass(frozen=True)
class Peer:
    """A server that answers GET /hello/get. In `command`, `version` and the template these names are filled in:
    {port}, {directory} (temporary, its own), {built} (from `source`), {pipit}."""

    name: str
    command: tuple  # argv; must stay in the foreground
    version: tuple = ()  # argv that prints a version number somewhere; empty: nothing to tell
    product: str = ""  # what that is the version of, where it is not `name`
    packages: dict = dataclasses.field(default_factory=dict)  # program it needs -> Debian package
    template: str = ""  # NAME.in beside this file, written to {directory}/NAME with @PORT@ filled in
    source: str = ""  # C file beside this one
    libraries: tuple = ()  # of `source`, by their pkg-config names
    announces: bool = False  # takes port 0 and prints "listening on http://ADDR:PORT"
    has_memory_row: bool = True


@dataclasses.dataclass(frozen=True)
class Workload:
    """What wrk sends: keep-alive GETs, changed by a Lua script beside this file."""

    name: str
    script: str = ""
    burst: int = 1  # requests in one write


PEERS = (
    Peer(
        "pipit",
        command=("{pipit}", "--listen", ADDRESS + ":0", "--workers", "1", "--access-log", "off", "--idle-timeout", "0"),
        version=("{pipit}", "--version"),
        announces=True,
    ),
    Peer(
        "nginx",
        command=("nginx", "-p", "{directory}", "-c", "nginx.conf", "-e", "stderr"),
        version=("nginx", "-v"),
        packages={"nginx": "nginx-light"},
        template="nginx.conf.in",
    ),
    Peer(
        "evhttp",
        command=("{built}", "{port}"),
        version=("pkg-config", "--modversion", "libevent"),
        product="libevent",
        source="evhttp_naive.c",
        libraries=("libevent",),
    ),
    Peer("floor", command=("{built}", "{port}"), source="floor.c", has_memory_row=False),
)

WORKLOADS = (
    Workload("get"),
    Workload("browser", script="browser_headers.lua"),
    Workload("pipeline16", script="pipeline16.lua", burst=16),
)

TOOLS = {"wrk": "wrk", "taskset": "util-linux"}
BUILD_TOOLS = {"cc": "gcc", "pkg-config": "pkg-config"}


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- what must be there


def missing_packages(peers):
    wanted = dict(TOOLS)
    for peer in peers:
        wanted.update(peer.packages)
        if peer.source:
            wanted.update(BUILD_TOOLS)
    return sorted({package for program, package in wanted.items() if not shutil.which(program)})


def install(packages):
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failure("please install first: " + " ".join(packages))
    say("installing " + " ".join(packages))
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def build(peer):
    BUILD.mkdir(parents=True, exist_ok=True)
    flags = []
    if peer.libraries:
        command = ["pkg-config", "--cflags", "--libs", *peer.libraries]
        flags = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", *CFLAGS, str(HERE / peer.source), "-o", built(peer), *flags], check=True, stdout=sys.stderr)


def built(peer):
    return str(BUILD / pathlib.Path(peer.source).stem)


def prepare(peers, pipit):
    """Everything that can fail for lack of something, before the first figure."""
    if {SERVER_CORE, CLIENT_CORE} - os.sched_getaffinity(0):
        raise Failure(f"cores {SERVER_CORE} and {CLIENT_CORE} must both be usable")
    install(missing_packages(peers))
    for peer in peers:
        if peer.source:
            build(peer)
        if "{pipit}" in peer.command and not os.access(pipit, os.X_OK):
            raise Failure(f"{pipit} is not there; build it, or name another with --pipit, or leave it out with --peers")


def allow_open_files():
    """For this process and the servers it starts: each idle connection takes a descriptor on both sides."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= OPEN_FILES:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, max(hard, OPEN_FILES)))
    except (ValueError, OSError) as error:
        raise Failure(f"{OPEN_FILES} open files are not allowed here (ulimit -Hn: {hard})") from error


# ---------------------------------------------------------------- a server


class Server:
    """A peer that runs and has answered rightly once; to be stopped."""

    def __init__(self, peer, pipit):
        self.peer = peer
        self.port = 0 if peer.announces else free_port()
        self.directory = tempfile.TemporaryDirectory(prefix="pipit-bench-")
        self.log = pathlib.Path(self.directory.name, "log")
        command = ["taskset", "-c", str(SERVER_CORE), *self.fill_in(peer.command, pipit)]
        self.write_template()
        # A session of its own, so that Ctrl-C reaches this script alone, which then stops its servers in order.
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def fill_in(self, words, pipit):
        return [
            word.format(port=self.port, directory=self.directory.name, built=built(self.peer), pipit=pipit)
            for word in words
        ]

    def write_template(self):
        if self.peer.template:
            text = (HERE / self.peer.template).read_text().replace("@PORT@", str(self.port))
            pathlib.Path(self.directory.name, self.peer.template.removesuffix(".in")).write_text(text)

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            problem = self.problem()
            if not problem:
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"{self.peer.name} does not serve: {problem}\n{self.log.read_text(errors='replace')}")
            time.sleep(0.02)

    def problem(self):
        """Why the server is not ready, or nothing."""
        if not self.port:
            found = re.search(r"listening on http://[^\s/]+:(\d+)", self.log.read_text(errors="replace"))
            if not found:
                return "it has not printed where it listens"
            self.port = int(found[1])
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=START_SECONDS)
        try:
            connection.request("GET", PATH)
            check_answer(*read_answer(connection.getresponse()))
        except (OSError, http.client.HTTPException, Failure) as error:
            return str(error) or repr(error)
        finally:
            connection.close()
        return ""

    def pids(self):
        """The process and all that descends from it (nginx works in a child)."""
        found = [self.process.pid]
        for pid in found:
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):  # the thread has just ended
                    found += map(int, task.read_text().split())
        return found

    def cpu_ns(self):
        """Time on a core, of all threads, since their start."""
        tasks = [task for pid in self.pids() for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")]
        if not tasks:
            raise Failure("the server has ended")
        return sum(int(task.read_text().split()[0]) for task in tasks)

    def resident_kib(self):
        texts = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(re.search(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)[1]) for text in texts)

    def open_connections(self):
        """Connections that the server has not closed, by the kernel's table: local port, state 01 or 08."""
        ours = re.compile(rf"^\s*\d+: [0-9A-F]+:{self.port:04X} \S+ (?:01|08) ", re.MULTILINE)
        return len(ours.findall(pathlib.Path("/proc/net/tcp").read_text()))

    def wait_until_left_alone(self):
        """Until the server has closed what its last clients left behind."""
        deadline = time.monotonic() + STOP_SECONDS
        while self.open_connections() > 0:
            if time.monotonic() > deadline:
                raise Failure("connections stay open after their clients left")
            time.sleep(0.02)

    def stop(self):
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.directory.cleanup()


def start(peer, pipit, stack):
    """A server that is ready; `stack` stops it, however this script ends."""
    server = Server(peer, pipit)
    stack.callback(server.stop)
    server.wait_until_ready()
    return server


def free_port():
    with socket.create_server((ADDRESS, 0)) as probe:
        return probe.getsockname()[1]


# ---------------------------------------------------------------- right answers


def read_answer(response):
    return response.status, response.headers.get_content_type(), response.read()


def read_answer_from(reader):
    """One response of several on a connection, which http.client cannot read by itself: it takes the stream along."""
    words = reader.readline().split()
    if len(words) < 2 or not words[1].isdigit():
        raise Failure(f"no status line but {words}")
    headers = http.client.parse_headers(reader)
    return int(words[1]), headers.get_content_type(), reader.read(int(headers["Content-Length"] or 0))


def check_answer(status, content_type, content):
    if (status, content_type, content) != (200, CONTENT_TYPE, CONTENT):
        raise Failure(f"answers {status} {content_type} {content[:80]!r}")


def wrk_command(workload, port, connections, seconds):
    command = ["taskset", "-c", str(CLIENT_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if workload.script:
        command += ["-s", str(HERE / workload.script)]
    return [*command, f"http://{ADDRESS}:{port}{PATH}"]


def capture(workload):
    """The bytes that wrk really sends, so that what is proved is what is measured."""
    with socket.create_server((ADDRESS, 0)) as listener:
        listener.settimeout(START_SECONDS)
        command = wrk_command(workload, listener.getsockname()[1], connections=1, seconds=2 * START_SECONDS)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as wrk:
            try:
                return receive_burst(listener, workload.burst)
            except TimeoutError as error:
                raise Failure(f"wrk does not send {workload.burst} requests at once for {workload.name}") from error
            finally:
                wrk.kill()


def receive_burst(listener, burst):
    sent = b""
    while sent.count(b"\r\n\r\n") < burst:
        # Not the first connection: wrk opens one only to see whether somebody listens.
        with listener.accept()[0] as client:
            client.settimeout(START_SECONDS)
            sent = b""
            while sent.count(b"\r\n\r\n") < burst and (more := client.recv(65536)):
                sent += more
    return sent


def prove(server, workload, sent):
    """wrk counts statuses, not contents; so look once at every answer to what it sends."""
    try:
        with socket.create_connection((ADDRESS, server.port), START_SECONDS) as client, client.makefile("rb") as reader:
            client.sendall(sent)
            for _ in range(workload.burst):
                check_answer(*read_answer_from(reader))
    except (OSError, http.client.HTTPException) as error:
        raise Failure(str(error) or repr(error)) from error


# ---------------------------------------------------------------- speed


@dataclasses.dataclass(frozen=True)
class Run:
    """One measurement. Latencies are missing for bursts: wrk fills the gaps between its samples as if each request had
    waited for the one before, and then gives percentiles that mean nothing, even 0."""

    cpu_us: float
    per_second: float
    p50_us: float | None
    p99_us: float | None


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}[unit]


def percentile(output, rank, burst):
    if burst > 1:
        return None
    return microseconds(re.search(rf"^\s+{rank}%\s+(\S+)$", output, re.MULTILINE)[1])


def parse_wrk(output, cpu_ns, burst):
    wrong = re.search(r"^\s*(Non-2xx.*|Socket errors.*)$", output, re.MULTILINE)
    if wrong:
        raise Failure(wrong[1])
    requests = int(re.search(r"(\d+) requests in", output)[1])
    if requests == 0:
        raise Failure("no request was answered")
    return Run(
        cpu_us=cpu_ns / requests / 1000,
        per_second=float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]),
        p50_us=percentile(output, 50, burst),
        p99_us=percentile(output, 99, burst),
    )


def run_wrk(server, workload, connections, seconds):
    command = wrk_command(workload, server.port, connections, seconds)
    before = server.cpu_ns()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    used = server.cpu_ns() - before
    if done.returncode != 0:
        raise Failure(f"wrk: {done.stderr.strip() or done.stdout.strip()}")
    return parse_wrk(done.stdout, used, workload.burst)


class Speed:
    """The runs of every row, in the order of the rounds, and why rows failed."""

    def __init__(self):
        self.runs = {}
        self.failures = {}

    def take(self, key, measure, *arguments):
        """Add what `measure` returns to a row, unless the row has failed."""
        if key in self.failures:
            return
        try:
            taken = measure(*arguments)
        except (Failure, OSError, subprocess.TimeoutExpired) as error:
            self.failures[key] = str(error)
            self.runs.pop(key, None)
            say(f"{' '.join(key)}: FAILED: {error}")
        else:
            self.runs.setdefault(key, []).append(taken)
            say(f"{' '.join(key)}: {taken.cpu_us:.2f} us/request, {taken.per_second:.0f} requests/s")

    def ratios(self, key, reference):
        """Round by round; nothing when the reference was not measured."""
        others = self.runs.get((key[0], reference), [])
        return [run.cpu_us / other.cpu_us for run, other in zip(self.runs[key], others)]


def measure_speed(peers, workloads, options):
    speed = Speed()
    with contextlib.ExitStack() as stack:
        servers = [start(peer, options.pipit, stack) for peer in peers]
        captured = {workload: capture(workload) for workload in workloads}
        for round_number in range(options.rounds):
            say(f"round {round_number + 1} of {options.rounds}")
            for workload in workloads:
                # Whoever goes first in one round goes last in the next: no one always follows the same neighbour.
                first = round_number % len(servers)
                for server in servers[first:] + servers[:first]:
                    key = (workload.name, server.peer.name)
                    speed.take(key, measure_once, server, workload, captured[workload], options)
    return speed


def measure_once(server, workload, sent, options):
    prove(server, workload, sent)
    return run_wrk(server, workload, options.connections, options.seconds)


# ---------------------------------------------------------------- memory


@dataclasses.dataclass(frozen=True)
class Memory:
    fresh_kib: int
    per_connection_kib: float


def open_idle_connection(port, stack):
    client = stack.enter_context(socket.create_connection((ADDRESS, port), START_SECONDS))
    client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {ADDRESS}:{port}\r\n\r\n".encode())
    with client.makefile("rb") as reader:
        check_answer(*read_answer_from(reader))


def measure_memory(peer, options):
    with contextlib.ExitStack() as stack:
        server = start(peer, options.pipit, stack)
        fresh = server.resident_kib()
        # Memory that any load takes once must not be counted as that of connections.
        run_wrk(server, WORKLOADS[0], options.connections, 1)
        server.wait_until_left_alone()
        before = server.resident_kib()
        for _ in range(IDLE_CONNECTIONS):
            open_idle_connection(server.port, stack)
        after, open_now = server.resident_kib(), server.open_connections()
        if open_now != IDLE_CONNECTIONS:
            raise Failure(f"{open_now} of {IDLE_CONNECTIONS} connections stayed open")
        return Memory(fresh, (after - before) / IDLE_CONNECTIONS)


def measure_memories(peers, options):
    memories, failures = {}, {}
    allow_open_files()
    for peer in (peer for peer in peers if peer.has_memory_row):
        say(f"{MEMORY} {peer.name}: {IDLE_CONNECTIONS} idle connections")
        try:
            memories[peer.name] = measure_memory(peer, options)
        except (Failure, OSError, subprocess.TimeoutExpired) as error:
            failures[(MEMORY, peer.name)] = str(error)
            say(f"{MEMORY} {peer.name}: FAILED: {error}")
    return memories, failures


# ---------------------------------------------------------------- the guard alone


def measure_guard():
    """Lines of guard.c: what was parsed, and nanoseconds as median, minimum and maximum."""
    BUILD.mkdir(parents=True, exist_ok=True)
    program, server = str(BUILD / GUARD), ROOT / "server"
    sources = [str(HERE / "guard.c"), str(server / "guard.c")]
    subprocess.run(["cc", *CFLAGS, f"-I{server}", *sources, "-o", program], check=True, stdout=sys.stderr)
    say(f"{GUARD}: some heads, without server")
    command = ["taskset", "-c", str(SERVER_CORE), program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


# ---------------------------------------------------------------- tables


def cell(values, form):
    """Median with minimum and maximum; a dash where nothing was measured."""
    if not values or None in values:
        return "–"
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def table(heads, rows):
    # The first two columns are names, the others figures.
    rules = [":--" if i < 2 else "--:" for i in range(len(heads))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, rules, *rows]) + "\n"


def speed_table(speed):
    heads = ["workload", "server", "CPU µs/request", "× nginx", "× floor", "requests/s", "p50 µs", "p99 µs"]
    order = [(workload.name, peer.name) for workload in WORKLOADS for peer in PEERS]
    rows = []
    for key in (key for key in order if key in speed.runs):
        runs = speed.runs[key]
        rows.append(
            [
                *key,
                cell([run.cpu_us for run in runs], ".2f"),
                cell(speed.ratios(key, "nginx"), ".2f"),
                cell(speed.ratios(key, "floor"), ".2f"),
                cell([run.per_second for run in runs], ",.0f"),
                cell([run.p50_us for run in runs], ",.0f"),
                cell([run.p99_us for run in runs], ",.0f"),
            ]
        )
    return table(heads, rows) if rows else ""


def memory_table(memories):
    heads = ["workload", "server", "resident when fresh, KiB", f"KiB per idle connection (of {IDLE_CONNECTIONS:,})"]
    rows = [[MEMORY, name, f"{m.fresh_kib:,}", f"{m.per_connection_kib:.2f}"] for name, m in memories.items()]
    return table(heads, rows) if rows else ""


def guard_table(lines):
    heads = ["workload", "head", "ns per head"]
    rows = [[GUARD, name, f"{median} ({least}–{most})"] for name, median, least, most in lines]
    return table(heads, rows) if rows else ""


# ---------------------------------------------------------------- results on disk


def cpu_model():
    found = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def version(words, pipit):
    words = [word.format(pipit=pipit) for word in words]
    # wrk tells its version only together with its usage, and exit status 1.
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+\S*", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def circumstances(peers, options):
    versions = [f"{peer.product or peer.name} {version(peer.version, options.pipit)}" for peer in peers if peer.version]
    versions.append("wrk " + version(("wrk", "-v"), options.pipit))
    return {
        "CPU": f"{cpu_model()}, server on core {SERVER_CORE}, wrk on core {CLIENT_CORE}",
        "Kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "Versions": ", ".join(versions),
        "Load": f"{options.connections} keep-alive connections, each row {options.rounds} × {options.seconds} s",
        "Command": "`" + shlex.join(["tests/bench/run.py", *sys.argv[1:]]) + "`",
    }


def write_results(tables, facts):
    lines = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    legend = "Medians with minimum and maximum. What the columns mean: [README.md](README.md).\n"
    RESULTS.write_text(f"# Results\n\nWritten by `run.py --write-results`.\n\n{lines}\n{legend}\n{tables}")
    say(f"wrote {RESULTS.relative_to(ROOT)}")


def split_readme():
    """What stands before and after the tables, each with its mark."""
    text = README.read_text() if README.exists() else ""
    before, begin, rest = text.partition(README_BEGIN)
    _, end, after = rest.partition(README_END)
    if not begin or not end:
        raise Failure(f"{README.name} has no {README_BEGIN} … {README_END} to replace")
    return before + begin, end + after


def write_readme(tables, facts):
    before, after = split_readme()
    note = "; ".join(facts[name] for name in ("CPU", "Kernel", "Versions", "Load", "Date")) + ". Median (min–max).\n"
    README.write_text(f"{before}\n{tables}\n{note}{after}")
    say(f"wrote {README.name}")


# ---------------------------------------------------------------- the command


def chosen(names, things, what):
    """The entries of a table that a comma-separated list names, in the table's order."""
    wanted = names.split(",")
    unknown = set(wanted) - {thing.name for thing in things}
    if unknown:
        raise Failure(f"no such {what}: {', '.join(sorted(unknown))}")
    return [thing for thing in things if thing.name in wanted]


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def parse_options():
    peers = ",".join(peer.name for peer in PEERS)
    workloads = ", ".join(workload.name for workload in WORKLOADS)
    epilog = "Progress goes to standard error, the tables to standard output. More in tests/bench/README.md."
    parser = argparse.ArgumentParser(description="Measure pipit beside its peers.", epilog=epilog)
    parser.add_argument("--rounds", type=positive, default=7, metavar="N", help="runs of every row (%(default)s)")
    parser.add_argument("--seconds", type=positive, default=2, metavar="N", help="length of a run (%(default)s)")
    parser.add_argument("--connections", type=positive, default=64, metavar="N", help="of wrk (%(default)s)")
    parser.add_argument("--only", metavar="WORKLOAD", help=f"only these, separated by commas: {workloads}, {GUARD}, {MEMORY}")
    parser.add_argument("--peers", default=peers, metavar="A,B", help="only these (%(default)s)")
    parser.add_argument("--pipit", default=str(PIPIT), metavar="FILE", help="the daemon (build/pipit)")
    parser.add_argument("--write-results", action="store_true", help="write RESULTS.md and the part of README.md")
    return parser.parse_args()


def measure(peers, workloads, others, options):
    """The tables in Markdown, and why rows are missing from them."""
    speed = measure_speed(peers, workloads, options) if workloads else Speed()
    guard = measure_guard() if GUARD in others else []
    memories, failures = measure_memories(peers, options) if MEMORY in others else ({}, {})
    tables = "\n".join(filter(None, [speed_table(speed), guard_table(guard), memory_table(memories)]))
    return tables, {**speed.failures, **failures}


def run(options):
    peers = chosen(options.peers, PEERS, "peer")
    only = options.only.split(",") if options.only else [GUARD, MEMORY, *(workload.name for workload in WORKLOADS)]
    names = ",".join(name for name in only if name not in (GUARD, MEMORY))
    workloads = chosen(names, WORKLOADS, "workload") if names else []
    if options.write_results:
        split_readme()  # fails now rather than after the measurement
    prepare(peers, options.pipit)
    tables, failures = measure(peers, workloads, only, options)
    print(tables, end="")
    if failures:
        raise Failure("\n".join(f"failed: {' '.join(key)}: {reason}" for key, reason in failures.items()))
    if options.write_results:
        facts = circumstances(peers, options)
        write_results(tables, facts)
        write_readme(tables, facts)


def main():
    # nginx lies where a plain user's PATH does not look.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    # Ended by a signal, stop the servers too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        run(parse_options())
    except (Failure, OSError, subprocess.CalledProcessError) as error:
        say(f"run.py: {error}")
        return 1
    except KeyboardInterrupt:
        say("run.py: interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
