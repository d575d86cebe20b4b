#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""GET /openapi.json is what it says it is: openapi_test.mjs, run by node where node and the modules are there."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SKIPPED = 77


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def main():
    node = shutil.which("node") or skip("node is not installed")
    if not (HERE / "node_modules/ajv").is_dir():
        skip("no node_modules: run npm ci in tests/openapi, or make test")
    # To the daemon every PIPIT_ variable is a setting, so what the test is told has another name.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
    environment |= {"DAEMON": os.environ.get("PIPIT_DAEMON", str(ROOT / "build/pipit"))}
    with tempfile.TemporaryDirectory() as folder:
        environment["SETTINGS"] = f"{folder}/settings.json"
        # The first operation that is described gets a value; what comes after it may count on what came before.
        pathlib.Path(environment["SETTINGS"]).write_text('{"network":{"hostname":"camera-2"}}')
        sys.exit(subprocess.run([node, str(HERE / "openapi_test.mjs")], env=environment).returncode)


if __name__ == "__main__":
    main()
