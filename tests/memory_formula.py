# SPDX-License-Identifier: MIT
"""The formula of docs/limits.md."""
import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs/limits.md"
UNITS = {"KiB": 1024, "MiB": 1024 * 1024}


def memory_at_worst(values):
    """Bytes. values: of "workers", and of the options that the page names, by name. Evaluates the text of the page."""
    formula = " ".join(re.search(r"At worst the daemon takes:\n\n((?:> .*\n)+)", PAGE.read_text()).group(1).replace("> ", "").split())
    formula = re.sub(r"([\d.]+) (KiB|MiB)", lambda match: f"{match.group(1)} * {UNITS[match.group(2)]}", formula)
    formula = re.sub(r"`([\w-]+)`|\b(workers)\b", lambda match: str(values[match.group(1) or match.group(2)]), formula).replace("×", "*")
    assert re.fullmatch(r"(?:max\(|[\d.+*(), ])+", formula), f"not understood: {formula}"
    return eval(formula)  # pylint: disable=eval-used
