# SPDX-License-Identifier: MIT
"""Shared by the tests of static files: a temporary root, the real daemon and nginx serving it, requests as bytes, and a count of the
checks."""
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAEMON = os.environ.get("PIPIT_DAEMON", str(ROOT / "build/pipit"))
# The daemon reads every PIPIT_ variable as an option, and would refuse PIPIT_DAEMON.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
if "TSAN_OPTIONS" in ENVIRONMENT:
    # Suppressions name functions, which TSan gets from a program that it starts.
    ENVIRONMENT["PIPIT_SANDBOX"] = "off"
PATIENCE_SECONDS = 60
NOBODY = 65534
# Printed differences of a group; the rest is only counted.
SHOWN_DIFFERENCES = 20
# A file counts as changing for a tenth of a second: its ETag is weak then, and it is not compressed.
SETTLED_SECONDS = 0.15
OLD = 1614834367  # Thu, 04 Mar 2021 05:06:07 GMT
NGINX_CONFIG = """\
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 64; }}
http {{
  access_log off; keepalive_requests 1000000; etag on; if_modified_since before; {gzip_static}
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  types {{ text/html html; text/css css; text/plain txt; }} default_type application/octet-stream;
  server {{ listen unix:{folder}/socket; root {root}; }}
}}
"""


# --- checks -----------------------------------------------------------------------------------------------------------


class Group:
    """Checks of one kind: `with Group("ranges") as group` prints every difference as it occurs, and a line at the end."""

    failed = 0

    def __init__(self, name):
        self.name, self.checked, self.differences, self.notes = name, 0, 0, []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind and issubclass(kind, (AssertionError, OSError)):
            self.differ("the group", "an end", f"{kind.__name__}: {error}")
        verdict = f"{self.differences} DIFFERENCES in " if self.differences else ""
        print(f"{self.name}: {verdict}{self.checked} checks{''.join(', ' + note for note in self.notes)}", flush=True)
        return kind is not None and issubclass(kind, (AssertionError, OSError))

    def differ(self, asked, expected, got):
        self.differences += 1
        Group.failed += 1
        if self.differences <= SHOWN_DIFFERENCES:
            print(f"{self.name}: {asked}\n  expected {expected}\n  got      {got}", flush=True)

    def same(self, asked, expected, got):
        self.checked += 1
        if expected != got:
            self.differ(asked, shorten(expected), shorten(got))
        return expected == got

    def true(self, asked, expected, condition, got=""):
        """expected: in words."""
        self.checked += 1
        if not condition:
            self.differ(asked, expected, shorten(got))
        return condition


def shorten(value):
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:300]}… ({len(value) if hasattr(value, '__len__') else len(text)})"


def end_with_verdict():
    if Group.failed:
        print(f"{Group.failed} differences")
        sys.exit(1)


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_SECONDS} s"
        time.sleep(0.02)


# --- requests and replies ---------------------------------------------------------------------------------------------


class Reply:
    """A complete reply with valid framing."""

    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.[01] (\d{3}) [^\r\n]*", lines[0])
        assert match, f"no status line: {lines[0][:200]!r}"
        self.status = int(match.group(1))
        self.fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            assert colon and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name), f"no header: {line[:200]!r}"
            self.fields.append((name.lower(), value.strip(" \t")))
        self.content = b""

    def get(self, name):
        """The value of a header that may occur once; None if it is missing."""
        values = [value for other, value in self.fields if other == name.lower()]
        if name.lower() == "vary":
            return ", ".join(values) or None
        assert len(values) <= 1, f"{name} occurs {len(values)} times: {values}"
        return values[0] if values else None

    def without(self, *names):
        return sorted((name, value) for name, value in self.fields if name not in names)

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.content[:200]!r}>"


def write_request(method, target, fields=(), version="HTTP/1.1", content=None):
    """target and values: text, each character a byte; content: bytes. Adds a Host header unless there is one."""
    lines = [f"{method} {target} {version}"]
    if not any(name.lower() == "host" for name, _ in fields):
        lines.append("Host: x")
    lines += [f"{name}: {value}" for name, value in fields]
    if content is not None:
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + (content or b"")


def show(method, target, fields):
    told = "; ".join(f"{name}: {value if len(value) < 200 else value[:150] + '…'}" for name, value in fields)
    return f"{method} {target[:200]} {told}".rstrip()


class Client:
    """A keep-alive connection, opened again after a reply that closes it. address: a pair, or a path."""

    def __init__(self, address, asks_again=False):
        """asks_again: for a server that closes after "Connection: keep-alive", as nginx does after 412."""
        self.address, self.asks_again, self.socket, self.bytes = address, asks_again, None, b""

    def open(self):
        is_path = isinstance(self.address, str)
        self.socket = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect(self.address)
        if not is_path:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes = b""

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def more(self):
        received = self.socket.recv(262144)
        self.bytes += received
        return bool(received)

    def send(self, request):
        if not self.socket:
            self.open()
        self.socket.sendall(request)

    def read_head(self):
        while b"\r\n\r\n" not in self.bytes:
            assert self.more(), f"closed within a head: {self.bytes[:200]!r}"
        head, _, self.bytes = self.bytes.partition(b"\r\n\r\n")
        return Reply(head)

    def read_content(self, reply, method):
        """Reads exactly Content-Length bytes, or up to the end of the connection."""
        length, pieces = reply.get("content-length"), []
        assert reply.get("transfer-encoding") is None, "files are not sent in chunks"
        if length is not None:
            assert re.fullmatch(r"0|[1-9]\d*", length), f"Content-Length: {length}"
        if method == "HEAD" or reply.status in (204, 304):
            assert reply.status != 204 or length is None, "a 204 has no Content-Length"
            wanted = 0
        elif length is None:
            assert "close" in (reply.get("connection") or ""), "neither a length nor the end of the connection"
            wanted = None
        else:
            wanted = int(length)
        while wanted is None or len(self.bytes) + sum(map(len, pieces)) < wanted:
            pieces.append(self.bytes)
            self.bytes = b""
            if not self.more():
                assert wanted is None, f"closed after {sum(map(len, pieces))} of {wanted} bytes"
                break
        reply.content = b"".join(pieces) + self.bytes
        self.bytes = b""
        assert wanted is None or len(reply.content) == wanted, f"bytes after the body:  {reply.content[wanted:][:200]!r}"

    def read(self, method="GET"):
        reply = self.read_head()
        self.read_content(reply, method)
        if "close" in (reply.get("connection") or "").lower():
            try:
                assert not self.more(), f"bytes after the last reply:  {self.bytes[:200]!r}"
            except ConnectionResetError:
                pass
            self.close()
        return reply

    def ask(self, target, *fields, method="GET", version="HTTP/1.1", content=None):
        """fields: pairs. An error of the framing is reported with the request."""
        request = write_request(method, target, fields, version, content)
        try:
            if self.asks_again and self.socket:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send(request)
                    if self.more():
                        return self.read(method)
                self.close()
            self.send(request)
            return self.read(method)
        except (AssertionError, OSError) as error:
            self.close()
            raise AssertionError(f"{show(method, target, fields)}: {error}") from error

    def finish(self, target="/"):
        """Closes after a last reply: surplus bytes of an earlier one are detected here."""
        reply = self.ask(target, ("Connection", "close"))
        assert self.socket is None, "the connection is kept although its end was asked for"
        return reply


# --- servers ----------------------------------------------------------------------------------------------------------


def settle():
    """Waits until no file counts as changing."""
    time.sleep(SETTLED_SECONDS)


class Daemon:
    """Serves the root, whose files must first be old enough for strong ETags."""

    def __init__(self, root, *options, **how):
        settle()
        self.process = subprocess.Popen([DAEMON, "--listen", "127.0.0.1:0", "--workers", "1", "--log-level", "error",
                                         "--root", str(root), *options],
                                        stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, **how)
        line = self.process.stdout.readline()
        assert "http://" in line, f"the daemon does not start with {options}"
        host, port = line.split("http://")[1].strip().rsplit(":", 1)
        self.address = (host, int(port))

    def client(self):
        return Client(self.address)

    def memory(self, name):
        """A line of /proc/PID/status, in bytes: VmRSS is the memory now, VmHWM the maximum."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE).group(1)) * 1024

    def stop(self):
        self.process.terminate()
        status = self.process.wait(timeout=PATIENCE_SECONDS)
        self.process.stdout.close()
        assert status == 0, f"the daemon ended with {status}"


class Nginx:
    def __init__(self, root, folder):
        self.folder = str(folder)
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if not program:
            sys.exit("not found: nginx; install Debian's nginx-light")
        about = subprocess.run([program, "-V"], capture_output=True, text=True).stderr
        self.has_gzip_static = "http_gzip_static_module" in about
        config = pathlib.Path(folder, "nginx.conf")
        gzip_static = "gzip_static on;" if self.has_gzip_static else ""
        config.write_text(NGINX_CONFIG.format(folder=folder, root=root, gzip_static=gzip_static))
        self.process = subprocess.Popen([program, "-e", "stderr", "-p", str(folder), "-c", str(config)])
        self.address = f"{folder}/socket"
        try:
            wait_for("nginx answers", self.answers)
        except AssertionError:
            self.stop()
            raise

    def answers(self):
        assert self.process.poll() is None, f"nginx ended with {self.process.returncode}"
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.address) == 0

    def client(self):
        return Client(self.address, asks_again=True)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=PATIENCE_SECONDS)


def drop_override():
    """Takes the right to read everything from root, in a child. The numbers are those of Linux."""
    PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def unprivileged():
    """Arguments that start a daemon without the right to read everything; None where that is impossible."""
    if os.getuid():
        return {}
    # Another user may not be able to run a daemon in root's folder.
    for how in ({"user": NOBODY, "group": NOBODY, "extra_groups": []}, {"preexec_fn": drop_override}):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run([DAEMON, "--version"], stdout=subprocess.DEVNULL, check=True, **how)
            return how
    return None


@contextlib.contextmanager
def running(server):
    """The server, stopped at the end; its exit status is checked only if nothing else has failed."""
    try:
        yield server
    except BaseException:
        with contextlib.suppress(AssertionError):
            server.stop()
        raise
    server.stop()


@contextlib.contextmanager
def temporary_folder(**where):
    """A folder that a daemon of another user can read too."""
    with tempfile.TemporaryDirectory(**where) as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


def put(root, name, content, modified=OLD):
    """Creates a file with this content, and its directories."""
    path = pathlib.Path(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified, modified))
    return path


def refusal(*options, environment=None, user=None):
    """Exit status and messages of a daemon that must not start."""
    command = [DAEMON, "--listen", "127.0.0.1:0", "--workers", "1", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, user=user,
                          env={**ENVIRONMENT, **(environment or {})}) as process:
        try:
            _, messages = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return "it runs", ""
    return process.returncode, messages.decode(errors="replace")
