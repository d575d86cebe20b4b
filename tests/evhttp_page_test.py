#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/evhttp.md says what is so: its table names every function of the installed event2/http.h and no other. readme_test.py compiles
its examples."""
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "evhttp.md"
LIBEVENT = ["libevent_core", "libevent_extra"]
# The page describes this series; later ones have more functions.
VERSION = "2.1."
# A header or page that this test does not find its way in would have nothing wrong.
FUNCTIONS_AT_LEAST = 90


def pkg_config(*arguments):
    return subprocess.run(["pkg-config", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def header():
    """The installed event2/http.h, as the compiler finds it."""
    flags = shlex.split(pkg_config("--cflags", *LIBEVENT))
    rule = subprocess.run(["cc", *flags, "-xc", "-M", "-"], input="#include <event2/http.h>\n", capture_output=True, text=True,
                          check=True).stdout
    return next(pathlib.Path(name) for name in rule.split() if name.endswith("event2/http.h"))


def declared(text):
    """The functions that the header declares."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"^\s*#(?:.*\\\n)*.*$", "", text, flags=re.M)
    statements = (part.split("{")[-1].split("}")[-1] for part in text.split(";"))
    found = (re.search(r"\b(evhttp_\w+)\s*\(", part) for part in statements if "typedef" not in part)
    return {match.group(1) for match in found if match}


def named(text):
    """(line number, function) for each function in the first column of the table of calls."""
    is_table = False
    for number, line in enumerate(text.splitlines(), 1):
        is_table = line.startswith("| Call |") or (is_table and line.startswith("|"))
        if is_table:
            for name in re.findall(r"`(\w+)`", line.split("|")[1]):
                yield number, name


def wrong_in_table(text, functions):
    seen = {}
    for number, name in named(text):
        if name in seen:
            yield f"{PAGE.name}:{number}: {name} has a row already, line {seen[name]}"
        seen[name] = number
        if name not in functions:
            yield f"{PAGE.name}:{number}: {name} is no function of event2/http.h"
    yield from (f"{name} of event2/http.h has no row" for name in sorted(functions - seen.keys()))


def main():
    version = pkg_config("--modversion", LIBEVENT[0])
    if not version.startswith(VERSION):
        print(f"skipped: the page is about libevent {VERSION}x, and {version} is installed")
        return 77
    text, functions = PAGE.read_text(), declared(header().read_text())
    wrong = list(wrong_in_table(text, functions))
    if len(functions) < FUNCTIONS_AT_LEAST:
        wrong.append(f"only {len(functions)} functions found in event2/http.h: this test has lost sight of them")
    print("\n".join(wrong) or f"{len(functions)} functions have their row")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
