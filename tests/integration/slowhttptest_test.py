#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""slowhttptest, in each of its four modes, never finds the daemon unavailable; a well-behaved client is answered meanwhile."""
import csv
import http.client
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAEMON = os.environ.get("PIPIT_DAEMON", str(ROOT / "build/pipit"))
# The daemon reads every PIPIT_ variable as an option, and would refuse PIPIT_DAEMON.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
PATIENCE_SECONDS = 60
# At most: it is stopped when the daemon has reacted to it.
ATTACK_SECONDS = 120
# Afterwards, for the report, which has a sample each second.
REPORTED_SECONDS = 3
CONNECTIONS = 500
LARGE_BYTES = 4 * 1024 * 1024
# The defaults, with deadlines shorter than an attack of a quarter of a minute.
FLAGS = ["--head-timeout", "5s", "--rate-grace", "5s", "--write-timeout", "5s", "--log-level", "error"]
# Arguments of slowhttptest, and the counter that shows the daemon's reaction; None: its requests are answered.
MODES = {
    "slow heads": (["-H", "-u", "{url}/hello/get"], 'http_timeouts_total{phase="head"}'),
    "slow contents": (["-B", "-s", "8192", "-u", "{url}/hello/post"], 'http_timeouts_total{phase="body"}'),
    "ranges": (["-R", "-t", "GET", "-a", "5", "-b", "3000", "-u", "{url}/large.bin"], None),
    "slow readers": (["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-u", "{url}/large.bin"],
                     'http_timeouts_total{phase="write"}'),
}


class Daemon:
    def __init__(self, root):
        self.process = subprocess.Popen([DAEMON, "--listen", "127.0.0.1:0", "--root", str(root), *FLAGS],
                                        stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        self.address = self.process.stdout.readline().split("http://")[1].strip()

    def ask(self, path):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metric(self, sample):
        page = self.ask("/metrics")[1]
        return float(re.search(rf"^{re.escape(sample)} (\S+)$", page, re.MULTILINE).group(1))

    def is_alone(self):
        states = {state: self.metric(f'http_connections{{state="{state}"}}')
                  for state in ("idle", "reading", "handling", "writing", "closing")}
        return states.pop("idle") == 1 and not any(states.values()) and self.metric("pipit_buffered_bytes") == 0

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE_SECONDS)


class WellBehaved(threading.Thread):
    """Sends requests with pauses, each on a new connection; keeps the first failure."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.server, self.over, self.count, self.failure = daemon, threading.Event(), 0, None

    def run(self):
        while not self.over.wait(0.05) and not self.failure:
            try:
                answer = self.server.ask("/hello/get")
                if answer != (200, '{"message":"Hello, World!"}'):
                    self.failure = f"was answered {answer}"
            except (OSError, http.client.HTTPException) as error:
                self.failure = f"was not answered: {error!r}"
            self.count += 1

    def finish(self):
        self.over.set()
        self.join()
        return self.failure


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_SECONDS} s"
        time.sleep(0.05)


def is_met(daemon, counter):
    """All connections of the attack were accepted, and some of them reached their deadline."""
    return daemon.metric("http_connections_accepted_total") >= CONNECTIONS and (not counter or daemon.metric(counter) > 0)


def attack(name, daemon, prefix):
    """Runs the attack until the daemon has reacted. Returns the samples of its report, one per second: dictionaries by column."""
    arguments, counter = MODES[name]
    command = ["slowhttptest", "-c", str(CONNECTIONS), "-r", "200", "-i", "2", "-l", str(ATTACK_SECONDS),
               "-p", str(PATIENCE_SECONDS), "-v", "1", "-g", "-o", str(prefix),
               *(argument.format(url=f"http://{daemon.address}") for argument in arguments)]
    with open(f"{prefix}.out", "w+") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        wait_for(f"{name}: the daemon has reacted", lambda: is_met(daemon, counter))
        time.sleep(REPORTED_SECONDS)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=PATIENCE_SECONDS)
        report = pathlib.Path(f"{prefix}.csv")
        assert report.exists(), f"slowhttptest left no report: {pathlib.Path(out.name).read_text()[-2000:]}"
    with open(report, newline="") as lines:
        return list(csv.DictReader(lines))


def check_report(name, samples):
    """The last column is the number of connections served in that second, as found by a probe: 0 if it failed."""
    columns = [key for key in samples[0] if key and "available" in key.lower()] if samples else []
    assert columns, f"{name}: a report without samples of availability: {samples}"
    out_of_service = [sample for sample in samples if int(sample[columns[0]]) == 0]
    assert not out_of_service, f"{name}: not available in {len(out_of_service)} of {len(samples)} samples: {out_of_service}"


def check_mode(name, daemon, folder):
    client = WellBehaved(daemon)
    client.start()
    try:
        samples = attack(name, daemon, pathlib.Path(folder, name.replace(" ", "-")))
    finally:
        failure = client.finish()
    check_report(name, samples)
    assert not failure, f"{name}: request {client.count} of a well-behaved client {failure}"
    wait_for(f"{name}: the gauges are as before", daemon.is_alone)
    print(f"{name}: available in all of {len(samples)} samples; {client.count} requests of a well-behaved client")


def main():
    if not shutil.which("slowhttptest"):
        sys.exit("not found: slowhttptest; install Debian's package slowhttptest")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder, "root")
        root.mkdir()
        (root / "large.bin").write_bytes(b"pipit" * (LARGE_BYTES // 5))
        for name in MODES:
            daemon = Daemon(root)
            try:
                check_mode(name, daemon, folder)
            finally:
                status = daemon.stop()
            assert status == 0, f"{name}: the daemon ended with {status}"


if __name__ == "__main__":
    main()
