# SPDX-License-Identifier: MIT
"""Writes the tables into RESULTS.md and the project's README."""

import contextlib
import datetime
import pathlib
import platform
import re
import shlex
import subprocess
import sys

from machine import CLIENT_CORE, HERE, ROOT, SERVER_CORE, Failure, say
from peers import INSTRUCTIONS
from preparation import built
from tables import all_tables, short_tables

RESULTS = HERE / "RESULTS.md"
README = ROOT / "README.md"
README_BEGIN, README_END = "<!-- bench -->", "<!-- /bench -->"


def cpu_model():
    found = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def version(words, **names):
    words = [word.format(**names) for word in words]
    # Some programs print their version with their usage only, and exit with 1.
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+\S*", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def commit():
    """The short hash of the checked-out commit, with -dirty if tracked files differ."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    return "unknown"


def last_line(options):
    return f"Measured at commit {options.commit}.\n"


def circumstances(outcome, peers, options):
    versions = [
        f"{peer.product or peer.name} {version(peer.version, pipit=options.pipit, built=built(peer))}"
        for peer in peers
        if peer.version
    ]
    versions.append("wrk " + version(("wrk", "-v")))
    if INSTRUCTIONS in outcome.asked_for:
        versions.append("valgrind " + version(("valgrind", "--version")))
    load = f"{options.connections} keep-alive connections unless said otherwise"
    return {
        "CPU": f"{cpu_model()}, server on core {SERVER_CORE}, wrk on core {CLIENT_CORE}",
        "Kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "Versions": ", ".join(versions),
        "Load": f"{load}, each row {options.rounds} × {options.seconds:g} s",
        "Command": "`" + shlex.join(["tests/bench/run.py", *sys.argv[1:]]) + "`",
    }


def results_page(outcome, facts, options):
    lines = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    legend = "Medians with minimum and maximum. What rows and columns mean: [README.md](README.md).\n"
    head = f"# Results\n\nWritten by `run.py --write-results`.\n\n{lines}\n{legend}"
    return "\n".join([head, all_tables(outcome), last_line(options)])


def split_readme():
    """The text before and after the tables, each with its mark."""
    text = README.read_text() if README.exists() else ""
    before, begin, rest = text.partition(README_BEGIN)
    _, end, after = rest.partition(README_END)
    if not begin or not end:
        raise Failure(f"{README.name} has no {README_BEGIN} … {README_END} to replace")
    return before + begin, end + after


def readme_page(outcome, facts, options):
    before, after = split_readme()
    note = "; ".join(facts[name] for name in ("CPU", "Kernel", "Versions", "Load", "Date"))
    note += ". Median (min–max). All rows: [tests/bench/RESULTS.md](tests/bench/RESULTS.md). "
    return f"{before}\n{short_tables(outcome)}\n{note}{last_line(options)}{after}"


def pages(outcome, peers, options):
    """New text of RESULTS.md and the project's README, by path."""
    facts = circumstances(outcome, peers, options)
    return {RESULTS: results_page(outcome, facts, options), README: readme_page(outcome, facts, options)}


def write(texts):
    for path, text in texts.items():
        path.write_text(text)
        say(f"wrote {path.relative_to(ROOT)}")
