# SPDX-License-Identifier: MIT
"""What is read from a server before, during and after a run of wrk, mostly from its /metrics page.

A watch is a context manager around the run. It gets the server and a dictionary for further figures of the row."""

import contextlib
import http.client
import re
import socket
import threading
import time

from machine import ADDRESS, Failure

SCRAPE_EVERY_SECONDS = 0.1
SLOW_HEADS = 500
PATIENCE_SECONDS = 10
REQUEST_SERIES = b"\nhttp_requests_total{"


def connect(server):
    if server.peer.probe.tls:
        return http.client.HTTPSConnection(ADDRESS, server.port, timeout=PATIENCE_SECONDS, context=server.tls)
    return http.client.HTTPConnection(ADDRESS, server.port, timeout=PATIENCE_SECONDS)


def fetch(connection, path):
    """The body of an answer, which must be 200."""
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Failure(f"GET {path}: {error or repr(error)}") from error
    if response.status != 200:
        raise Failure(f"GET {path}: {response.status}")
    return content


def scrape(connection):
    page = fetch(connection, "/metrics")
    if REQUEST_SERIES not in page:
        raise Failure("/metrics has no http_requests_total")
    return page


def series(page, name, pattern=r"[^}]*"):
    """Values by their labels, which must match `pattern`."""
    found = re.findall(rf"^{name}\{{({pattern})\}} (\S+)$", page.decode(), re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def read_series(server, name, pattern=r"[^}]*"):
    with contextlib.closing(connect(server)) as connection:
        return series(scrape(connection), name, pattern)


# ---------------------------------------------------------------- what the server itself has counted


def answered(server):
    """Requests other than scrapes that the server counted as answered with 2xx."""
    found = read_series(server, "http_requests_total", r'.*code="2\d\d"')
    return round(sum(count for labels, count in found.items() if 'route="/metrics"' not in labels))


class Tally:
    """Compares the requests that wrk counted with those that the server counted since this object was made. Servers
    without /metrics are not checked."""

    def __init__(self, server):
        self.server = server
        self.before = answered(server) if server.peer.counts else 0
        self.log = server.path(server.peer.access_log) if server.peer.access_log else None
        if self.log:
            self.log.open("r+b").truncate(0)

    def check(self, requests, in_flight):
        """Requests that wrk does not wait for when it stops, at most `in_flight`, are counted by the server only."""
        if self.log:
            # The two scrapes of this class are logged too.
            with self.log.open("rb") as log:
                lines = sum(block.count(b"\n") for block in iter(lambda: log.read(1 << 20), b""))
            self.compare("logged", lines, requests, in_flight + 2)
            self.log.open("r+b").truncate(0)
        if self.server.peer.counts:
            self.compare("counted", answered(self.server) - self.before, requests, in_flight)

    def compare(self, verb, count, requests, in_flight):
        if not requests <= count <= requests + in_flight:
            raise Failure(f"the server {verb} {count} requests, wrk {requests} with {in_flight} more at most under way")


# ---------------------------------------------------------------- watches


def keep_scraping(server, stop, outcome):
    """Scrape once, then until `stop` is set. `outcome` gets the number of scrapes or the failure."""
    try:
        with contextlib.closing(connect(server)) as connection:
            while "scrapes" not in outcome or not stop.wait(SCRAPE_EVERY_SECONDS):
                scrape(connection)
                outcome["scrapes"] = outcome.get("scrapes", 0) + 1
    except Failure as failure:
        outcome["failure"] = failure


@contextlib.contextmanager
def scraped(server, figures):
    """Scrape during the run, more often than a Prometheus usually does."""
    stop, outcome = threading.Event(), {}
    thread = threading.Thread(target=keep_scraping, args=(server, stop, outcome))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if "failure" in outcome:
        raise outcome["failure"]
    figures["scrapes"] = outcome["scrapes"]


def keep_trickling(clients, stop):
    """One more byte of each head every second, until `stop` is set."""
    while not stop.wait(1):
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(b"b")


@contextlib.contextmanager
def beside_slow_heads(server, figures):
    """Hold connections whose request head never ends during the run."""
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(SLOW_HEADS):
            client = stack.enter_context(socket.create_connection((ADDRESS, server.port), PATIENCE_SECONDS))
            client.sendall(b"GET /json/hello HTTP/1.1\r\nHost: slow\r\nA: ")
            client.setblocking(False)
            clients.append(client)
        thread = threading.Thread(target=keep_trickling, args=(clients, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
    figures["slow heads"] = len(clients)


@contextlib.contextmanager
def shared(server, figures):
    """The shares of the workers in their busy time, which add up to 1."""
    before = read_series(server, "event_loop_busy_seconds_total")
    yield
    after = read_series(server, "event_loop_busy_seconds_total")
    spent = [after[worker] - before[worker] for worker in after]
    if len(spent) < 2 or sum(spent) <= 0:
        raise Failure(f"/metrics has no busy time of two workers: {after}")
    figures["least share"] = min(spent) / sum(spent)
    figures["most share"] = max(spent) / sum(spent)


# ---------------------------------------------------------------- before the first run


def hit_routes(count):
    """Send one request to each route of routes.c, so that /metrics has a series for each."""

    def hit(server):
        with contextlib.closing(connect(server)) as connection:
            for number in range(count - 1):
                fetch(connection, f"/route/{number}")
            check_series(scrape(connection), count)

    return hit


def check_series(page, count):
    found = page.count(REQUEST_SERIES)
    if found < count:
        raise Failure(f"/metrics has {found} series of http_requests_total, not {count}")


def time_scrapes(server, count, pause_seconds, wanted_series):
    """The seconds of each of `count` scrapes by one client, which pauses before each, and the last page."""
    taken = []
    with contextlib.closing(connect(server)) as connection:
        for _ in range(count):
            time.sleep(pause_seconds)
            begin = time.monotonic()
            page = scrape(connection)
            taken.append(time.monotonic() - begin)
            check_series(page, wanted_series)
    return taken, page
