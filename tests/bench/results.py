# SPDX-License-Identifier: MIT
"""Writes the tables into RESULTS.md, and the comparison into the project's README."""

import contextlib
import datetime
import pathlib
import platform
import re
import shlex
import subprocess
import sys

import comparison
from machine import CLIENT_CORE, HERE, ROOT, SERVER_CORE, Failure, say
from peers import INSTRUCTIONS
from preparation import built
from tables import all_tables

RESULTS = HERE / "RESULTS.md"


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


def check_readme():
    if not comparison.is_marked(comparison.README.read_text()):
        raise Failure(f"{comparison.README.name} has no {comparison.BEGIN.strip()} … {comparison.END} to replace")


def page(outcome, peers, options):
    """New text of RESULTS.md."""
    return results_page(outcome, circumstances(outcome, peers, options), options)


def write(text):
    RESULTS.write_text(text)
    comparison.write()
    for path in (RESULTS, comparison.README):
        say(f"wrote {path.relative_to(ROOT)}")
