#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kernel TLS of the real daemon: curl, openssl and Python's ssl get whole replies over records that the kernel has encrypted, which
/proc/net/tls_stat counts, and files by sendfile(). Skipped where the kernel has no TLS: tests/kernel/vm.sh runs it in a virtual machine
with Debian's kernel."""
import errno
import os
import pathlib
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
# pylint: disable=wrong-import-position
from served import DAEMON, ENVIRONMENT, PATIENCE_SECONDS, Group, end_with_verdict, running, temporary_folder, wait_for  # noqa: E402

SKIPPED = 77
TCP_ULP = 31  # linux/tcp.h
LARGE = os.urandom(20 * 1024 * 1024)
REQUEST = b"GET /json/hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
GREETING = b'{"message":"Hello, World!"}'
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CIPHERS = {
    "1.2": ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    "1.3": ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"),
}
# Bytes that the send buffer of a socket may hold, so that few fill it.
BUFFER_LIMIT = pathlib.Path("/proc/sys/net/ipv4/tcp_wmem")
SMALL_BUFFER = "4096 65536 65536"
SLOW_SIZES = range(65536, 196608, 3001)


def has_kernel_tls():
    with socket.socket() as unconnected:
        try:
            unconnected.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        except OSError as error:
            return error.errno == errno.ENOTCONN
    return False


def encrypted_connections():
    """Those whose sending side the kernel's own code has encrypted, since it started."""
    return int(re.search(r"TlsTxSw\s+(\d+)", pathlib.Path("/proc/net/tls_stat").read_text())[1])


class Server:
    def __init__(self, folder, *options, trace=None):
        words = [DAEMON, "--listen", "https://127.0.0.1:0", "--listen", "127.0.0.1:0", "--workers", "1", "--root", folder / "root",
                 "--tls-certificate", folder / "c/certificate.pem", "--tls-key", folder / "c/key.pem", "--access-log", "off", *options]
        if trace:
            words = ["strace", "-D", "-f", "-qq", "-o", trace, "-e", "trace=sendfile", *words]
        self.folder, self.messages = folder, folder / "messages"
        with open(self.messages, "w", encoding="utf-8") as messages:
            self.process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=messages, text=True, env=ENVIRONMENT)
        lines = [self.process.stdout.readline() for _ in range(2)]
        self.port, self.plain_port = (int(re.search(r"(\d+)\D*$", line)[1]) for line in lines)

    def said(self):
        return self.messages.read_text()

    def curl(self, path, *options):
        words = ["curl", "-sS", "--max-time", str(PATIENCE_SECONDS), "--cacert", self.folder / "c/certificate.pem", *options, f"https://localhost:{self.port}{path}"]
        return subprocess.run([str(word) for word in words], capture_output=True, timeout=2 * PATIENCE_SECONDS, check=False).stdout

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.plain_port}/metrics", timeout=PATIENCE_SECONDS) as page:
            return page.read().decode()

    def metric(self, sample):
        return float(re.search("^" + re.escape(sample) + r" (\S+)$", self.metrics(), re.M)[1])

    def partial_replies(self):
        return sum(int(match[1]) for match in re.finditer(r'^http_requests_total\{.*code="206".*\} (\d+)$', self.metrics(), re.M))

    def connect(self, session=None, context=None, buffer=0):
        client = socket.socket()
        client.settimeout(PATIENCE_SECONDS)
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.connect(("127.0.0.1", self.port))
        return (context or make_context()).wrap_socket(client, server_hostname="localhost", session=session, suppress_ragged_eofs=False)

    def stop(self):
        self.process.terminate()
        status = self.process.wait(timeout=PATIENCE_SECONDS)
        self.process.stdout.close()
        assert status == 0, f"the daemon ended with {status}: {self.said()}"


def make_context(version=None):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # An end without close_notify is an error.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def read_all(client):
    """To the close_notify; an end without it is an SSLEOFError."""
    pieces = []
    while piece := client.recv(262144):
        pieces.append(piece)
    return b"".join(pieces)


def read_until(client, wanted, count=1):
    text = b""
    while text.count(wanted) < count:
        piece = client.recv(65536)
        assert piece, text
        text += piece
    return text


def get(path, *fields):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


# --- the groups -------------------------------------------------------------------------------------------------------


def serves_with_every_cipher(folder):
    with Group("versions and ciphers") as group, running(Server(folder)) as server:
        group.true("a line at start", "names the kernel", "TLS: the kernel encrypts what is sent\n" in server.said(), server.said())
        before, count = encrypted_connections(), 0
        for version, names in CIPHERS.items():
            for name in names:
                options = ("--tls-max", "1.2", "--ciphers", name) if version == "1.2" else ("--tlsv1.3", "--tls13-ciphers", name)
                group.same(name, GREETING, server.curl("/json/hello", *options))
                group.true(f"{name}: a megabyte", "is whole", server.curl("/large", "-r", "0-999999", *options) == LARGE[:1000000])
                count += 2
        group.same("connections whose key the kernel has", count, encrypted_connections() - before)
        group.same("as /metrics counts them", count, server.metric("pipit_tls_kernel_handshakes_total"))
    with Group("--kernel-tls off") as group, running(Server(folder, "--kernel-tls", "off")) as server:
        before = encrypted_connections()
        group.same("a reply", GREETING, server.curl("/json/hello"))
        group.same("connections whose key the kernel has", (0, 0.0), (encrypted_connections() - before, server.metric("pipit_tls_kernel_handshakes_total")))


def sends_files(folder):
    trace = folder / "trace"
    with Group("sendfile()") as group, running(Server(folder, trace=trace)) as server:
        group.true("a file", "is whole", server.curl("/large") == LARGE)
        server.stop()
        sent = sum(int(match[1]) for match in re.finditer(r"sendfile\(.* = (\d+)$", trace.read_text(), re.M))
        group.same("bytes by sendfile()", len(LARGE), sent)


def serves_all_kinds(folder):
    with Group("kinds of replies") as group, running(Server(folder)) as server:
        head = server.curl("/large", "-I")
        group.true("HEAD", "a head", head.startswith(b"HTTP/1.1 200") and b"Content-Length: %d\r\n" % len(LARGE) in head, head)
        group.same("a range", LARGE[1000:2001], server.curl("/large", "-r", "1000-2000"))
        parts = server.curl("/large", "-r", "0-99999,20000000-20000100")
        group.true("two ranges", "both parts", LARGE[:100000] in parts and LARGE[20000000:20000101] in parts)
        group.same("an evhttp callback", b'{"message":"Hello, World!"}', server.curl("/hello/get"))
        body = folder / "body"
        body.write_text('["' + "x" * 300000 + '"]')
        group.same("a body of 300 KB", body.read_bytes(), server.curl("/json/echo", "-H", "Content-Type: application/json", "--data-binary", f"@{body}"))
        with server.connect() as client:
            client.sendall(REQUEST * 64)
            group.same("64 pipelined requests", 64, read_until(client, GREETING, 64).count(b"HTTP/1.1 200"))
            client.sendall(get("/large") * 2 + get("/json/hello", "Connection: close"))
            reply = read_all(client)
            group.same("two files and a greeting, and close_notify", (2, True), (reply.count(LARGE), reply.endswith(GREETING)))
        with server.connect() as client:
            client.sendall(get("/events"))
            group.true("events", "text/event-stream", b"text/event-stream" in read_until(client, b"\n\n", 3))
        with server.connect() as client:
            client.sendall(get("/large"))
            client.recv(1000)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        group.same("after a reset by a client", GREETING, server.curl("/json/hello"))
        reply = subprocess.run(["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{server.port}"], input="R\n", capture_output=True, text=True, check=False)
        group.true("renegotiation", "is refused", "no renegotiation" in reply.stderr or "handshake failure" in reply.stderr, reply.stderr[-300:])


def resumes(folder):
    with Group("resumption") as group, running(Server(folder)) as server:
        before = encrypted_connections()
        for version in (V12, V13):
            context, session = make_context(version), None
            for number in range(3):
                with server.connect(session, context) as client:
                    for _ in range(3):
                        client.sendall(REQUEST)
                        group.true("a reply", "200", read_until(client, GREETING).startswith(b"HTTP/1.1 200"))
                    group.same(f"{version.name}, connection {number}", number > 0, client.session_reused)
                    session = client.session
        group.same("connections whose key the kernel has", 6, encrypted_connections() - before)


def read_pipe_until(pipe, wanted):
    text = b""
    while wanted not in text:
        piece = os.read(pipe.fileno(), 65536)
        assert piece, text
        text += piece


def survives_key_updates(folder):
    """The client's new keys are for what it sends. With K it asks for new ones of the server, which keeps its own (docs/tls.md)."""
    with Group("key updates") as group, running(Server(folder)) as server:
        for letters in ("k", "K", "KkK"):
            words = ["openssl", "s_client", "-tls1_3", "-connect", f"127.0.0.1:{server.port}"]
            with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as client:
                for letter in letters:
                    client.stdin.write(f"{letter}\n".encode())
                    read_pipe_until(client.stderr, b"KEYUPDATE")
                    client.stdin.write(get("/json/hello"))
                    read_pipe_until(client.stdout, GREETING)
                client.stdin.write(get("/json/hello", "Connection: close"))
                reply = client.stdout.read()
            group.true(f"the last reply after {letters}", "a greeting", GREETING in reply, reply)


def waits_for_slow_clients(folder):
    """The kernel accepts a last record that TCP has no room for: a close must not come before it has been sent."""
    with Group("clients that read late") as group:
        if os.getuid() != 0:
            group.notes.append(f"skipped: only root can write to {BUFFER_LIMIT}")
            return
        limit = BUFFER_LIMIT.read_text()
        try:
            BUFFER_LIMIT.write_text(SMALL_BUFFER)
            with running(Server(folder)) as server:
                for size in SLOW_SIZES:
                    read_late(group, server, size)
                group.same("connections whose key the kernel has", len(SLOW_SIZES), server.metric("pipit_tls_kernel_handshakes_total"))
        finally:
            BUFFER_LIMIT.write_text(limit)


def read_late(group, server, size):
    before = server.partial_replies()
    with server.connect(buffer=4096) as client:
        client.sendall(get("/large", f"Range: bytes=0-{size - 1}", "Connection: close"))
        # Until the server has sent all, or what the socket takes.
        wait_for("the reply", lambda: server.metric('http_connections{state="writing"}') == 1 or server.partial_replies() > before)
        try:
            got = read_all(client)
        except (ssl.SSLError, OSError) as error:
            group.differ(f"{size} bytes", "close_notify", error)
            return
        group.true(f"{size} bytes", "are whole", got.endswith(LARGE[size - 100:size]), len(got))


def drains(folder):
    size = 5_000_000
    with Group("draining") as group, running(Server(folder, "--drain-timeout", "60s")) as server, server.connect(buffer=65536) as client:
        client.sendall(get("/large", f"Range: bytes=0-{size - 1}"))
        text = client.recv(65536)
        server.process.send_signal(signal.SIGTERM)
        wait_for("the drain", lambda: "draining" in server.said())
        text += read_all(client)
        group.true("a download that has begun", "is whole", text.endswith(LARGE[size - 1000:size]), len(text))


def main():
    if not has_kernel_tls():
        print("skipped: this kernel has no TLS, or its module is not loaded (modprobe tls)")
        sys.exit(SKIPPED)
    with temporary_folder() as name:
        folder = pathlib.Path(name)
        (folder / "root").mkdir()
        (folder / "root/large").write_bytes(LARGE)
        subprocess.run([DAEMON, "--make-test-certificate", folder / "c"], check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        for part in (serves_with_every_cipher, sends_files, serves_all_kinds, resumes, survives_key_updates, waits_for_slow_clients, drains):
            part(folder)
    end_with_verdict()


if __name__ == "__main__":
    main()
