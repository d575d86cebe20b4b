#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The daemon is killed at random moments of many rounds of concurrent changes: afterwards every acknowledged change is in the file,
and a change that was not acknowledged is in it completely or not at all."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

from served import DAEMON, ENVIRONMENT, PATIENCE_SECONDS, Client, Group, end_with_verdict, temporary_folder

ROUNDS = int(os.environ.get("ROUNDS", "50"))
CLIENTS = 4
JSON, MERGE, PATCH = "application/json", "application/merge-patch+json", "application/json-patch+json"


def start(file):
    process = subprocess.Popen([DAEMON, "--listen", "127.0.0.1:0", "--workers", "2", "--log-level", "error", "--settings", str(file)],
                               stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    line = process.stdout.readline()
    assert "http://" in line, f"the daemon does not start again: {file.read_text()[:200]!r}"
    host, port = line.split("http://")[1].strip().rsplit(":", 1)
    return process, (host, int(port))


def state(number):
    """The value of a client's member: a partial one is detected."""
    return {"number": number, "square": number * number, "text": "x" * (number * 37 % 900)}


class Writer(threading.Thread):
    """Changes its own member, and records what it sent and what was acknowledged."""

    def __init__(self, address, name, first, dice, acknowledgements):
        super().__init__()
        self.address, self.name_of, self.sent, self.acknowledged, self.dice, self.failed = address, name, first, first, dice, None
        self.acknowledgements = acknowledgements

    def change(self, client):
        number = self.sent + 1
        kind = self.dice.randrange(3)
        if kind == 0:
            content, media_type, method, path = state(number), JSON, "PUT", f"/api/settings/{self.name_of}"
        elif kind == 1:
            content, media_type, method, path = {self.name_of: state(number)}, MERGE, "PATCH", "/api/settings"
        else:
            content = [{"op": "replace", "path": f"/{self.name_of}/{member}", "value": value} for member, value in state(number).items()]
            media_type, method, path = PATCH, "PATCH", "/api/settings"
        self.sent = number
        reply = client.ask(path, ("Content-Type", media_type), method=method, content=json.dumps(content).encode())
        if reply.status != 204:
            self.failed = f"{method} {path} {media_type}: {reply}"
            return False
        self.acknowledged = number
        self.acknowledgements.release()
        return True

    def run(self):
        client = Client(self.address)
        try:
            while self.change(client):
                pass
        except (AssertionError, OSError):
            pass  # it was killed
        client.close()


def check(group, number, seen, writers):
    for writer in writers:
        value = seen[writer.name_of]
        group.true(f"round {number}, {writer.name_of}", f"from {writer.acknowledged} to {writer.sent}",
                   writer.acknowledged <= value["number"] <= writer.sent, value)
        group.true(f"round {number}, {writer.name_of}", "all of a change", value == state(value["number"]), value)
        group.true(f"round {number}", "no refusal", writer.failed is None, writer.failed)


def main():
    dice = random.Random(os.environ.get("SEED", "pipit"))
    with temporary_folder() as folder, Group("killed") as group:
        file = pathlib.Path(folder, "settings.json")
        names = [f"client{i}" for i in range(CLIENTS)]
        file.write_text(json.dumps({name: state(0) for name in names}))
        reached, acknowledged, interrupted = {name: 0 for name in names}, 0, 0
        for number in range(ROUNDS):
            process, address = start(file)
            acknowledgements = threading.Semaphore(0)
            writers = [Writer(address, name, reached[name], dice, acknowledgements) for name in names]
            for writer in writers:
                writer.start()
            for _ in range(dice.randrange(2, 20)):
                acknowledgements.acquire(timeout=PATIENCE_SECONDS)
            time.sleep(dice.uniform(0, 0.004))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            for writer in writers:
                writer.join()
            interrupted += file.with_name("settings.json.new").exists()
            check(group, number, json.loads(file.read_text()), writers)
            acknowledged += sum(writer.acknowledged - reached[writer.name_of] for writer in writers)
            seen = json.loads(file.read_text())
            reached = {name: seen[name]["number"] for name in names}
        process, address = start(file)
        group.same("at last", seen, json.loads(Client(address).ask("/api/settings").content))
        process.terminate()
        group.same("its end", 0, process.wait())
        process.stdout.close()
        group.true("changes were acknowledged", "more than rounds", acknowledged > ROUNDS, acknowledged)
        group.notes += [f"{ROUNDS} rounds", f"{acknowledged} acknowledged changes", f"{interrupted} interrupted ones found"]
    end_with_verdict()


if __name__ == "__main__":
    sys.exit(main())
