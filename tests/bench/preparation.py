# SPDX-License-Identifier: MIT
"""Before the first measurement: Debian packages, peers in C, the files that servers serve."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

from machine import BUILD, HERE, ROOT, Failure, say
from peers import INSTRUCTIONS
from workloads import FILES, SETTINGS

TOOLS = {"wrk": "wrk", "taskset": "util-linux"}
# Of measurements without wrk, by name.
OTHER_TOOLS = {INSTRUCTIONS: {"valgrind": "valgrind"}}
BUILD_TOOLS = {"cc": "gcc", "pkg-config": "pkg-config"}
CERTIFICATE, KEY = "certificate.pem", "key.pem"
# The client of the workloads with handshakes.
HANDSHAKES = BUILD / "handshakes"
HANDSHAKES_LIBRARIES = {"openssl": "libssl-dev"}
CFLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror"]


def has_library(name):
    return subprocess.run(["pkg-config", "--exists", name], check=False).returncode == 0


def missing_of(programs, libraries):
    """Debian packages."""
    missing = {package for program, package in programs.items() if not shutil.which(program)}
    can_ask = shutil.which("pkg-config")
    return missing | {package for name, package in libraries.items() if not can_ask or not has_library(name)}


def missing_tools():
    return missing_of({**TOOLS, **BUILD_TOOLS}, {})


def missing_of_peer(peer):
    return missing_of(peer.programs, peer.libraries)


def missing_of_other(name):
    return missing_of(OTHER_TOOLS.get(name, {}), {})


def missing_packages(peers, others):
    libraries = HANDSHAKES_LIBRARIES if any(peer.probe.tls for peer in peers) else {}
    return sorted(missing_tools().union(missing_of({}, libraries), *map(missing_of_peer, peers), *map(missing_of_other, others)))


def leave_out_missing(peers, others):
    """The servers and other measurements for which everything is installed."""
    lacking = {peer.name: missing_of_peer(peer) for peer in peers} | {name: missing_of_other(name) for name in others}
    for name, packages in lacking.items():
        if packages:
            say(f"left out: {name}, which needs {' '.join(sorted(packages))}")
    return [peer for peer in peers if not lacking[peer.name]], [name for name in others if not lacking[name]]


def has_tls(pipit):
    """Whether the daemon, and a client of ours, can be had with it."""
    done = subprocess.run([pipit, "--check", "--redirect-to-https"], capture_output=True, text=True, check=False)
    return "no TLS" not in done.stderr and not missing_of({}, HANDSHAKES_LIBRARIES)


def leave_out_tls(peers, workloads, pipit):
    """Without TLS in the daemon there is nothing to compare."""
    if has_tls(pipit):
        return peers, workloads
    for workload in workloads:
        if any(load.tls for load in workload.loads.values()):
            say(f"left out: {workload.name}, which needs libssl-dev and a daemon with TLS")
    return [p for p in peers if not p.probe.tls], [w for w in workloads if not any(load.tls for load in w.loads.values())]


def make_certificate(options):
    """For all servers: ECDSA, P-256."""
    done = subprocess.run([options.pipit, "--make-test-certificate", options.certificates], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(done.stderr.strip())
    compile_c([str(HERE / "handshakes.c")], pkg_config("openssl"), HANDSHAKES)


def install(packages):
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failure("please install first: " + " ".join(packages))
    done = subprocess.run([ROOT / "tools" / "install_packages.sh", "tests/bench", *packages], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise Failure("please install first: " + " ".join(packages))


def compile_c(sources, flags, program):
    BUILD.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["cc", *CFLAGS, *sources, *flags, "-o", program], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(sources)} cannot be compiled")


def pkg_config(*words, folder=""):
    """Flags for cc; `folder` has further .pc files."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PKG_CONFIG_PATH")]))
    command, environment = ["pkg-config", "--cflags", "--libs", *words], {**os.environ, "PKG_CONFIG_PATH": path}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise Failure(done.stderr.strip())
    return shlex.split(done.stdout)


def pipit_flags(pipit):
    """Flags for a program with libpipit.a. Its dependencies come from the built pipit.pc, so a new one needs no change here.
    The folders in pipit.pc are those of an installation; in the source tree the header is in server/, and the library is
    beside the daemon, where -lpipit would find the shared one."""
    folder = pathlib.Path(pipit).resolve().parent
    library = folder / "libpipit.a"
    for needed in (library, folder / "pipit.pc"):
        if not needed.exists():
            raise Failure(f"{needed} is not there: run `make build`, or leave it out with --peers")
    flags = pkg_config("--static", "pipit", folder=folder)
    return [f"-I{ROOT / 'server'}", *(str(library) if flag == "-lpipit" else flag for flag in flags)]


def has_folder(peer):
    return not peer.folder_variable or os.environ.get(peer.folder_variable)


def with_folder(peers):
    """The servers whose sources are there."""
    for peer in peers:
        if not has_folder(peer):
            say(f"left out: {peer.name}, whose sources no package has; {peer.folder_variable} names their folder")
    return [peer for peer in peers if has_folder(peer)]


def folder_flags(peer):
    folder = pathlib.Path(os.environ[peer.folder_variable])
    # Warnings of their code are not ours to mend.
    return [*(str(folder / name) for name in peer.folder_sources), f"-I{folder}", "-w"]


def built(peer):
    return str(BUILD / pathlib.Path(peer.source).stem)


def build(peer, pipit):
    flags = pipit_flags(pipit) if peer.links_pipit else []
    flags += pkg_config(*peer.libraries) if peer.libraries else []
    flags += folder_flags(peer) if peer.folder_variable else []
    compile_c([str(HERE / peer.source)], flags, built(peer))


def write_files(directory):
    """Readable by nginx, which does not work as root."""
    directory.chmod(0o755)
    for name, answer in FILES.items():
        path = directory / name
        path.write_bytes(answer.body)
        path.chmod(0o644)
    (directory / "settings.json").write_text(json.dumps(SETTINGS))


def prepare(peers, others, pipit):
    """Install, compile and check what the measurements need."""
    install(missing_packages(peers, others))
    for peer in {peer.source: peer for peer in peers if peer.source}.values():
        build(peer, pipit)
    if any("{pipit}" in peer.command for peer in peers) and not os.access(pipit, os.X_OK):
        raise Failure(f"{pipit} is not there: run `make build`, name one with --pipit, or leave it out with --peers")
