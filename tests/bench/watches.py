# SPDX-License-Identifier: MIT
"""What is read of a server around and during a run of wrk, mostly from its /metrics page.

A watch is a context manager around the run that is given the server and a dictionary for further figures of the row."""

import contextlib
import http.client
import re
import threading
import time

from machine import ADDRESS, Failure

SCRAPE_EVERY_SECONDS = 0.1
PATIENCE_SECONDS = 10
REQUEST_SERIES = b"\nhttp_requests_total{"


def connect(server):
    return http.client.HTTPConnection(ADDRESS, server.port, timeout=PATIENCE_SECONDS)


def fetch(connection, path):
    """Content of an answer that must be 200."""
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
        raise Failure("/metrics does not tell of any request")
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
    """Requests that the server says it answered with 2xx, other than scrapes."""
    found = read_series(server, "http_requests_total", r'.*code="2\d\d"')
    return round(sum(count for labels, count in found.items() if 'route="/metrics"' not in labels))


class Tally:
    """What the server counted while wrk counted: whoever counts incomplete requests is found out here. Begins where it
    is made. Servers without /metrics are believed."""

    def __init__(self, server):
        self.server = server
        self.before = answered(server) if server.peer.counts else 0
        self.log = server.path(server.peer.access_log) if server.peer.access_log else None
        if self.log:
            self.log.open("r+b").truncate(0)

    def check(self, requests, in_flight):
        """What is under way when wrk stops, at most `in_flight`, is answered and not counted by wrk."""
        if self.log:
            # Besides: the scrapes of this class.
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
    """Of a thread: scrape at least once, then until told to stop; `outcome` gets the number of scrapes or the failure."""
    try:
        with contextlib.closing(connect(server)) as connection:
            while "scrapes" not in outcome or not stop.wait(SCRAPE_EVERY_SECONDS):
                scrape(connection)
                outcome["scrapes"] = outcome.get("scrapes", 0) + 1
    except Failure as failure:
        outcome["failure"] = failure


@contextlib.contextmanager
def scraped(server, figures):
    """A Prometheus with an impatient configuration."""
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


@contextlib.contextmanager
def shared(server, figures):
    """How the workers shared the time that they were busy, as parts of 1."""
    before = read_series(server, "event_loop_busy_seconds_total")
    yield
    after = read_series(server, "event_loop_busy_seconds_total")
    spent = [after[worker] - before[worker] for worker in after]
    if len(spent) < 2 or sum(spent) <= 0:
        raise Failure(f"/metrics does not tell what the workers did: {after}")
    figures["least share"] = min(spent) / sum(spent)
    figures["most share"] = max(spent) / sum(spent)


# ---------------------------------------------------------------- before the first run


def hit_routes(count):
    """For a server of routes.c with `count` routes: one request to each, so that /metrics has a series for each."""

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
    """Seconds of each of `count` scrapes by one client, which takes a pause before each, and the last page."""
    taken = []
    with contextlib.closing(connect(server)) as connection:
        for _ in range(count):
            time.sleep(pause_seconds)
            begin = time.monotonic()
            page = scrape(connection)
            taken.append(time.monotonic() - begin)
            check_series(page, wanted_series)
    return taken, page
