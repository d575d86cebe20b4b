# SPDX-License-Identifier: MIT
"""Paths, cores, the limit of open files, and messages."""

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

# Descriptors that are not connections: listeners, logs, epoll, files of Python and of the servers.
OPEN_FILES_BESIDES = 256


class Failure(Exception):
    """Makes a row, or the whole run, invalid. Its text is shown."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def take_client_core():
    """Keep this script off the server's core: it is a client in some measurements."""
    if set(BOTH_CORES) - os.sched_getaffinity(0):
        raise Failure(f"cores {SERVER_CORE} and {CLIENT_CORE} must both be usable")
    os.sched_setaffinity(0, {CLIENT_CORE})


def allow_open_files(wanted):
    """Raise the limit of this process and its servers to `wanted` or as near as is permitted; returns the limit."""
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
