# SPDX-License-Identifier: MIT
"""handshakes.c, the client of new TLS connections: one after the other, each with a handshake and one GET."""

import subprocess

from machine import CLIENT_CORE, Failure
from preparation import HANDSHAKES
from wrk import PATIENCE_SECONDS, TLS_ENVIRONMENT, Run

# Ports of closed connections stay in TIME_WAIT.
CONNECTIONS_MOST = 20000


def run(server, load, seconds):
    words = ["taskset", "-c", str(CLIENT_CORE), HANDSHAKES, server.port, server.names["certificate"], load.handshakes, load.path]
    words += [seconds, CONNECTIONS_MOST]
    before = server.cpu_ns()
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True, text=True, env=TLS_ENVIRONMENT, timeout=seconds + PATIENCE_SECONDS, check=False)
    used = server.cpu_ns() - before
    if done.returncode != 0:
        raise Failure(f"handshakes: {done.stderr.strip()}")
    count, per_second, p50, p99 = done.stdout.split()
    return Run(int(count), used / int(count) / 1000, float(per_second), float(p50), float(p99))
