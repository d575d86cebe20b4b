# SPDX-License-Identifier: MIT
"""Shared by the tests of access: the real daemon, asked by curl."""
import pathlib
import re
import socket
import subprocess
import tempfile

from served import DAEMON, ENVIRONMENT

PATIENCE = 60


class Server:
    def __init__(self, *flags, listen=("127.0.0.1:0",)):
        words = [word for address in listen for word in ("--listen", address)]
        self.errors = tempfile.TemporaryFile("w+")
        self.folder = tempfile.TemporaryDirectory()
        self.settings = pathlib.Path(self.folder.name, "settings.json")
        self.process = subprocess.Popen([DAEMON, *words, "--settings", str(self.settings), *flags], stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, env=ENVIRONMENT)
        self.ports = [int(self.process.stdout.readline().rsplit(":", 1)[1]) for _ in listen]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, self.log()
        self.process.stdout.close()
        self.folder.cleanup()

    def log(self):
        self.errors.seek(0)
        return self.errors.read()

    def curl(self, path, *words, method="GET", port=None, address="127.0.0.1", **headers):
        """(status, {header: value}, body)"""
        options = [word for name, value in headers.items() for word in ("-H", f"{name.replace('_', '-')}: {value}")]
        done = subprocess.run(["curl", "-sS", "-i", "-X", method, *options, *words, f"http://{address}:{port or self.ports[0]}{path}"],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.partition("\n\n")
        lines = head.splitlines()
        return int(lines[0].split()[1]), {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines[1:]}, body

    def status(self, path, *words, **keywords):
        return self.curl(path, *words, **keywords)[0]

    def rejected(self, reason):
        return int(re.search(f'^http_rejected_total{{reason="{reason}"}} (.*)$', self.curl("/metrics")[2], re.MULTILINE)[1])

    def put(self, **headers):
        return self.status("/api/settings", "-d", "{}", method="PUT", Content_Type="application/json", **headers)


def raw(port, request):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while more := client.recv(65536):
            received += more
    return received
