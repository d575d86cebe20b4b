#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The benchmark runs: every workload has its rows after a moment of load on few connections. No figure is judged.

Nothing is installed: servers whose packages are missing are left out, and so are instructions without valgrind."""

import os
import subprocess
import sys

import preparation
from machine import BOTH_CORES, HERE, PIPIT
from rounds import OTHERS
from workloads import WORKLOADS

DAEMON = os.environ.get("PIPIT_DAEMON", str(PIPIT))
# To the daemon every PIPIT_ variable is a setting, the one that names it too.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
SIZES = ["--rounds=1", "--seconds=0.1", "--connections=8", "--requests=64", "--idle=100", "--many=100"]


def reason_to_skip():
    """A line, or nothing."""
    if {*BOTH_CORES} - os.sched_getaffinity(0):
        return f"skipped: cores {BOTH_CORES} must be usable"
    missing = preparation.missing_tools()
    return f"skipped: please install {' '.join(sorted(missing))}" if missing else ""


def names_without_row(done):
    names = [*(workload.name for workload in WORKLOADS), *OTHERS]
    return [n for n in names if f"\n| {n} | " not in done.stdout and f"left out: {n}," not in done.stderr]


def main():
    reason = reason_to_skip()
    if reason:
        print(reason)
        return 77
    command = [sys.executable, HERE / "run.py", "--no-install", "--pipit", DAEMON, *SIZES]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    missing = names_without_row(done)
    if done.returncode != 0 or missing:
        print(done.stdout, done.stderr, sep="\n")
        print(f"run.py ended with {done.returncode}; without a row: {', '.join(missing) or 'none'}")
        return 1
    done_behaviour = subprocess.run(
        [sys.executable, HERE / "behaviour.py", "--no-install", "--pipit", DAEMON, "--slow-seconds=0.1"],
        capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done_behaviour.returncode != 0 or "\n| pipit | 0 of " not in done_behaviour.stdout:
        print(done_behaviour.stdout, done_behaviour.stderr, sep="\n")
        return 1
    print("\n".join(line for line in done.stderr.splitlines() if line.startswith("left out")) or "nothing left out")
    print("every workload runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
