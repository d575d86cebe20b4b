#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every link in a Markdown page leads somewhere: the file exists, and has that heading. Every page is reachable from the README."""
import pathlib
import re
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIRST = ROOT / "README.md"
# Not of the project: what was built, and other projects' packages.
LEFT_OUT = re.compile(r"^(build[^/]*|.*node_modules)/")
# A test that finds no links would find no wrong ones.
LINKS_AT_LEAST = 60

FENCE = re.compile(r"^ *```")
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")


def pages():
    return sorted(path for path in ROOT.rglob("*.md") if not LEFT_OUT.match(str(path.relative_to(ROOT))))


def prose(text):
    """(line number, line) of what is not in a code block."""
    is_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            yield number, line


def links(path):
    """(line number, target) of every link and picture."""
    for number, line in prose(path.read_text()):
        for target in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            yield number, target


def anchors(path):
    """The anchors of a page's headings, as they are made where Markdown is shown: GitHub, GitLab, Gitea."""
    seen = {}
    for _, line in prose(path.read_text()):
        if heading := re.match(r"#{1,6} +(.*?)[ #]*$", line):
            text = re.sub(r"[`*]|\]\([^)]*\)", "", heading.group(1)).lower()
            name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            count = seen.get(name, 0)
            seen[name] = count + 1
            yield f"{name}-{count}" if count else name


def fault(page, target):
    """What is wrong with a link, or None."""
    parts = urllib.parse.urlsplit(target)
    if parts.scheme or parts.netloc:
        return None if parts.scheme == "https" and "." in parts.netloc else "an address that is not https://HOST/…"
    if target.startswith("/"):
        return "a path from the root, which depends on where the page is shown"
    found = (page.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else page
    if not found.is_relative_to(ROOT) or not found.exists():
        return "no such file"
    if parts.fragment and (found.suffix != ".md" or parts.fragment not in anchors(found)):
        return f"no heading #{parts.fragment} there"
    return None


def reachable():
    """Every page that links lead to, from the README on."""
    found, left = {FIRST}, [FIRST]
    while left:
        page = left.pop()
        for _, target in links(page):
            other = (page.parent / target.partition("#")[0]).resolve()
            if other.suffix == ".md" and other.is_file() and other not in found:
                found.add(other)
                left.append(other)
    return found


def main():
    wrong, count = [], 0
    for page in pages():
        for number, target in links(page):
            count += 1
            if why := fault(page, target):
                wrong.append(f"{page.relative_to(ROOT)}:{number}: {target}: {why}")
    wrong += [f"{page.relative_to(ROOT)}: no link leads to it from README.md" for page in pages() if page not in reachable()]
    if count < LINKS_AT_LEAST:
        wrong.append(f"only {count} links found: this test has lost sight of them")
    print("\n".join(wrong) or f"{count} links lead somewhere")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
