#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""promtool accepts the metrics page, and a real Prometheus scrapes it and answers queries about it."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAEMON = os.environ.get("PIPIT_DAEMON", str(ROOT / "build/pipit"))
# The daemon reads every PIPIT_ variable as an option, and would refuse PIPIT_DAEMON.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
PATIENCE_SECONDS = 60
CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: pipit
    static_configs: [{{targets: ["{target}"]}}]
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE_SECONDS) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def query(prometheus, expression):
    _, text = fetch(f"http://{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
    result = json.loads(text)["data"]["result"]
    return float(result[0]["value"][1]) if result else None


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {PATIENCE_SECONDS} s")


def check_page(daemon):
    for path in ("/hello/get", "/hello/get", "/nothing", "/healthz"):
        try:
            fetch(f"http://{daemon}{path}")
        except urllib.error.HTTPError as error:
            assert error.code == 404
    kind, page = fetch(f"http://{daemon}/metrics")
    assert kind == "text/plain; version=0.0.4; charset=utf-8", kind
    verdict = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    assert verdict.returncode == 0 and not verdict.stdout + verdict.stderr, verdict.stdout + verdict.stderr
    kind, page = fetch(f"http://{daemon}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text") and page.endswith("# EOF\n"), kind


def check_scrape(daemon, folder):
    prometheus = f"127.0.0.1:{free_port()}"
    config = pathlib.Path(folder, "prometheus.yml")
    config.write_text(CONFIG.format(target=daemon))
    with open(pathlib.Path(folder, "log"), "w") as log:
        process = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                                    f"--web.listen-address={prometheus}"], stdout=log, stderr=log)
    try:
        wait_for("prometheus finds pipit up", lambda: query(prometheus, 'up{job="pipit"}') == 1)
        hello = 'http_requests_total{route="/hello/get",code="200"}'
        wait_for("the counter of /hello/get is 2", lambda: query(prometheus, hello) == 2)
        wait_for("the scrape itself is counted", lambda: (query(prometheus, 'http_requests_total{route="/metrics"}') or 0) >= 2)
        # A scrape that fails on a busy machine leaves a gap.
        wait_for("the histogram of /hello/get has 2",
                 lambda: query(prometheus, 'sum(http_request_duration_seconds_bucket{route="/hello/get",le="+Inf"})') == 2)
        wait_for("every worker has events", lambda: (query(prometheus, 'min(event_base_events{kind="added"})') or 0) > 0)
        wait_for("there are many samples", lambda: (query(prometheus, "scrape_samples_scraped") or 0) > 50)
    except AssertionError:
        print(pathlib.Path(folder, "log").read_text()[-4000:])
        raise
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)


def main():
    missing = [tool for tool in ("prometheus", "promtool") if not shutil.which(tool)]
    if missing:
        sys.exit(f"not found: {' '.join(missing)}; `make test` unpacks them from Debian's package prometheus")
    daemon = subprocess.Popen([DAEMON, "--listen", "127.0.0.1:0", "--workers", "2"], stdout=subprocess.PIPE, text=True,
                              env=ENVIRONMENT)
    try:
        address = daemon.stdout.readline().split("http://")[1].strip()
        check_page(address)
        with tempfile.TemporaryDirectory() as folder:
            check_scrape(address, folder)
    finally:
        daemon.terminate()
        status = daemon.wait(timeout=PATIENCE_SECONDS)
    assert status == 0, f"the daemon ended with {status}"
    print("prometheus scrapes the page and answers queries about it")


if __name__ == "__main__":
    main()
