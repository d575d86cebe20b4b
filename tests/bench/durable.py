# SPDX-License-Identifier: MIT
"""Changes of settings a second, each durable before its answer, beside what the disk allows of one after the other."""

import contextlib
import dataclasses
import os
import pathlib
import re
import subprocess
import tempfile
import time

from machine import ADDRESS, CLIENT_CORE, HERE, Failure
from servers import start

CLIENTS = 64
# A disk, where /tmp is one of memory.
FOLDER = os.environ.get("BENCH_DISK", str(HERE.parent.parent / "build"))


@dataclasses.dataclass(frozen=True)
class Durable:
    patches_per_second: float  # by CLIENTS at once
    alone_per_second: float  # by one client
    replacements_per_second: float  # of a file, by the same steps, before and after

    @property
    def group(self):
        return self.patches_per_second / self.replacements_per_second


def replace_once(directory, content):
    """The steps of a change, in the order in which the store takes them."""
    new, name, previous = (pathlib.Path(directory, name) for name in ("new", "name", "previous"))
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, content)
    os.fsync(fd)
    os.close(fd)
    if name.exists():
        link = pathlib.Path(directory, "link")
        os.link(name, link)
        os.rename(link, previous)
    os.rename(new, name)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def replacements_per_second(seconds):
    with tempfile.TemporaryDirectory(dir=FOLDER) as directory:
        count, begun = 0, time.monotonic()
        while time.monotonic() < begun + seconds:
            replace_once(directory, b"x" * 2000)
            count += 1
        return count / (time.monotonic() - begun)


def patches_per_second(server, connections, seconds):
    command = ["taskset", "-c", str(CLIENT_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "patch.lua")]
    command.append(f"http://{ADDRESS}:{server.port}/api/settings")
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    wrong = re.search(r"^\s*(Non-2xx.*|Socket errors.*)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or wrong:
        raise Failure(wrong[1] if wrong else done.stderr.strip())
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])


def measure_durable(peer, options):
    seconds = 2 * options.seconds
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(dir=FOLDER))
        command = tuple(word.replace("{disk}", directory) for word in peer.command)
        server = start(dataclasses.replace(peer, command=command), options, stack)
        before = replacements_per_second(seconds)
        many = patches_per_second(server, CLIENTS, seconds)
        alone = patches_per_second(server, 1, seconds)
        return Durable(many, alone, (before + replacements_per_second(seconds)) / 2)
