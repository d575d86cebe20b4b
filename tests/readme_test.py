#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The README and the docs say what is so: their commands run and print what they print, their code compiles, their tables are the
program's, and the options, functions and figures that they name exist.

readme_test.py --write puts the generated tables into the pages.
"""
import contextlib
import itertools
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path += [str(pathlib.Path(__file__).resolve().parent / folder) for folder in ("bench", "fresh")]
import comparison
import ladder_test
import pages
from memory_formula import memory_at_worst

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("PIPIT_BUILD", ROOT / "build")).resolve()
DAEMON = pathlib.Path(os.environ.get("PIPIT_DAEMON", BUILD / "pipit")).resolve()
# To the daemon every PIPIT_ variable is an option, the one that names it too.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("tests/*/README.md"))]
PICTURE_BYTES_MAX = 200 * 1024
README_LINES_MAX = 200
# A hang, and nothing else, takes so long.
PATIENCE_S = 120
LIBRARIES = ["libevent_core", "libevent_extra", "libcjson", "zlib"]
# Of a test that has lost sight of its subject nothing would be wrong.
COMMANDS_AT_LEAST, PROGRAMS_AT_LEAST = 30, 8


def run(words, **options):
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options)


# --- a server, and the place where commands run ---


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def serving(words, **options):
    """A process that is ended, and must end well, behind the block."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.stdout.close()
        status = process.wait(timeout=PATIENCE_S)
    if status != 0:
        raise AssertionError(f"{words[0]} ended with {status}")


@contextlib.contextmanager
def daemon(folder):
    """The address of a daemon with settings, as `make run` starts it."""
    words = [DAEMON, "--listen", "127.0.0.1:0", "--settings", f"{folder}/settings.json", "--log-level", "warn"]
    with serving(words, env=ENVIRONMENT) as process:
        yield process.stdout.readline().split("http://")[1].strip()


# Programs of the docs listen on port 8080: here on another one, which lets tests run beside each other.
MOVE_PORT = """
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	int (*real)(int, const struct sockaddr *, socklen_t) = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
	struct sockaddr_in moved;

	if (address->sa_family != AF_INET)
		return real(fd, address, length);
	moved = *(const struct sockaddr_in *)address;
	if (moved.sin_port == htons(8080))
		moved.sin_port = htons((unsigned short)atoi(getenv("MOVED_PORT")));
	return real(fd, (const struct sockaddr *)&moved, sizeof moved);
}
"""


class Place:
    """A copy of the checkout to a reader's eyes, where the commands of one page run: build/ and server/ are there, and what was built
    is installed beside it."""

    def __init__(self, folder, stack):
        self.folder, self.stack, self.address, self.installed = pathlib.Path(folder), stack, None, None
        (self.folder / "server").symlink_to(ROOT / "server")
        (self.folder / "build").mkdir()
        for name in ("libpipit.a", "libpipit.so"):
            (self.folder / "build" / name).symlink_to(BUILD / name)
        (self.folder / "build/pipit").symlink_to(DAEMON)

    def environment(self):
        if not self.installed:
            return ENVIRONMENT
        packages = next(self.installed.rglob("pipit.pc")).parent
        return dict(ENVIRONMENT, PKG_CONFIG_PATH=str(packages), LD_LIBRARY_PATH=str(packages.parent))

    def shell(self, command):
        return run(["sh", "-c", command], cwd=self.folder, env=self.environment())

    def install(self):
        self.installed = self.folder / "installed"
        done = run(["cmake", "--install", str(BUILD), "--prefix", str(self.installed)])
        return done.stderr if done.returncode else None

    def serve(self, program):
        """Start a program of the docs, and wait until it accepts."""
        moved = self.folder / "move_port.so"
        run(["cc", "-shared", "-fPIC", "-xc", "-", "-o", str(moved), "-ldl"], input=MOVE_PORT).check_returncode()
        port = free_port()
        environment = dict(self.environment(), LD_PRELOAD=str(moved), MOVED_PORT=str(port))
        process = self.stack.enter_context(serving([program], cwd=self.folder, env=environment))
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                self.address = f"127.0.0.1:{port}"
                return None
            time.sleep(0.01)
        return f"{program} does not accept connections"


# --- the commands of a page ---


def words_of(command):
    return shlex.split(command, comments=True)


def normal(text):
    """Without what differs from run to run."""
    return re.sub(r"^Date: .*$", "Date:", text.replace("\r\n", "\n"), flags=re.M).strip()


def compare(done, expected):
    printed = normal(done.stdout + done.stderr)
    if expected is not None and printed != normal(expected):
        return f"the page says:\n{expected}\nit prints:\n{printed}"
    return f"it prints:\n{printed}" if expected is None and done.returncode else None


def curl(place, command, expected):
    real = command.replace("127.0.0.1:8080", place.address).replace("curl ", "curl -s --max-time 60 ", 1)
    return compare(place.shell(real), expected)


def check_options(place, command, expected):
    """The daemon itself would run on: --check reads the same options. The default port may be in use, for example by `make run`."""
    return compare(place.shell(f"{command} --check" + ("" if "listen" in command else " --listen 127.0.0.1:0")), expected or None)


def shell(place, command, expected):
    return compare(place.shell(command), expected)


def in_checkout(_place, command, _expected):
    """What is too long for this test: its program is there. Other tests run it."""
    program = ROOT / words_of(command)[0]
    return None if os.access(program, os.X_OK) else "no such program"


def make(_place, command, _expected):
    return compare(run(["make", "--dry-run", *words_of(command)[1:]], cwd=ROOT, env=ENVIRONMENT), None)


def built_program(_place, command, _expected):
    """build/tests/… exists when tests are built."""
    return None if (BUILD / words_of(command)[0].removeprefix("build/")).exists() else "no such program"


def guard_options():
    """Of pipit-guard, by its help."""
    return set(re.findall(r'"  (--[a-z]+)', (ROOT / "guard/main.c").read_text()))


def guard_command(_place, command, _expected):
    """tests/guard runs the programs."""
    options = itertools.takewhile(lambda word: not re.match(r"[a-z]", word) or "." in word, words_of(command)[1:])
    unknown = [word for word in options if word.startswith("-") and word not in guard_options()]
    return f"{' '.join(unknown)}: no option of pipit-guard" if unknown else None


def nothing(_place, _command, _expected):
    return None


RULES = (
    (r"curl ", curl),
    (r"(.* && )?(PIPIT_\w+=\S+ )*build/pipit\b(?!\.)", check_options),
    (r"pipit-guard ", guard_command),
    (r"build/tests/", built_program),
    (r"make ", make),
    (r"(sudo )?cmake --install build\b", lambda place, _command, _expected: place.install()),
    (r"cc ", shell),
    (r"echo ", shell),
    (r"\./\w+$", lambda place, command, _expected: place.serve(command)),
    (r"tests/", in_checkout),
    (r"ctest |node |printf ", nothing),
    (r"docker ", nothing),  # tests/container/check.sh builds and runs the same image
)


def run_command(place, command, expected):
    for pattern, rule in RULES:
        if re.match(pattern, command):
            try:
                return rule(place, command, expected)
            except (OSError, subprocess.SubprocessError) as error:
                return str(error)
    return "this test knows no way to run it"


def write_program(place, command, blocks):
    """The C file that a command compiles is in its page."""
    for name in re.findall(r"^cc (\w+\.c)\b", command.text):
        if not (place.folder / name).exists() and (block := pages.program_for(command, blocks)):
            (place.folder / name).write_text(block.text)
            place.install()


def check_commands(page, blocks, counts):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        place = Place(folder, stack)
        place.address = stack.enter_context(daemon(folder))
        for block in blocks:
            for command in pages.commands_of(block):
                counts["commands"] += 1
                write_program(place, command, blocks)
                if why := run_command(place, command.text, command.shown if block.language == "console" else None):
                    yield f"{command}\n{why}"


# --- the code of a page ---


def check_code(page, blocks, counts):
    """Every block of C compiles as it stands, and links when it is a program; those of the README are C++ as well."""
    libraries = shlex.split(run(["pkg-config", "--libs", *LIBRARIES]).stdout)
    compilers = [["cc", "-std=c11"]] + ([["c++", "-xc++", "-std=c++11"]] if page == README else [])
    for block in (block for block in blocks if block.language == "c"):
        source = block.text
        counts["programs"] += 1
        for compiler in compilers:
            last = ["-xnone", str(BUILD / "libpipit.so"), *libraries, "-lpthread"] if "int main(" in source else ["-c"]
            with tempfile.TemporaryDirectory() as folder:
                pathlib.Path(folder, "example.c").write_text(source)
                words = [*compiler, "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'server'}", "example.c", "-o", "example", *last]
                built = run(words, cwd=folder)
            if built.returncode != 0:
                yield f"{block.page}:{block.line}: {compiler[0]}:\n{built.stderr}"


def check_public_header_in_cplusplus():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "use.cc")
        path.write_text('#include "pipit.h"\nint main() { return pipit_version() == nullptr; }\n')
        built = run(["c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{ROOT / 'server'}", str(path)])
    if built.returncode != 0:
        yield f"pipit.h is no C++:\n{built.stderr}"


# --- generated tables ---


def option_table():
    return run([BUILD / "tests/option_table"]).stdout


def metric_table():
    """Name, type, labels and help of every metric, from the page of a daemon that has served a request."""
    with tempfile.TemporaryDirectory() as folder, daemon(folder) as address:
        for _ in range(2):
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=PATIENCE_S) as answer:
                page = answer.read().decode()
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for name, text, kind in re.findall(r"^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)$", page, re.M):
        labels = re.search(rf"^{name}(?:_bucket|_count)?\{{(.*)\}} ", page, re.M)
        found = re.findall(r'(\w+)="', labels.group(1)) if labels else []
        rows.append(f"| `{name}` | {kind} | {' '.join(f'`{label}`' for label in found if label != 'le')} | {text} |")
    return "\n".join(rows) + "\n"


GENERATED = ((DOCS / "configuration.md", "options", option_table), (DOCS / "metrics.md", "metrics", metric_table),
             (README, "comparison", comparison.table))


def between(mark):
    return re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.S)


def written(text, mark, table):
    return between(mark).sub(lambda match: match.group(1) + table + match.group(2), text)


def check_generated():
    for page, mark, table in GENERATED:
        text = page.read_text()
        if not between(mark).search(text):
            yield f"{page.name} has no <!-- {mark} --> … <!-- /{mark} -->"
        elif written(text, mark, table()) != text:
            yield f"{page.name}: the table of {mark} is not the program's: run tests/readme_test.py --write"


# --- what is named ---


def defaults():
    """Options and their defaults, as the daemon prints them."""
    return dict(re.findall(r"^\| `--([\w-]+)` \| ([^|]*) \|", option_table(), re.M))


def bytes_of(value):
    """Of an option: "64k"."""
    number, unit = re.fullmatch(r"(\d+)([kmg]?)", value).groups()
    return int(number) * 1024 ** " kmg".index(unit or " ")


def mib_at_worst(workers):
    """With the defaults."""
    values = {name: bytes_of(value) for name, value in defaults().items() if re.fullmatch(r"\d+[kmg]?", value)}
    return round(memory_at_worst({**values, "workers": workers}) / 1024 / 1024)


def check_figures(page, text):
    vectors = len(list(ROOT.glob("tests/vectors/guard/*/*.http")))
    targets = len(list(ROOT.glob("tests/fuzz/fuzz_*.c")))
    for figure, workers, found in ((m.group(2), m.group(1), m.group(0)) for m in
                                   re.finditer(r"(\d+) workers (?:the daemon takes|that is) (\d+) MiB", re.sub(r"\s+", " ", text))):
        if int(figure) != mib_at_worst(int(workers)):
            yield f"{page.name}: {found!r}, and it is {mib_at_worst(int(workers))} MiB"
    for pattern, count in ((r"(\d+) files of exact bytes", vectors), (r"(\d+) libFuzzer targets", targets)):
        for found in re.findall(pattern, text):
            if int(found) != count:
                yield f"{page.name}: {found} of {pattern}, and there are {count}"


# Of other programs.
FOREIGN_OPTIONS = {"--prefix", "--static", "--write", "--write-results", "--only", "--no-install", "--peers", "--idle", "--many",
                   "--config", "--check", "--help", "--version", "--healthcheck",
                   "--make-test-certificate", "--name"}


def check_names(page, text):
    """Options, their defaults, and functions."""
    known = defaults()
    others = FOREIGN_OPTIONS | guard_options()
    header = (ROOT / "server/pipit.h").read_text()
    for name in sorted(set(re.findall(r"`(--[a-z][\w-]*)", text)) - others):
        if name[2:] not in known:
            yield f"{page.name}: {name} is no option"
    for name, value in re.findall(r"`--([\w-]+)` \(([\w.]+)\)", text):
        if known.get(name) != value:
            yield f"{page.name}: --{name} ({value}), and its default is {known.get(name)}"
    for name in sorted(set(re.findall(r"\b(pipit_[a-z_]+)\(", text))):
        if not re.search(rf"\b{name}\(", header):
            yield f"{page.name}: {name}() is not in pipit.h"


def check_modules():
    """docs/architecture.md lists the modules in their order."""
    text = between("modules").search((DOCS / "architecture.md").read_text()).group(0)
    listed = re.findall(r"^\*\*server/(\w+)/\*\*|^\| `(\w+)` \|", text, re.M)
    order = [one for folder, modules in ladder_test.FOLDERS.items() for one in ((folder, ""), *(("", name) for name in modules.split()))]
    if listed != order:
        wrong = next(((a, b) for a, b in zip(listed, order) if a != b), "their number")
        yield f"architecture.md does not list the modules of ladder_test.py in order: {wrong}"


def check_front_page():
    text = README.read_text()
    for mark in re.findall(r"<!-- /(\w+) -->", text):
        text = between(mark).sub("", text)
    if (lines := len(text.splitlines())) > README_LINES_MAX:
        yield f"README.md has {lines} lines without its tables, more than {README_LINES_MAX}"
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        if (ROOT / picture).stat().st_size > PICTURE_BYTES_MAX:
            yield f"{picture} is larger than {PICTURE_BYTES_MAX} bytes"


def main():
    if "--write" in sys.argv:
        for page, mark, table in GENERATED:
            page.write_text(written(page.read_text(), mark, table()))
        return 0
    wrong, counts = [*check_generated(), *check_front_page(), *check_modules(), *check_public_header_in_cplusplus()], dict(commands=0, programs=0)
    for page in PAGES:
        text = page.read_text()
        blocks = pages.blocks_of(str(page.relative_to(ROOT)), text)
        wrong += [*check_code(page, blocks, counts), *check_commands(page, blocks, counts), *check_figures(page, text), *check_names(page, text)]
    if counts["commands"] < COMMANDS_AT_LEAST or counts["programs"] < PROGRAMS_AT_LEAST:
        wrong.append(f"only {counts} found: this test has lost sight of them")
    print("\n".join(wrong) or f"the pages are right: {counts['commands']} commands, {counts['programs']} pieces of code")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
