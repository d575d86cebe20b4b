# SPDX-License-Identifier: MIT
"""The order of the measurements: servers take turns, round by round. A row that failed is not measured again."""

import contextlib
import dataclasses
import subprocess

import handshakes
import wrk
from connections import measure_many_open, measure_memory
from durable import measure_durable
from instructions import count_instructions, counted_rows
from machine import BUILD, HERE, SERVER_CORE, Failure, say
from peers import DURABLE, INSTRUCTIONS, MANY, MEMORY, SCRAPE, SERIES
from preparation import compile_c, pipit_flags
from servers import start
from watches import Tally, time_scrapes

GUARD = "guard"
SCRAPES = 50
SCRAPE_PAUSE_SECONDS = 0.02


def row_name(peer, label):
    return f"{peer.name}, {label}" if label else peer.name


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of a workload."""

    workload: str
    label: str
    server: object
    load: object

    @property
    def key(self):
        return self.workload, row_name(self.server.peer, self.label)


@dataclasses.dataclass(frozen=True)
class Scrapes:
    milliseconds: list
    cpu_us: float
    page_bytes: int


class Outcome:
    """Results by row, and the reasons of rows that failed."""

    def __init__(self, asked_for, left):
        self.asked_for = asked_for  # names of workloads and other measurements
        self.left = left
        self.runs = {}  # (workload, row) -> its runs, in the order of the rounds
        self.instructions = {}  # (workload, row) -> number per request
        self.memories = {}  # name of a server -> Memory
        self.many = None
        self.scrapes = None
        self.durable = None
        self.guard = []  # lines of guard.c: what was parsed; nanoseconds as median, minimum and maximum
        self.failures = {}

    def attempt(self, key, measure, *arguments):
        """What `measure` returns; None if it fails or the row has failed before."""
        self.left -= 1
        if key in self.failures:
            return None
        try:
            return measure(*arguments)
        except (Failure, OSError, subprocess.SubprocessError) as error:
            self.failures[key] = str(error)
            self.runs.pop(key, None)
            self.tell(key, f"FAILED: {error}")
            return None

    def tell(self, key, text):
        say(f"{': '.join(key)}: {text} ({self.left} left)")

    def take_run(self, entry, sent, options):
        run = self.attempt(entry.key, measure_once, entry, sent, options)
        if run:
            self.runs.setdefault(entry.key, []).append(run)
            self.tell(entry.key, f"{run.cpu_us:.2f} us/request, {run.per_second:,.0f} requests/s")

    def ratios(self, workload, row, reference):
        """Of CPU time, round by round; empty if one of the rows was not measured."""
        runs, others = self.runs.get((workload, row), []), self.runs.get((workload, reference), [])
        return [run.cpu_us / other.cpu_us for run, other in zip(runs, others)]


# ---------------------------------------------------------------- workloads of wrk


def measure_once(entry, sent, options):
    server, load = entry.server, entry.load
    connections = load.connections or options.connections
    wrk.prove(server, load, sent)
    tally, figures = Tally(server), {}
    with load.watch(server, figures) if load.watch else contextlib.nullcontext():
        if load.handshakes:
            run = handshakes.run(server, load, options.seconds)
        else:
            run = wrk.run(server, load, connections, options.seconds)
    tally.check(run.requests, connections * load.burst)
    wrk.prove(server, load, sent)
    return dataclasses.replace(run, figures=figures)


def entries_of(workload, servers):
    taking_part = [server for server in servers if workload.name in server.peer.serves]
    return [
        Entry(workload.name, label, server, load) for server in taking_part for label, load in workload.loads.items()
    ]


def count_runs(peers, workloads):
    return sum(len(w.loads) for w in workloads for peer in peers if w.name in peer.serves)


def measure_rounds(peers, workloads, options, outcome):
    with contextlib.ExitStack() as stack:
        names = {workload.name for workload in workloads}
        servers = [start(peer, options, stack) for peer in peers if names & set(peer.serves)]
        # Several workloads send the same.
        captured = {load: wrk.capture(load) for load in {load for w in workloads for load in w.loads.values()}}
        for round_number in range(options.rounds):
            say(f"round {round_number + 1} of {options.rounds}")
            for workload in workloads:
                entries = entries_of(workload, servers)
                # Rotate the order, so that a server does not always run after the same one.
                first = round_number % max(len(entries), 1)
                for entry in entries[first:] + entries[:first]:
                    outcome.take_run(entry, captured[entry.load], options)


# ---------------------------------------------------------------- other measurements


def measure_instructions(peers, options, outcome):
    for workload, peer, label, load in counted_rows(peers):
        key = (INSTRUCTIONS, workload.name, row_name(peer, label))
        count = outcome.attempt(key, count_instructions, peer, load, options)
        if count:
            outcome.instructions[key[1:]] = count
            outcome.tell(key, f"{count:,.0f} for each request")


def measure_memories(peers, options, outcome):
    for peer in (peer for peer in peers if MEMORY in peer.serves):
        key = (MEMORY, peer.name)
        memory = outcome.attempt(key, measure_memory, peer, options)
        if memory:
            outcome.memories[peer.name] = memory
            outcome.tell(key, f"{memory.per_connection_kib:.2f} KiB for each connection")


def measure_many(peers, options, outcome):
    for peer in (peer for peer in peers if MANY in peer.serves):
        key = (MANY, peer.name)
        outcome.many = outcome.attempt(key, measure_many_open, peer, options)
        if outcome.many:
            outcome.tell(key, f"{outcome.many.answered_count:,} connections answered")


def scrape_alone(peer, options):
    with contextlib.ExitStack() as stack:
        server = start(peer, options, stack)
        before = server.cpu_ns()
        seconds, page = time_scrapes(server, SCRAPES, SCRAPE_PAUSE_SECONDS, SERIES)
        used = server.cpu_ns() - before
        return Scrapes([taken * 1000 for taken in seconds], used / SCRAPES / 1000, len(page))


def measure_scrapes(peers, options, outcome):
    for peer in (peer for peer in peers if SCRAPE in peer.serves):
        key = (SCRAPE, peer.name)
        outcome.scrapes = outcome.attempt(key, scrape_alone, peer, options)
        if outcome.scrapes:
            outcome.tell(key, f"{outcome.scrapes.cpu_us:.0f} us of the server for each of {SCRAPES} scrapes")


def measure_changes(peers, options, outcome):
    for peer in (peer for peer in peers if DURABLE in peer.serves):
        key = (DURABLE, peer.name)
        outcome.durable = outcome.attempt(key, measure_durable, peer, options)
        if outcome.durable:
            outcome.tell(key, f"{outcome.durable.patches_per_second:,.0f} PATCHes a second")


def run_guard(options):
    """guard.c measures itself and needs no server."""
    program = str(BUILD / GUARD)
    compile_c([str(HERE / "guard.c")], pipit_flags(options.pipit), program)
    command = ["taskset", "-c", str(SERVER_CORE), program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise Failure(done.stderr.strip())
    return [line.split("\t") for line in done.stdout.splitlines()]


def measure_guard(_peers, options, outcome):
    outcome.guard = outcome.attempt((GUARD, "alone"), run_guard, options) or []


# By their names in --only.
OTHERS = {
    INSTRUCTIONS: measure_instructions,
    MEMORY: measure_memories,
    MANY: measure_many,
    SCRAPE: measure_scrapes,
    DURABLE: measure_changes,
    GUARD: measure_guard,
}


def count_others(peers, name):
    if name == INSTRUCTIONS:
        return len(counted_rows(peers))
    return 1 if name == GUARD else sum(name in peer.serves for peer in peers)


def measure(peers, workloads, others, options):
    left = options.rounds * count_runs(peers, workloads)
    left += sum(count_others(peers, name) for name in others)
    outcome = Outcome({*others, *(workload.name for workload in workloads)}, left)
    if workloads:
        measure_rounds(peers, workloads, options, outcome)
    for name in others:
        OTHERS[name](peers, options, outcome)
    return outcome
