#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipit builds for armhf, arm64 and musl without a warning, passes its unit tests there, and serves curl.

armhf has a time_t and a size_t of 32 bits; programs of other machines run by qemu-user. The toolchain file is the one of
docs/embedding.md. Downloads and libraries stay in build/cross; nothing is installed.
"""

import argparse
import collections
import dataclasses
import datetime
import fcntl
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import sysroots
from sysroots import ROOT, debian, run

FOLDER = pathlib.Path(os.environ.get("PIPIT_BUILD", ROOT / "build")).resolve() / "cross"
PAGE = ROOT / "docs/embedding.md"
WARNINGS = "-O1 -Wextra -Wconversion -Werror"
JOBS = os.cpu_count() or 1
# Not run under qemu, and why.
LEFT_OUT = (
    ("counters_test", "qemu's /proc/self/stat has zeros"),
    ("dashboard_data_test", "qemu's /proc/self/stat has zeros"),
    ("process_test", "qemu's /proc/self/stat has zeros"),
    ("file_cache_test", "takes a minute"),
    ("printer_test", "takes a minute"),
)
# Dates that 32 bits hold, and others.
DATES = (-2147483647, -1, 0, 2147483647, 2147483648, 2366841600)
START_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Machine:
    name: str
    compiler: str
    packages: str  # Debian's
    emulator: str = ""  # empty: its programs run here
    triplet: str = ""  # empty: musl
    loader: str = ""
    processor: str = ""


MACHINES = (
    Machine("armhf", "arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf, qemu-user-static", "qemu-arm-static", "arm-linux-gnueabihf",
            "/lib/ld-linux-armhf.so.3", "arm"),
    Machine("arm64", "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu, qemu-user-static", "qemu-aarch64-static", "aarch64-linux-gnu",
            "/lib/ld-linux-aarch64.so.1", "aarch64"),
    Machine("musl", "musl-gcc", "musl-tools, dpkg-dev"),
)
MUSL_TOOLCHAIN = """set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER musl-gcc)
set(CMAKE_C_FLAGS_INIT "-isystem {root}/include")
set(CMAKE_FIND_ROOT_PATH {root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{{PKG_CONFIG_LIBDIR}} {root}/lib/pkgconfig)
"""


def say(text):
    print(text, flush=True)


def reason_to_skip(machines):
    """Empty: it can run."""
    if not debian.codename():
        return "this is no Debian, whose packages it unpacks"
    if debian.codename() not in debian.archives(debian.codename()):
        return f"apt knows no archive of {debian.codename()}; run apt-get update"
    missing = sysroots.missing(("cmake", "ctest", "curl", "pkg-config", "dpkg-deb"))
    if missing:
        return f"please install {', '.join(missing)}"
    for machine in machines:
        programs = [machine.compiler, *([machine.emulator] if machine.emulator else ["dpkg-source"])]
        if sysroots.missing(programs):
            return f"please install {machine.packages} for {machine.name} (make test-exhaustive does)"
    return ""


def toolchain_of_page(machine, root):
    """The example of the documentation, for this machine and sysroot."""
    example = re.search(r"```cmake\n(.*?)```", PAGE.read_text(), re.S)[1]
    for before, after in (("/opt/sysroot", str(root)), ("arm-linux-gnueabihf", machine.triplet), ("PROCESSOR arm)", f"PROCESSOR {machine.processor})")):
        if before not in example:
            sys.exit(f"{PAGE.name}: the toolchain file has no {before}")
        example = example.replace(before, after)
    # Not qemu's -L, which leads every path that exists there to the sysroot.
    libraries = f"{root}/lib/{machine.triplet}:{root}/usr/lib/{machine.triplet}"
    return example + f"""set(CMAKE_CROSSCOMPILING_EMULATOR {machine.emulator})
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,--dynamic-linker,{root}{machine.loader} -Wl,--disable-new-dtags,-rpath,{libraries}")
"""


def make_libraries(machine, folder):
    """Returns the toolchain file."""
    root, toolchain = folder / "root", folder / "toolchain.cmake"
    folder.mkdir(parents=True, exist_ok=True)
    if machine.triplet:
        toolchain.write_text(toolchain_of_page(machine, root))
        sysroots.unpack_binaries(root, folder, machine.name)
    else:
        toolchain.write_text(MUSL_TOOLCHAIN.format(root=root))
        sysroots.build_sources(root, folder, toolchain, JOBS)
    return toolchain


def build(machine, folder, toolchain):
    run("cmake", "-S", ROOT, "-B", folder / "build", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DCMAKE_BUILD_TYPE=Debug",
        f"-DCMAKE_C_FLAGS={WARNINGS}", "-DPIPIT_TESTS=unit", f"-DPIPIT_TLS={'ON' if machine.triplet else 'OFF'}")
    run("cmake", "--build", folder / "build", "-j", JOBS)


def run_unit_tests(machine, folder):
    left_out = [name for name, _ in LEFT_OUT] if machine.emulator else []
    # Without a process per test case, which is slow under qemu.
    output = run("ctest", "-L", "quick", "-j", 2 * JOBS, "--output-on-failure", "-E", f"^unit/({'|'.join(left_out) or 'none'})$", cwd=folder / "build",
                 env={**os.environ, "CK_FORK": "no"})
    passed = re.search(r"100% tests passed, 0 tests failed out of (\d+)", output)
    if not passed or int(passed[1]) < 30:
        sys.exit(f"FAILED: unit tests\n{output}")
    return int(passed[1])


# --- the daemon ------------------------------------------------------------------------------------------------------------


def http_date(second):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=second)).strftime("%a, %d %b %Y %H:%M:%S GMT")


def curl(url, *options):
    """(status, content)"""
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}", *options, url],
                          capture_output=True, text=True, check=True)
    content, _, status = done.stdout.rpartition("\n")
    return int(status), content


def expect(what, expected, got):
    if expected != got:
        sys.exit(f"FAILED: {what}: expected {expected}, got {got}")


def make_files(folder):
    for second in DATES:
        path = folder / f"{second}.txt"
        path.write_text(f"{second}\n")
        os.utime(path, (second, second))
    (folder / "large.bin").write_bytes(bytes(1 << 20))


def ask(url):
    expect("GET /hello/get", (200, '{"message":"Hello, World!"}'), curl(f"{url}/hello/get"))
    expect("POST /json/echo", 200, curl(f"{url}/json/echo", "--json", '{"a":[1,2.5,"x"]}')[0])
    expect("GET /metrics", 200, curl(f"{url}/metrics")[0])
    expect("GET /large.bin", (200, 1 << 20), (curl(f"{url}/large.bin")[0], len(curl(f"{url}/large.bin")[1])))
    for second in DATES:
        expect(f"GET of a file of {http_date(second)}", (200, f"{second}\n"), curl(f"{url}/{second}.txt"))
        for date in (-11644473600, *DATES, 253402300799):
            expect(f"file of {http_date(second)}, If-Modified-Since: {http_date(date)}", 304 if second <= date else 200,
                   curl(f"{url}/{second}.txt", "--header", f"If-Modified-Since: {http_date(date)}")[0])
            expect(f"file of {http_date(second)}, If-Unmodified-Since: {http_date(date)}", 200 if second <= date else 412,
                   curl(f"{url}/{second}.txt", "--header", f"If-Unmodified-Since: {http_date(date)}")[0])
    listing = curl(f"{url}/")[1]
    for second in DATES:
        expect(f"{second}.txt in the listing", True, f"{second}.txt" in listing)


def serve(machine, folder):
    """The daemon answers curl, and ends by SIGTERM."""
    words = [folder / "build/pipit", "--listen", "127.0.0.1:0", "--listing"]
    if machine.emulator:
        words = [machine.emulator, *words]
    with tempfile.TemporaryDirectory(prefix="pipit-cross-") as name, tempfile.TemporaryFile("w+") as errors:
        make_files(pathlib.Path(name))
        # To the daemon, each variable PIPIT_... is an option.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PIPIT_")}
        daemon = subprocess.Popen([*map(str, words), "--root", name], stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        try:
            line = daemon.stdout.readline()
            address = re.search(r"127\.0\.0\.1:\d+", line)
            if not address:
                errors.seek(0)
                sys.exit(f"FAILED: the daemon does not start: {line}{errors.read()}")
            ask(f"http://{address[0]}")
            daemon.terminate()
            expect("SIGTERM", 0, daemon.wait(START_SECONDS))
        finally:
            daemon.kill()


def check(machine):
    folder = FOLDER / machine.name
    start = time.monotonic()
    seconds = collections.OrderedDict()

    def lap(name):
        seconds[name] = time.monotonic() - start - sum(seconds.values())

    toolchain = make_libraries(machine, folder)
    lap("libraries")
    build(machine, folder, toolchain)
    lap("build")
    count = run_unit_tests(machine, folder)
    lap(f"{count} unit tests")
    serve(machine, folder)
    lap("daemon")
    say(f"{machine.name}: ok: " + ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items()))


def main():
    parser = argparse.ArgumentParser(description="Build and test pipit for other machines.")
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help=f"of {', '.join(machine.name for machine in MACHINES)}; default: all")
    names = parser.parse_args().machines
    unknown = set(names) - {machine.name for machine in MACHINES}
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    machines = [machine for machine in MACHINES if not names or machine.name in names]
    reason = reason_to_skip(machines)
    if reason:
        say(f"skipped: {reason}")
        return 77
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for machine in machines:
            check(machine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
