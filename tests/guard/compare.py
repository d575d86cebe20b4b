#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare Debian's transmission-daemon, litecoind and ustreamer bare and behind pipit-guard. --write puts the table into docs/evhttp.md.

Program and clients take turns on two cores: run it on a quiet machine.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import http.client
import os
import re
import socket
import statistics
import sys
import time

import programs
from programs import ADDRESS, DESCRIPTORS, LITECOIN, LITECOIN_AUTHORIZATION, ROOT, TRANSMISSION, USTREAMER, running

sys.path.insert(0, str(ROOT / "tests/bench"))
import behaviour
import results
import wrk
from machine import CLIENT_CORE, SERVER_CORE, Failure, say, take_client_core
from tables import table

PAGE = ROOT / "docs/evhttp.md"
BEGIN, END = "<!-- pipit-guard -->\n", "<!-- /pipit-guard -->"
BARE, GUARDED = "bare", "guarded"
READERS = 50
# The bound that docs/limits.md gives for one worker and the default memory limit of 64 MiB, for READERS connections.
BOUND_MIB = 3 + 3.5 + 1.5 * 64 + READERS * 10 / 1024
CPU_GOAL = 0.85
SLOW_CLIENTS = 2000
ASKED = 200
ANSWER_SECONDS = 5
# Nothing has grown or arrived for so long.
SETTLE_SECONDS = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
    """What a program answers to valid requests."""

    kind: programs.Kind
    valid: str  # path with a success for GET; the vectors' paths become it
    hidden: bytes  # a request with a status that nothing else here has ...
    hidden_status: int  # ... this one
    large: bytes  # requests for more than the kernel takes for a client that does not read
    words: tuple = ()
    memory_words: tuple = ()  # while memory is measured


# The program's memory for each call is small beside its reply, of 5 MB.
LITECOIN_BATCH = b"[" + b",".join([b'{"method":"getblockchaininfo"}'] * 5000) + b"]"
LITECOIN_LARGE = b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s" % (
    LITECOIN_AUTHORIZATION.encode(), len(LITECOIN_BATCH), LITECOIN_BATCH)
VIEWS = (
    # Everything outside /transmission/ is redirected.
    Views(TRANSMISSION, "/hello/get", b"GET /transmission/rpc HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 409, TRANSMISSION.large_often()),
    Views(LITECOIN, "/rest/chaininfo.json", b"GET / HTTP/1.1\r\nHost: hidden\r\n\r\n", 405, LITECOIN_LARGE,
          ("-rest=1", "-rpcworkqueue=10000"), ("-rpcthreads=1", )),
    Views(USTREAMER, "/state", b"GET /none HTTP/1.1\r\nHost: hidden\r\n\r\n", 404, USTREAMER.large_often()),
)


def start(views, guard, *words):
    return running(views.kind, guard, *views.words, *words, before=("taskset", "-c", str(SERVER_CORE)), metrics=False)


# --- malformed requests ---------------------------------------------------------------------------------------------------


def first_statuses(program, sent):
    """Of all answers, until the connection ends, or nothing comes."""
    received = b""
    with contextlib.suppress(OSError), socket.create_connection((ADDRESS, program.port), ANSWER_SECONDS) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(sent)
        while more := client.recv(65536):
            received += more
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) [A-Z]", received)]
    return [status for status in statuses if status != 100]


def closing(path):
    return f"GET {path} HTTP/1.1\r\nHost: next\r\nConnection: close\r\n\r\n".encode()


def first_status(program, vector, views):
    """0: none."""
    sent = vector.read_bytes()
    for old in behaviour.PATHS:
        sent = sent.replace(old, views.valid.encode(), 1)
    return (first_statuses(program, sent + closing(views.valid)) or [0])[0]


def malformed():
    """Requests that the guard refuses with 400."""
    return behaviour.vectors("reject", ("400-*", ))


def accepted(program, views):
    """Names of malformed requests that are answered like valid ones."""
    valid = {first_status(program, vector, views) for vector in behaviour.vectors("accept", behaviour.VALID)}
    if valid & {0, 400}:
        raise Failure(f"{views.kind.name} refuses a valid request: {valid}")
    return {vector.stem for vector in malformed() if first_status(program, vector, views) in valid}


# --- smuggling ------------------------------------------------------------------------------------------------------------


def one_message(headers, body, method="POST"):
    return lambda path: f"{method} {path} HTTP/1.1\r\nHost: x\r\n".encode() + headers + b"\r\n" + body


def chunked(body):
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def smuggling(hidden):
    """{name: message by path}. Each is one message to a peer in front that reads it as RFC 9112 says, or as a known proxy does; the
    hidden request is a part of its body."""
    length, coding = b"Content-Length: %d\r\n", b"Transfer-Encoding: chunked\r\n"
    behind_chunks = b"0\r\n\r\n" + hidden
    whole = length % len(behind_chunks)
    # To a reader for whom a bare LF does not end the line, the first chunk is what stands behind the line's CRLF.
    part = behind_chunks[:-2]
    bare_lf = b"%x%%s\n%s\r\n%s\r\n0\r\n\r\n" % (len(part), b"A" * len(part), part)
    short = length % (len(b"%x\r\n" % len(hidden)))
    found = {
        "length of the body, and chunks": one_message(whole + coding, behind_chunks),
        "chunks, and the length of a part": one_message(coding + short, chunked(hidden)),
        "two lengths, the first is 0": one_message(length % 0 + length % len(hidden), hidden),
        "two lengths, the second is 0": one_message(length % len(hidden) + length % 0, hidden),
        "list of lengths": one_message(b"Content-Length: 0, %d\r\n" % len(hidden), hidden),
        "length with a space before the colon": one_message(b"Content-Length : %d\r\n" % len(hidden), hidden),
        "coding with a space before the colon": one_message(b"Transfer-Encoding : chunked\r\n" + short, chunked(hidden)),
        "coding behind a bare LF": one_message(whole + b"A: b\nTransfer-Encoding: chunked\r\n", behind_chunks),
        "length behind a bare LF": one_message(b"A: b\nContent-Length: 0\r\n" + length % len(hidden), hidden),
        "coding on a folded line": one_message(whole + b"Transfer-Encoding:\r\n chunked\r\n", behind_chunks),
        "coding in HTTP/1.0": lambda path: b"POST %s HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n" % path.encode() + whole + coding
        + b"\r\n" + behind_chunks,
        "chunk size before a bare LF": one_message(coding, bare_lf % b""),
        "chunk extension before a bare LF": one_message(coding, bare_lf % b" a"),
        "two codings": one_message(whole + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", behind_chunks),
        "unknown coding": one_message(short + b"Transfer-Encoding: xchunked, chunked\r\n", chunked(hidden)),
    }
    for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
        found[f"{method} with a body"] = one_message(length % len(hidden), hidden, method)
        found[f"{method} with a chunked body"] = one_message(coding, chunked(hidden), method)
    return found


def smuggled(program, views):
    """Names of messages whose body was answered as a request."""
    messages = smuggling(views.hidden)
    return {name for name, message in messages.items()
            if views.hidden_status in first_statuses(program, message(views.valid) + closing(views.valid))[1:]}


# --- memory, waits, CPU time ----------------------------------------------------------------------------------------------


def read_all(program, sent):
    with program.dial() as client, contextlib.suppress(OSError):
        client.sendall(sent)
        client.settimeout(SETTLE_SECONDS)
        while client.recv(65536):
            pass


def use_all_threads(program, views):
    """So that what its threads need for their work is not counted: these clients read."""
    with concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        list(pool.map(lambda _: read_all(program, views.large), range(4 * os.cpu_count())))


def growth_mib(program, views):
    """By how much the program's peak while clients do not read is above its peak while they do."""
    use_all_threads(program, views)
    before = most = program.peak_kib()
    clients = []
    for _ in range(READERS):
        clients.append(program.dial(receive_bytes=2048))
        clients[-1].sendall(views.large)
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < SETTLE_SECONDS:
        now = program.peak_kib()
        if now > most:
            most, quiet_since = now, time.monotonic()
        time.sleep(0.02)
    for client in clients:
        client.close()
    return (most - before) / 1024


def waits_ms(program):
    """(median, longest) of requests one after the other, each on a new connection."""
    waits = []
    for _ in range(ASKED):
        began = time.monotonic()
        answer = program.ask_good()
        waits.append((time.monotonic() - began) * 1000)
        if not program.is_good(answer):
            raise Failure(f"{program.kind.name} answers a good client with {answer[0]}")
    return statistics.median(waits), max(waits)


def slow_heads(program):
    clients = []
    for _ in range(SLOW_CLIENTS):
        client = program.dial()
        client.sendall(b"GET / HTTP/1.1\r\nHost: slow\r\nA: ")
        clients.append(client)
    return clients


def waits_beside_slow_heads_ms(program):
    """As waits_ms(), in an idle program, then while the heads of other clients do not end."""
    idle = waits_ms(program)
    clients = slow_heads(program)
    for client in clients:
        client.sendall(b"b")
    attacked = waits_ms(program)
    for client in clients:
        client.close()
    return idle, attacked


def cpu_script(program):
    """The request that the program's own client repeats, for wrk."""
    kind, headers = program.kind, dict(program.kind.headers)
    method, path, body = kind.method, kind.path, (kind.body or b"").decode()
    if kind is TRANSMISSION:
        headers["X-Transmission-Session-Id"] = program.ask("GET", "/transmission/rpc")[1]["X-Transmission-Session-Id"]
        method, path, body = "POST", "/transmission/rpc", '{"method":"session-stats"}'
    lines = [f"wrk.method = [[{method}]]", f"wrk.path = [[{path}]]"] + [f"wrk.headers[ [[{name}]] ] = [[{value}]]" for name, value in headers.items()]
    return "\n".join(lines + ([f"wrk.body = [[{body}]]"] if body else [])) + "\n"


def cpu_us(program, options):
    """CPU time per request."""
    script = f"{program.folder}/wrk.lua"
    with open(script, "w", encoding="ascii") as file:
        file.write(cpu_script(program))
    words = [*wrk.program((CLIENT_CORE, ), options.connections, options.seconds), "-s", script, f"http://{ADDRESS}:{program.port}/"]
    before = program.cpu_ns()
    count = wrk.count_answered(wrk.output_of(words, options.seconds))
    if not count:
        raise Failure(f"{program.kind.name} answered no request")
    return (program.cpu_ns() - before) / count / 1000


# --- all of it ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Side:
    """Of a program, bare or guarded."""

    accepted: set
    smuggled: set
    growth_mib: float
    idle_ms: list
    attacked_ms: list
    cpu_us: list


def observe(views, guard):
    """What does not depend on the speed of the machine."""
    with start(views, guard) as program:
        found = accepted(program, views), smuggled(program, views)
    with start(views, guard, *views.memory_words) as program:
        return Side(*found, growth_mib(program, views), [], [], [])


def measure_waits(views, sides, options):
    """Bare and guarded take turns, because the speed of a machine drifts."""
    for number in range(options.rounds):
        say(f"{views.kind.name}: waits, round {number + 1} of {options.rounds}")
        for name, side in sides.items():
            with start(views, name == GUARDED) as program:
                idle, attacked = waits_beside_slow_heads_ms(program)
                side.idle_ms.append(idle)
                side.attacked_ms.append(attacked)


def measure_cpu(views, sides, options):
    """Both run all the time: their slices lie close together."""
    say(f"{views.kind.name}: CPU time")
    with start(views, False) as bare, start(views, True) as guarded:
        for _ in range(options.slices):
            sides[BARE].cpu_us.append(cpu_us(bare, options))
            sides[GUARDED].cpu_us.append(cpu_us(guarded, options))


def compare(views, options):
    say(f"{views.kind.name}: vectors, smuggling, memory")
    sides = {name: observe(views, name == GUARDED) for name in (BARE, GUARDED)}
    measure_waits(views, sides, options)
    measure_cpu(views, sides, options)
    return sides


def medians(pairs):
    return " / ".join(f"{statistics.median(column):.1f}" for column in zip(*pairs))


def rows_of(name, sides, must):
    bare, guarded = sides[BARE], sides[GUARDED]
    ratios = [one / other for one, other in zip(guarded.cpu_us, bare.cpu_us)]

    def row(what, show):
        return [name, what, show(bare), show(guarded)]

    return [
        row(f"forbidden requests answered like valid ones, of {len(must)}", lambda side: str(len(side.accepted & must))),
        row(f"malformed requests answered like valid ones, of {len(malformed())}", lambda side: str(len(side.accepted))),
        row(f"requests smuggled, of {len(smuggling(b''))}", lambda side: str(len(side.smuggled))),
        row(f"memory for {READERS} clients that do not read, MiB", lambda side: f"{side.growth_mib:.0f}"),
        row("wait in an idle program: median / longest, ms", lambda side: medians(side.idle_ms)),
        row(f"wait beside {SLOW_CLIENTS:,} slow heads, ms", lambda side: medians(side.attacked_ms)),
        [name, "CPU time per request, µs", f"{statistics.median(bare.cpu_us):.1f}",
         f"{statistics.median(guarded.cpu_us):.1f}: {statistics.median(ratios):.2f} × bare ({min(ratios):.2f}–{max(ratios):.2f})"],
    ]


def goals(compared):
    """(goal, measured, reached)"""
    guarded = [sides[GUARDED] for sides in compared.values()]
    count = sum(len(side.accepted) for side in guarded)
    smuggles = sum(len(side.smuggled) for side in guarded)
    memory = max(side.growth_mib for side in guarded)
    ratios = {name: statistics.median(one / other for one, other in zip(sides[GUARDED].cpu_us, sides[BARE].cpu_us))
              for name, sides in compared.items()}
    waits = {name: statistics.median(wait for wait, _ in sides[GUARDED].attacked_ms) / statistics.median(wait for wait, _ in sides[GUARDED].idle_ms)
             for name, sides in compared.items()}

    def each(values):
        return ", ".join(f"{name} {value:.2f}" for name, value in values.items())

    return [
        ["malformed requests answered like valid ones: 0", str(count), count == 0],
        ["requests smuggled: 0", str(smuggles), smuggles == 0],
        [f"memory: at most {BOUND_MIB:.0f} MiB, which [limits.md](limits.md#memory) gives as the bound", f"{memory:.0f} MiB", memory <= BOUND_MIB],
        ["median wait beside slow heads: at most 1.25 × idle", each(waits), max(waits.values()) <= 1.25],
        [f"CPU time: at most {CPU_GOAL} × bare", each(ratios), max(ratios.values()) <= CPU_GOAL],
    ]


def page(compared, options):
    must = {vector.stem for vector in behaviour.forbidden()}
    rows = [row for name, sides in compared.items() for row in rows_of(name, sides, must)]
    verdicts = [[goal, measured, "yes" if reached else "no"] for goal, measured, reached in goals(compared)]
    versions = ", ".join(f"{name} {results.version(('dpkg-query', '-W', name))}" for name in compared)
    return f"""{table(["program", "", "bare", "guarded"], rows)}
{table(["goal, guarded", "measured", "reached"], verdicts, names=3)}
Written by `tests/guard/compare.py --write`. A malformed request is answered like a valid one when the first status is that of a valid GET or
POST. **Forbidden** are the requests of [BEHAVIOUR.md](../tests/bench/BEHAVIOUR.md), which a server MUST refuse; **malformed** are all
[vectors](../tests/vectors/README.md) that pipit refuses with 400. A request is **smuggled** when the program answers a part of another one's
body. The clients that do not read ask for the program's largest reply, of litecoind for a batch of calls, with one thread; memory is the
peak above the peak with clients that read. Waits are of {ASKED} requests, one after the other, each on a new connection, as medians of
{options.rounds} rounds; {DESCRIPTORS:,} descriptors are allowed. CPU time: wrk with {options.connections} connections repeats the request of
the program's own client; medians of {options.slices} slices of {options.seconds:g} s. Bare and guarded take turns; program on core {SERVER_CORE}, clients
on core {CLIENT_CORE}, {results.cpu_model()}. Versions: {versions}.

{results.last_line(options)}"""


def written(text, new):
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + new + END + rest.partition(END)[2]


def parse_options():
    parser = argparse.ArgumentParser(description="Compare programs that use evhttp bare and behind pipit-guard.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of waits (%(default)s)")
    parser.add_argument("--slices", type=int, default=15, metavar="N", help="of CPU time (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.7, metavar="N", help="of wrk in each slice (%(default)s)")
    parser.add_argument("--connections", type=int, default=32, metavar="N", help="of wrk (%(default)s)")
    parser.add_argument("--only", metavar="NAME", help="one program")
    parser.add_argument("--write", action="store_true", help="write the table in docs/evhttp.md")
    return parser.parse_args()


def run(options):
    chosen = [views for views in VIEWS if options.only in (None, views.kind.name)]
    missing = [name for views in chosen for name in views.kind.missing()]
    if missing or not chosen:
        raise Failure(f"not installed: {', '.join(missing) or options.only}")
    if options.write and (options.only or min(options.rounds, options.slices) < 3):
        raise Failure("--write takes all programs and at least three rounds and slices")
    if options.write and BEGIN not in PAGE.read_text():
        raise Failure(f"{PAGE.name} has no {BEGIN.strip()} … {END} to replace")
    programs.allow_descriptors()
    take_client_core()
    options.commit = results.commit()
    compared = {views.kind.name: compare(views, options) for views in chosen}
    text = page(compared, options)
    if options.write:
        PAGE.write_text(written(PAGE.read_text(), text))
    print(text, end="")


def main():
    try:
        run(parse_options())
    except (Failure, OSError, AssertionError, http.client.HTTPException) as error:
        say(f"compare.py: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
