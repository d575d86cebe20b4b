#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No spelling of a path, no link and no race leads to a file outside the root, and only regular files are served."""
import ctypes
import errno
import os
import pathlib
import random
import shutil
import socket
import stat
import struct
import subprocess
import tempfile
import threading

from served import Client, Daemon, Group, end_with_verdict, put, running, temporary_folder, unprivileged

SECRET = b"the secret that lies beside the root"
SEED = 22
RANDOM_TARGETS = 4000
RACE_NAMES = 1500
HTML = "text/html; charset=utf-8"

# The target as in the request line, and the status. secret.txt, root-secret/ and secrets/ are beside the root; in it are
# sub/deep/file.txt, inside.txt and names such as "..." or "..;".
SPELLINGS = [
    # Above the root.
    ("/../secret.txt", 400), ("/..", 400), ("/../", 400), ("/../../../../../../etc/passwd", 400), ("/./../secret.txt", 400),
    ("/sub/../../secret.txt", 400), ("/sub/deep/../../../secret.txt", 400), ("/missing/../../secret.txt", 400),
    ("/inside.txt/../../secret.txt", 400),
    ("/../root/inside.txt", 400), ("/../root-secret/secret.txt", 400), ("/.//../secret.txt", 400), ("//../secret.txt", 400),
    ("///../../secret.txt", 400),
    ("/sub//../../secret.txt", 400), ("/sub/./.././../secret.txt", 400), ("/../secret.txt?query", 400), ("/sub/deep/../../..", 400),
    ("/../sub/../secret.txt", 400), ("/..//secret.txt", 400), ("/../secret.txt/", 400), ("/" + "../" * 500 + "etc/passwd", 400),
    ("/" + "sub/" * 50 + "../" * 51 + "secret.txt", 400),
    # Encoded: decoded once, before dot segments are removed.
    ("/%2e%2e/secret.txt", 400), ("/%2E%2E/secret.txt", 400), ("/.%2e/secret.txt", 400), ("/%2e./secret.txt", 400),
    ("/%2e%2e%2fsecret.txt", 400),
    ("/..%2fsecret.txt", 400), ("/..%2Fsecret.txt", 400), ("/sub%2f..%2f..%2fsecret.txt", 400), ("/%2f..%2fsecret.txt", 400),
    ("/%2e%2e", 400),
    ("/sub/%2e%2e/%2e%2e/secret.txt", 400), ("/%2e/%2e%2e/secret.txt", 400), ("/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", 400),
    # Encoded twice or invalidly: names that do not exist.
    ("/%252e%252e/secret.txt", 404), ("/%252e%252e%252fsecret.txt", 404), ("/..%252fsecret.txt", 404),
    ("/%25252e%25252e/secret.txt", 404),
    ("/%c0%ae%c0%ae/secret.txt", 404), ("/%c0%ae%c0%ae%c0%afsecret.txt", 404), ("/..%c0%afsecret.txt", 404),
    ("/%e0%80%ae%e0%80%ae/secret.txt", 404),
    ("/%f0%80%80%ae%f0%80%80%ae/secret.txt", 404), ("/..%ef%bc%8fsecret.txt", 404), ("/%ef%bc%8e%ef%bc%8e/secret.txt", 404),
    ("/%uff0e%uff0e/secret.txt", 400),
    ("/..%u2215secret.txt", 400),
    # Invalid escapes.
    ("/%", 400), ("/%2", 400), ("/%zz", 400), ("/%2g/inside.txt", 400), ("/inside.txt%", 400), ("/%-1", 400), ("/% 2", 400),
    ("/%%32%65", 400),
    # NUL, backslash and other bytes.
    ("/inside.txt%00", 400), ("/inside.txt%00.png", 400), ("/..%00/secret.txt", 400), ("/%00", 400),
    ("/../secret.txt%00.html", 400),
    ("/inside.txt\0", 400), ("/..\\secret.txt", 404), ("\\..\\secret.txt", 400), ("/..%5csecret.txt", 404),
    ("/..%5Csecret.txt", 404),
    ("/sub\\..\\..\\secret.txt", 404), ("/%5c..%5csecret.txt", 404), ("/\\", 404), ("/sub%5cdeep", 404),
    ("/..%255csecret.txt", 404),
    ("/inside.txt\t", 400), ("/in side.txt", 400), ("/inside.txt\x7f", 400), ("/inside.txt\x01", 400), ("/%0d%0aSet-Cookie:x", 404),
    ("/inside.txt%20", 404),
    ("/inside.txt%0a", 404), ("/inside.txt#fragment", 400), ("/inside.txt::$DATA", 404), ("/inside.txt.", 404),
    # Dots that are not dot segments, and path parameters, which are part of names.
    ("/.../secret.txt", 404), ("/..../secret.txt", 404), ("/..;/secret.txt", 404), ("/..;a=b/secret.txt", 404),
    ("/..%3b/secret.txt", 404),
    ("/sub/..;/..;/secret.txt", 404), ("/.%20./secret.txt", 404), ("/..%20/secret.txt", 404), ("/..%09/secret.txt", 404),
    ("/..a/secret.txt", 404),
    ("/a../secret.txt", 404), ("/sub/...", 404),
    # Dotfiles, apart from dot segments.
    ("/.hidden", 404), ("/%2ehidden", 404), ("/.hidden/", 404), ("/sub/.hidden", 404), ("/.git/config", 404),
    ("/%2egit/config", 404), ("/.well-known", 404), ("/.well-known/.hidden", 404), ("/sub/.well-known/x", 404),
    ("/.well-known-not", 404),
    ("/.git/../.hidden", 404), ("//.hidden", 404), ("/./.hidden", 404), ("/..hidden", 404),
    # Absolute names of the file system.
    ("//etc/passwd", 404), ("/etc/passwd", 404), ("///etc/passwd", 404), ("/%2fetc%2fpasswd", 404),
    ("/proc/self/root/etc/passwd", 404),
    ("/file:///etc/passwd", 404), ("/~root/", 404), ("/~/secret.txt", 404), ("/$HOME/secret.txt", 404), ("/*", 404),
    ("/secret.txt", 404), ("/root-secret/secret.txt", 404),
    # The absolute form, and invalid targets.
    ("http://x/../secret.txt", 400), ("http://x/%2e%2e/secret.txt", 400), ("http://x/..%2fsecret.txt", 400),
    ("http://x/%252e%252e/secret.txt", 404),
    ("http://x/inside.txt", 200), ("http://x/sub/../inside.txt", 200), ("../secret.txt", 400), ("..", 400), ("secret.txt", 400),
    ("file:///etc/passwd", 400),
    ("?/../secret.txt", 400), ("./../secret.txt", 400),
    # Too long for a name, or for a path.
    ("/" + "a" * 255, 404), ("/" + "a" * 256, 404), ("/" + "a" * 5000, 404), ("/" + "a/" * 2000, 404), ("/" + "%61" * 300, 404),
    ("/" + "./" * 2500 + "inside.txt", None), ("/" + "sub/../" * 700 + "inside.txt", None),
    # Files within the root.
    ("/inside.txt", 200), ("/./inside.txt", 200), ("//inside.txt", 200), ("/sub/../inside.txt", 200),
    ("/missing/../inside.txt", 200),
    ("/sub/deep/../../inside.txt", 200), ("/%69nside%2etxt", 200), ("/sub%2fdeep%2ffile.txt", 200), ("/sub%2Fdeep%2Ffile.txt", 200), ("/sub/%2e%2e/inside.txt", 200),
    ("/sub/%2e/deep/file.txt", 200),
    ("/sub/deep/.././deep//file.txt", 200), ("/inside.txt?/../../secret.txt", 200), ("/inside.txt?%5c..%5c", 200),
    ("/inside.txt?..\\..", 200), ("/inside.txt?%00", 400), ("/odd/.../x", 404), ("/odd%25/file.txt", 200),
    ("/odd%2525/file.txt", 404), ("/inside.txt/..", 200), ("/sub/..", 200), ("/..odd", 404), ("/caf%c3%a9.txt", 200),
    ("/%ff.txt", 200), ("/semi;colon.txt", 200), ("/back%5cslash.txt", 200), ("/back%5Cslash.txt", 200),
    ("/.well-known/x", 200), ("/%2ewell-known/x", 200), ("/sub/../.well-known/x", 200),
]


def make_root(folder):
    root = folder / "root"
    for name in ("inside.txt", "sub/deep/file.txt", "odd%/file.txt", "caf\u00e9.txt", "semi;colon.txt", "index.html", "back\\slash.txt",
                 ".well-known/x"):
        put(root, name, b"inside")
    pathlib.Path(os.fsdecode(os.fsencode(root) + b"/\xff.txt")).write_bytes(b"inside")
    for name in (".hidden", "sub/.hidden", ".git/config", ".well-known/.hidden", ".well-known-not", "sub/.well-known/x",
                 "..hidden", "..odd"):
        put(root, name, SECRET)
    for name in ("secret.txt", "root-secret/secret.txt", "secrets/secret.txt", "secrets/index.html", "passwd"):
        put(folder, name, SECRET)
    return root


def holds_secret(reply):
    return SECRET in reply.content or b"root:" in reply.content


def check_spellings(client):
    with Group(f"{len(SPELLINGS)} spellings of paths") as group:
        for method in ("GET", "HEAD"):
            for target, status in SPELLINGS:
                shown = f"{method} {target!r:.150}"
                reply = client.ask(target, method=method)
                group.true(shown, "not the secret", not holds_secret(reply), reply)
                if status is None:
                    group.true(shown, "the file, or a refusal", reply.status in (200, 400, 404, 414), reply.status)
                else:
                    group.same(shown, status, reply.status)
                if status == 200 and method == "GET":
                    group.same(shown, b"inside", reply.content)


def check_fallbacks(root):
    """Listings, the SPA fallback and error pages open files too."""
    with Group("the same with --listing and --spa") as group, running(Daemon(root, "--listing", "--spa")) as daemon:
        client = daemon.client()
        for target, status in SPELLINGS:
            for accept in ("text/html", "application/json"):
                reply = client.ask(target, ("Accept", accept))
                group.true(f"GET {target!r:.150}", "not the secret", not holds_secret(reply), reply)
                if status in (200, 400):
                    group.same(f"GET {target!r:.150}, Accept: {accept}", status, reply.status)
        client.close()


def check_random_targets(client):
    pieces = ["..", ".", "%2e", "%2E", "%2e%2e", "/", "//", "%2f", "%2F", "\\", "%5c", "%00", "%25", "%252e", "%252f", ";",
              "%c0%ae", "%c0%af", "?", "sub", "deep",
              "inside.txt", "secret.txt", "root", "root-secret", "secrets", ".hidden", "...", " ", "%20", "~", "a"]
    with Group(f"{RANDOM_TARGETS} random paths, seed {SEED}") as group:
        generator = random.Random(SEED)
        counts = {}
        for _ in range(RANDOM_TARGETS):
            target = "/" + "".join(generator.choices(pieces, k=generator.randrange(1, 9))) + generator.choice(("", "",
                                                                                                               "/secret.txt",
                                                                                                               "/../secret.txt"))
            reply = client.ask(target)
            counts[reply.status] = counts.get(reply.status, 0) + 1
            group.true(f"GET {target!r}", "200, 301, 400 or 404, and not the secret",
                       reply.status in (200, 301, 400, 404) and not holds_secret(reply), reply)
        group.notes.append(str(dict(sorted(counts.items()))))


# --- not a regular file ---------------------------------------------------------------------------------------------------


LINKS = {}  # names of links, and the status


def make_links(folder, root):
    (root / "way").mkdir()
    links = {
        "out-relative": ("../secret.txt", 404), "out-absolute": (str(folder / "secret.txt"), 404), "out-etc": ("/etc/passwd", 404),
        "out-directory": ("../secrets", 404), "out-above": ("..", 404), "out-slash": ("/", 404),
        "out-proc": ("/proc/self/root", 404),
        "out-fd": ("/proc/self/fd/0", 404), "out-cwd": ("/proc/self/cwd", 404), "out-and-in": ("../root/inside.txt", 200),
        "device": ("/dev/zero", 404),
        "chain-out": ("chain-middle", 404), "chain-middle": ("out-relative", 404), "dangling": ("nowhere", 404),
        "loop": ("loop", 404),
        "loop-one": ("loop-other", 404), "loop-other": ("loop-one", 404), "way/out": ("../../secret.txt", 404),
        "in-file": ("inside.txt", 200), "in-dotted": ("./sub/../inside.txt", 200), "in-deep": ("sub/deep/file.txt", 200),
        "in-chain": ("in-file", 200), "in-absolute": (str(root / "inside.txt"), 200),
        "in-absolute-chain": (str(root / "in-absolute"), 200),
        # Hidden files, and the volume of Kubernetes.
        "to-hidden": (".hidden", 404), "to-git": (".git", 404), "to-hidden-chain": ("to-hidden", 404),
        "to-nested": ("sub/.well-known/x", 404), "to-known": (".well-known/x", 200),
        "..data": ("..2026_11_30", 404), "mapped.txt": ("..data/mapped.txt", 200),
        "way/back": ("../inside.txt", 200), "way/up-and-down": ("../sub/deep/file.txt", 200),
    }
    for name, (to, _) in links.items():
        (root / name).symlink_to(to)
    (root / "in-directory").symlink_to("sub")
    (root / "in-absolute-directory").symlink_to(root / "sub")
    put(root, "..2026_11_30/mapped.txt", b"inside")
    os.link(root / "inside.txt", root / "hard-link")
    LINKS.update({name: status for name, (_, status) in links.items()})


def check_links(client, root):
    with Group("links") as group:
        for name, status in LINKS.items():
            reply = client.ask(f"/{name}")
            group.same(f"/{name}", (status, False), (reply.status, holds_secret(reply)))
        for target, status in (("/in-directory/deep/file.txt", 200), ("/in-absolute-directory/deep/file.txt", 200),
                               ("/to-git/config", 404), ("/..data/mapped.txt", 404), ("/hard-link", 200), ("/out-directory/secret.txt", 404),
                               ("/out-directory/", 404),
                               ("/out-above/secret.txt", 404), ("/out-slash/etc/passwd", 404), ("/out-proc/etc/passwd", 404),
                               ("/out-above/root/inside.txt", 200),
                               # The path is normalized before anything is opened: the kernel never resolves "..".
                               ("/in-directory/../inside.txt", 200), ("/out-directory/../inside.txt", 200),
                               ("/out-directory/../secret.txt", 404),
                               ("/in-directory/deep/../../../secret.txt", 400)):
            reply = client.ask(target)
            group.same(target, (status, False), (reply.status, holds_secret(reply)))


def forbid_openat2(error):
    """A child's openat2() fails, as on an old kernel (ENOSYS) or in an old sandbox (EPERM)."""
    PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, SYS_OPENAT2 = 38, 22, 2, 437
    # Load the number; unless it is that of openat2, skip a line; fail; allow.
    program = [(0x20, 0, 0, 0), (0x15, 0, 1, SYS_OPENAT2), (0x06, 0, 0, 0x50000 | error), (0x06, 0, 0, 0x7fff0000)]
    lines = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))

    def restrict():
        filter_of_lines = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(lines)))
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_of_lines) != 0:
            raise OSError(ctypes.get_errno(), "prctl")

    return restrict


def check_without_openat2(root):
    for error in (errno.ENOSYS, errno.EPERM):
        name = errno.errorcode[error]
        try:
            daemon = Daemon(root, preexec_fn=forbid_openat2(error))
        except (OSError, subprocess.SubprocessError):
            print(f"openat2() fails with {name}: skipped: no system call filters here")
            continue
        print(f"openat2() fails with {name}:")
        with running(daemon):
            client = daemon.client()
            check_links(client, root)
            check_spellings(client)
            client.close()


def check_debug_log(root):
    """Why a link is not served; whatever its name holds, it is one line."""
    with Group("the debug log") as group:
        with tempfile.TemporaryFile() as messages:
            with running(Daemon(root, "--log-level", "debug", stderr=messages)) as daemon:
                client = daemon.client()
                for target in ("/out-relative", "/to-hidden", "/loop", "/in-file"):
                    client.ask(target)
                client.close()
            messages.seek(0)
            lines = [line for line in messages.read().decode().splitlines() if "is not served" in line]
        for line, (name, why) in zip(lines, (("out-relative", "leads out of the root"), ("to-hidden", "leads to a hidden file"),
                                             ("loop", "symbolic links"))):
            group.true(line, f"{name}: {why}", f"/{name} is not served" in line and why in line, line)
        group.same("lines", 3, len(lines))


def check_special(client, root):
    with Group("files that are no files") as group:
        os.mkfifo(root / "fifo")
        os.mkfifo(root / "fifo.html")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(root / "socket"))
        names = ["fifo", "fifo.html", "socket"]
        try:
            os.mknod(root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
            os.mknod(root / "block", stat.S_IFBLK | 0o666, os.makedev(7, 0))
            names += ["zero", "block"]
        except PermissionError:
            group.notes.append("no devices without privileges")
        for name in names:
            for target in (f"/{name}", f"/{name}/", f"/{name}/x"):
                for method in ("GET", "HEAD"):
                    group.same(f"{method} {target}", 404, client.ask(target, method=method).status)
        listening.close()
        group.same("a file afterwards", 200, client.ask("/inside.txt").status)


# --- unreadable files ------------------------------------------------------------------------------------------------------


def check_unreadable(folder):
    how = unprivileged()
    if how is None:
        print("unreadable files: skipped: no other user may run the daemon from its folder")
        return
    site = folder / "guarded"
    for name in ("locked.txt", "locked/file.txt", "passable/index.html", "indexed/index.html", "listed/file.txt"):
        put(site, name, SECRET if name.startswith("locked") else b"open")
    locked = {"locked.txt": 0, "locked": 0, "passable": 0o711, "indexed/index.html": 0, "listed": 0o311}
    for name, mode in locked.items():
        os.chmod(site / name, mode)
    cases = [("/locked.txt", 403), ("/locked/file.txt", 403), ("/locked/", 403), ("/locked", 403), ("/locked/missing", 403),
             ("/passable/", 200),
             ("/passable", 301), ("/passable/missing", 404), ("/indexed/", 403), ("/listed/file.txt", 200), ("/missing", 404)]
    try:
        with Group("unreadable files") as group, running(Daemon(site, **how)) as daemon:
            client = daemon.client()
            for target, status in cases:
                reply = client.ask(target)
                group.same(target, (status, False), (reply.status, holds_secret(reply)))
            client.close()
        put(site, "403.html", b"not for you")
        with Group("unreadable files, 403.html") as group, running(Daemon(site, "--listing", **how)) as daemon:
            client = daemon.client()
            for target, status in [*cases, ("/listed/", 403)]:
                reply = client.ask(target, ("Accept", "text/html"))
                group.same(target, (status, False), (reply.status, holds_secret(reply)))
                if status == 403:
                    group.same(f"{target}: its page", (HTML, b"not for you"), (reply.get("content-type"), reply.content))
            reply = client.ask("/locked.txt", ("Accept", "application/json"))
            group.same("/locked.txt for JSON", (403, "application/problem+json"), (reply.status, reply.get("content-type")))
            client.close()
    finally:
        for name in locked:
            os.chmod(site / name, 0o755)


# --- a race ------------------------------------------------------------------------------------------------------------------


def check_race(daemon, folder, root):
    """A directory that is repeatedly exchanged with a link out of the root. Each name is requested once, so that it is not cached."""
    with Group("a link that is exchanged all the time") as group:
        for number in range(RACE_NAMES):
            put(root, f"inner/{number}.txt", b"inside")
            put(folder, f"outer/{number}.txt", SECRET)
        (root / "swapped").symlink_to("inner")
        ended, exchanges = threading.Event(), [0]

        def exchange():
            while not ended.is_set():
                for to in ("../outer", "inner"):
                    os.symlink(to, root / "next")
                    os.replace(root / "next", root / "swapped")
                    exchanges[0] += 1

        thread = threading.Thread(target=exchange)
        thread.start()
        counts = {}
        try:
            client = Client(daemon.address)
            for number in range(RACE_NAMES):
                reply = client.ask(f"/swapped/{number}.txt")
                counts[reply.status] = counts.get(reply.status, 0) + 1
                # 503: the kernel repeatedly could not verify the path (EAGAIN of openat2).
                group.true(f"/swapped/{number}.txt", "the file within, 404 or 503",
                           (reply.status, reply.content) == (200, b"inside")
                           or reply.status in (404, 503) and not holds_secret(reply), reply)
            client.close()
        finally:
            ended.set()
            thread.join()
        group.notes += [f"{exchanges[0]} exchanges", str(dict(sorted(counts.items())))]


def check_curl(daemon):
    if not shutil.which("curl"):
        print("curl --path-as-is: skipped: curl is missing")
        return
    with Group("curl --path-as-is") as group:
        for target, status in (("/../secret.txt", "400"), ("/%2e%2e/secret.txt", "400"), ("/sub/../../secret.txt", "400"),
                               ("/inside.txt", "200")):
            url = f"http://{daemon.address[0]}:{daemon.address[1]}{target}"
            result = subprocess.run(["curl", "--silent", "--path-as-is", "-w", "%{http_code}", url], capture_output=True,
                                    timeout=60)
            group.same(target, (status, False), (result.stdout[-3:].decode(), SECRET in result.stdout))


def main():
    with temporary_folder() as folder:
        root = make_root(folder)
        with running(Daemon(root)) as daemon:
            client = daemon.client()
            check_spellings(client)
            check_random_targets(client)
            make_links(folder, root)
            check_links(client, root)
            check_special(client, root)
            check_race(daemon, folder, root)
            check_curl(daemon)
            client.finish()
        check_fallbacks(root)
        check_without_openat2(root)
        check_debug_log(root)
        check_unreadable(folder)
    end_with_verdict()


if __name__ == "__main__":
    main()
