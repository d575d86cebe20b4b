#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""/api/settings of the real daemon: every method, condition and error, the contents of the file, and the effect of a restart, an edit
of the file, a full disk and a read-only file system."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

from served import DAEMON, ENVIRONMENT, Client, Daemon, Group, end_with_verdict, refusal, running, temporary_folder, wait_for

JSON, MERGE, PATCH = "application/json", "application/merge-patch+json", "application/json-patch+json"
FIRST = {"network": {"hostname": "camera-1", "mtu": 1500, "dns": ["192.0.2.1", "192.0.2.2"]}, "a/b": {"m~n": 1}, "": "empty", "ä": True}


class Settings:
    """A daemon with a settings file, and a client."""

    def __init__(self, folder, *options, disk=None, **how):
        self.file = pathlib.Path(disk or folder, "settings.json")
        self.messages = pathlib.Path(folder, "messages")
        root = pathlib.Path(folder, "root")
        root.mkdir(exist_ok=True)
        with open(self.messages, "ab") as messages:
            self.daemon = Daemon(root, "--settings", str(self.file), "--log-level", "info", *options, stderr=messages, **how)
        self.client = self.daemon.client()

    def ask(self, pointer, method="GET", content=None, kind=None, *fields):
        fields = list(fields)
        if kind:
            fields.append(("Content-Type", kind))
        if content is not None and not isinstance(content, bytes):
            content = json.dumps(content).encode()
        return self.client.ask("/api/settings" + pointer, *fields, method=method, content=content)

    def put(self, pointer, value, *fields):
        return self.ask(pointer, "PUT", value, JSON, *fields)

    def get(self, pointer=""):
        reply = self.ask(pointer)
        assert reply.status == 200, reply
        return json.loads(reply.content)

    def said(self):
        return self.messages.read_text()

    def stop(self):
        self.client.close()
        self.daemon.stop()


def problem(reply):
    """The parsed problem document, with its members checked."""
    assert reply.get("content-type") == "application/problem+json", reply
    document = json.loads(reply.content)
    assert document["status"] == reply.status and document["title"] and document["type"] == "about:blank", document
    return document


def reads_and_writes(settings, group):
    group.same("GET of nothing yet", b"{}", settings.ask("").content)
    group.true("no file before the first change", "absent", not settings.file.exists())
    reply = settings.put("", FIRST)
    group.same("PUT of the whole", (204, None), (reply.status, reply.get("content-type")))
    group.same("it is there", FIRST, settings.get())
    group.same("and in the file", FIRST, json.loads(settings.file.read_text()))
    group.same("which is for people", '{\n\t"network": {\n\t\t"hostname": "camera-1",', settings.file.read_text()[:41])
    group.same("and for its owner", 0o600, settings.file.stat().st_mode & 0o777)
    for pointer, value in (("/network/hostname", b'"camera-1"'), ("/network/dns/1", b'"192.0.2.2"'), ("/a~1b/m~0n", b"1"), ("/", b'"empty"'),
                           ("/%C3%A4", b"true"), ("/a%7E1b", b'{"m~n":1}'), ("/network/dns", b'["192.0.2.1","192.0.2.2"]')):
        reply = settings.ask(pointer)
        group.same(f"GET {pointer}", (200, value, JSON), (reply.status, reply.content, reply.get("content-type")))
        group.same(f"GET {pointer}: its fields", ["accept-ranges", "cache-control", "content-length", "content-type", "date", "etag", "x-content-type-options"],
                   sorted(name for name, _ in reply.fields))
    for pointer, status in (("/network/nothing", 404), ("/network/dns/2", 404), ("/network/dns/-", 404), ("/network/dns/00", 404), ("/a/b", 404),
                            ("/network/", 404), ("/a~2b", 400), ("/a~", 400), ("/%FF", 400), ("/a%00b", 400), ("/" + "x" * 5000, 414), ("/%41" + "x" * 5000, 414)):
        reply = settings.ask(pointer)
        group.same(f"GET {pointer[:40]}", status, reply.status)
        problem(reply)
    steps = [("/network/hostname", "PUT", "camera-2", JSON, 204), ("/network/ntp", "PUT", ["192.0.2.3"], JSON, 201),
             ("/network/dns/-", "PUT", "192.0.2.4", JSON, 201), ("/network/dns/0", "PUT", "192.0.2.9", JSON, 204),
             ("/network/dns/7", "PUT", 1, JSON, 409), ("/network/dns/x", "PUT", 1, JSON, 422), ("/nowhere/a", "PUT", 1, JSON, 409),
             ("/network/hostname/x", "PUT", 1, JSON, 409), ("", "PUT", [1], JSON, 422), ("", "PUT", None, JSON, 422),
             ("/network/dns/1", "DELETE", None, None, 204), ("/network/nothing", "DELETE", None, None, 404),
             ("", "PATCH", {"network": {"mtu": 9000, "ntp": None}, "new": {"deep": {"x": None, "y": 1}}}, MERGE, 204),
             ("/network", "PATCH", [{"op": "replace", "path": "/mtu", "value": 1280}, {"op": "add", "path": "/dns/0", "value": "192.0.2.7"},
                                    {"op": "copy", "from": "/dns", "path": "/backup"}, {"op": "move", "from": "/backup/0", "path": "/first"},
                                    {"op": "test", "path": "/first", "value": "192.0.2.7"}, {"op": "remove", "path": "/backup"}], PATCH, 204),
             ("/nothing", "PATCH", {"a": 1}, MERGE, 404), ("/nothing", "PATCH", [], PATCH, 404)]
    for pointer, method, value, kind, status in steps:
        content = None if method == "DELETE" else json.dumps(value).encode()
        reply = settings.ask(pointer, method, content, kind)
        group.same(f"{method} {pointer} {value}", status, reply.status)
        if status >= 400:
            problem(reply)
        elif not pointer.endswith("-"):
            group.same(f"{method} {pointer}: its tag", settings.ask(pointer).get("etag"), reply.get("etag"))
    group.same("after all that", {"network": {"hostname": "camera-2", "mtu": 1280, "dns": ["192.0.2.7", "192.0.2.9", "192.0.2.4"], "first": "192.0.2.7"},
                                  "a/b": {"m~n": 1}, "": "empty", "ä": True, "new": {"deep": {"y": 1}}}, settings.get())
    group.same("as in the file", settings.get(), json.loads(settings.file.read_text()))
    group.true("the one before is kept", "it differs by the last change only",
               json.loads(settings.file.with_name("settings.json.previous").read_text()) != settings.get())
    settings.put("/big", b"9007199254740993")
    group.same("a number to the last digit", b"9007199254740993", settings.ask("/big").content)
    group.true("in the file too", "its digits", "9007199254740993" in settings.file.read_text())
    settings.ask("/big", "DELETE")
    group.same("DELETE of the whole", (204, {}), (settings.ask("", "DELETE").status, settings.get()))


def conditions(settings, group):
    settings.put("", FIRST)
    whole, host = settings.ask("").get("etag"), settings.ask("/network/hostname").get("etag")
    group.true("tags", "strong, and different", whole != host and whole.startswith('"') and host.startswith('"'))
    for field, pointer, status in ((("If-None-Match", whole), "", 304), (("If-None-Match", host), "/network/hostname", 304), (("If-None-Match", "*"), "", 304),
                                   (("If-None-Match", host), "", 200), (("If-Match", whole), "", 200), (("If-Match", '"x"'), "", 412),
                                   (("If-Match", '"x"'), "/nothing", 404), (("Range", "bytes=1-3"), "", 206)):
        group.same(f"GET {pointer} {field}", status, settings.ask(pointer, "GET", None, None, field).status)
    reply = settings.put("/network/hostname", "camera-3", ("If-Match", '"x"'))
    group.same("PUT with another tag", (412, host), (reply.status, reply.get("etag")))
    problem(reply)
    for fields, pointer, status in (([("If-Match", host)], "/network/hostname", 204), ([("If-Match", host)], "/network/hostname", 412),
                                    ([("If-Match", f'"x", {whole}')], "", 412), ([("If-None-Match", "*")], "/network/hostname", 412),
                                    ([("If-None-Match", "*")], "/network/made", 201), ([("If-None-Match", "*")], "/network/made", 412),
                                    ([("If-Match", "*")], "/network/made", 204), ([("If-Match", "*")], "/network/other", 412),
                                    ([("If-None-Match", '"y"')], "/network/made", 204),
                                    # A value has no date: conditions about one have no effect.
                                    ([("If-Match", "*"), ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")], "/network/made", 204),
                                    ([("If-None-Match", '"y"'), ("If-Unmodified-Since", "Fri, 01 Jan 1960 00:00:00 GMT")], "/network/made", 204),
                                    ([("If-Match", "W/" + whole)], "/network/made", 412)):
        value = FIRST if pointer == "" else "camera-4"
        group.same(f"PUT {pointer} {fields}", status, settings.put(pointer, value, *fields).status)
    made = settings.ask("/network/made").get("etag")
    for method, content, kind in (("DELETE", None, None), ("PATCH", {"x": 1}, MERGE), ("PATCH", [], PATCH)):
        group.same(f"{method} with another tag", 412, settings.ask("/network", method, content, kind, ("If-Match", made)).status)
    group.same("DELETE with the right one", 204, settings.ask("/network/made", "DELETE", None, None, ("If-Match", made)).status)
    reply = settings.ask("", "HEAD")
    group.same("HEAD", (200, b"", str(len(settings.ask("").content))), (reply.status, reply.content, reply.get("content-length")))
    reply = settings.ask("/network", "OPTIONS")
    group.same("OPTIONS", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS", reply.get("allow"))
    group.same("POST", 405, settings.ask("", "POST", {}, JSON).status)


MISTAKES = [
    # method, pointer, type, body, status, a part of the detail
    ("PUT", "", JSON, b"", 400, "empty"),
    ("PUT", "", JSON, b'{"a":1,}', 400, "does not end with a comma"),
    ("PUT", "", JSON, b'{"a":1,"a":2}', 400, "twice"),
    ("PUT", "", JSON, b'{"a":"\xff"}', 400, "UTF-8"),
    ("PUT", "", JSON, b'{"a":"\\ud800"}', 400, "surrogate"),
    ("PUT", "", JSON, b'{"a":"\\u0000"}', 400, "\\u0000"),
    ("PUT", "", JSON, b"[" * 65 + b"]" * 65, 400, "deep"),
    ("PUT", "/x", JSON, b'{"a":' * 64 + b"1" + b"}" * 64, 413, "deep"),
    ("PUT", "", JSON, b'"' + b"x" * 70000 + b'"', 413, ""),
    ("PUT", "", "text/plain", b"{}", 415, "application/json"),
    ("PUT", "", None, b"{}", 415, "application/json"),
    ("PUT", "", MERGE, b"{}", 415, "application/json"),
    ("PATCH", "", JSON, b"{}", 415, MERGE),
    ("PATCH", "", None, b"{}", 415, PATCH),
    ("PATCH", "", MERGE, b"{", 400, "line 1, column 2"),
    ("PATCH", "", MERGE, b"1", 422, "object"),
    ("PATCH", "", PATCH, b"{}", 400, "array"),
    ("PATCH", "", PATCH, b"[1]", 400, "operation"),
    ("PATCH", "", PATCH, b'[{"op":"add","path":"/x"}]', 400, "value"),
    ("PATCH", "", PATCH, b'[{"op":"increase","path":"/x"}]', 400, "increase"),
    ("PATCH", "", PATCH, b'[{"op":"add","path":"x","value":1}]', 400, "x"),
    ("PATCH", "", PATCH, b'[{"op":"test","path":"/network/mtu","value":1}]', 409, "/network/mtu"),
    ("PATCH", "", PATCH, b'[{"op":"add","path":"/x","value":1},{"op":"remove","path":"/y"}]', 409, "/y"),
    ("PATCH", "", PATCH, b'[{"op":"move","from":"/network","path":"/network/x"}]', 422, "/network"),
    ("PATCH", "", PATCH, b"[" + b",".join([b'{"op":"copy","from":"/network","path":"/network/x"}'] * 60) + b"]", 413, ""),
    ("PATCH", "", PATCH, b"[" + b",".join([b'{"op":"test","path":"","value":1}'] * 1001) + b"]", 413, "1000"),
    ("DELETE", "", JSON, b"{}", 413, "no request body"),
]


def mistakes(settings, group):
    settings.put("", FIRST)
    content, state = settings.ask("").content, settings.file.stat()
    for method, pointer, kind, body, status, said in MISTAKES:
        reply = settings.ask(pointer, method, body, kind)
        asked = f"{method} {pointer} {kind} {body[:80]!r}"
        group.same(asked, status, reply.status)
        detail = problem(reply)["detail"]
        group.true(asked, f"a detail with {said!r}", said in detail, detail)
    errors = problem(settings.ask("", "PUT", b'{"network":{"mtu":1,"mtu":2}}', JSON)).get("errors")
    group.true("where a mistake is", "a pointer and a place", errors and errors[0]["pointer"] == "#/network/mtu" and errors[0]["byte"] == 20, errors)
    reply = settings.ask("", "PUT", b"\x1f\x8b", JSON, ("Content-Encoding", "gzip"))
    group.same("compressed JSON", (415, "identity"), (reply.status, reply.get("accept-encoding")))
    group.same("a 415 says what is taken", f"{MERGE}, {PATCH}", settings.ask("", "PATCH", b"{}", JSON).get("accept-patch"))
    reply = settings.put("/large", "x" * 65500)
    group.same("more than is kept", 507, reply.status)
    group.true("more than is kept", "the limit", "65536" in problem(reply)["detail"], reply)
    group.same("nothing has changed", content, settings.ask("").content)
    group.same("nor was anything written", (state.st_ino, state.st_mtime_ns), (settings.file.stat().st_ino, settings.file.stat().st_mtime_ns))
    settings.put("/network/mtu", 1500)
    group.same("nor is it by a change that changes nothing", state.st_ino, settings.file.stat().st_ino)


def edited_by_hand(settings, group):
    settings.put("", FIRST)
    settings.file.write_text('{"edited": 1}')
    settings.daemon.process.send_signal(signal.SIGHUP)
    wait_for("an edit is seen", lambda: settings.get() == {"edited": 1})
    group.true("a reload", "a line", "read again, the settings have changed" in settings.said())
    settings.file.write_text('{"edited": 2,\n "x": }')
    settings.daemon.process.send_signal(signal.SIGHUP)
    wait_for("a mistake is told", lambda: "reload refused" in settings.said())
    group.true("a mistake", "its place", "line 2, column 7" in settings.said(), settings.said())
    group.same("a mistake is not taken", {"edited": 1}, settings.get())
    group.same("a change goes on from there", 201, settings.put("/more", 2).status)
    group.same("and the edit is not lost", '{"edited": 2,\n "x": }', settings.file.with_name("settings.json.previous").read_text())
    group.true("which is told", "a line", "the edited content is in settings.json.previous" in settings.said(), settings.said())
    for wrong, said in (("[]", "object"), ('{"a":1,"a":1}', "twice"), ("", "empty"), (json.dumps({"x": "y" * 65536}), "65536")):
        settings.file.write_text(wrong)
        before = len(settings.said())
        settings.daemon.process.send_signal(signal.SIGHUP)
        wait_for(f"{wrong[:20]} is told", lambda: "reload refused" in settings.said()[before:])
        group.true(f"{wrong[:20]!r} by hand", said, said in settings.said()[before:], settings.said()[before:])
    group.same("still as it was", {"edited": 1, "more": 2}, settings.get())


def restarts(folder, group):
    name = "settings.json"
    with running(Settings(folder)) as settings:
        settings.put("", FIRST)
        settings.put("/network/mtu", 1400)
        tag = settings.ask("").get("etag")
    with running(Settings(folder)) as settings:
        group.same("after a restart", 1400, settings.get("/network/mtu"))
        group.same("with the same tag", tag, settings.ask("").get("etag"))
        other = refusal("--settings", str(settings.file))
        group.true("a second daemon with the same file", "status 2 and a line", other[0] == 2 and "another process has it open" in other[1], other)
    file = pathlib.Path(folder, name)
    file.with_name(name + ".new").write_text('{"half')
    with running(Settings(folder)) as settings:
        group.same("after an interrupted change", 1400, settings.get("/network/mtu"))
        group.true("an interrupted change", "a line", "interrupted" in settings.said(), settings.said())
    group.true("an interrupted change", "cleared away", not file.with_name(name + ".new").exists())
    file.write_text('{"torn')
    with running(Settings(folder)) as settings:
        group.same("a torn file: the one before", 1500, settings.get("/network/mtu"))
        group.true("a torn file", "put aside", file.with_name(name + ".broken").read_text() == '{"torn')
        group.true("a torn file", "a line", "line 1, column 7" in settings.said() and ".broken" in settings.said(), settings.said())
    file.write_text("nothing of the kind")
    file.with_name(name + ".previous").write_text("nor this")
    for path, said in ((file, "line 1, column"), (file.parent, "name a file"), (file / "x", ""), (file.parent / "no/where.json", "make its directory first")):
        status, messages = refusal("--settings", str(path))
        group.true(f"--settings {path.name}", "status 2 and a line", status == 2 and said in messages and messages.count("\n") <= 2, (status, messages))
    for option, value in (("--settings-max-bytes", "100"), ("--settings-max-bytes", "32m"), ("--settings-require-match", "maybe")):
        group.same(f"{option} {value}", 2, refusal(option, value)[0])


def requires_match(folder, group):
    with running(Settings(folder, "--settings-require-match")) as settings:
        for method, content, kind in (("PUT", {"a": 1}, JSON), ("PATCH", {"a": 1}, MERGE), ("PATCH", [], PATCH), ("DELETE", None, None)):
            reply = settings.ask("", method, content, kind)
            group.same(f"{method} without a condition", 428, reply.status)
            problem(reply)
        tag = settings.ask("").get("etag")
        group.same("PUT with one", 204, settings.put("", {"a": 1}, ("If-Match", tag)).status)
        group.same("PUT with an old one", 412, settings.put("", {"a": 2}, ("If-Match", tag)).status)
        group.same("PUT of something new", 201, settings.put("/b", 2, ("If-None-Match", "*")).status)
    with running(Daemon(folder)) as daemon:
        group.same("without --settings there are none", 404, daemon.client().ask("/api/settings").status)


def concurrent_changes(folder, group):
    """Many clients increment by compare and swap: no increment is lost, and reads continue."""
    clients, rounds = 8, 25
    with running(Settings(folder, "--workers", "2")) as settings:
        settings.put("", {"count": 0, "text": "x" * 1000})
        conflicts = []

        def count():
            client = Client(settings.daemon.address)
            for _ in range(rounds):
                while True:
                    now = client.ask("/api/settings/count")
                    reply = client.ask("/api/settings/count", ("If-Match", now.get("etag")), ("Content-Type", JSON), method="PUT",
                                       content=str(int(now.content) + 1).encode())
                    if reply.status == 204:
                        break
                    assert reply.status == 412, reply
                    conflicts.append(1)
            client.close()

        threads = [threading.Thread(target=count) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        group.same("every count was made once", clients * rounds, settings.get("/count"))
        group.notes.append(f"{len(conflicts)} conflicts")
        # A read that is pipelined after a change returns it.
        client = settings.client
        client.send(b"PUT /api/settings/count HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n7"
                    b"GET /api/settings/count HTTP/1.1\r\nHost: x\r\n\r\n")
        while client.bytes.count(b"\r\n\r\n") < 2:
            client.more()
        group.true("a read behind a change", "204, and then 7", client.bytes.startswith(b"HTTP/1.1 204") and client.bytes.endswith(b"\r\n\r\n7"), client.bytes)
        client.bytes = b""


def failing_disks(folder, group):
    """A small file system of its own: full, then read-only."""
    disk = pathlib.Path(folder, "disk")
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], capture_output=True).returncode:
        group.notes.append("no file system may be mounted here")
        return
    try:
        with running(Settings(folder, disk=disk)) as settings:
            settings.put("", FIRST)
            content = settings.ask("").content
            with open(disk / "filler", "wb") as filler:
                try:
                    while True:
                        os.write(filler.fileno(), b"x" * 1024)
                except OSError:
                    pass
            for _ in range(2):
                reply = settings.put("/text", "y" * 20000)
                group.same("a change on a full disk", 507, reply.status)
                group.true("a change on a full disk", "why", "No space left" in problem(reply)["detail"], reply)
            group.same("nothing has changed", content, settings.ask("").content)
            (disk / "filler").unlink()
            group.same("with room again", 201, settings.put("/text", "y" * 20000).status)
            content = settings.ask("").content
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            reply = settings.put("/text", "z")
            group.same("a change of a read-only file system", 503, reply.status)
            group.true("a change of a read-only file system", "why", "Read-only" in problem(reply)["detail"], reply)
            group.same("nothing has changed", content, settings.ask("").content)
        with running(Settings(folder, disk=disk)) as settings:
            group.same("started there", content, settings.ask("").content)
            group.true("started there", "a line", "changes will be refused" in settings.said(), settings.said())
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], capture_output=True)
        subprocess.run(["umount", disk], check=True)


def refuses(settings, group, name, said):
    """A change gets 503 with a reason, and nothing has changed."""
    content = settings.ask("").content
    reply = settings.put("/text", "refused")
    group.same(name, 503, reply.status)
    group.true(name, f"a reason with {said!r}", said in problem(reply)["detail"], reply)
    group.same(f"{name}: what is served", content, settings.ask("").content)


def mounted_alone(folder, group):
    """One file, bind-mounted as docker run -v FILE:FILE does: rename() cannot replace it."""
    outside, inside = pathlib.Path(folder, "outside.json"), pathlib.Path(folder, "settings.json")
    outside.write_text('{"a": 1}')
    inside.write_text("{}")
    if os.geteuid() != 0 or subprocess.run(["mount", "--bind", outside, inside], capture_output=True).returncode:
        group.notes.append("no file may be mounted here")
        return
    try:
        with running(Settings(folder)) as settings:
            group.true("started", "a line", "changes will be refused: the file is a mount point" in settings.said(), settings.said())
            group.same("it is read", {"a": 1}, settings.get())
            refuses(settings, group, "a change of a file that is a mount point", "mount its directory instead")
            outside.write_text('{"a": 2}')
            settings.daemon.process.send_signal(signal.SIGHUP)
            wait_for("an edit is seen", lambda: settings.get() == {"a": 2})
            group.same("no file is left beside it", ["messages", "outside.json", "root", "settings.json", "settings.json.lock"],
                       sorted(os.listdir(folder)))
    finally:
        subprocess.run(["umount", inside], check=True)
    with running(Settings(folder)) as settings:
        group.same("without the mount", 201, settings.put("/text", "z").status)


def moved_away(folder, group):
    place, elsewhere = folder / "place", folder / "elsewhere"
    place.mkdir()
    with running(Settings(folder, disk=place)) as settings:
        settings.put("", FIRST)
        place.rename(elsewhere)
        refuses(settings, group, "a change when the directory is moved", "its directory was moved or replaced")
        place.mkdir()
        refuses(settings, group, "a change when another directory is there", "its directory was moved or replaced")
        group.true("the log", "a line", settings.said().count("writing failed, changes are refused: its directory was moved") == 1, settings.said())
        group.same("where the path leads", [], os.listdir(place))
        place.rmdir()
        elsewhere.rename(place)
        group.same("when it is back", 201, settings.put("/text", "z").status)
        (place / "settings.json.new").mkdir()
        refuses(settings, group, "a change with a directory in its way", "a directory beside it has the name")
        (place / "settings.json.new").rmdir()
        group.same("when that is gone", 204, settings.put("/text", "y").status)
    for suffix in (".new", ".lock"):
        obstacle = settings.file.with_name(settings.file.name + suffix)
        obstacle.unlink(missing_ok=True)
        obstacle.mkdir()
        status, messages = refusal("--settings", str(settings.file))
        group.true(f"started with a directory {suffix}", "status 2 and its name",
                   status == 2 and f"the directory {obstacle.name} beside it" in messages, (status, messages))
        obstacle.rmdir()
    link = folder / "link.json"
    link.symlink_to(folder / "nowhere.json")
    status, messages = refusal("--settings", str(link))
    group.true("started with a dangling link", "status 2 and a line", status == 2 and "it is a link to no file" in messages, (status, messages))


NOBODY = 65534


def other_users(folder, group):
    """The lock holds between users, and a store does not open without one."""
    if os.geteuid() != 0:
        group.notes.append("no other user to be")
        return
    place = folder / "place"
    place.mkdir()
    place.chmod(0o777)
    with running(Settings(folder, disk=place)) as settings:
        settings.put("", FIRST)
        settings.file.chmod(0o666)
        status, messages = refusal("--settings", str(settings.file), user=NOBODY)
        group.true("a second daemon of another user", "status 2 and a line", status == 2 and "its lock belongs to another user" in messages, (status, messages))
    (place / "settings.json.lock").unlink()
    with running(Settings(folder, disk=place, user=NOBODY)) as settings:
        group.same("that user alone", 201, settings.put("/mine", 1).status)
        status, messages = refusal("--settings", str(settings.file))
        group.true("root beside it", "status 2 and a line", status == 2 and "another process has it open" in messages, (status, messages))
        (place / "settings.json.lock").unlink()
        with running(Settings(folder, disk=place)) as other:
            refuses(settings, group, "a change when the lock was taken over", "its lock belongs to another user")
            group.same("the other one", 201, other.put("/theirs", 1).status)
        group.true("afterwards", "both changes", {"mine", "theirs"} <= set(json.loads(settings.file.read_text())), settings.file.read_text())
    place.chmod(0o755)
    (place / "settings.json.lock").unlink()
    settings.file.chmod(0o644)
    with running(Settings(folder, disk=place, user=NOBODY)) as settings:
        group.true("a user who may only read", "a line", "the directory is not writable" in settings.said(), settings.said())
        refuses(settings, group, "a change of a user who may only read", "Permission denied")
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=2", "none", disk], capture_output=True).returncode:
        group.notes.append("no file system may be mounted here")
        return
    try:
        (disk / "settings.json").write_text("{}")
        status, messages = refusal("--settings", str(disk / "settings.json"))
        group.true("no room for the lock", "status 2 and a line", status == 2 and "the lock beside it needs room" in messages, (status, messages))
    finally:
        subprocess.run(["umount", disk], check=True)


def has_open(pid, path):
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(link) == str(path):
                return True
    return False


def signals_at_start(folder, group):
    """A SIGHUP while files are read waits, and then reloads."""
    types, file, messages = folder / "types", folder / "settings.json", folder / "messages"
    os.mkfifo(types)
    writer = os.open(types, os.O_RDWR)
    file.write_text('{"a": 1}')
    with open(messages, "wb") as output:
        root = pathlib.Path(folder, "root")
        root.mkdir(exist_ok=True)
        process = subprocess.Popen([DAEMON, "--listen", "127.0.0.1:0", "--workers", "1", "--settings", file, "--media-types", types,
                                    "--root", root], stdout=subprocess.PIPE, stderr=output, text=True, env=ENVIRONMENT)
    wait_for("the daemon reads the types", lambda: has_open(process.pid, types))
    process.send_signal(signal.SIGHUP)
    os.close(writer)
    group.true("it starts", "a line", "listening on http://" in process.stdout.readline(), messages.read_text())
    wait_for("the reload", lambda: "read again, the settings are the same" in messages.read_text())
    process.terminate()
    group.same("its end", 0, process.wait())
    process.stdout.close()


def main():
    with temporary_folder() as folder:
        (folder / "a").mkdir()
        with running(Settings(folder / "a", "--settings-max-bytes", "64k")) as settings:
            for check in (reads_and_writes, conditions, mistakes, edited_by_hand):
                with Group(check.__name__) as group:
                    check(settings, group)
        for check in (restarts, requires_match, concurrent_changes, failing_disks, mounted_alone, moved_away, other_users, signals_at_start):
            (folder / check.__name__).mkdir()
            with Group(check.__name__) as group:
                check(folder / check.__name__, group)
    end_with_verdict()


if __name__ == "__main__":
    sys.exit(main())
