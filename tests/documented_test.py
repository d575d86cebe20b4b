#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Everything public is documented: each function, type, enumerator, macro and field of pipit.h has a comment of its own, and that of an
option with a number has the default and the range that the table of options has."""
import math
import pathlib
import re
import sys

SERVER = pathlib.Path(__file__).resolve().parent.parent / "server"
HEADER = SERVER / "pipit.h"
OPTIONS = SERVER / "config" / "option.c"
OPTIONS_AT_LEAST = 26
UNITS = {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40, "SECOND_MS": 1000, "DAY_MS": 86400 * 1000}
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


def number_of(entry, member):
    """An initialiser of the table, which is a product of numbers and units; 0 if it is absent."""
    product = re.search(rf"\.{member} = ([\w *]+)", entry)
    factors = product.group(1).split(" * ") if product else ["0"]
    return math.prod(UNITS[factor] if factor in UNITS else int(factor) for factor in factors)


def numeric_options():
    """(field, default, minimum, maximum)"""
    for entry in re.findall(r"\{ \.name = .*? \}", OPTIONS.read_text(), re.S):
        if re.search(r"PIPIT_OPTION_(COUNT|SIZE|DURATION)\b", entry):
            yield re.search(r"FIELD\((\w+)\)", entry).group(1), *(number_of(entry, member) for member in ("initial", "min", "max"))


def wrong_ranges(text):
    options = list(numeric_options())
    if len(options) < OPTIONS_AT_LEAST:
        yield f"this test has lost sight of the table of options: it found only {len(options)} with a number"
    for field, default, least, most in options:
        comment = re.search(rf"/\*\*((?:(?!\*/).)*)\*/\n\tuint64_t {field};", text, re.S).group(1)
        words = re.sub(r"[\s*]+", " ", comment)
        for expected in (rf"\bDefault {default}\b", rf"\b[Rr]ange {least} to {most}\b"):
            if not re.search(expected, words):
                yield f"the comment of {field} does not say: {expected}"


def main():
    text = HEADER.read_text()
    lines = text.splitlines()
    found = list(declarations(lines))
    wrong = [f"{HEADER.name}:{index + 1}: {kind} {name} has no comment" for index, name, kind in found
             if not documented_before(lines, index)]
    wrong += [*wrong_parameters(text), *wrong_ranges(text)]
    kinds = {kind for _, _, kind in found}
    if kinds != {"struct", "enum", "field", "enumerator", "function", "type", "macro"}:
        wrong.append(f"this test has lost sight of something: it found only {sorted(kinds)}")
    print("\n".join(wrong) or f"{len(found)} public names are documented")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
