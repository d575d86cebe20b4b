#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Derives server/confine/seccomp_calls.h: the system calls that the daemon makes once it has given up its rights, traced by strace while
the integration tests run, and those that the same functions make on other machines, kernels and C libraries.

    tests/tools/system_calls.py [--write] [SECONDS]    with a build in build/ (PIPIT_BUILD) without PIPIT_SECCOMP

SECONDS: for each test, 120 by default; tracing makes some of them fail, which does not matter here.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("PIPIT_BUILD", ROOT / "build"))
HEADER = ROOT / "server/confine/seccomp_calls.h"
SCRIPTS = "sockets_test.py privileges_test.py settings_test.py static_site_test.py static_paths_test.py static_test.py curl_test.sh".split()
PROGRAMS = "life_test handlers_test deadlines_test abuse_limits_test workers_test stream_test".split()
# What else the traced functions may call, with the reason.
ALSO = {
    "other kernels and C libraries": """
        accept clone clone3 dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd2 exit exit_group
        fstat fstat64 fstatat64 fstatfs fstatfs64 futex futex_time64 getdents getdents64 lstat lstat64 newfstatat open openat openat2 pipe2
        poll ppoll ppoll_time64 recv recvfrom rt_sigreturn sigreturn restart_syscall rseq send sendfile sendfile64 sendto
        set_robust_list stat stat64 statx
        _llseek lseek mmap mmap2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 socketcall ugetrlimit""",
    "clocks that are not mapped": "clock_getres clock_getres_time64 clock_gettime clock_gettime64 gettimeofday time",
    "malloc()": "brk madvise mprotect mremap munmap",
    "threads": "gettid membarrier sched_getaffinity sched_yield set_tid_address sigaltstack tgkill tkill",
    "failures: abort(), and messages of the C library": "getpid rt_sigaction rt_sigprocmask writev",
    "kernel TLS": "setsockopt",
    "a library that checks what it opens": "access faccessat faccessat2 fcntl fcntl64 getrandom getrlimit getuid geteuid getgid getegid prlimit64 readlink "
                                           "readlinkat uname",
    "changes of settings on each file system": "fchmod fdatasync flock fsync ftruncate ftruncate64 rename renameat renameat2 unlink unlinkat",
}
LINE = re.compile(r"^\d+\s+(?:<\.\.\. )?([a-z_0-9]+)[( ]")


def write_wrapper(folder):
    """In the place of the daemon: -D leaves it the child of the test, which signals it."""
    wrapper = folder / "pipit"
    wrapper.write_text(f'#!/bin/sh\nexec strace -D -f -qq -e signal=none -o {folder}/trace.$$ {BUILD}/pipit "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def run(test, wrapper, seconds):
    environment = {**os.environ, "PIPIT_DAEMON": str(wrapper), "PIPIT_BUILD": str(BUILD), "CK_DEFAULT_TIMEOUT": str(seconds)}
    with subprocess.Popen([str(test)], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          start_new_session=True) as process:
        try:
            status = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            status = "stopped"
    print(f"{test.name}: {status}", flush=True)


def calls_of(trace):
    """After the last restriction; none of a run that never served."""
    text = trace.read_text(errors="replace")
    begin = text.rfind("prctl(PR_SET_NO_NEW_PRIVS")
    if begin < 0:
        return set()
    rest = text[begin:].splitlines()[1:]
    return {match[1] for match in map(LINE.match, rest) if match}


def render(traced):
    # The restriction itself, and what a filter cannot be loaded after.
    traced = traced - {"prctl", "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "execve"}
    lines = ["/* SPDX-License-Identifier: MIT */", "/* Made by tests/tools/system_calls.py. */",
             "static const char *const seccomp_calls[] = {", "\t/* traced while the integration tests ran */"]
    for title, names in {"": " ".join(traced), **ALSO}.items():
        if title:
            lines.append(f"\t/* {title} */")
        lines += [f'\t"{name}",' for name in sorted(set(names.split()) - (traced if title else set()))]
    return "\n".join(lines + ["};", ""])


def main(arguments):
    seconds = int(next((argument for argument in arguments if argument.isdigit()), "120"))
    traced = set()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o777)
        wrapper = write_wrapper(folder)
        for test in [ROOT / "tests/integration" / script for script in SCRIPTS] + [BUILD / "tests" / program for program in PROGRAMS]:
            run(test, wrapper, seconds)
            for trace in folder.glob("trace.*"):
                traced |= calls_of(trace)
                trace.unlink(missing_ok=True)
    print(len(traced), "calls:", " ".join(sorted(traced)))
    if not traced:
        sys.exit("nothing was traced")
    if "--write" in arguments:
        HEADER.write_text(render(traced))


if __name__ == "__main__":
    main(sys.argv[1:])
