# SPDX-License-Identifier: MIT
"""wrk, the client: what it sends, whether the server answers that rightly, and what it found."""

import dataclasses
import functools
import math
import pathlib
import re
import signal
import socket
import subprocess
import time

from machine import ADDRESS, HERE, Failure

CAPTURE_SECONDS = 10
# Beyond the time that wrk is to run.
PATIENCE_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Run:
    """One measurement. Latencies are missing for bursts: wrk fills the gaps between its samples as if each request had
    waited for the one before, and then gives percentiles that mean nothing, even 0."""

    requests: int
    cpu_us: float  # of the server, for each request
    per_second: float
    p50_us: float | None
    p99_us: float | None
    figures: dict = dataclasses.field(default_factory=dict)  # of a watch


def program(cores, connections, seconds):
    """The words that a command begins with. wrk takes whole seconds only: it runs longer than wanted, until output_of() or
    capture() stops it."""
    words = ["taskset", "-c", ",".join(map(str, cores)), "wrk", f"-t{min(connections, len(cores))}", f"-c{connections}"]
    return [*words, f"-d{math.ceil(seconds) + PATIENCE_SECONDS}s"]


def command(load, port, connections, seconds):
    words = [*program(load.cores, connections, seconds), "--latency"]
    for field in load.fields:
        words += ["-H", field]
    if load.script:
        words += ["-s", str(HERE / load.script)]
    words.append(f"http://{ADDRESS}:{port}{load.path}")
    return [*words, "--", *load.arguments] if load.arguments else words


@functools.cache
def capture(load):
    """The bytes that wrk really sends, so that what is proved is what is measured."""
    with socket.create_server((ADDRESS, 0)) as listener:
        listener.settimeout(CAPTURE_SECONDS)
        words = command(load, listener.getsockname()[1], connections=1, seconds=CAPTURE_SECONDS)
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as wrk:
            try:
                return receive_burst(listener, load.burst)
            except TimeoutError as error:
                raise Failure(f"wrk does not send {load.burst} requests at once: {' '.join(words)}") from error
            finally:
                wrk.kill()


def receive_burst(listener, burst):
    sent = b""
    while count_requests(sent) < burst:
        # Not the first connection: wrk opens one only to see whether somebody listens.
        with listener.accept()[0] as client:
            client.settimeout(CAPTURE_SECONDS)
            sent = b""
            while count_requests(sent) < burst and (more := client.recv(65536)):
                sent += more
    return sent


def count_requests(sent):
    """Whole ones, content included."""
    count = 0
    while (end := sent.find(b"\r\n\r\n")) >= 0:
        length = re.search(rb"^Content-Length: (\d+)\r$", sent[: end + 2], re.MULTILINE | re.IGNORECASE)
        end += 4 + (int(length[1]) if length else 0)
        if end > len(sent):
            break
        sent = sent[end:]
        count += 1
    return count


def prove(server, load, sent):
    """wrk counts statuses, not contents; so look once at every answer to what it sends."""
    server.ask(sent, [load.answer] * load.burst, load.closes)


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}[unit]


def percentile(output, rank, burst):
    if burst > 1:
        return None
    return microseconds(re.search(rf"^\s+{rank}%\s+(\S+)$", output, re.MULTILINE)[1])


def per_second(output):
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


def parse(output, cpu_ns, burst):
    requests = int(re.search(r"(\d+) requests in", output)[1])
    if requests == 0:
        raise Failure("no request was answered")
    return Run(
        requests=requests,
        cpu_us=cpu_ns / requests / 1000,
        per_second=per_second(output),
        p50_us=percentile(output, 50, burst),
        p99_us=percentile(output, 99, burst),
    )


def catches_interrupt(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"^SigCgt:\s+([0-9a-f]+)$", status, re.MULTILINE)[1], 16) >> (signal.SIGINT - 1) & 1


def interrupt(process, seconds):
    """So many seconds after wrk has begun, which may be late on a busy machine."""
    while process.poll() is None and not catches_interrupt(process):
        time.sleep(0.002)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)


def check(output):
    wrong = re.search(r"^\s*(Non-2xx.*|Socket errors.*)$", output, re.MULTILINE)
    if wrong:
        raise Failure(f"wrk: {wrong[1]}")


def output_of(words, seconds):
    """What wrk prints after that time. It stops within 0.1 s after an interrupt and prints the same as after its own."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            interrupt(process, seconds)
            output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
    if process.returncode != 0:
        raise Failure(f"wrk: {errors.strip() or output.strip()}")
    check(output)
    return output


def run(server, load, connections, seconds):
    words = command(load, server.port, connections, seconds)
    before = server.cpu_ns()
    output = output_of(words, seconds)
    return parse(output, server.cpu_ns() - before, load.burst)
