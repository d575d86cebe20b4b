#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Everything public is documented: each function, type, enumerator, macro and field of pipit.h has a comment of its own."""
import pathlib
import re
import sys

HEADER = pathlib.Path(__file__).resolve().parent.parent / "server" / "pipit.h"
# Plumbing that no user calls.
EXEMPT = {"PIPIT_H", "PIPIT_API", "PIPIT_PRINTF"}


def documented_before(lines, index):
    """Whether the line above the declaration ends a documentation comment (/** … */)."""
    above = index - 1
    if above < 0 or not lines[above].rstrip().endswith("*/"):
        return False
    while above >= 0 and "/*" not in lines[above]:
        above -= 1
    return lines[above].lstrip().startswith("/**")


def declarations(lines):
    """(line number, name, kind) of everything public."""
    inside = None
    for index, line in enumerate(lines):
        if match := re.match(r"(struct|enum) (pipit_\w+) \{", line):
            inside = match.group(1)
            yield index, match.group(2), inside
        elif line.startswith("};"):
            inside = None
        elif inside == "struct" and (match := re.match(r"\t[\w ]+?[ *](\w+)(\[\w+\])?;", line)):
            yield index, match.group(1), "field"
        elif inside == "enum" and (match := re.match(r"\t(PIPIT_\w+)", line)):
            yield index, match.group(1), "enumerator"
        elif match := re.match(r"PIPIT_API .*?\b(pipit_\w+)\(", line):
            yield index, match.group(1), "function"
        elif match := re.match(r"typedef .*?\b(pipit_\w+)\(", line):
            yield index, match.group(1), "type"
        elif (match := re.match(r"#define (PIPIT_\w+)", line)) and match.group(1) not in EXEMPT:
            yield index, match.group(1), "macro"


def wrong_parameters(text):
    """A name behind @param is one of the function's."""
    for comment, declaration in re.findall(r"(/\*\*(?:(?!\*/).)*\*/)\nPIPIT_API ([^;]*);", text, re.S):
        for name in re.findall(r"@param (\w+)", comment):
            if not re.search(rf"\b{name}\b", declaration):
                yield f"@param {name} is no parameter of: {declaration.split('(')[0]}"


def main():
    text = HEADER.read_text()
    lines = text.splitlines()
    found = list(declarations(lines))
    wrong = [f"{HEADER.name}:{index + 1}: {kind} {name} has no comment" for index, name, kind in found
             if not documented_before(lines, index)]
    wrong += list(wrong_parameters(text))
    kinds = {kind for _, _, kind in found}
    if kinds != {"struct", "enum", "field", "enumerator", "function", "type", "macro"}:
        wrong.append(f"this test has lost sight of something: it found only {sorted(kinds)}")
    print("\n".join(wrong) or f"{len(found)} public names are documented")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
