#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the daemon may do once it serves: user and group, no_new_privs, Landlock and seccomp, and that rotation, settings and a root that
is made anew still work. Skipped in part without root, or where the kernel has no Landlock."""
import ctypes
import errno
import grp
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

from served import DAEMON, ENVIRONMENT, NOBODY, PATIENCE_SECONDS, ROOT, Client, Group, end_with_verdict, refusal, temporary_folder, wait_for
from sockets_test import Listening

JSON = ("Content-Type", "application/json")
# The number is the same on all machines.
SYS_LANDLOCK_CREATE_RULESET = 444
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
BPF_LOAD_WORD, BPF_JUMP_IF_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000


def landlock_version():
    version = ctypes.CDLL(None, use_errno=True).syscall(SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    if version < 0:
        assert ctypes.get_errno() in (errno.ENOSYS, errno.EOPNOTSUPP), os.strerror(ctypes.get_errno())
    return max(version, 0)


def let_landlock_fail():
    """In this process and its programs, with ENOMEM, by a filter of system calls."""
    lines = [(BPF_LOAD_WORD, 0, 0, 0), (BPF_JUMP_IF_EQUAL, 0, 1, SYS_LANDLOCK_CREATE_RULESET),
             (BPF_RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.ENOMEM), (BPF_RETURN, 0, 0, SECCOMP_RET_ALLOW)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    description = ctypes.create_string_buffer(struct.pack("@HP", len(lines), ctypes.addressof(program)))
    library = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(description))):
        if library.prctl(arguments[0], ctypes.c_ulong(arguments[1]), ctypes.c_void_p(arguments[2]), None, None) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


class Confined(Listening):
    """A daemon on a free port, and what each of its threads may do."""

    def __init__(self, *options, **how):
        super().__init__("--listen", "127.0.0.1:0", "--workers", "2", *options, **how)
        host, port = self.names[0].removeprefix("http://").rsplit(":", 1)
        self.client = Client((host, int(port)))

    def ask(self, *arguments, **how):
        return self.client.ask(*arguments, **how)

    def threads(self):
        """By name, the values of all threads."""
        texts = [path.read_text() for path in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/status")]
        return {name: {(re.search(rf"^{name}:(.*)$", text, re.M)[1].split() or [""])[0] for text in texts}
                for name in ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "CapEff", "CapPrm")}

    def stop(self, number=signal.SIGTERM):
        self.client.close()
        return super().stop(number)


def make_folders(folder, owner=None):
    """A root with a file, and a directory for what the daemon writes."""
    root, own = folder / "root", folder / "own"
    root.mkdir()
    own.mkdir()
    (root / "a.txt").write_text("first")
    if owner is not None:
        os.chown(own, owner, owner)
    return root, own


def hold_port_below_1024():
    """A socket that is bound to a free one, and does not listen; None: there is none, or this user may not."""
    for port in range(1023, 511, -1):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", port))
            return held
        except OSError:
            held.close()
    return None


def check_port_below_1024(group):
    held = hold_port_below_1024()
    if not held:
        group.notes.append("skipped: no port below 1024 is free")
        return
    with held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with Confined("--user", str(NOBODY), "--listen", address, count=2) as daemon:
            group.same("a port below 1024", f"http://{address}", daemon.names[1])


def check_user():
    with Group("--user") as group:
        if os.getuid():
            group.notes.append("skipped: not root")
            return
        with temporary_folder() as folder:
            root, own = make_folders(folder, NOBODY)
            names = pwd.getpwuid(NOBODY).pw_name, grp.getgrgid(NOBODY).gr_name
            for user, name in (names, (str(NOBODY), str(NOBODY))):
                with Confined("--user", user, "--group", name, "--root", str(root), "--settings", str(own / "s.json"),
                              "--access-log", str(own / "log")) as daemon:
                    threads = daemon.threads()
                    for what, value in (("Uid", NOBODY), ("Gid", NOBODY), ("Groups", ""), ("NoNewPrivs", 1),
                                        ("CapEff", "0" * 16), ("CapPrm", "0" * 16)):
                        group.same(f"{what} of all threads", {str(value)}, threads[what])
                    group.same("a file", b"first", daemon.ask("/a.txt").content)
                    group.same("a change of settings", 204, daemon.ask("/api/settings", JSON, method="PUT", content=b'{"a":1}').status)
                    os.rename(own / "log", own / "log.1")
                    daemon.process.send_signal(signal.SIGUSR1)
                    wait_for("the new log", lambda: (own / "log").exists())
                    daemon.ask("/a.txt")
                    wait_for("a line in the new log", lambda: "/a.txt" in (own / "log").read_text())
                    (own / "s.json").write_text('{"a":2}')
                    daemon.process.send_signal(signal.SIGHUP)
                    wait_for("the edited settings", lambda: json.loads(daemon.ask("/api/settings").content) == {"a": 2})
                    owners = {path.stat().st_uid for path in own.iterdir()}
                    group.same("owners of what it made", {NOBODY}, owners)
                    status, _, said = daemon.stop()
                    group.same("exit status", 0, status)
                    group.true("a message", f"runs as user {NOBODY}, group {NOBODY}", f"runs as user {NOBODY}, group {NOBODY}" in said, said)
                    group.true("a message", "no warning", "warn" not in said, said)
            (own / "log").unlink()
            os.chown(own, 0, 0)
            (own / "log").touch()
            os.chown(own / "log", NOBODY, NOBODY)
            with Confined("--user", str(NOBODY), "--access-log", str(own / "log")) as daemon:
                said = daemon.stop()[2]
                group.true("a directory of root", "a warning", "may not make files in" in said, said)
            status, said = refusal("--user", str(NOBODY), "--access-log", str(own / "other"))
            group.true("a log of root", "refused", status == 1 and "Permission denied" in said, (status, said))
            group.true("a log of root", "not made", not (own / "other").exists())
            os.chmod(root, 0o700)
            status, said = refusal("--user", str(NOBODY), "--root", str(root))
            group.true("a root of root", "refused", status == 2 and "Permission denied" in said, (status, said))
            check_port_below_1024(group)
        with Confined() as daemon:
            said = daemon.stop()[2]
            group.true("as root", "a warning", "warn: runs as root; use --user" in said, said)


def check_core_dumps():
    """What the kernel does not dump, it gives to root."""
    with Group("core dumps") as group, temporary_folder() as folder:
        (folder / "users").write_text("")
        (folder / "users").chmod(0o644)
        owner = NOBODY if os.getuid() == 0 else os.getuid()
        user = ("--user", str(NOBODY)) if os.getuid() == 0 else ()
        for options, expected, limit in (((), owner, None), (("--protect", f"/api/ basic {folder / 'users'}"), 0, "0")):
            with Confined(*user, *options) as daemon:
                process = pathlib.Path(f"/proc/{daemon.process.pid}")
                group.same(f"{options}: the owner of its files in /proc", expected, (process / "fd").stat().st_uid)
                if limit:
                    group.same(f"{options}: the limit", limit, re.search(r"Max core file size +(\d+)", (process / "limits").read_text())[1])


def check_traces():
    """--check leaves no file, so that the daemon of another user can make its own."""
    with Group("--check") as group:
        if os.getuid():
            group.notes.append("skipped: not root")
            return
        with temporary_folder() as folder:
            own = make_folders(folder, NOBODY)[1]
            options = ("--settings", str(own / "s.json"), "--access-log", str(own / "log"))
            user = ("--user", str(NOBODY))
            before = sorted(own.iterdir())
            for who in ((), user):
                done = subprocess.run([DAEMON, "--check", "--listen", "127.0.0.1:0", *options, *who], capture_output=True, text=True,
                                      timeout=PATIENCE_SECONDS, env=ENVIRONMENT, check=False)
                group.same(f"{who}: exit status", (0, ""), (done.returncode, done.stderr))
                group.same(f"{who}: files", before, sorted(own.iterdir()))
            with Confined(*options, *user) as daemon:
                group.same("a change of settings, then", 204, daemon.ask("/api/settings", JSON, method="PUT", content=b'{"a":1}').status)
            kept = {path: (path.stat().st_ino, path.stat().st_uid, path.read_bytes()) for path in own.iterdir()}
            for who in ((), user):
                subprocess.run([DAEMON, "--check", "--listen", "127.0.0.1:0", *options, *who], stdout=subprocess.DEVNULL, timeout=PATIENCE_SECONDS,
                               env=ENVIRONMENT, check=True)
                left = {path: (path.stat().st_ino, path.stat().st_uid, path.read_bytes()) for path in own.iterdir()}
                group.same(f"{who}: files that were there", kept, left)


def check_wrong_values():
    with Group("wrong values") as group:
        cases = [(("--user", "no-such-user"), "--user no-such-user: unknown; use a name that the system knows, or a number"),
                 (("--user", "root"), "--user root: is root; use another user"),
                 (("--user", "0"), "--user 0: is root; use another user"),
                 (("--user", "4294967295"), "--user 4294967295: unknown; use a name"),
                 (("--group", "nogroup"), "--group nogroup: needs a user; use it with user"),
                 (("--root", "/"), "--root /: is the whole file system; use a directory below it"),
                 (("--root", "/proc/self/root"), "is the whole file system; use a directory below it"),
                 (("--sandbox=maybe",), "--sandbox maybe: unknown value; use off or on")]
        if os.getuid() == 0:
            cases.append((("--user", str(NOBODY), "--group", "no-such-group"), "--group no-such-group: unknown; use a name"))
        for options, expected in cases:
            for check in ((), ("--check",)):
                status, said = refusal(*options, *check)
                group.same(f"{options} {check}", 2, status)
                group.true(f"{options} {check}", expected, expected in said, said)
        how = {"user": NOBODY} if os.getuid() == 0 else {}
        status, said = refusal("--user", "daemon", **how)
        group.true("not as root", "advice", status == 2 and "only root may change to it; start as root, or leave it out" in said, (status, said))


def logs_elsewhere(folder, sandbox):
    """Whether a rotation can move the access log out of its directory, by a link, which pipit itself follows."""
    own, elsewhere = folder / f"own-{sandbox}", folder / f"elsewhere-{sandbox}"
    own.mkdir()
    elsewhere.mkdir()
    with Confined("--access-log", str(own / "log"), "--sandbox", sandbox) as daemon:
        (own / "log").unlink()
        (own / "log").symlink_to(elsewhere / "log")
        daemon.process.send_signal(signal.SIGUSR1)
        next(line for line in daemon.process.stderr if "reopen" in line)
    return (elsewhere / "log").exists()


def check_files():
    with Group("files") as group:
        version = landlock_version()
        group.notes.append(f"Landlock {version}")
        with temporary_folder() as folder:
            root, own = make_folders(folder)
            with Confined("--root", str(root), "--settings", str(own / "s.json"), "--access-log", str(own / "log")) as daemon:
                group.same("no_new_privs of all threads", {"1"}, daemon.threads()["NoNewPrivs"])
                group.same("a change of settings", 204, daemon.ask("/api/settings", JSON, method="PUT", content=b'{"a":1}').status)
                shutil.move(root, folder / "old")
                root.mkdir()
                (root / "a.txt").write_text("second")
                wait_for("a root that is made anew", lambda: daemon.ask("/a.txt").content == b"second")
                os.rename(own / "log", own / "log.1")
                daemon.process.send_signal(signal.SIGHUP)
                wait_for("the new log", lambda: (own / "log").exists())
                page = read_page(daemon)
                group.true("figures of the process", "process_open_fds", b"\nprocess_open_fds " in page, page[:200])
                group.true("figures of the process", "resident memory", b"\nprocess_resident_memory_bytes " in page, page[:200])
                said = daemon.stop()[2]
                expected = f"Landlock {version}" if version else "no Landlock"
                group.true("a message", expected, expected in said, said)
            group.same("--sandbox off: a log in another directory", True, logs_elsewhere(folder, "off"))
            group.same("a log in another directory", version == 0, logs_elsewhere(folder, "on"))
            with Confined("--root", str(root), "--sandbox", "off") as daemon:
                group.same("--sandbox off: no_new_privs stays", {"1"}, daemon.threads()["NoNewPrivs"])
                said = daemon.stop()[2]
                group.true("--sandbox off", "no Landlock", "Landlock" not in said, said)
            with Confined("--root", str(root), preexec_fn=let_landlock_fail) as daemon:
                group.same("Landlock that fails: a file", b"second", daemon.ask("/a.txt").content)
                said = daemon.stop()[2]
                expected = f"warn: may open all files of its user: Landlock: {os.strerror(errno.ENOMEM)}"
                group.true("Landlock that fails", expected, expected in said, said)
            # links to releases, one of which is swapped in
            for name in ("1", "2"):
                (folder / "releases" / name).mkdir(parents=True)
                (folder / "releases" / name / "a.txt").write_text(name)
            (folder / "current").symlink_to("releases/1")
            with Confined("--root", str(folder / "current")) as daemon:
                group.same("a link", b"1", daemon.ask("/a.txt").content)
                (folder / "next").symlink_to("releases/2")
                os.rename(folder / "next", folder / "current")
                wait_for("the link that was swapped", lambda: daemon.ask("/a.txt").content == b"2")
            path = folder / "a.sock"
            with Listening("--listen", f"unix:{path}"):
                pass
            group.true("the file of a UNIX socket", "is removed", not path.exists())


def read_page(daemon):
    """/metrics is sent whole."""
    with socket.create_connection(daemon.client.address) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        pieces = []
        while piece := client.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def is_built_with_seccomp():
    cache = pathlib.Path(os.environ.get("PIPIT_BUILD", ROOT / "build")) / "CMakeCache.txt"
    return re.search(r"^PIPIT_SECCOMP:BOOL=(\w+)$", cache.read_text(), re.M)[1] in ("ON", "TRUE", "YES", "1")


def check_seccomp():
    with Group("system calls") as group:
        with Confined() as daemon:
            modes = daemon.threads()["Seccomp"]
            said = daemon.stop()[2]
        if is_built_with_seccomp():
            group.same("the mode of all threads", {"2"}, modes)
            group.true("a message", "seccomp", "uses only its own system calls (seccomp)" in said, said)
        else:
            group.true("a message", "no seccomp", "may use all system calls: this pipit is built without libseccomp" in said, said)


def main():
    check_user()
    check_traces()
    check_wrong_values()
    check_files()
    check_seccomp()
    check_core_dumps()
    end_with_verdict()


if __name__ == "__main__":
    sys.exit(main())
