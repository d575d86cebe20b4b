#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every command that the pages and `make help` print works on a fresh Debian, for a user with sudo.

debootstrap makes the Debian. The commands of a page run in their order in a copy of this checkout. One that listens is a server:
the next commands find it running, until the next server or the end of the page. Where the page shows what a command prints, it
must print that; elsewhere its status must be 0. curl fails when the answer is an error. Nothing may be left behind: no process,
no service that systemd would start.

To follow a run, read main(), then inside(). pages.py finds the commands, debian.py makes and enters the Debian.
"""

import argparse
import fcntl
import os
import pathlib
import re
import subprocess
import sys
import time

import debian
import pages

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(os.environ.get("PIPIT_BUILD", ROOT / "build")).resolve() / "fresh"
PAGES = ("README.md", "make help", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "tests/*/README.md")
CHECKOUT = f"{debian.HOME}/pipit"

# Not run, and why.
LEFT_OUT = (
    (r"docker ", "there is no container engine here; tests/container/check.sh builds and runs the image"),
    (r"make container", "makes a Debian of its own; it is a test by itself"),
    (r"pipit-guard ", "tests/guard/real_programs_test.py runs it with these programs"),
    (r"make test", "runs every test, this one among them; .ci/run runs it in a clean checkout"),
    (r"tests/cross/check\.py", "unpacks libraries of other machines; it is a test by itself"),
    (r"build/tests/", "`make test` builds it"),
    (r"tests/mutants/plant\.py (?!--list)", "runs `make test` for each fault"),
    (r"tests/bench/run\.py --write-results", "is a whole run of the benchmark; `make bench` is the same without writing"),
)
# (pattern, replacement): the same command with a shorter run time. It runs once, whatever pages have it.
SHORTENED = (
    (r"make fuzz", "make fuzz FUZZ_SECONDS=1"),
    (r"tests/fuzz/run\.sh \d+", "tests/fuzz/run.sh 1"),
    (r"tests/bench/run\.py --rounds 2 --seconds 1", "tests/bench/run.py --rounds 1 --seconds 0.5 --connections 8 --only get"),
    (r"tests/bench/run\.py --only", "tests/bench/run.py --rounds 1 --seconds 0.5 --requests 64 --only"),
    (r"tests/bench/behaviour\.py --write", "tests/bench/behaviour.py --slow-seconds 1"),
    (r"make bench", 'make bench ARGS="--rounds 1 --seconds 0.5 --connections 8 --requests 64 --idle 100 --many 100"'),
)
# Install packages, so they get this machine's network; all others get a loopback of their own, where port 8080 is free.
INSTALLS = r"make (?!run)|sudo apt"
# (a server that installs packages, a command that installs the same ones)
INSTALLS_BEFORE = ((r"make run", "make build"),)
# Starts a server; the previous one is stopped first, as a reader would.
SERVES = r"(.*&& )?(make run|(\w+=\S+ )*build/pipit(?!\.)|\./\w)"
# Commands that need a server; on a page that starts none, this one.
ASKS, USUAL_SERVER = r"curl ", "make run"
# Must not change committed sources.
FORMATS = "make format"
# With fewer, the pages are not parsed correctly.
COMMANDS_AT_LEAST = 30

# Only a hang takes that long: one command, and all of them.
COMMAND_SECONDS = 900
ALL_SECONDS = 1700
TURN_SECONDS = 0.05


def say(text):
    print(text, flush=True)


def found(table, command):
    return next((value for pattern, value in table if re.match(pattern, command)), None)


def targets():
    """A command for each line of `make help`."""
    text = debian.run("make", "--no-print-directory", "help", cwd=ROOT, capture_output=True, text=True).stdout
    return [pages.Command("make help", number, re.match(r"make \S+", line)[0], "") for number, line in enumerate(text.splitlines(), 1)]


def printed_commands():
    """(page, its blocks, its commands)"""
    for pattern in PAGES:
        if pattern == "make help":
            yield pattern, [], targets()
            continue
        for path in sorted(ROOT.glob(pattern)):
            name = str(path.relative_to(ROOT))
            blocks = pages.blocks_of(name, path.read_text())
            yield name, blocks, [command for block in blocks for command in pages.commands_of(block)]


def wrong_declarations(commands):
    """Rows without a command, and pages with too few commands."""
    wrong = [f"no command matches {pattern!r} any more" for pattern, _ in (*LEFT_OUT, *SHORTENED, *INSTALLS_BEFORE)
             if not any(re.match(pattern, command.text) for command in commands)]
    if len(commands) < COMMANDS_AT_LEAST:
        wrong.append(f"only {len(commands)} commands found")
    return wrong


def shortened(text):
    """The shortened command without its comment, so that equal commands run once; unchanged if it is short."""
    for pattern, short in SHORTENED:
        if re.match(pattern, text):
            return re.sub(r"\s+#\s.*", "", re.sub(pattern, short, text, count=1))
    return text


def without_date(text):
    return re.sub(r"^Date: .*$", "Date:", text.replace("\r\n", "\n"), flags=re.M).strip()


class Page:
    """The commands of one page, in a shell that keeps its working directory."""

    shortened = set()  # those that have run, of all pages

    def __init__(self, name, blocks, root, logs, loopback):
        self.name, self.blocks, self.root, self.logs, self.loopback = name, blocks, root, logs, loopback
        self.folder, self.server, self.programs, self.wrong = CHECKOUT, None, [], []

    def fail(self, command, why, process=None):
        tail = "".join(process.printed).splitlines()[-20:] if process else []
        self.wrong.append("\n".join([f"FAILED: {command}", f"  {why}", *("  | " + line for line in tail)]))
        say(self.wrong[-1])

    def write_program(self, command):
        """Writes the programs that the command compiles, from the page."""
        for name in re.findall(r"\b(?<!/)\w+\.c\b", command.text):
            path = pathlib.Path(f"{self.root}{self.folder}", name)
            block = pages.program_for(command, self.blocks)
            if block and not path.exists():
                path.write_text(block.text)
                self.programs.append(path)

    def start(self, text, network):
        place = f"{debian.HOME}/.folder"
        script = f"cd {self.folder}\n{text}\nstatus=$?\npwd > {place}\nexit $status\n"
        pathlib.Path(f"{self.root}{place}").unlink(missing_ok=True)
        output = self.logs / f"{len(list(self.logs.glob('*.out'))):03d}"
        return debian.Process(self.root, script, output, network)

    def follow_folder(self):
        place = pathlib.Path(f"{self.root}{debian.HOME}/.folder")
        if place.exists():
            self.folder = place.read_text().strip()

    def wait(self, process, before):
        """"ended", "serves" or "hangs". A server has a listening socket that was not there before; None: it is no server."""
        end = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < end:
            if process.status is not None:
                return "ended"
            if before is not None and debian.listening(self.loopback) - before:
                return "serves"
            time.sleep(TURN_SECONDS)
        return "hangs"

    def run(self, command):
        text = shortened(command.text)
        if text in self.shortened:
            return
        if text != command.text:
            self.shortened.add(text)
        if re.match(ASKS, command.text) and not self.server:
            self.run(pages.Command(command.page, command.line, USUAL_SERVER, ""))
        started = time.monotonic()
        self.write_program(command)
        may_serve = re.match(SERVES, command.text)
        if may_serve:
            self.stop_server()
        preparation = found(INSTALLS_BEFORE, command.text)
        if preparation and self.start(preparation, None).process.wait(COMMAND_SECONDS) != 0:
            self.fail(command, f"{preparation} failed")
            return
        has_network = re.match(INSTALLS, command.text)
        before = debian.listening(self.loopback) if may_serve else None
        process = self.start(text, None if has_network else self.loopback)
        outcome = self.wait(process, before)
        if outcome == "ended":
            self.judge(command, process)
        elif outcome == "serves":
            self.server = command, process
        else:
            self.fail(command, f"has not ended after {COMMAND_SECONDS} s", process)
            process.interrupt()
        say(f"{time.monotonic() - started:6.1f} s  {outcome:7} {command.page}:{command.line}: {text.splitlines()[0]}")

    def judge(self, command, process):
        self.follow_folder()
        out, err = process.printed
        if command.shown and without_date(command.shown) not in (without_date(out), without_date(out + err)):
            self.fail(command, f"prints something else than\n{command.shown}", process)
        if not command.shown and process.status != 0:
            self.fail(command, f"status {process.status}", process)
        if command.text == FORMATS and (changed := self.changed_sources()):
            self.fail(command, f"it changes files that were committed:\n{changed}")

    def changed_sources(self):
        words = debian.as_user(self.root, f"cd {CHECKOUT} && git diff --stat -- '*.[ch]'")
        return debian.run(*words, capture_output=True, text=True).stdout

    def stop_server(self):
        if self.server and not self.server[1].interrupt():
            self.fail(self.server[0], "Ctrl-C does not end it", self.server[1])
        self.server = None

    def end(self, services):
        """The next page has its own server and programs. services: those that were enabled from the beginning."""
        self.stop_server()
        if running := debian.left_running():
            self.wrong.append(f"{self.name} leaves running: {' '.join(running)}")
        if enabled := debian.enabled_services(self.root) - services:
            self.wrong.append(f"{self.name} leaves enabled: {' '.join(sorted(enabled))}")
        debian.end_all()
        for path in self.programs:
            path.unlink()


def inside(root, wanted):
    """In the namespaces: runs every command of every page, or of the wanted ones."""
    debian.mount_all(root, FOLDER / "archives")
    loopback, services = debian.open_loopback(), debian.enabled_services(root)
    logs = FOLDER / "logs"
    debian.remove(logs)
    logs.mkdir()
    wrong, all_commands = [], []
    for name, blocks, commands in printed_commands():
        all_commands += commands
        if wanted and name not in wanted:
            continue
        page = Page(name, blocks, root, logs, loopback)
        for command in commands:
            reason = found(LEFT_OUT, command.text)
            if reason:
                say(f"left out: {command}: {reason}")
            else:
                page.run(command)
        page.end(services)
        wrong += page.wrong
    wrong += wrong_declarations(all_commands)
    say("\n".join([f"{len(wrong)} wrong", *(text.splitlines()[0] for text in wrong)]))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description="Run every command that the pages print, on a fresh Debian.")
    parser.add_argument("--keep", action="store_true", help="leave the Debian in build/fresh/root, to look at it")
    parser.add_argument("--page", action="append", metavar="NAME", default=[], help="only this page, for example README.md or 'make help'")
    parser.add_argument("--inside", metavar="ROOT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(pathlib.Path(options.inside), options.page)
    reason = debian.reason_to_skip(FOLDER, ROOT)
    if reason:
        say(f"skipped: {reason}")
        return 77
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        debian.make_base(FOLDER, say)
        try:
            root = debian.make_root(FOLDER, ROOT)
            words = [*debian.namespaces(), sys.executable, __file__, "--inside", str(root), *(f"--page={name}" for name in options.page)]
            return subprocess.run(words, timeout=ALL_SECONDS, check=False).returncode
        finally:
            if not options.keep:
                debian.remove(FOLDER / "root")


if __name__ == "__main__":
    sys.exit(main())
