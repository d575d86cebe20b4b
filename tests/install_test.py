#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program links what pkg-config says of the installed library, shared and static, and the loader finds all of it."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("PIPIT_BUILD", ROOT / "build")).resolve()
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
SOURCE = "#include <pipit.h>\n#include <stdio.h>\nint main(void)\n{\n\tputs(pipit_version());\n}\n"


def wrong_links(folder):
    pathlib.Path(folder, "version.c").write_text(SOURCE)
    printed = subprocess.run(["cmake", "--install", BUILD, "--prefix", folder], check=True, capture_output=True, text=True).stdout
    advice = re.search(r"-Wl,-rpath,[^, ]+", printed)
    if not advice:
        yield f"cmake --install does not say how a program finds the library in {folder}:\n{printed}"
        return
    environment = dict(ENVIRONMENT, PKG_CONFIG_PATH=str(next(pathlib.Path(folder).rglob("pipit.pc")).parent))
    for package, options, is_shared in (("pipit", advice.group(), True), ("pipit-static", "", False)):
        command = f"cc version.c $(pkg-config --cflags --libs {package}) {options} -o version && ldd version && ./version"
        done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0 or "not found" in done.stdout or ("libpipit" in done.stdout) != is_shared:
            yield f"{command}\n{done.stdout}{done.stderr}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        wrong = list(wrong_links(folder))
    print("\n".join(wrong) or "linked and ran, shared and static")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
