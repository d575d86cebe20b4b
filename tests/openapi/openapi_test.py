#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""GET /openapi.json is valid and true: openapi_test.mjs, run by node if node and the modules are installed."""
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
    # The daemon reads every PIPIT_ variable as an option, so the test's variable has another name.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_")}
    environment |= {"DAEMON": os.environ.get("PIPIT_DAEMON", str(ROOT / "build/pipit"))}
    with tempfile.TemporaryDirectory() as folder:
        environment["SETTINGS"] = f"{folder}/settings.json"
        # The first described operation needs a value; later ones may rely on earlier ones.
        pathlib.Path(environment["SETTINGS"]).write_text('{"network":{"hostname":"camera-2"}}')
        sys.exit(subprocess.run([node, str(HERE / "openapi_test.mjs")], env=environment).returncode)


if __name__ == "__main__":
    main()
