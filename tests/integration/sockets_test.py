#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""UNIX sockets, inherited sockets and link-local addresses of the real daemon, with curl and systemd-socket-activate as clients and
parents."""
import contextlib
import grp
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys

from served import DAEMON, ENVIRONMENT, NOBODY, PATIENCE_SECONDS, Client, Group, end_with_verdict, refusal, temporary_folder, wait_for

GREETING = b'{"message":"Hello, World!"}'


class Listening:
    """A daemon with these options, and what it says."""

    def __init__(self, *options, count=1, environment=None, command=(), **how):
        self.process = subprocess.Popen([*command, DAEMON, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**ENVIRONMENT, **(environment or {})}, **how)
        self.names = []
        for _ in range(count):
            line = self.process.stdout.readline()
            match = re.search(r'listening on ([^"\n]+)', line)
            if not match:
                self.process.kill()
                raise AssertionError(f"{options}: {line!r} {self.process.communicate()[1]}")
            self.names.append(match[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.stop()

    def stop(self, number=signal.SIGTERM):
        """Exit status, standard output and standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, out, err


def greet(address):
    """address: as Client's, or an abstract name with a NUL."""
    client = Client(address)
    reply = client.ask("/hello/get", ("Connection", "close"))
    return reply.status, reply.content


def healthcheck(*options, environment=None):
    return subprocess.run([DAEMON, "--healthcheck", *options], capture_output=True, text=True, timeout=PATIENCE_SECONDS,
                          env={**ENVIRONMENT, **(environment or {})})


def check_files(folder):
    with Group("files of UNIX sockets") as group:
        path = str(folder / "a.sock")
        with Listening("--listen", f"unix:{path},mode=0600", "--workers", "3") as daemon:
            group.same("the line", [f"unix:{path}"], daemon.names)
            group.same("mode", stat.S_IFSOCK | 0o600, os.stat(path).st_mode)
            group.same("a request", (200, GREETING), greet(path))
            for _ in range(30):
                group.same("with three workers", (200, GREETING), greet(path))
            status, said = refusal("--listen", f"unix:{path}")
            group.same("a second daemon", 1, status)
            group.true("a second daemon", "a reason", "another process listens there: use another path" in said, said)
            group.same("the first one, then", (200, GREETING), greet(path))
            checked = subprocess.run([DAEMON, "--check", "--listen", f"unix:{path}"], capture_output=True, text=True, env=ENVIRONMENT)
            group.same("--check beside it", 0, checked.returncode)
            group.true("--check beside it", "a warning", "is in use" in checked.stderr, checked.stderr)
            group.same("exit status", 0, daemon.stop()[0])
        group.true("afterwards", "no file", not os.path.lexists(path))

        with Listening("--listen", f"unix:{path}"):
            group.same("mode by default", 0o660, stat.S_IMODE(os.stat(path).st_mode))
        before = os.umask(0o777)
        with Listening("--listen", f"unix:{path},mode=0666"):
            group.same("mode with a umask", 0o666, stat.S_IMODE(os.stat(path).st_mode))
        os.umask(before)

        daemon = Listening("--listen", f"unix:{path}")
        daemon.stop(signal.SIGKILL)
        group.true("after SIGKILL", "the file stays", os.path.exists(path))
        with Listening("--listen", f"unix:{path}") as daemon:
            group.same("on a stale file", (200, GREETING), greet(path))
            os.unlink(path)
            other = socket.socket(socket.AF_UNIX)
            other.bind(path)
            daemon.stop()
            group.true("a file of another process", "it stays", os.path.exists(path))
        os.unlink(path)

        for make, what in ((lambda: pathlib.Path(path).write_text("x"), "a file"), (lambda: os.mkdir(path), "a directory"),
                           (lambda: os.symlink("/nowhere", path), "a link")):
            make()
            status, said = refusal("--listen", f"unix:{path}")
            group.same(what, 1, status)
            group.true(what, "a reason", "the file is no socket: use another path" in said, said)
            group.true(what, "it stays", os.path.lexists(path))
            (os.rmdir if what == "a directory" else os.unlink)(path)
        status, said = refusal("--listen", f"unix:{folder}/none/a")
        group.true("no directory", "a reason", status == 1 and "use a path in a directory that exists" in said, said)
        for owner, what in (("user=no-such", "user=no-such: unknown"), ("group=no-such", "group=no-such: unknown")):
            status, said = refusal("--listen", f"unix:{path},{owner}")
            group.true(owner, "a reason", status == 1 and what in said and "use a name that the system knows" in said, said)
            group.true(owner, "no file", not os.path.lexists(path))


def check_owners(folder):
    with Group("owners of UNIX sockets") as group:
        if os.getuid():
            group.notes.append("skipped: not root")
            return
        path = str(folder / "owned.sock")
        names = pwd.getpwuid(NOBODY).pw_name, grp.getgrgid(NOBODY).gr_name
        for user, name in (names, (str(NOBODY), str(NOBODY))):
            with Listening("--listen", f"unix:{path},user={user},group={name}"):
                status = os.stat(path)
                group.same(f"{user}:{name}", (NOBODY, NOBODY, 0o660), (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)))
        os.chmod(folder, 0o777)
        status, said = refusal("--listen", f"unix:{path},user=root", user=NOBODY)
        group.true("another user, not as root", "a reason", "only root may set user=" in said, (status, said))
        group.true("another user, not as root", "no file", not os.path.lexists(path))
        os.chmod(folder, 0o755)
        status, said = refusal("--listen", f"unix:{path}", user=NOBODY)
        group.true("a directory of root", "a reason", "in a directory that this user may write to" in said, (status, said))


def check_a_race(folder):
    """Of eight daemons that start at once on a stale file, one listens."""
    with Group("starting at once") as group:
        path = str(folder / "race.sock")
        for _ in range(5):
            stale = socket.socket(socket.AF_UNIX)
            stale.bind(path)
            stale.close()
            started = [subprocess.Popen([DAEMON, "--listen", f"unix:{path}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=ENVIRONMENT) for _ in range(8)]
            lines = [process.stdout.readline() for process in started]
            group.same("daemons that listen", 1, sum(line.startswith(b"listening") for line in lines))
            group.same("a request", (200, GREETING), greet(path))
            for process in started:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
            codes = sorted(process.wait(timeout=PATIENCE_SECONDS) for process in started)
            for process in started:
                process.communicate()
            group.same("exit status", [0] + 7 * [1], codes)
            group.true("afterwards", "no file", not os.path.lexists(path))


def check_peers(folder):
    """A client of a UNIX socket has no address."""
    with Group("clients of UNIX sockets") as group:
        path, log = str(folder / "peer.sock"), folder / "log"
        for form, line in (("combined", r'unix: - - \['), ("json", r'\{.*"peer":"unix:",')):
            with Listening("--listen", f"unix:{path}", "--access-log", str(log), "--log-format", form,
                           "--max-connections-per-address", "1"):
                clients = [Client(path) for _ in range(3)]
                for client in clients:
                    group.same("three clients where each address may have one", 200, client.ask("/hello/get").status)
                    group.same("an evhttp callback", 200, client.ask("/hello/post", ("Content-Type", "text/plain"), method="POST", content=b"Ada").status)
                for client in clients:
                    client.close()
            lines = log.read_text().splitlines()
            group.same("lines", 6, len(lines))
            for text in lines:
                group.true("a line", line, re.match(line, text), text)
            log.unlink()
        curl = shutil.which("curl")
        with Listening("--listen", f"unix:{path}"):
            said = subprocess.run([curl, "-s", "--unix-socket", path, "http://localhost/hello/get"], capture_output=True)
            group.same("curl", GREETING, said.stdout)
            large = subprocess.run([curl, "-s", "--unix-socket", path, "http://localhost/", "--http1.0"], capture_output=True)
            group.true("curl, a page", "HTML", large.stdout.startswith(b"<!doctype html>"), large.stdout[:80])


def check_abstract_names():
    with Group("abstract names") as group:
        name = f"pipit-test-{os.getpid()}"
        with Listening("--listen", f"unix:@{name}", "--listen", "127.0.0.1:0", count=2) as daemon:
            group.same("the line", f"unix:@{name}", daemon.names[0])
            group.same("a request", (200, GREETING), greet("\0" + name))
            status, said = refusal("--listen", f"unix:@{name}")
            group.true("a second daemon", "a reason", status == 1 and "another process listens there" in said, (status, said))
            group.same("the health check", 0, healthcheck("--listen", f"unix:@{name}").returncode)


def check_health(folder):
    with Group("the health check") as group:
        path = str(folder / "health.sock")
        with Listening("--listen", f"unix:{path},mode=0600"):
            said = healthcheck("--listen", f"unix:{path}")
            group.same("by the path", (0, ""), (said.returncode, said.stderr))
            said = healthcheck(environment={"PIPIT_LISTEN": f"unix:{path},mode=0600"})
            group.same("by the variable", (0, ""), (said.returncode, said.stderr))
        proxied = f"unix:{path},mode=0600,proxy-protocol"
        with Listening("--listen", proxied):
            said = healthcheck("--listen", proxied)
            group.same("with a PROXY header", (0, ""), (said.returncode, said.stderr))
            said = healthcheck("--listen", f"unix:{path}")
            group.same("without one", 1, said.returncode)
        for trusted, status in ("127.0.0.1", 0), ("192.0.2.1", 1):
            with Listening("--listen", "127.0.0.1:0,proxy-protocol", "--trusted-proxy", trusted) as daemon:
                said = healthcheck("--listen", daemon.names[0].removeprefix("http://") + ",proxy-protocol")
                group.same(f"when {trusted} is trusted", status, said.returncode)
        said = healthcheck("--listen", f"unix:{path}")
        group.true("afterwards", "no reply", said.returncode == 1 and "no reply" in said.stderr, said.stderr)
        said = healthcheck("--listen", "fd://3")
        group.true("an inherited socket", "advice", said.returncode == 1 and "use ADDR:PORT or unix:/PATH" in said.stderr, said.stderr)


def check_inherited_sockets(folder):
    with Group("inherited sockets") as group:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with Listening("--listen", f"fd://{listener.fileno()}", "--workers", "2", pass_fds=[listener.fileno()]) as daemon:
            group.same("the line", [f"http://127.0.0.1:{port}"], daemon.names)
            for _ in range(20):
                group.same("a request", (200, GREETING), greet(("127.0.0.1", port)))
        # a parent may go on with its socket
        with Listening("--listen", f"fd://{listener.fileno()}", pass_fds=[listener.fileno()]):
            group.same("a second daemon", (200, GREETING), greet(("127.0.0.1", port)))
        listener.close()

        path = str(folder / "inherited.sock")
        local = socket.socket(socket.AF_UNIX)
        local.bind(path)
        local.listen()
        with Listening("--listen", f"fd://{local.fileno()}", pass_fds=[local.fileno()]) as daemon:
            group.same("a UNIX socket", [f"unix:{path}"], daemon.names)
            group.same("a UNIX socket", (200, GREETING), greet(path))
        group.true("a file that the parent made", "it stays", os.path.exists(path))
        local.close()

        quiet = socket.socket()
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with open(folder / "file", "w") as file:
            for what, passed, reason in (("a socket that does not listen", quiet, "the socket does not listen"),
                                         ("a datagram socket", datagrams, "not a stream socket"),
                                         ("a file", file, "not a socket; use the number of a listening socket")):
                status, said = said_at_the_start("--listen", f"fd://{passed.fileno()}", pass_fds=[passed.fileno()])
                group.true(what, reason, status == 1 and said.startswith("pipit: error: --listen fd://") and reason in said, said)
        status, said = said_at_the_start("--listen", "fd://1000")
        group.true("nothing", "a reason", status == 1 and "it is not open; use the number of a socket" in said, said)
        status, said = said_at_the_start("--listen", "fd://web")
        group.true("a name", "a reason", status == 1 and "LISTEN_FDNAMES does not have the name" in said, said)
        quiet.close()
        datagrams.close()


def check_descriptors_of_pipit(folder):
    """Each descriptor is taken once, and none that pipit itself has opened."""
    with Group("descriptors in use") as group, socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        names = ":".join(["other"] * (number - 3) + ["web"])
        activated = ["sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', DAEMON]
        for options in (("fd://web", f"fd://{number}"), (f"fd://{number}", "fd://web")):
            done = subprocess.run([*activated, "--check", "--listen", options[0], "--listen", options[1]], capture_output=True, text=True,
                                  timeout=PATIENCE_SECONDS, pass_fds=[number],
                                  env={**ENVIRONMENT, "LISTEN_FDS": str(number - 2), "LISTEN_FDNAMES": names})
            group.same(options, (2, f"pipit: error: --listen {options[1]}: cannot be used: another address has this descriptor; "
                                    "use each descriptor once\n"), (done.returncode, done.stderr))
        # --check opens what the start does, and ends.
        for first in ("127.0.0.1:0", f"unix:{folder}/own.sock", f"fd://{number}"):
            for other in range(3, 24):
                options = ("--check", "--workers", "3", "--listen", first, "--listen", f"fd://{other}")
                status, said = said_at_the_start(*options, pass_fds=[number])
                is_passed = other == number and not first.startswith("fd:")
                group.same(options, 0 if is_passed else 2, status)
                group.true(options, "a reason", is_passed or f"--listen fd://{other}: " in said, said)


def check_unused_sockets():
    """A socket of systemd that no option names."""
    activated = ["sh", "-c", 'exec 3<&"$0" 4<&"$0"; LISTEN_PID=$$ exec "$@"']
    cases = ((("--listen", "127.0.0.1:0"), "", (3, 4)), (("--listen", "fd://web"), "web:other", (4,)),
             (("--listen", "fd://4", "--admin-listen", "fd://web"), "web:other", ()))
    with Group("sockets that no option names") as group, socket.create_server(("127.0.0.1", 0)) as listener:
        for options, names, unused in cases:
            done = subprocess.run([*activated, str(listener.fileno()), DAEMON, "--check", *options], capture_output=True, text=True,
                                  timeout=PATIENCE_SECONDS, pass_fds=[listener.fileno()],
                                  env={**ENVIRONMENT, "LISTEN_FDS": "2", "LISTEN_FDNAMES": names})
            expected = "".join(f'pipit: warn: environment: LISTEN_FDS = "2": no address uses socket {number}, whose clients will wait; use --listen '
                               f"fd://{number}, or remove it from the socket unit\n" for number in unused)
            group.same(options, (0, expected), (done.returncode, done.stderr))


def said_at_the_start(*options, **how):
    done = subprocess.run([DAEMON, *options], capture_output=True, text=True, env=ENVIRONMENT, timeout=PATIENCE_SECONDS, **how)
    return done.returncode, done.stderr


def check_socket_activation(folder):
    """systemd's protocol, by systemd's own tool, which starts the daemon when the first client connects."""
    with Group("socket activation") as group:
        activate = shutil.which("systemd-socket-activate")
        if not activate:
            group.notes.append("skipped: no systemd-socket-activate (Debian: systemd)")
            return
        paths = [str(folder / f"activated-{name}") for name in ("web", "other")]
        with open(folder / "messages", "wb") as messages:
            process = subprocess.Popen([activate, f"--listen={paths[0]}", f"--listen={paths[1]}", "--fdname=web:other", DAEMON,
                                        "--listen", "fd://other", "--listen", "fd://3"],
                                       env=ENVIRONMENT, stdout=messages, stderr=subprocess.STDOUT)
        try:
            wait_for("the sockets", lambda: all(map(os.path.exists, paths)))
            for path in paths:
                group.same(path, (200, GREETING), greet(path))
            said = (folder / "messages").read_text()
            lines = [line for line in said.splitlines() if line.startswith("listening on ")]
            group.same("the names", [f"listening on unix:{paths[1]}", f"listening on unix:{paths[0]}"], lines)
        finally:
            process.terminate()
            status = process.wait(timeout=PATIENCE_SECONDS)
        group.same("exit status", 0, status)


def link_local_address():
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/net/if_inet6").read_text().splitlines():
            digits, _, _, scope, _, interface = line.split()
            if scope == "20":
                return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)), interface
    return None


def check_ipv4_beside_any_address():
    """[::]:PORT leaves IPv4 to an address of IPv4 with the same port."""
    with Group("IPv4 beside [::]") as group:
        try:
            socket.create_server(("::", 0), family=socket.AF_INET6).close()
        except OSError:
            group.notes.append("skipped: this machine has no IPv6")
            return
        for other in ("--listen", "--admin-listen"):
            with socket.socket() as held:
                # Bound, and does not listen: other processes do not get this port.
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                held.bind(("127.0.0.1", 0))
                port = held.getsockname()[1]
                with Listening("--listen", f":{port}", other, f"127.0.0.1:{port}", count=2) as daemon:
                    names = [name.removesuffix(" (admin)") for name in daemon.names]
                    group.same(other, [f"http://[::]:{port}", f"http://127.0.0.1:{port}"], names)
                    group.same(other, (200, GREETING), greet(("127.0.0.1", port)))
                    said = daemon.stop()[2]
                    group.true(other, "a warning", f"pipit: warn: --listen :{port}: serves IPv6 only, because 127.0.0.1:{port} has its port; for "
                               "other IPv4 addresses of this machine use 0.0.0.0 there, or another port\n" in said, said)
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
            for options in (("--listen", f"0.0.0.0:{port}"), ("--ipv6-only", "--listen", f"127.0.0.1:{port}")):
                with Listening("--listen", f":{port}", *options, count=2) as daemon:
                    said = daemon.stop()[2]
                    group.true(options, "no warning", "serves IPv6 only" not in said, said)


def check_zones():
    with Group("link-local addresses") as group:
        status, said = refusal("--listen", "[fe80::1%no-such]:0")
        group.true("an unknown interface", "a reason", status == 1 and "use an interface of this machine behind %" in said, said)
        with contextlib.suppress(OSError), socket.create_server(("::", 0), family=socket.AF_INET6):
            status, said = refusal("--listen", "[fe80::1]:0")
            group.true("no interface", "a reason", "a link-local address needs its interface, for example [fe80::1%eth0]:80" in said, said)
        found = link_local_address()
        if not found:
            group.notes.append("skipped: no interface has one")
            return
        address, interface = found
        with Listening("--listen", f"[{address}%{interface}]:0", "--workers", "2") as daemon:
            name = daemon.names[0]
            match = re.fullmatch(re.escape(f"http://[{address}%{interface}]:") + r"(\d+)", name)
            group.true("the line", f"[{address}%{interface}]", match, name)
            with socket.create_connection((f"{address}%{interface}", int(match[1])), timeout=PATIENCE_SECONDS) as client:
                client.sendall(b"GET /hello/get HTTP/1.0\r\n\r\n")
                group.true("a request", "200", client.recv(4096).startswith(b"HTTP/1.1 200 "))
            group.same("the health check", 0, healthcheck("--listen", name.removeprefix("http://")).returncode)


def main():
    with temporary_folder() as folder:
        check_files(folder)
        check_owners(folder)
        check_a_race(folder)
        check_peers(folder)
        check_abstract_names()
        check_health(folder)
        check_inherited_sockets(folder)
        check_descriptors_of_pipit(folder)
        check_unused_sockets()
        check_socket_activation(folder)
        check_ipv4_beside_any_address()
        check_zones()
    end_with_verdict()


if __name__ == "__main__":
    sys.exit(main())
