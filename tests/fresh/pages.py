# SPDX-License-Identifier: MIT
"""The commands that the pages print: each `sh` and `console` block, one command at a time."""

import dataclasses
import re
import subprocess

FENCE = re.compile(r"^( *)(`{3,}|~{3,}) *(\S*)")
# sh: commands. console: commands after "$ ", each followed by its output.
TYPED = ("sh", "console")
# Blocks without commands. A block of any other language is an error.
NOT_TYPED = ("", "c", "cmake", "diff", "html", "http", "ini", "json", "text", "yaml")


@dataclasses.dataclass
class Block:
    page: str
    line: int  # of its first line
    language: str
    text: str


@dataclasses.dataclass
class Command:
    page: str
    line: int
    text: str
    shown: str  # the output that the page shows; empty if it shows none

    def __str__(self):
        return f"{self.page}:{self.line}: {self.text}"


def blocks_of(page, text):
    """Every fenced block, in order. A fence ends at one of its own kind and at least its length."""
    found, fence = [], None
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if fence is None:
            if match:
                indent, fence, language = match.groups()
                found.append(Block(page, number + 1, language, ""))
        elif match and match[2].startswith(fence) and not match[3]:
            fence = None
        else:
            found[-1].text += line.removeprefix(indent) + "\n"
    if fence is not None:
        raise ValueError(f"{page}:{found[-1].line}: the block does not end")
    return found


def is_whole(text):
    """Whether the shell expects no further line. An unterminated here-document is only a warning."""
    done = subprocess.run(["bash", "-n", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0 and not done.stderr and not text.endswith("\\")


def commands_of_sh(block):
    text, first = "", 0
    for number, line in enumerate(block.text.splitlines(), block.line):
        if not text and (not line.strip() or line.startswith("#")):
            continue
        text, first = (f"{text}\n{line}", first) if text else (line, number)
        if is_whole(text):
            yield Command(block.page, first, text, "")
            text = ""
    if text:
        raise ValueError(f"{block.page}:{first}: the shell expects more: {text}")


def commands_of_console(block):
    """A command continues in lines behind "> "."""
    command = None
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("$ "):
            if command:
                yield command
            command = Command(block.page, number, line[2:], "")
        elif command is None:
            raise ValueError(f'{block.page}:{number}: a console block begins with "$ "')
        elif line.startswith("> ") and not command.shown and not is_whole(command.text):
            command.text += "\n" + line[2:]
        else:
            command.shown += line + "\n"
    if command:
        yield command


def commands_of(block):
    if block.language == "sh":
        return list(commands_of_sh(block))
    if block.language == "console":
        return list(commands_of_console(block))
    if block.language in NOT_TYPED:
        return []
    raise ValueError(f"{block.page}:{block.line}: a block of {block.language}: neither {TYPED} nor {NOT_TYPED}")


def program_for(command, blocks):
    """The C program of a file name in the command: the nearest one above it in its page, or the first below."""
    programs = [block for block in blocks if block.language == "c" and "int main(" in block.text]
    above = [block for block in programs if block.line < command.line]
    return (above[-1:] or programs[:1] or [None])[0]
