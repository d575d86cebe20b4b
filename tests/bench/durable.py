# SPDX-License-Identifier: MIT
"""PATCHes of settings per second, each on the disk before its answer, compared with file replacements per second."""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
import time

import wrk
from machine import ADDRESS, BUILD, CLIENT_CORE, HERE
from servers import start

CLIENTS = 64
# On a disk, where /tmp is one of memory.
FOLDER = os.environ.get("BENCH_DISK", str(BUILD))


@dataclasses.dataclass(frozen=True)
class Durable:
    patches_per_second: float  # by CLIENTS at once
    alone_per_second: float  # by one client
    replacements_per_second: float  # of one file by the same steps; mean of before and after

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
    words = [*wrk.program((CLIENT_CORE,), connections, seconds), "-s", str(HERE / "patch.lua")]
    words.append(f"http://{ADDRESS}:{server.port}/api/settings")
    return wrk.per_second(wrk.output_of(words, seconds))


def measure_durable(peer, options):
    seconds = 2 * options.seconds
    BUILD.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(dir=FOLDER))
        command = tuple(word.replace("{disk}", directory) for word in peer.command)
        server = start(dataclasses.replace(peer, command=command), options, stack)
        before = replacements_per_second(seconds)
        many = patches_per_second(server, CLIENTS, seconds)
        alone = patches_per_second(server, 1, seconds)
        return Durable(many, alone, (before + replacements_per_second(seconds)) / 2)
