#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The README says what is so: its curl examples print what it prints, its table of options is the program's, its example compiles.

readme_test.py --write puts the table of options into the README.
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("PIPIT_BUILD", ROOT / "build"))
DAEMON = os.environ.get("PIPIT_DAEMON", str(BUILD / "pipit"))
# To the daemon every PIPIT_ variable is a setting, the one that names it too.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
README = ROOT / "README.md"
OPTIONS = re.compile(r"(<!-- options -->\n).*?(<!-- /options -->)", re.S)
DATE = re.compile(r"^Date: .*$", re.M)


def option_table():
    return subprocess.run([BUILD / "tests/option_table"], capture_output=True, text=True, check=True).stdout


def check_options(text):
    stands = OPTIONS.search(text).group(0)
    wanted = f"<!-- options -->\n{option_table()}<!-- /options -->"
    return [] if stands == wanted else ["the table of options is not the program's: run tests/readme_test.py --write"]


def examples(text):
    """(command, what it prints) of the console blocks that use curl."""
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            if command.startswith("curl"):
                yield command, output


def check_curl(text):
    wrong, seen = [], 0
    daemon = subprocess.Popen([DAEMON, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        address = daemon.stdout.readline().split("http://")[1].strip()
        for command, expected in examples(text):
            seen += 1
            real = command.replace("127.0.0.1:8080", address).replace("curl ", "curl -sS ", 1)
            printed = subprocess.run(["sh", "-c", real], capture_output=True, text=True, timeout=20)
            printed = DATE.sub("Date:", (printed.stdout + printed.stderr).replace("\r\n", "\n")).strip()
            if printed != DATE.sub("Date:", expected).strip():
                wrong.append(f"$ {command}\nthe README says:\n{expected}\nit prints:\n{printed}\n")
    finally:
        daemon.terminate()
        if daemon.wait(timeout=20) != 0:
            wrong.append(f"the daemon ended with {daemon.returncode}")
    if seen < 5:
        wrong.append(f"only {seen} curl examples found")
    return wrong


def check_embedding(text):
    """The example compiles as it stands, against the built library, and answers."""
    source = re.search(r"```c\n(.*?)```", text, re.S).group(1)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "hello.c")
        path.write_text(source)
        flags = shlex.split(subprocess.run(["pkg-config", "--libs", "libevent_core", "libevent_extra", "libcjson", "zlib"],
                                           capture_output=True, text=True, check=True).stdout)
        build = subprocess.run(["cc", "-Wall", "-Werror", f"-I{ROOT / 'server'}", path, BUILD / "libpipit.a", *flags, "-lpthread",
                                "-o", f"{folder}/hello"], capture_output=True, text=True)
    return [] if build.returncode == 0 else [f"the embedding example does not compile:\n{build.stderr}"]


def check_installing(text):
    """The example compiles with what pkg-config says of an installed library, shared and static."""
    source = re.search(r"```c\n(.*?)```", text, re.S).group(1)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "hello.c").write_text(source)
        subprocess.run(["cmake", "--install", BUILD, "--prefix", folder], check=True, capture_output=True)
        packages = next(pathlib.Path(folder).rglob("pipit.pc")).parent
        for kind in ("", "--static"):
            command = f"cc hello.c $(pkg-config --cflags --libs {kind} pipit) -lcjson -o hello"
            build = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True,
                                   env=dict(ENVIRONMENT, PKG_CONFIG_PATH=str(packages)))
            if build.returncode != 0:
                wrong.append(f"{command}\n{build.stderr}")
    return wrong


def check_public_header_in_cplusplus(_):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "use.cc")
        path.write_text('#include "pipit.h"\nint main() { return pipit_version() == nullptr; }\n')
        build = subprocess.run(["c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{ROOT / 'server'}", path],
                               capture_output=True, text=True)
    return [] if build.returncode == 0 else [f"pipit.h is no C++:\n{build.stderr}"]


def main():
    text = README.read_text()
    if "--write" in sys.argv:
        README.write_text(OPTIONS.sub(lambda m: m.group(1) + option_table() + m.group(2), text))
        return 0
    wrong = check_options(text) + check_curl(text) + check_embedding(text) + check_installing(text) + check_public_header_in_cplusplus(text)
    print("\n".join(wrong) or "the README is right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
