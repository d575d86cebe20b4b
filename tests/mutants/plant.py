#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""plant.py [--count N] [--seed N] [--files GLOB] [--exhaustive] [--list]: plant small faults at random in server/ and handlers/, one at a
time, and run the tests: how many of the faults do they find? Works on a copy of the committed files, in a temporary directory. The same
seed plants the same faults in the same commit."""
import argparse
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# A fault may make a loop endless.
TEST_SECONDS = 180
BUILD_SECONDS = 600
# Tests that take less go first: most faults are found by them.
SHORT_SECONDS = 5

# Each finds a place outside of comments and strings, and says what replaces it.
FAULTS = [
    ("boundary", re.compile(r"(?<![-<>=])<(?![<=])(?= )"), "<="),
    ("boundary", re.compile(r"(?<!<)<=(?!=)"), "<"),
    ("boundary", re.compile(r"(?<![->=])>(?![>=])(?= )"), ">="),
    ("boundary", re.compile(r"(?<!>)>="), ">"),
    ("equality", re.compile(r"=="), "!="),
    ("equality", re.compile(r"!="), "=="),
    ("logic", re.compile(r"&&"), "||"),
    ("logic", re.compile(r"\|\|"), "&&"),
    ("logic", re.compile(r"(?<=[ (])!(?=[a-z(])"), ""),
    ("off by one", re.compile(r" \+ 1\b"), ""),
    ("off by one", re.compile(r" - 1\b(?!\))"), ""),
    ("result", re.compile(r"\breturn true;"), "return false;"),
    ("result", re.compile(r"\breturn false;"), "return true;"),
    ("result", re.compile(r"\breturn -E[A-Z]+;"), "return 0;"),
    ("sign", re.compile(r"\+= "), "-= "),
    ("statement", re.compile(r"^\t+[a-z_]+(->[a-z_]+)*\([^=]*\);$"), ";"),
    ("statement", re.compile(r"^\t+(continue|break);$"), ";"),
    ("statement", re.compile(r"^\t+[a-z_>.-]+ = [^=]*;$"), ";"),
]
# The compiler says what these lines are for, or they run in tests only, or nothing depends on them: Linux frees nothing with a mutex, a
# condition or attributes.
SKIPPED = re.compile(r"^\s*(pthread_(mutex|cond|attr|condattr)_destroy\(|#|assert|_Static_assert|static_assert|\(void\)|PIPIT_API|\*)|pipit_log\(|va_(start|end)")


class Fault:
    def __init__(self, path, number, kind, before, after):
        self.path, self.number, self.kind, self.before, self.after = path, number, kind, before, after

    def __str__(self):
        return f"{self.path}:{self.number}: {self.kind}: {self.before.strip()}  ->  {self.after.strip()}"


def code_only(text):
    """The text with comments and strings as blanks of the same length."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def faults_of(folder, path):
    text = (folder / path).read_text()
    lines, plain = text.split("\n"), code_only(text).split("\n")
    for number, (line, code) in enumerate(zip(lines, plain), 1):
        if SKIPPED.search(line) or not line.startswith("\t"):
            continue
        for kind, pattern, replacement in FAULTS:
            for match in pattern.finditer(code):
                after = line[: match.start()] + replacement + line[match.end():]
                yield Fault(path, number, kind, line, after)


def choose(folder, files, count, seed):
    """Spread over the files, so that large ones do not get all of them."""
    rng = random.Random(seed)
    by_file = {path: list(faults_of(folder, path)) for path in files}
    by_file = {path: found for path, found in by_file.items() if found}
    chosen, seen = [], set()
    while by_file and len(chosen) < count:
        path = rng.choice(sorted(by_file))
        fault = rng.choice(by_file[path])
        by_file[path].remove(fault)
        if not by_file[path]:
            del by_file[path]
        if (path, fault.number) not in seen:
            seen.add((path, fault.number))
            chosen.append(fault)
    return chosen


# --- running ----------------------------------------------------------------------------------------------------------


def run(command, folder, seconds):
    """The exit status; None: it did not end in time, and was killed."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return None


def build(folder, *target):
    return run(["cmake", "--build", "build", "-j", str(os.cpu_count()), *target], folder, BUILD_SECONDS) == 0


def build_tests(folder, *target):
    if not build(folder, *target):
        raise SystemExit("the tests do not build")


def object_code(folder):
    """Of the daemon and the library, to tell a fault from one that changes nothing."""
    done = subprocess.run("objdump -d --no-show-raw-insn build/libpipit.so build/pipit | grep -v file.format", cwd=folder, shell=True,
                          capture_output=True, check=True)
    return hash(done.stdout)


def tests_pass(folder, pattern, label):
    command = ["ctest", "--test-dir", "build", "-L", label, "-j", str(2 * os.cpu_count()), "--stop-on-failure"]
    return run(command + (["-R", pattern] if pattern else []), folder, 20 * TEST_SECONDS) == 0


def name_pattern(names):
    return "^(" + "|".join(map(re.escape, names)) + ")$"


def costs(folder):
    """{name of a test: its seconds}, in the sound program."""
    text = (folder / "build/Testing/Temporary/CTestCostData.txt").read_text().split("---")[0]
    return {name: float(seconds) for name, _, seconds in map(str.split, text.splitlines())}


def module_finds(folder, module):
    """Its unit test takes little time to build and to run."""
    if not (folder / f"tests/unit/{module}_test.c").exists():
        return False
    build_tests(folder, "--target", f"{module}_test")
    return not tests_pass(folder, f"^unit/{module}_test$", "quick")


def try_fault(folder, fault, sound, labels, short):
    """short: the names of the tests that take little time."""
    source = folder / fault.path
    original = source.read_text()
    lines = original.split("\n")
    lines[fault.number - 1] = fault.after
    source.write_text("\n".join(lines))
    try:
        if not build(folder, "--target", "pipit-daemon", "pipit-shared"):
            return "does not build"
        if object_code(folder) == sound:
            return "changes nothing"
        if module_finds(folder, source.stem):
            return "found"
        build_tests(folder)
        if not tests_pass(folder, name_pattern(short), "quick"):
            return "found"
        return "SURVIVED" if all(tests_pass(folder, None, label) for label in labels) else "found"
    finally:
        source.write_text(original)


def copy_of_the_commit(folder):
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)


def failed_tests(folder):
    return (folder / "build/Testing/Temporary/LastTestsFailed.log").read_text().split()


def prepare(folder, labels):
    # Without link-time optimization, which takes most of the time of a build.
    subprocess.run(["cmake", "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DPIPIT_TESTS=ON",
                    f"-DPIPIT_TEST_SECONDS={TEST_SECONDS}"], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    if not build(folder):
        raise SystemExit("the sound program does not build")
    for label in labels:
        if not tests_pass(folder, None, label):
            print((folder / "build/Testing/Temporary/LastTest.log").read_text(errors="replace"), file=sys.stderr)
            raise SystemExit(f"these tests do not pass without a fault: {', '.join(failed_tests(folder))}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=70, help="faults that build and change something")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", default="server/*/*.c", help="glob of the files to change")
    parser.add_argument("--exhaustive", action="store_true", help="all tests of make test-all but the sanitizers; minutes for each survivor")
    parser.add_argument("--list", action="store_true", help="print the faults, do not try them")
    return parser.parse_args()


def main():
    options = arguments()
    labels = ["quick", "exhaustive"] if options.exhaustive else ["quick"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pipit-mutants-"))
    folder.chmod(0o755)  # some tests run the daemon as another user
    tried, survivors, started = 0, [], time.monotonic()
    try:
        copy_of_the_commit(folder)
        files = sorted(str(path.relative_to(folder)) for path in folder.glob(options.files))
        if not files:
            raise SystemExit(f"no file matches {options.files}")
        # Some will not build, or change nothing.
        faults = choose(folder, files, 2 * options.count, options.seed)
        if options.list:
            print("\n".join(str(fault) for fault in faults))
            return
        prepare(folder, labels)
        sound = object_code(folder)
        short = [name for name, seconds in costs(folder).items() if seconds < SHORT_SECONDS]
        for fault in faults:
            verdict = try_fault(folder, fault, sound, labels, short)
            if verdict in ("found", "SURVIVED"):
                tried += 1
            if verdict == "SURVIVED":
                survivors.append(fault)
            print(f"{tried:3} of {options.count}, {time.monotonic() - started:5.0f} s: {verdict}: {fault}", flush=True)
            if tried == options.count:
                break
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{tried - len(survivors)} of {tried} faults were found ({', '.join(labels)}; seed {options.seed})")
    for fault in survivors:
        print(f"survived: {fault}")
    sys.exit(0 if tried else 1)


main()
