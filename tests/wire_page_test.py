#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/wire.md says what is so: every vector and test that it names exists, every vector is named, and each by the status of its row."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "wire.md"
VECTORS = ROOT / "tests" / "vectors" / "guard"
# A page that has lost its tables would name nothing wrong.
ROWS_AT_LEAST = 70


def rows(text):
    """(line number, cells) of every row of a table, its heading left out."""
    previous = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("|") and previous.startswith("|") and not line.startswith("|---"):
            yield number, [cell.strip() for cell in line.strip("|").split("|")]
        previous = line


def names(cell):
    return re.findall(r"`((?:accept|reject)/[^`]+)`", cell), re.findall(r"`(\w+_test): (\w+)`", cell)


def status_of(answer):
    found = re.match(r"\d{3}\b", answer)
    return found.group() if found else None


def tests_of(module):
    """The names of a test program's tests."""
    for path in ROOT.glob(f"tests/**/{module}.c"):
        return set(re.findall(r"^START_TEST\((\w+)\)", path.read_text(), re.M))
    return set()


def files_of(pattern):
    """Paths such as reject/400-host-missing of the vectors that a row's pattern means."""
    return {str(path.relative_to(VECTORS).with_suffix("")) for path in VECTORS.glob(pattern + ".http")}


def wrong_in_row(cells):
    vectors, tests = names(cells[-1])
    answer = cells[2] if len(cells) == 4 else None
    if not vectors and not tests:
        yield "names neither a vector nor a test"
    for pattern in vectors:
        files = files_of(pattern)
        if not files:
            yield f"{pattern}: there is no such vector"
        for name in sorted(files):
            if answer and name.split("/")[1][:4] != f"{status_of(answer)}-":
                yield f"{name} has another status than the row: {answer}"
        if answer and pattern.startswith("reject/") and "closed" not in answer:
            yield f"{pattern}: a refusal closes the connection, and the row does not say so"
    for module, test in tests:
        if test not in tests_of(module):
            yield f"{module}: {test}: there is no such test"


def main():
    wrong, named, answers = [], set(), 0
    for number, cells in rows(PAGE.read_text()):
        wrong += [f"{PAGE.name}:{number}: {what}" for what in wrong_in_row(cells)]
        if len(cells) == 4:
            answers += 1
            for pattern in names(cells[-1])[0]:
                named |= files_of(pattern)
    every = files_of("*/*")
    wrong += [f"{name}.http is named by no row" for name in sorted(every - named)]
    if answers < ROWS_AT_LEAST:
        wrong.append(f"{PAGE.name} has only {answers} rows: this test has lost sight of them, or the page of its subject")
    print("\n".join(wrong) or f"{answers} rows name {len(named)} vectors")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
