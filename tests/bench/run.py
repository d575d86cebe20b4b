#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare pipit with its peers: CPU time and instructions per request, latency, memory, and whether goals are reached.

Servers run on core 0, wrk on core 1. wrk saturates its core near 100,000 requests per second, so the requests per second
of fast servers say little; the figure to compare is the CPU time of the server divided by the requests. Servers take turns
round by round, because the speed of the machine drifts; ratios are between measurements of the same round.

This file is the command. To follow a run, read preparation.py, rounds.py, then goals.py and tables.py.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import sys
import tempfile

import preparation
import results
from connections import IDLE_CONNECTIONS
from machine import OPEN_FILES_BESIDES, PIPIT, Failure, allow_open_files, say, take_client_core
from peers import FAMILIES, MANY_CONNECTIONS, PEERS
from rounds import OTHERS, measure
from tables import all_tables
from workloads import WORKLOADS

# Results of fewer rounds vary too much to be written.
ROUNDS_TO_WRITE = 7

SIZES = (
    ("requests", 2000, "requests that instructions counts"),
    ("idle", IDLE_CONNECTIONS, "connections of memory"),
    ("many", MANY_CONNECTIONS, "connections of many"),
)


def names_of(text, known, what):
    """The names of a comma-separated list, in the order of `known`."""
    wanted = text.split(",")
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise Failure(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    return [name for name in known if name in wanted]


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def seconds(text):
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return number


def add_sizes(parser):
    """Of the measurements without wrk. Results are written with the defaults only."""
    for name, default, what in SIZES:
        parser.add_argument(f"--{name}", type=positive, default=default, metavar="N", help=f"{what} (%(default)s)")


def has_full_size(options):
    return all(getattr(options, name) == default for name, default, _ in SIZES)


def parse_options():
    everything = [*(workload.name for workload in WORKLOADS), *OTHERS]
    epilog = "Progress goes to standard error, the tables to standard output. More in tests/bench/README.md."
    parser = argparse.ArgumentParser(description="Measure pipit beside its peers.", epilog=epilog)
    parser.add_argument("--rounds", type=positive, default=7, metavar="N", help="runs of every row (%(default)s)")
    parser.add_argument("--seconds", type=seconds, default=2, metavar="N", help="length of a run (%(default)s); 0.1 will do")
    parser.add_argument("--connections", type=positive, default=64, metavar="N", help="of wrk (%(default)s)")
    add_sizes(parser)
    parser.add_argument("--only", metavar="A,B", help=f"only these workloads: {', '.join(everything)}")
    parser.add_argument("--peers", metavar="A,B", help=f"only these servers: {', '.join(FAMILIES)}")
    parser.add_argument("--pipit", default=str(PIPIT), metavar="FILE", help="the daemon; libpipit.a lies beside it")
    parser.add_argument("--no-install", action="store_true", help="leave out what needs packages that are missing")
    parser.add_argument("--write-results", action="store_true", help="write RESULTS.md and the comparison in README.md")
    options = parser.parse_args()
    options.only = names_of(options.only or ",".join(everything), everything, "workload")
    options.peers = names_of(options.peers or ",".join(FAMILIES), FAMILIES, "peer")
    options.is_whole = options.only == everything and options.peers == list(FAMILIES) and has_full_size(options)
    return options


def check_writing(options):
    """Fail before the measurement rather than after it."""
    if not options.is_whole or options.no_install or options.rounds < ROUNDS_TO_WRITE:
        raise Failure(f"--write-results takes a whole run of at least {ROUNDS_TO_WRITE} rounds")
    results.check_readme()


def run(options):
    if options.write_results:
        check_writing(options)
    options.commit = results.commit()
    take_client_core()
    options.open_files = allow_open_files(max(options.many, options.idle) + OPEN_FILES_BESIDES)
    measured = {*options.only}
    peers = [peer for peer in PEERS if peer.chosen_by in options.peers and measured & set(peer.serves)]
    peers = preparation.with_folder(peers)
    workloads = [workload for workload in WORKLOADS if workload.name in options.only]
    others = [name for name in OTHERS if name in options.only]
    if options.no_install:
        peers, others = preparation.leave_out_missing(peers, others)
        peers, workloads = preparation.leave_out_tls(peers, workloads, options.pipit)
    preparation.prepare(peers, others, options.pipit)
    with contextlib.ExitStack() as stack:
        options.files = stack.enter_context(tempfile.TemporaryDirectory(prefix="pipit-bench-"))
        preparation.write_files(pathlib.Path(options.files))
        options.certificates = stack.enter_context(tempfile.TemporaryDirectory(prefix="pipit-bench-"))
        if any(peer.probe.tls for peer in peers):
            preparation.make_certificate(options)
        outcome = measure(peers, workloads, others, options)
    print(all_tables(outcome), results.last_line(options), sep="\n", end="")
    if outcome.failures:
        raise Failure("\n".join(f"failed: {': '.join(key)}: {why}" for key, why in outcome.failures.items()))
    # Every run composes the page, so that an error here does not appear only after a long run.
    text = results.page(outcome, peers, options)
    if options.write_results:
        results.write(text)


def main():
    # nginx is in a folder that is not in every user's PATH.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    # On SIGTERM, stop the servers too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        run(parse_options())
    except (Failure, OSError) as error:
        say(f"run.py: {error}")
        return 1
    except KeyboardInterrupt:
        say("run.py: interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
