# SPDX-License-Identifier: MIT
"""wrk, the client: what it sends, whether the server answers it correctly, and what wrk measured."""

import dataclasses
import functools
import math
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from machine import ADDRESS, HERE, Failure

CAPTURE_SECONDS = 10
# Added to the time that wrk runs.
PATIENCE_SECONDS = 60
# wrk reports a request that takes longer as an error; its own 2 s are too short on a busy machine.
REQUEST_SECONDS = 20
# The longest run that a server gets for its first answer.
FIRST_ANSWER_SECONDS = 30
# Servers let the client choose the cipher, so all use the same one.
TLS_ENVIRONMENT = {**os.environ, "OPENSSL_CONF": str(HERE / "tls_client.cnf")}


@dataclasses.dataclass(frozen=True)
class Run:
    """One measurement. Bursts have no latencies: wrk fills the gaps between its samples as if each request had waited for
    the one before, and the percentiles it then prints are wrong, even 0."""

    requests: int
    cpu_us: float  # of the server, for each request
    per_second: float
    p50_us: float | None
    p99_us: float | None
    figures: dict = dataclasses.field(default_factory=dict)  # of a watch


def program(cores, connections, seconds):
    """The first words of the command. wrk takes whole seconds only, so it gets more than needed, and output_of() or
    capture() stops it."""
    words = ["taskset", "-c", ",".join(map(str, cores)), "wrk", f"-t{min(connections, len(cores))}", f"-c{connections}"]
    return [*words, f"--timeout={REQUEST_SECONDS}s", f"-d{math.ceil(seconds) + PATIENCE_SECONDS}s"]


def command(load, port, connections, seconds):
    words = [*program(load.cores, connections, seconds), "--latency"]
    for header in load.headers:
        words += ["-H", header]
    if load.script:
        words += ["-s", str(HERE / load.script)]
    words.append(f"{'https' if load.tls else 'http'}://{ADDRESS}:{port}{load.path}")
    return [*words, "--", *load.arguments] if load.arguments else words


@functools.cache
def capture(load):
    """The bytes that wrk sends, so that the check and the measurement use the same requests."""
    with socket.create_server((ADDRESS, 0)) as listener:
        listener.settimeout(CAPTURE_SECONDS)
        words = command(dataclasses.replace(load, tls=False), listener.getsockname()[1], connections=1, seconds=CAPTURE_SECONDS)
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
        # Not the first connection: wrk opens one only to test whether the port listens.
        with listener.accept()[0] as client:
            client.settimeout(CAPTURE_SECONDS)
            sent = b""
            while count_requests(sent) < burst and (more := client.recv(65536)):
                sent += more
    return sent


def count_requests(sent):
    """Complete ones, with their bodies."""
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
    """Check the answers to what wrk sends, because wrk looks at the status only."""
    server.ask(sent, [load.answer] * load.burst, load.closes)


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}[unit]


def percentile(output, rank, burst):
    if burst > 1:
        return None
    found = re.search(rf"^\s+{rank}%\s+(\S+) *$", output, re.MULTILINE)
    if not found:
        raise Failure(f"wrk prints no latencies: {output}")
    return microseconds(found[1])


def per_second(output):
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


def count_answered(output):
    return int(re.search(r"(\d+) requests in", output)[1])


def parse(output, cpu_ns, burst):
    requests = count_answered(output)
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
    """Interrupt wrk so many seconds after it has started, which takes a while on a busy machine."""
    while process.poll() is None and not catches_interrupt(process):
        time.sleep(0.002)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)


def check(output):
    wrong = re.search(r"^\s*(Non-2xx.*|Socket errors.*)$", output, re.MULTILINE)
    if wrong:
        raise Failure(f"wrk: {wrong[1]}")


def output_of(words, seconds):
    """What wrk prints. After an interrupt it stops within 0.1 s and prints the same as at its own end."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=TLS_ENVIRONMENT) as process:
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
    """A run without an answer is repeated, each time longer: on a busy machine, a large file does not arrive in 0.1 s."""
    while True:
        words = command(load, server.port, connections, seconds)
        before = server.cpu_ns()
        output = output_of(words, seconds)
        if count_answered(output):
            return parse(output, server.cpu_ns() - before, load.burst)
        seconds *= 4
        if seconds > FIRST_ANSWER_SECONDS:
            raise Failure("no request was answered")
