# SPDX-License-Identifier: MIT
"""The goals of pipit, and whether a run reaches them.

A goal is one entry in GOALS, judged by the medians of the run."""

import dataclasses
import statistics

from connections import IDLE_CONNECTIONS
from machine import OPEN_FILES_BESIDES
from peers import DURABLE, INSTRUCTIONS, MANY, MANY_CONNECTIONS, MEMORY, SCRAPE, SERIES
from watches import SLOW_HEADS

SCRAPE_MS_MOST = 0.5
PATCHES_LEAST = 1000
# The smallest acceptable share of one of two workers in their busy time; an even share is 0.5.
SHARE_LEAST = 0.1

YES, NO, OPEN = "yes", "**no**", "–"


def cell(values, form):
    """Median with minimum and maximum; a dash where nothing was measured."""
    if not values or None in values:
        return OPEN
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


@dataclasses.dataclass(frozen=True)
class Verdict:
    measured: str
    reached: str


NOT_MEASURED = Verdict("not measured", OPEN)


def judge(is_reached, measured):
    return Verdict(measured, YES if is_reached else NO)


@dataclasses.dataclass(frozen=True)
class Ratio:
    """The largest ratio of CPU time per request between two rows of a workload."""

    workload: str
    row: str
    reference: str
    most: float

    @property
    def text(self):
        return f"{self.workload}: {self.row} ≤ {self.most:.2f} × {self.reference}"

    def verdict(self, outcome):
        ratios = outcome.ratios(self.workload, self.row, self.reference)
        return judge(statistics.median(ratios) <= self.most, cell(ratios, ".3f")) if ratios else NOT_MEASURED


@dataclasses.dataclass(frozen=True)
class Instructions:
    """The most instructions that the server executes in user space for a request."""

    counted: str  # the workload whose request is counted
    row: str
    most: int
    workload: str = INSTRUCTIONS

    @property
    def text(self):
        return f"{INSTRUCTIONS}: {self.counted}: {self.row} ≤ {self.most:,} a request"

    def verdict(self, outcome):
        count = outcome.instructions.get((self.counted, self.row))
        return judge(count <= self.most, f"{count:,.0f}") if count else NOT_MEASURED


@dataclasses.dataclass(frozen=True)
class IdleMemory:
    """The most memory that an idle keep-alive connection takes."""

    row: str
    most_kib: float
    workload: str = MEMORY

    @property
    def text(self):
        return f"{MEMORY}: {self.row} ≤ {self.most_kib:.2f} KiB for each of {IDLE_CONNECTIONS:,} idle connections"

    def verdict(self, outcome):
        memory = outcome.memories.get(self.row)
        if not memory:
            return NOT_MEASURED
        measured = f"{memory.per_connection_kib:.2f} KiB"
        if memory.connection_count < IDLE_CONNECTIONS:
            return Verdict(measured, OPEN)
        return judge(memory.per_connection_kib <= self.most_kib, measured)


@dataclasses.dataclass(frozen=True)
class Other:
    workload: str
    text: str
    verdict: object  # function of an Outcome


def all_answered(outcome):
    many = outcome.many
    if not many:
        return NOT_MEASURED
    measured = f"{many.answered_count:,} of {many.open_count:,} answered, {many.per_connection_kib:.2f} KiB each"
    needed = MANY_CONNECTIONS + OPEN_FILES_BESIDES
    if many.open_files < needed:
        measured += f"; no more can be tried here: {many.open_files:,} open files are allowed, {needed:,} needed"
    if many.open_count < MANY_CONNECTIONS:
        return Verdict(measured, OPEN)
    return judge(many.answered_count >= MANY_CONNECTIONS, measured)


def scrape_time(outcome):
    scrapes = outcome.scrapes
    if not scrapes:
        return NOT_MEASURED
    return judge(statistics.median(scrapes.milliseconds) <= SCRAPE_MS_MOST, cell(scrapes.milliseconds, ".2f") + " ms")


def durable_patches(outcome):
    durable = outcome.durable
    if not durable:
        return NOT_MEASURED
    measured = (
        f"{durable.patches_per_second:,.0f} a second; the disk replaces a file {durable.replacements_per_second:,.0f} times a "
        f"second, so {durable.group:.1f} share each"
    )
    return judge(durable.patches_per_second >= PATCHES_LEAST, measured)


def scraped_p99(outcome):
    """Shown, without a goal."""
    alone, scraped = (outcome.runs.get(("metrics", f"pipit, 200 series, {how}")) for how in ("not scraped", "scraped"))
    if not alone or not scraped:
        return NOT_MEASURED
    before, after = (cell([run.p99_us for run in runs], ",.0f") for runs in (alone, scraped))
    return Verdict(f"{before} µs without, {after} µs with", OPEN)


def p99_beside_slow_heads(outcome):
    """Shown, without a goal."""
    alone, beside = (outcome.runs.get(("slowheads", f"pipit, {how}")) for how in ("alone", "beside slow heads"))
    if not alone or not beside:
        return NOT_MEASURED
    before, after = (cell([run.p99_us for run in runs], ",.0f") for runs in (alone, beside))
    return Verdict(f"{before} µs alone, {after} µs beside them", OPEN)


def no_starving(outcome):
    runs = outcome.runs.get(("fairness", "pipit, 2 workers"))
    if not runs:
        return NOT_MEASURED
    least = [run.figures["least share"] for run in runs]
    return judge(statistics.median(least) >= SHARE_LEAST, cell(least, ".2f"))


GOALS = (
    Ratio("get", "pipit", "floor", 1.12),
    Ratio("get", "pipit", "nginx", 0.85),
    Ratio("browser", "pipit", "floor", 1.20),
    Ratio("browser", "pipit", "nginx", 0.74),
    Ratio("pipeline16", "pipit", "nginx", 0.10),
    Ratio("echo", "pipit, POST", "pipit, GET", 1.30),
    Ratio("evhttp", "pipit", "evhttp", 0.60),
    Ratio("evhttp-pipeline16", "pipit", "evhttp", 0.40),
    Ratio("connect", "pipit", "nginx", 0.85),
    Ratio("static1k", "pipit", "nginx", 0.95),
    Ratio("static100k", "pipit", "nginx", 0.92),
    Ratio("static10m", "pipit", "nginx", 0.92),
    Ratio("tls", "pipit, TLS", "nginx, TLS", 0.92),
    Ratio("handshake", "pipit, TLS", "nginx, TLS", 1.00),
    Ratio("resumed", "pipit, TLS", "nginx, TLS", 0.95),
    Ratio("tls10m", "pipit, TLS", "nginx, TLS", 1.00),
    Ratio("routes1000", "pipit, 1,000 routes", "pipit, 1 route", 1.03),
    Ratio("accesslog", "pipit, log on", "pipit", 1.05),
    Ratio("setting", "pipit, settings, 1 KiB by pointer", "pipit, settings, GET", 1.25),
    Instructions("get", "pipit", 3000),
    Instructions("evhttp", "pipit", 24000),
    Instructions("evhttp-browser", "pipit", 43000),
    Other(DURABLE, f"{DURABLE}: ≥ {PATCHES_LEAST:,} PATCHes a second, each durable", durable_patches),
    IdleMemory("pipit", 0.60),
    IdleMemory("pipit, borrowed evhttp connection", 0.62),
    IdleMemory("pipit, own evhttp connection", 2.80),
    IdleMemory("pipit, TLS", 12.00),
    Other(MANY, f"{MANY}: {MANY_CONNECTIONS:,} connections open and answered", all_answered),
    Other(SCRAPE, f"{SCRAPE}: /metrics with {SERIES} series ≤ {SCRAPE_MS_MOST:g} ms", scrape_time),
    Other("metrics", "metrics: p99 under load with a scrape each 100 ms (shown)", scraped_p99),
    Other("slowheads", f"slowheads: p99 beside {SLOW_HEADS} clients whose request head never ends (shown)", p99_beside_slow_heads),
    Other("fairness", f"fairness: the less busy of 2 workers has ≥ {SHARE_LEAST:g} of the time", no_starving),
)
