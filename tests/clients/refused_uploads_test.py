#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""refused_uploads_test.py [--count N] [--url URL] [--clients A,B] [--proxies A,B]: uploads that pipit refuses before it has read them, by the clients
and proxies that are installed. Each client must get the status, each time: a connection that is closed too early destroys the reply
on its way. Says what is not installed. --url: another server, which is only shown, not judged."""
import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DAEMON = os.environ.get("PIPIT_DAEMON", str(ROOT / "build/pipit"))
# The daemon reads every PIPIT_ variable as an option.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
PATIENCE_SECONDS = 60

# name, path, method, bytes, framing, headers, status
CASES = [
    ("too large", "/json/echo", "POST", 5_000_000, "length", ["Content-Type=application/json"], 413),
    ("too large, chunked", "/json/echo", "POST", 5_000_000, "chunked", ["Content-Type=application/json"], 413),
    ("evhttp, too large", "/hello/post", "POST", 5_000_000, "length", [], 413),
    ("wrong method", "/metrics", "POST", 200_000, "length", [], 405),
    ("wrong method, chunked", "/metrics", "POST", 200_000, "chunked", [], 405),
    ("large header", "/json/echo", "POST", 500_000, "length", ["X-Large=" + "x" * 20_000], 431),
    ("wrong expectation", "/json/echo", "POST", 500_000, "length", ["Expect=nothing"], 417),
]
# What a client refuses to send, or answers itself.
IMPOSSIBLE = {
    ("wget", "chunked"): "cannot send chunks",
    ("urlconnection", "Expect"): "does not send Expect",
    ("httpclient", "Expect"): "does not send Expect",
    ("http.request", "Expect"): "raises an event for Expect",
    ("fetch", "Expect"): "does not send Expect",
}
# Caddy itself closes on a client that still sends, after 256 KiB.
SLOW_READER_BYTES = {"caddy": 256 * 1024}


class Client:
    def __init__(self, name, command, needs, probe=None):
        """needs: a program on the PATH; probe: a command that succeeds where the client is complete."""
        self.name, self.command, self.needs, self.probe = name, command, needs, probe

    def missing(self):
        if not shutil.which(self.needs):
            return f"{self.needs} is not installed"
        if self.probe and subprocess.run(self.probe, capture_output=True, check=False).returncode != 0:
            return f"{' '.join(self.probe)} fails"
        return None


def python(name, module):
    # The one that Debian's packages of httpx and requests belong to.
    interpreter = "/usr/bin/python3" if pathlib.Path("/usr/bin/python3").exists() else sys.executable
    return Client(name, [interpreter, str(HERE / f"{module}_client.py")], interpreter, [interpreter, "-c", f"import {name}"])


def clients(work):
    return [
        Client("curl", [str(HERE / "curl_client.sh")], "curl"),
        Client("wget", [str(HERE / "wget_client.sh")], "wget"),
        python("http.client", "http"),
        python("urllib.request", "urllib"),
        python("requests", "requests"),
        python("httpx", "httpx"),
        Client("go", [str(work / "go-client")], "go"),
        Client("httpclient", ["java", "-cp", str(work), "HttpClientUpload"], "javac"),
        Client("urlconnection", ["java", "-cp", str(work), "UrlConnectionUpload"], "javac"),
        Client("http.request", ["node", str(HERE / "http_request.mjs")], "node"),
        Client("fetch", ["node", str(HERE / "fetch.mjs")], "node", ["node", "-e", "if (!globalThis.fetch) process.exit(1)"]),
    ]


def build(work, names):
    if "go" in names:
        environment = {**os.environ, "GOCACHE": str(work / "gocache"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
        subprocess.run(["go", "build", "-o", str(work / "go-client"), str(HERE / "client.go")], check=True, env=environment)
    if "httpclient" in names or "urlconnection" in names:
        sources = [str(HERE / "HttpClientUpload.java"), str(HERE / "UrlConnectionUpload.java")]
        subprocess.run(["javac", "-d", str(work), *sources], check=True)


# --- servers ----------------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, name):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"{name} does not listen on port {port}")


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(name, command, port, log):
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRONMENT)
    try:
        wait_for(port, process, name)
        yield
    finally:
        stop(process)


def nginx(work, port, server):
    text = f"""daemon off; master_process off; pid {work}/nginx.pid; error_log {work}/nginx.log;
events {{}}
http {{ access_log off; client_max_body_size 0; large_client_header_buffers 4 64k;
  client_body_temp_path {work}/1; proxy_temp_path {work}/2; fastcgi_temp_path {work}/3; uwsgi_temp_path {work}/4; scgi_temp_path {work}/5;
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{server}; proxy_http_version 1.1; proxy_request_buffering off; proxy_set_header Connection ""; }} }} }}
"""
    (work / "nginx.conf").write_text(text)
    return ["nginx", "-c", f"{work}/nginx.conf", "-p", str(work)]


def haproxy(work, port, server):
    text = f"""global
  tune.bufsize 65536
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen front
  bind 127.0.0.1:{port}
  server pipit 127.0.0.1:{server}
"""
    (work / "haproxy.cfg").write_text(text)
    return ["haproxy", "-db", "-f", f"{work}/haproxy.cfg"]


def apache(work, port, server):
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in ("mpm_event", "proxy", "proxy_http", "authz_core")
    )
    text = f"""{modules}ServerRoot {work}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {work}/apache.pid
ErrorLog {work}/apache.log
Mutex file:{work}
LimitRequestFieldSize 65536
ProxyPass / http://127.0.0.1:{server}/
"""
    (work / "apache.conf").write_text(text)
    return ["apache2", "-DFOREGROUND", "-f", f"{work}/apache.conf"]


def varnish(work, port, server):
    return ["varnishd", "-F", "-n", f"{work}/varnish", "-a", f"127.0.0.1:{port}", "-b", f"127.0.0.1:{server}", "-p", "http_req_hdr_len=64k",
            "-p", "http_req_size=128k", "-p", "workspace_client=256k", "-p", "workspace_backend=256k"]


def caddy(work, port, server):
    text = f"{{\n admin off\n auto_https off\n storage file_system {work}/caddy\n}}\nhttp://127.0.0.1:{port} {{\n reverse_proxy 127.0.0.1:{server}\n}}\n"
    (work / "Caddyfile").write_text(text)
    return ["caddy", "run", "--config", f"{work}/Caddyfile", "--adapter", "caddyfile"]


PROXIES = {"nginx": ("nginx", nginx), "haproxy": ("haproxy", haproxy), "apache": ("apache2", apache), "varnish": ("varnishd", varnish),
           "caddy": ("caddy", caddy)}


# --- the table --------------------------------------------------------------------------------------------------------


def impossible(front, client, case):
    _, _, _, size, framing, fields, _ = case
    if client == "http.client" and size > SLOW_READER_BYTES.get(front, size):
        return f"{front} does not read so much by itself"
    if framing == "chunked" and (client, "chunked") in IMPOSSIBLE:
        return IMPOSSIBLE[client, "chunked"]
    return next((IMPOSSIBLE[client, name] for name in (field.split("=")[0] for field in fields) if (client, name) in IMPOSSIBLE), None)


def run(client, url, case, count):
    """The answers, one per upload."""
    _, path, method, size, framing, fields, _ = case
    command = [*client.command, url + path, method, str(size), framing, str(count), *fields]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120 + 10 * count, check=False)
    except subprocess.TimeoutExpired:
        return ["does not end"]
    return done.stdout.splitlines() or [done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no answer"]


def report(front, client, case, answers, count):
    """Whether each upload was answered as it must be."""
    name, status = case[0], case[6]
    good = answers.count(str(status))
    others = {answer: answers.count(answer) for answer in answers if answer != str(status)}
    line = f"{front:8} {client:15} {name:22} {status}: {good} of {count}"
    print(line + "".join(f"\n    {times} x {answer[:120]}" for answer, times in others.items()), flush=True)
    return good == count


def check(front, url, selected, cases, count):
    failed = 0
    for client in selected:
        for case in cases:
            reason = impossible(front, client.name, case)
            if reason:
                print(f"{front:8} {client.name:15} {case[0]:22} skipped: {reason}", flush=True)
            else:
                failed += not report(front, client.name, case, run(client, url, case, count), count)
    return failed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20, help="uploads per client and case")
    parser.add_argument("--url", help="another server")
    parser.add_argument("--clients", help="names, separated by commas; all that are installed by default")
    parser.add_argument("--proxies", help="names, separated by commas; all that are installed by default; empty: none")
    return parser.parse_args()


def installed(work, wanted):
    selected = []
    for client in clients(work):
        reason = client.missing()
        if wanted and client.name not in wanted.split(","):
            continue
        if reason:
            print(f"{client.name}: skipped: {reason}", flush=True)
        else:
            selected.append(client)
    build(work, [client.name for client in selected])
    return selected


def check_proxies(work, server, wanted, selected, count):
    failed = 0
    through = [client for client in selected if client.name in ("curl", "http.client", "go")]
    # A proxy answers to a wrong Expect and to its own limit of headers by itself.
    cases = [case for case in CASES if case[6] in (413, 405)]
    for name, (program, make) in PROXIES.items():
        if wanted is not None and name not in wanted.split(","):
            continue
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            print(f"{name}: skipped: {program} is not installed", flush=True)
            continue
        port = free_port()
        with running(name, make(work, port, server), port, work / f"{name}.out"):
            failed += check(name, f"http://127.0.0.1:{port}", through, cases, count)
    return failed


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="pipit-clients-") as folder:
        work = pathlib.Path(folder)
        selected = installed(work, options.clients)
        if options.url:
            check("-", options.url, selected, CASES, options.count)
            return
        port = free_port()
        command = [DAEMON, "--listen", f"127.0.0.1:{port}", "--log-level", "error"]
        with running("pipit", command, port, work / "pipit.out"):
            failed = check("-", f"http://127.0.0.1:{port}", selected, CASES, options.count)
            failed += check_proxies(work, port, options.proxies, selected, options.count)
    print(f"{failed} rows failed" if failed else "every upload was answered")
    sys.exit(1 if failed else 0)


main()
