#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Passwords and tokens with files that htpasswd and mkpasswd make, and with clients that people use: curl, and Python's urllib, requests
and httpx. What is not installed is left out, with a line that says so."""
import base64
import contextlib
import importlib.util
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

from served import Daemon, Group, end_with_verdict, put, refusal, running, temporary_folder

PASSWORD = "p\u00e4ss: w\u00f6rd"
TOKEN = "token-0123456789"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def line_of(kind, name):
    """NAME:HASH of PASSWORD; None without the program."""
    if kind.startswith("htpasswd"):
        return run("htpasswd", "-nb", *kind.split()[1:], name, PASSWORD) if shutil.which("htpasswd") else None
    return f"{name}:{run('mkpasswd', '-m', kind.split()[1], PASSWORD)}" if shutil.which("mkpasswd") else None


RIGHT = ("htpasswd -B -C 5", "htpasswd -B", "htpasswd -5", "htpasswd -2", "mkpasswd yescrypt", "mkpasswd sha-512", "mkpasswd sha-256", "mkpasswd bcrypt")
WEAK = ("htpasswd -m", "htpasswd -s", "htpasswd -p", "mkpasswd descrypt", "mkpasswd md5")


def make_files(folder):
    """Names of users, by what made their lines."""
    names, lines = {}, []
    for number, kind in enumerate(RIGHT):
        line = None
        with contextlib.suppress(subprocess.CalledProcessError):
            line = line_of(kind, f"user{number}")
        if line:
            names[kind] = f"user{number}"
            lines.append(line)
        else:
            print(f"left out: {kind}: not installed, or too old for it")
    if not names:
        print("neither htpasswd nor mkpasswd is installed")
        sys.exit(77)
    (folder / "users").write_text("\n".join(lines) + "\n")
    (folder / "tokens").write_text(f"robot:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    for file in ("users", "tokens"):
        os.chmod(folder / file, 0o600)
    return names


def check_files(daemon, names):
    with Group("files of htpasswd and mkpasswd") as group:
        client = daemon.client()
        for number, (kind, name) in enumerate(names.items()):
            # Each failure is delayed for longer.
            wrong = [(PASSWORD + " ", 401)] if number < 3 else []
            for password, expected in [(PASSWORD, 200), *wrong]:
                value = base64.b64encode(f"{name}:{password}".encode()).decode()
                group.same(f"{kind}, {password!r}", expected, client.ask("/hello/get", ("Authorization", f"Basic {value}")).status)


def check_weak(folder):
    with Group("weak files") as group:
        for kind in WEAK:
            line = None
            with contextlib.suppress(subprocess.CalledProcessError):
                line = line_of(kind, "alice")
            if not line:
                continue
            (folder / "weak").write_text(line + "\n")
            status, messages = refusal("--protect", f"/ basic {folder}/weak")
            group.same(f"{kind}: exit status", 2, status)
            group.true(kind, "line, reason and advice", "line 1: " in messages and "htpasswd -nB NAME" in messages, messages)
            group.true(kind, "no part of the file", line.split(":", 1)[1] not in messages, messages)


def status_of_curl(*arguments):
    return int(run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *arguments))


def status_of_urllib(url, name, password):
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password("users", url, name, password)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    try:
        with opener.open(url, timeout=60) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def check_clients(daemon, name):
    url = "http://{}:{}/hello/get".format(*daemon.address)
    with Group("clients") as group:
        group.same("curl without a password", 401, status_of_curl(url))
        group.same("curl -u", 200, status_of_curl("-u", f"{name}:{PASSWORD}", url))
        group.same("curl --anyauth", 200, status_of_curl("--anyauth", "-u", f"{name}:{PASSWORD}", url))
        group.same("curl --oauth2-bearer", 200, status_of_curl("--oauth2-bearer", TOKEN, url))
        group.same("curl --oauth2-bearer, wrong", 401, status_of_curl("--oauth2-bearer", TOKEN + "0", url))
        group.same("urllib", 200, status_of_urllib(url, name, PASSWORD))
        for module in ("requests", "httpx"):
            if not importlib.util.find_spec(module):
                print(f"left out: {module}: not installed")
                continue
            get = importlib.import_module(module).get
            pair = (name.encode(), PASSWORD.encode())
            group.same(f"{module}", 200, get(url, auth=pair, timeout=60).status_code)
            group.same(f"{module}, wrong", 401, get(url, auth=(pair[0], b"x"), timeout=60).status_code)


def main():
    with temporary_folder() as folder:
        names = make_files(folder)
        root = folder / "root"
        put(root, "index.html", b"page")
        rule = f"/hello basic {folder}/users bearer {folder}/tokens"
        with running(Daemon(root, "--protect", rule)) as daemon:
            check_files(daemon, names)
            check_clients(daemon, next(iter(names.values())))
        check_weak(folder)
    end_with_verdict()


if __name__ == "__main__":
    main()
