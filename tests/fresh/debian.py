# SPDX-License-Identifier: MIT
"""A fresh Debian in a folder: created by debootstrap and entered in namespaces of its own, whose end removes all mounts and
processes."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

# In addition to the essential packages: what a reader has, or the README says to install.
PACKAGES = "ca-certificates,curl,git,make,sudo"
USER = "user"
HOME = f"/home/{USER}"
# How long a process may take to end after Ctrl-C; only a hang takes longer.
END_SECONDS = 30
# How long debootstrap may take.
BASE_SECONDS = 900


def run(*words, **options):
    return subprocess.run([str(word) for word in words], check=True, **options)


def codename():
    """The codename of this machine's Debian; empty on another system."""
    values = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release", encoding="utf-8") if "=" in line)
    return values.get("VERSION_CODENAME", "") if values.get("ID") == "debian" else ""


def archives(suite):
    """(site, release) of the main archives that apt is configured for: the suite, its updates, its security updates."""
    words = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Identifier: Packages"]
    lines = subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()
    found = {release: site for site, release, component in map(str.split, lines) if component == "main"}
    return {release: site for release, site in sorted(found.items()) if release == suite or release.startswith(suite + "-")}


def files_of(source):
    """Files that git tracks or would add, even if the checkout belongs to another user."""
    words = ["git", "-c", "safe.directory=*", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = run(*words, capture_output=True).stdout.split(b"\0")
    return [name for name in names if name and os.path.lexists(os.path.join(os.fsencode(source), name))]


def reason_to_skip(folder, source):
    """Why this cannot run; empty if it can."""
    if os.geteuid() != 0:
        return "only root can make a Debian and enter it"
    missing = [name for name in ("debootstrap", "git", "nsenter", "unshare") if not shutil.which(name)]
    if missing:
        return f"please install {', '.join(missing)} (Debian: debootstrap, git, util-linux)"
    if not (source / ".git").exists():
        return f"{source} is no git checkout"
    if not codename():
        return "this is no Debian"
    if codename() not in archives(codename()):
        return f"apt knows no archive of {codename()}; run apt-get update"
    folder.mkdir(parents=True, exist_ok=True)
    if os.statvfs(folder).f_flag & (os.ST_NOSUID | os.ST_NOEXEC | os.ST_NODEV):
        return f"{folder} is on a file system without set-user-ID, programs or devices"
    probe = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "true"], capture_output=True, text=True, check=False)
    return f"no namespaces here: {probe.stderr.strip()}" if probe.returncode != 0 else ""


def make_base(folder, say):
    """Creates folder/base; it is kept for later runs, as are the packages in folder/archives."""
    base, key, suite = folder / "base", folder / "base.key", codename()
    wanted = f"{suite} {archives(suite)[suite]} {PACKAGES}\n"
    (folder / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    if key.exists() and key.read_text() == wanted:
        return
    key.unlink(missing_ok=True)
    remove(base)
    say(f"making a Debian ({suite}); it is kept in {folder}")
    log = folder / "debootstrap.log"
    with log.open("w") as output:
        # debootstrap mounts too.
        words = [*namespaces(), "debootstrap", "--variant=minbase", f"--include={PACKAGES}", f"--cache-dir={folder / 'archives'}", suite,
                 base, archives(suite)[suite]]
        done = subprocess.run(words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, timeout=BASE_SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError("debootstrap failed:\n" + "\n".join(log.read_text().splitlines()[-10:]))
    key.write_text(wanted)


def configure_network(root):
    """Copies the name servers, archives and proxies of this machine."""
    for name in ("/etc/resolv.conf", "/etc/hosts"):
        shutil.copy(name, f"{root}{name}")
    lines = [f"deb {site} {release} main\n" for release, site in archives(codename()).items()]
    pathlib.Path(root, "etc/apt/sources.list").write_text("".join(lines))
    acquire = run("apt-config", "dump", "Acquire", capture_output=True, text=True).stdout
    pathlib.Path(root, "etc/apt/apt.conf.d/90acquire").write_text(acquire)


def add_user(root):
    """Creates a user with sudo. Its curl fails on an error response, and shows no progress, which the pages do not have either."""
    run("chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", USER)
    rule = pathlib.Path(root, "etc/sudoers.d/user")
    rule.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
    rule.chmod(0o440)
    pathlib.Path(f"{root}{HOME}/.curlrc").write_text("fail-with-body\nsilent\n")


def copy_checkout(source, root):
    """Copies the checkout as a repository with one commit."""
    target = f"{root}{HOME}/pipit"
    pathlib.Path(target).mkdir()
    pack = subprocess.Popen(["tar", "-C", source, "--null", "--no-recursion", "-T", "-", "-c"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
    unpack = subprocess.Popen(["tar", "-C", target, "-x"], stdin=pack.stdout)
    pack.stdin.write(b"\0".join(files_of(source)))
    pack.stdin.close()
    if pack.wait() != 0 or unpack.wait() != 0:
        raise RuntimeError("the checkout cannot be copied")
    run("chroot", root, "chown", "-R", f"{USER}:", HOME)
    script = "cd ~/pipit && git init -q && git add -A && git -c user.name=user -c user.email=user@localhost commit -qm checkout"
    run(*as_user(root, script))


def make_root(folder, source):
    """Creates folder/root: the base with this machine's network, a user, and a checkout."""
    root = folder / "root"
    remove(root)
    run("cp", "-a", "--reflink=auto", folder / "base", root)
    configure_network(root)
    add_user(root)
    copy_checkout(source, root)
    return root


def remove(path):
    """Does not descend into a mount, which should not exist."""
    if path.exists():
        run("rm", "-rf", "--one-file-system", path)


def namespaces():
    """Words before a command: it gets PID and mount namespaces of its own, which end with this process."""
    return ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def mount_all(root, archive):
    """Mounts the file systems of the root, within the namespaces."""
    def mount(*words):
        run("mount", *words)

    mount("-t", "proc", "proc", root / "proc")
    mount("--rbind", "-o", "ro", "/sys", root / "sys")
    mount("-t", "tmpfs", "tmpfs", root / "dev")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", root / "dev" / name)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("ptmx", "pts/ptmx")):
        (root / "dev" / name).symlink_to(target)
    for name in ("shm", "pts"):
        (root / "dev" / name).mkdir()
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "dev" / "shm")
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=666", "devpts", root / "dev" / "pts")
    mount("--bind", archive, root / "var/cache/apt/archives")


def as_user(root, script):
    """Words that run the script as in a login of the user, without variables of this process."""
    return ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "chroot", root, "setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups",
            "--reset-env", "bash", "-c", script]


def open_loopback():
    """A descriptor of a network namespace with only 127.0.0.1, on which every port is free."""
    libc, new_network = ctypes.CDLL(None, use_errno=True), 0x40000000
    up, set_flags = 1, 0x8914  # IFF_UP, SIOCSIFFLAGS

    def check(status):
        if status != 0:
            raise OSError(ctypes.get_errno(), "namespaces of networks")

    ours = os.open("/proc/self/ns/net", os.O_RDONLY)
    check(libc.unshare(new_network))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up))
    loopback = os.open("/proc/self/ns/net", os.O_RDONLY)
    check(libc.setns(ours, new_network))
    os.close(ours)
    return loopback


class Process:
    """A background command of the user. Its output goes to files, which a child that outlives it may keep open."""

    def __init__(self, root, script, output, network=None):
        """network: a descriptor; None for this machine's."""
        enter = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{network}"] if network is not None else []
        self.files = output.with_suffix(".out"), output.with_suffix(".err")
        with self.files[0].open("w") as out, self.files[1].open("w") as err:
            self.process = subprocess.Popen([str(word) for word in (*enter, *as_user(root, script))], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=err, start_new_session=True)

    @property
    def status(self):
        """None while it runs."""
        return self.process.poll()

    @property
    def printed(self):
        return tuple(path.read_text(errors="replace") for path in self.files)

    def is_gone(self):
        """The process and its descendants, without zombies."""
        self.process.poll()
        return all(group != self.process.pid or state == "Z" for group, state, _ in processes())

    def interrupt(self):
        """Sends Ctrl-C; returns whether the process ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        end = time.monotonic() + END_SECONDS
        while not self.is_gone() and time.monotonic() < end:
            time.sleep(0.02)
        return self.is_gone()


def processes():
    """(process group, state, command) of all that there are; those that end meanwhile are left out."""
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            command, _, rest = path.read_text().rpartition(")")
            state, _, group = rest.split()[:3]
            yield int(group), state, command.partition("(")[2]


def left_running():
    """The commands of processes in this namespace, but for this one."""
    return sorted(command for group, state, command in processes() if group != os.getpgid(0) and state != "Z")


def enabled_services(root):
    """What systemd would start."""
    return {path.name for path in pathlib.Path(root, "etc/systemd/system").glob("*.wants/*")}


def listening(network):
    """The listening sockets of the network."""
    words = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{network}", "cat", "/proc/net/tcp", "/proc/net/tcp6"]
    rows = map(str.split, run(*words, capture_output=True, text=True).stdout.splitlines())
    return {row[9] for row in rows if row[3] == "0A"}


def end_all():
    """Kills every other process of the namespace."""
    if os.getpid() != 1:
        sys.exit("end_all() belongs into the namespace")
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
