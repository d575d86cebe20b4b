#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""front_ends_test.py [NAME...]: pipit behind nginx, HAProxy and Apache, as far as they are installed. Two clients take turns at each of them,
and send headers that name other clients. The access log must have the client's own address, each time. Says what is not installed."""
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAEMON = os.environ.get("PIPIT_DAEMON", str(ROOT / "build/pipit"))
# The daemon reads every PIPIT_ variable as an option.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
PATIENCE_SECONDS = 60
CLIENTS = ["127.0.0.5", "127.0.0.6"]
PROXY = "127.0.0.1"
# Of a client that names another one.
FORGED = {"X-Forwarded-For": "203.0.113.1", "Forwarded": 'for=203.0.113.2, for="203.0.113.3', "X-Real-IP": "203.0.113.4"}
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
APACHE_MODULES = "/usr/lib/apache2/modules"
numbers = itertools.count()


class Different(Exception):
    pass


# --- programs ---------------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind((PROXY, 0))
        return probe.getsockname()[1]


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise Different(f"{what}: not within {PATIENCE_SECONDS} s")


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection((PROXY, port), 1):
        return True
    return False


@contextlib.contextmanager
def running(command, ports, log):
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRONMENT)
    try:
        for port in ports:
            wait_until(lambda at=port: process.poll() is not None or accepts(at), f"{command[0]} on port {port}")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Pipit:
    """With addresses for PROXY headers and for HTTP, of IP and of UNIX."""

    def __init__(self, work, header):
        self.header, self.log = header, work / f"access-{header}"
        self.proxy, self.plain = free_port(), free_port()
        self.proxy_socket, self.plain_socket = work / f"proxy-{header}", work / f"plain-{header}"
        self.command = [DAEMON, "--access-log", str(self.log), "--log-format", "json", "--trusted-proxy", f"{PROXY} unix:",
            "--trusted-header", header, "--hosts", "*", "--sandbox", "off",
            "--listen", f"{PROXY}:{self.proxy},proxy-protocol", "--listen", f"{PROXY}:{self.plain}",
            "--listen", f"unix:{self.proxy_socket},mode=0666,proxy-protocol", "--listen", f"unix:{self.plain_socket},mode=0666"]

    def peer_of(self, target):
        def find():
            for line in self.log.read_text(encoding="utf-8").splitlines():
                if target in line:
                    return json.loads(line)["peer"]
            return None
        return wait_until(find, f"the access line of {target}")

    def metric(self, sample):
        connection = http.client.HTTPConnection(PROXY, self.plain, timeout=PATIENCE_SECONDS)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        connection.close()
        return int(next(line for line in page.splitlines() if line.startswith(sample)).rsplit(" ", 1)[1])


# --- front ends -------------------------------------------------------------------------------------------------------


def nginx(work, name, text):
    (work / f"{name}.conf").write_text(f"daemon off; pid {work}/{name}.pid; error_log stderr; worker_processes 1;\n{text}")
    return ["nginx", "-e", "stderr", "-p", str(work), "-c", str(work / f"{name}.conf")]


def nginx_stream(work, port, target):
    return nginx(work, f"stream-{port}", f"load_module {NGINX_STREAM}; events {{}}\n"
        f"stream {{ server {{ listen {PROXY}:{port}; proxy_pass {target}; proxy_protocol on; }} }}\n")


def nginx_http(work, port, target):
    paths = " ".join(f"{kind}_temp_path {work}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return nginx(work, f"http-{port}", f"events {{}}\nhttp {{ access_log off; {paths}\n"
        f"  upstream pipit {{ server {target}; keepalive 4; }}\n"
        f"  server {{ listen {PROXY}:{port}; location / {{ proxy_pass http://pipit; proxy_http_version 1.1;\n"
        '    proxy_set_header Connection ""; proxy_set_header X-Forwarded-Proto $scheme;\n'
        "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } } }\n")


def haproxy(work, port, mode, lines):
    (work / f"haproxy-{port}.cfg").write_text(f"defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 60s\n"
        f"  timeout server 60s\nlisten front\n  bind {PROXY}:{port}\n  " + "\n  ".join(lines) + "\n")
    return ["haproxy", "-db", "-f", str(work / f"haproxy-{port}.cfg")]


def apache(work, port, target):
    modules = "".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n" for name in
        ("mpm_event", "authz_core", "proxy", "proxy_http"))
    (work / f"apache-{port}.conf").write_text(f"{modules}ServerRoot {work}\nPidFile {work}/apache-{port}.pid\nErrorLog /dev/stderr\n"
        f"Listen {PROXY}:{port}\nServerName localhost\nProxyPass / http://{target}/\n")
    return ["apache2", "-D", "FOREGROUND", "-f", str(work / f"apache-{port}.conf")]


def missing(program):
    return None if shutil.which(program) else f"{program} is not installed"


def missing_stream():
    return missing("nginx") or (None if os.path.exists(NGINX_STREAM) else "libnginx-mod-stream is not installed")


def in_a_row(work, port, pipit):
    inner = free_port()
    return [nginx_http(work, port, f"{PROXY}:{inner}"), haproxy(work, inner, "http", ["option forwardfor", f"server s {PROXY}:{pipit.plain}"])]


# name, trusted header, what is missing, commands for (work, port, pipit); the first one listens on the port
FRONT_ENDS = [
    ("nginx stream", "x-forwarded-for", missing_stream,
        lambda work, port, pipit: [nginx_stream(work, port, f"{PROXY}:{pipit.proxy}")]),
    ("nginx stream, UNIX", "x-forwarded-for", missing_stream,
        lambda work, port, pipit: [nginx_stream(work, port, f"unix:{pipit.proxy_socket}")]),
    ("nginx http", "x-forwarded-for", lambda: missing("nginx"),
        lambda work, port, pipit: [nginx_http(work, port, f"{PROXY}:{pipit.plain}")]),
    ("nginx http, UNIX", "x-forwarded-for", lambda: missing("nginx"),
        lambda work, port, pipit: [nginx_http(work, port, f"unix:{pipit.plain_socket}")]),
    ("HAProxy send-proxy", "x-forwarded-for", lambda: missing("haproxy"),
        lambda work, port, pipit: [haproxy(work, port, "tcp", [f"server s {PROXY}:{pipit.proxy} send-proxy check inter 50ms"])]),
    ("HAProxy send-proxy-v2", "forwarded", lambda: missing("haproxy"),
        lambda work, port, pipit: [haproxy(work, port, "tcp", [f"server s {PROXY}:{pipit.proxy} send-proxy-v2 check inter 50ms"])]),
    ("HAProxy send-proxy-v2 with TLVs, UNIX", "x-forwarded-for", lambda: missing("haproxy"),
        lambda work, port, pipit: [haproxy(work, port, "tcp",
            [f"server s unix@{pipit.proxy_socket} send-proxy-v2 proxy-v2-options unique-id,crc32c check inter 50ms"])]),
    ("HAProxy http, send-proxy-v2", "x-forwarded-for", lambda: missing("haproxy"),
        lambda work, port, pipit: [haproxy(work, port, "http", [f"server s {PROXY}:{pipit.proxy} send-proxy-v2"])]),
    ("HAProxy forwardfor", "x-forwarded-for", lambda: missing("haproxy"),
        lambda work, port, pipit: [haproxy(work, port, "http", ["option forwardfor", f"server s {PROXY}:{pipit.plain}"])]),
    ("HAProxy set-header Forwarded", "forwarded", lambda: missing("haproxy"),
        lambda work, port, pipit: [haproxy(work, port, "http",
            ["http-request set-header Forwarded for=%[src];proto=http", f"server s {PROXY}:{pipit.plain}"])]),
    ("HAProxy add-header Forwarded", "forwarded", lambda: missing("haproxy"),
        lambda work, port, pipit: [haproxy(work, port, "http",
            ["http-request add-header Forwarded for=%[src];proto=http", f"server s {PROXY}:{pipit.plain}"])]),
    ("Apache", "x-forwarded-for", lambda: missing("apache2"),
        lambda work, port, pipit: [apache(work, port, f"{PROXY}:{pipit.plain}")]),
    ("nginx before HAProxy", "x-forwarded-for", lambda: missing("nginx") or missing("haproxy"),
        in_a_row),
]


# --- requests ---------------------------------------------------------------------------------------------------------


def ask(port, address, headers):
    """Returns the target, which is not used again."""
    target = f"/hello/get?case-{next(numbers)}-end"
    connection = http.client.HTTPConnection(PROXY, port, timeout=PATIENCE_SECONDS, source_address=(address, 0))
    connection.request("GET", target, headers=headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise Different(f"status {response.status} in the place of 200")
    return target


def serves(port):
    with contextlib.suppress(Different, OSError, http.client.HTTPException):
        return ask(port, CLIENTS[0], {})
    return None


def expect(pipit, target, address):
    peer = pipit.peer_of(target)
    if peer != address:
        raise Different(f"the log has {peer} in the place of {address}")


def check_front_end(work, pipit, make):
    port, count = free_port(), 0
    with contextlib.ExitStack() as stack:
        # The one behind first.
        for number, command in enumerate(reversed(make(work, port, pipit))):
            stack.enter_context(running(command, [], work / f"front-end-{port}-{number}.log"))
        wait_until(lambda: serves(port), f"{command[0]} on port {port}")
        for address in CLIENTS * 3:
            for headers in ({}, FORGED):
                expect(pipit, ask(port, address, headers), address)
                count += 1
    return count


def check_curl(pipit):
    """It names itself in its header."""
    target = f"/hello/get?case-{next(numbers)}-end"
    subprocess.run(["curl", "-sS", "-f", "-m", str(PATIENCE_SECONDS), "-o", "/dev/null", "--haproxy-protocol",
        f"http://{PROXY}:{pipit.proxy}{target}"], check=True)
    expect(pipit, target, PROXY)
    return 1


def check_direct(pipit):
    """A client that is no proxy is believed nothing, and may not connect where a proxy must."""
    for address in CLIENTS:
        expect(pipit, ask(pipit.plain, address, FORGED), address)
        before = pipit.metric('http_rejected_total{reason="untrusted_proxy"}')
        with socket.create_connection((PROXY, pipit.proxy), PATIENCE_SECONDS, source_address=(address, 0)) as client:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                client.sendall(b"PROXY TCP4 203.0.113.1 203.0.113.2 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
                if client.recv(1):
                    raise Different("an untrusted proxy gets a reply")
        wait_until(lambda: pipit.metric('http_rejected_total{reason="untrusted_proxy"}') == before + 1, "an untrusted proxy is counted")
    return 2 * len(CLIENTS)


def main(wanted):
    failed = 0
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pipit-front-ends-")))
        # nginx and Apache become other users.
        work.chmod(0o777)
        pipits = {header: Pipit(work, header) for header in ("x-forwarded-for", "forwarded")}
        for pipit in pipits.values():
            stack.enter_context(running(pipit.command, [pipit.plain], work / f"pipit-{pipit.header}.log"))
        checks = [(name, why(), lambda header=header, make=make: check_front_end(work, pipits[header], make))
            for name, header, why, make in FRONT_ENDS]
        checks.append(("curl --haproxy-protocol", missing("curl"), lambda: check_curl(pipits["x-forwarded-for"])))
        checks.append(("no proxy", None, lambda: check_direct(pipits["x-forwarded-for"])))
        for name, why, check in checks:
            if wanted and name not in wanted:
                continue
            if why:
                print(f"{name}: skipped, {why}", flush=True)
                continue
            try:
                print(f"{name}: {check()} requests have their client's address", flush=True)
            except (Different, OSError, subprocess.CalledProcessError) as error:
                failed += 1
                print(f"{name}: {error}", flush=True)
        # Health checks included.
        for pipit in pipits.values():
            if pipit.metric('http_rejected_total{reason="proxy_header"}'):
                failed += 1
                print(f"{pipit.header}: a front end has sent a wrong header", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
