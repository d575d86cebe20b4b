# SPDX-License-Identifier: MIT
"""The table of the project's README that compares pipit with its peers, made of RESULTS.md and BEHAVIOUR.md.

Nothing in it is typed by hand but what the peers' own documentation says: their licence, and which metrics they have built in."""

import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
RESULTS, BEHAVIOUR = HERE / "RESULTS.md", HERE / "BEHAVIOUR.md"
README = HERE.parent.parent / "README.md"
BEGIN, END = "<!-- comparison -->\n", "<!-- /comparison -->"
NAMES = ("pipit", "evhttp", "Mongoose", "libmicrohttpd", "nginx")
OPEN = "not measured"
PIPIT_METRICS = "Prometheus: requests, latency, connections, refusals, event loops"
METRICS = (PIPIT_METRICS, "none", "none", "none", "7 counters (stub_status)")
LICENCES = ("MIT", "BSD-3-Clause", "GPL-2.0 or commercial", "LGPL-2.1 or later", "BSD-2-Clause")


def rows(text):
    """Cells of every row of every table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]


def column(text, *first):
    """By server: the rows that begin with these cells."""
    return {row[len(first)]: row[len(first) + 1 :] for row in rows(text) if tuple(row[: len(first)]) == first}


def commit(text):
    return re.search(r"^Measured at commit ([\w-]+)\.$", text, re.M)[1]


def median(cell):
    return cell.split(" ")[0]


def listed(name, cells):
    return "| " + " | ".join([name, *cells]) + " |\n"


def table():
    results, behaviour = RESULTS.read_text(), BEHAVIOUR.read_text()
    cpu, callback, memory = column(results, "get"), column(results, "evhttp"), column(results, "memory")
    observed = {row[0]: row[1:] for row in rows(behaviour) if len(row) == 3}

    def cells(found, index, unit=""):
        return [median(found[name][index]) + unit if name in found else OPEN for name in NAMES]

    forbidden = [observed[name][0] if name in observed else OPEN for name in NAMES]
    slow = [observed[name][1] if name in observed else OPEN for name in NAMES]
    return (
        listed("", NAMES)
        + "|---|---|---|---|---|---|\n"
        + listed("CPU time per small GET, nginx = 1", cells(cpu, 1))
        + listed("Forbidden requests that it answers with success", forbidden)
        + listed("Memory per idle connection", cells(memory, 2, " KiB"))
        + listed("A request head that never ends is closed after", slow)
        + listed("Metrics built in", METRICS)
        + listed("Licence", LICENCES)
        + f"\nAn evhttp callback in pipit takes {median(callback['pipit'][3])} of the CPU time that it takes in evhttp. The forbidden requests are "
        + "pipit's test requests (a bad Host, a\nbad Content-Length, a space before a colon) that RFC 9112 requires a server to refuse. Measured by scripts: "
        + f"CPU time and memory at commit\n{commit(results)} ([RESULTS.md](tests/bench/RESULTS.md)), the other two figures at commit {commit(behaviour)} "
        + "([BEHAVIOUR.md](tests/bench/BEHAVIOUR.md)).\n"
    )


def is_marked(text):
    return BEGIN in text and END in text


def written(text):
    """The README with the table of now."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def write():
    README.write_text(written(README.read_text()))
