# SPDX-License-Identifier: MIT
"""Where things lie, which cores are whose, how many files may be open, and how a run speaks."""

import os
import pathlib
import resource
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "bench"
BUILD = ROOT / "build" / "bench"
PIPIT = ROOT / "build" / "pipit"

ADDRESS = "127.0.0.1"
SERVER_CORE, CLIENT_CORE = 0, 1
BOTH_CORES = (SERVER_CORE, CLIENT_CORE)

# Besides connections: listeners, logs, epoll, what Python and the servers keep open.
OPEN_FILES_BESIDES = 256


class Failure(Exception):
    """Something that makes a row, or the whole run, worthless; its text is for the reader."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def take_client_core():
    """This script works between measurements and, as a client, during some: never on the server's core."""
    if set(BOTH_CORES) - os.sched_getaffinity(0):
        raise Failure(f"cores {SERVER_CORE} and {CLIENT_CORE} must both be usable")
    os.sched_setaffinity(0, {CLIENT_CORE})


def allow_open_files(wanted):
    """For this process and the servers it starts: as many as are allowed up to `wanted`, which is told."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = [(wanted, max(hard, wanted)), (min(wanted, hard), hard)]
    for limit in limits if soft < wanted else []:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            soft = limit[0]
            break
        except (ValueError, OSError):  # raising the hard limit is a privilege
            continue
    return soft
