#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The dashboard in a real browser: dashboard_test.mjs, run by node if node, Chromium and the modules are installed."""
import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SKIPPED = 77


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def main():
    node = shutil.which("node") or skip("node is not installed")
    chromium = shutil.which("chromium") or skip("chromium is not installed")
    if not (HERE / "node_modules/playwright-core").is_dir():
        skip("no node_modules: run npm ci in tests/browser, or make test")
    # The daemon reads every PIPIT_ variable as an option, so the test's variables have other names.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
    environment |= {"DAEMON": os.environ.get("PIPIT_DAEMON", str(ROOT / "build/pipit")), "CHROMIUM": chromium}
    os.execve(node, [node, str(HERE / "dashboard_test.mjs")], environment)


if __name__ == "__main__":
    main()
