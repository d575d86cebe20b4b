# SPDX-License-Identifier: MIT
"""The results as tables in Markdown."""

from goals import GOALS, OPEN, cell
from durable import CLIENTS
from peers import DURABLE, INSTRUCTIONS, MANY, MEMORY, PEERS, SCRAPE, SERIES
from rounds import GUARD, SCRAPES, row_name
from workloads import WORKLOADS


def table(heads, rows, names=2):
    """The first `names` columns are text, the others figures. Empty without rows."""
    if not rows:
        return ""
    rules = [":--" if i < names else "--:" for i in range(len(heads))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, rules, *rows]) + "\n"


def goal_table(outcome):
    heads = ["goal (CPU time per request, where no unit stands)", "measured", "reached"]
    rows = []
    for goal in (goal for goal in GOALS if goal.workload in outcome.asked_for):
        verdict = goal.verdict(outcome)
        rows.append([goal.text, verdict.measured, verdict.reached])
    return table(heads, rows, names=3)


def rows_in_order(outcome):
    """Of the speed table: by workload, then by server."""
    for workload in WORKLOADS:
        for peer in PEERS:
            for label in workload.loads:
                key = (workload.name, row_name(peer, label))
                if key in outcome.runs:
                    yield key


def speed_table(outcome, keys):
    heads = ["workload", "server", "CPU µs/request", "× nginx", "× floor", "× evhttp", "requests/s", "p50 µs", "p99 µs"]
    rows = []
    for workload, row in keys:
        runs = outcome.runs[workload, row]
        rows.append(
            [
                workload,
                row,
                cell([run.cpu_us for run in runs], ",.2f"),
                cell(outcome.ratios(workload, row, "nginx") or outcome.ratios(workload, row, "nginx, TLS"), ".2f"),
                cell(outcome.ratios(workload, row, "floor"), ".2f"),
                cell(outcome.ratios(workload, row, "evhttp"), ".2f"),
                cell([run.per_second for run in runs], ",.0f"),
                cell([run.p50_us for run in runs], ",.0f"),
                cell([run.p99_us for run in runs], ",.0f"),
            ]
        )
    return table(heads, rows)


def instruction_table(outcome):
    heads = ["workload", "request of", "server", "user instructions/request", "× nginx", "× evhttp"]
    rows = []
    for (workload, row), count in outcome.instructions.items():
        others = [outcome.instructions.get((workload, reference)) for reference in ("nginx", "evhttp")]
        ratios = [f"{count / other:.2f}" if other else OPEN for other in others]
        rows.append([INSTRUCTIONS, workload, row, f"{count:,.0f}", *ratios])
    return table(heads, rows, names=3)


def share_table(outcome):
    heads = ["workload", "server", "least busy worker's share", "busiest worker's share"]
    rows = []
    for (workload, row), runs in outcome.runs.items():
        if "least share" in runs[0].figures:
            shares = [[run.figures[name] for run in runs] for name in ("least share", "most share")]
            rows.append([workload, row, *(cell(values, ".2f") for values in shares)])
    return table(heads, rows)


def memory_table(outcome):
    heads = ["workload", "server", "resident when fresh, KiB", "idle connections", "KiB per idle connection"]
    rows = [
        [MEMORY, name, f"{m.fresh_kib:,}", f"{m.connection_count:,}", f"{m.per_connection_kib:.2f}"]
        for name, m in outcome.memories.items()
    ]
    return table(heads, rows)


def many_table(outcome):
    heads = ["workload", "server", "connections open", "answered when all were open", "KiB per connection"]
    many = outcome.many
    if not many:
        return ""
    figures = [f"{many.open_count:,}", f"{many.answered_count:,}", f"{many.per_connection_kib:.2f}"]
    return table(heads, [[MANY, "pipit, many connections", *figures]])


def scrape_table(outcome):
    heads = ["workload", "server", f"ms for each of {SCRAPES} scrapes", "CPU µs of the server", "bytes of the page"]
    scrapes = outcome.scrapes
    if not scrapes:
        return ""
    figures = [cell(scrapes.milliseconds, ".2f"), f"{scrapes.cpu_us:,.0f}", f"{scrapes.page_bytes:,}"]
    return table(heads, [[SCRAPE, f"pipit, {SERIES} series", *figures]])


def durable_table(outcome):
    heads = ["workload", "server", f"PATCHes/s of {CLIENTS} clients", "of one", "file replacements/s of the disk"]
    heads.append("PATCHes in one")
    durable = outcome.durable
    if not durable:
        return ""
    figures = [durable.patches_per_second, durable.alone_per_second, durable.replacements_per_second]
    return table(heads, [[DURABLE, "pipit, durable", *(f"{figure:,.0f}" for figure in figures), f"{durable.group:.1f}"]])


def guard_table(outcome):
    heads = ["workload", "head", "ns per head"]
    return table(heads, [[GUARD, name, f"{median} ({least}–{most})"] for name, median, least, most in outcome.guard])


def all_tables(outcome):
    speed = speed_table(outcome, list(rows_in_order(outcome)))
    makers = (instruction_table, share_table, memory_table, many_table, scrape_table, durable_table, guard_table)
    return "\n".join(filter(None, [goal_table(outcome), speed, *(make(outcome) for make in makers)]))

