#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipit-guard in front of unmodified programs of Debian: transmission-daemon, litecoind, ustreamer.

What the program's own clients do is done once bare and once guarded, and the results must be the same. Then, guarded only: the vectors
of tests/vectors/guard, slowhttptest, and clients that abuse the server.
"""

import base64
import contextlib
import csv
import difflib
import http.client
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import compare
import programs
from programs import ADDRESS, ENVIRONMENT, KINDS, LITECOIN, PATIENCE, ROOT, TRANSMISSION, USTREAMER, running, wait_until

SKIPPED = 77
# Characters of a failure that are shown.
MESSAGE = 3000
VECTORS = ROOT / "tests/vectors/guard"
OTHER_ADDRESS = "127.0.0.2"


SESSION_ID = re.compile(rb"Session-Id: \w+")


class Skip(Exception):
    """Its text says what is missing."""


def client_of(program, *words):
    """(status, what it prints) of a client program; the folder and the port, which differ from run to run, by name."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, cwd=program.folder, check=False,
                          env=ENVIRONMENT | {"HOME": program.folder})
    text = (done.stdout + done.stderr).replace(program.folder, "FOLDER").replace(str(program.port), "PORT")
    return done.returncode, text


def assert_same(bare, guarded):
    if guarded != bare:
        shown = ["\n".join(map(repr, result if isinstance(result, (list, tuple)) else [result])).splitlines() for result in (bare, guarded)]
        raise AssertionError("\n".join(line[:300] for line in difflib.unified_diff(*shown, "bare", "guarded", n=0)))


def same_bare_and_guarded(kind, operations, *words, **keywords):
    """`operations` returns what a client saw."""
    results = []
    for guard in (False, True):
        with running(kind, guard, *words, **keywords) as program:
            results.append(operations(program))
            if guard:
                assert program.total("http_requests_total", route="fallback") > 0, "nothing has passed the guard"
    assert_same(*results)


def read_to_end(client):
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while more := client.recv(65536):
            received += more
    return received


# --- transmission-daemon --------------------------------------------------------------------------------------------------


def remote(program, *words):
    return client_of(program, "transmission-remote", f"{ADDRESS}:{program.port}", *words)


def make_torrent(program):
    pathlib.Path(program.folder, "payload").write_bytes(bytes(range(256)) * 1024)
    status, text = client_of(program, "transmission-create", "--outfile", "payload.torrent", "payload")
    assert status == 0, text
    return pathlib.Path(program.folder, "payload.torrent")


def session(program):
    """The header that the first answer, 409, asks for."""
    status, headers, text = program.ask("GET", "/transmission/rpc")
    assert status == 409 and b"invalid session-id" in text, (status, text)
    return {"X-Transmission-Session-Id": headers["X-Transmission-Session-Id"]}


def rpc(program, method, **arguments):
    body = json.dumps({"method": method, "arguments": arguments})
    status, _, text = program.ask("POST", "/transmission/rpc", body, session(program))
    answer = json.loads(text)
    assert status == 200 and answer["result"] == "success", (status, text)
    return answer["arguments"]


def is_verified(program):
    torrents = rpc(program, "torrent-get", fields=["percentDone", "status"])["torrents"]
    return torrents and all(torrent["percentDone"] == 1 and torrent["status"] == 0 for torrent in torrents)


def list_and_remove(program):
    """After the daemon has compared the file with the torrent."""
    wait_until(lambda: is_verified(program), "the torrent is verified")
    listed = remote(program, "--list")
    assert " payload\n" in listed[1] and "100%" in listed[1], listed
    removed = remote(program, "--torrent", "all", "--remove")
    wait_until(lambda: rpc(program, "torrent-get", fields=["id"])["torrents"] == [], "the torrent is removed")
    return listed, removed


def use_remote(program):
    torrent = make_torrent(program)
    results = [remote(program, "--session-info"), remote(program, "--start-paused")]
    status, text = remote(program, "--session-stats")
    assert status == 0 and "CURRENT SESSION" in text, text
    added = remote(program, "--add", torrent.name)
    assert added[0] == 0 and 'responded: "success"' in added[1], added
    results += [added, *list_and_remove(program), remote(program, "--list")]
    assert all(status == 0 for status, _ in results), results
    return results


def transmission_remote_works():
    same_bare_and_guarded(TRANSMISSION, use_remote)


def large_torrent():
    """Its upload is above pipit's own limit of 1 MiB."""
    count, piece = 60_000, 16 * 1024
    pieces = b"".join(number.to_bytes(20, "big") for number in range(count))
    return b"d4:infod6:lengthi%de4:name5:large12:piece lengthi%de6:pieces%d:%see" % (count * piece, piece, len(pieces), pieces)


def upload(program):
    """As the web interface does it."""
    added = rpc(program, "torrent-add", paused=True, metainfo=base64.b64encode(large_torrent()).decode())
    assert added["torrent-added"]["name"] == "large", added
    return added, rpc(program, "torrent-get", fields=["name", "pieceCount", "totalSize", "hashString"])


def transmission_takes_large_uploads():
    same_bare_and_guarded(TRANSMISSION, upload)


def read_web_interface(program):
    folder = pathlib.Path("/usr/share/transmission/web")
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(paths) > 20, paths
    answers = []
    with contextlib.closing(program.connection()) as connection:
        for path in paths:
            connection.request("GET", f"/transmission/web/{path}")
            answer = connection.getresponse()
            assert answer.status == 200 and answer.read() == (folder / path).read_bytes(), path
            answers.append((path, answer.headers["Content-Type"]))
    for path in ("/", "/transmission", "/transmission/web", "/transmission/web/none", "/transmission/web/../../secret"):
        status, headers, text = program.ask("GET", path)
        answers.append((path, status, headers["Location"], SESSION_ID.sub(b"", text)))
    return answers


def transmission_serves_its_web_interface():
    same_bare_and_guarded(TRANSMISSION, read_web_interface)


def ask_with_bad_session(program):
    answers = []
    for headers in ({}, {"X-Transmission-Session-Id": "wrong"}):
        status, _, text = program.ask("POST", "/transmission/rpc", '{"method":"session-get"}', headers)
        answers.append((status, SESSION_ID.sub(b"", text)))
    assert [status for status, _ in answers] == [409, 409], answers
    return answers


def transmission_asks_for_a_session():
    same_bare_and_guarded(TRANSMISSION, ask_with_bad_session)


def ask_from_addresses(program):
    answers = [program.ask("GET", "/transmission/rpc", source=source)[::2] for source in (ADDRESS, OTHER_ADDRESS)]
    answers = [(status, SESSION_ID.sub(b"", text)) for status, text in answers]
    assert [status for status, _ in answers] == [403, 409], answers
    return answers


def transmission_sees_the_clients_address():
    same_bare_and_guarded(TRANSMISSION, ask_from_addresses, "--allowed", OTHER_ADDRESS, source=OTHER_ADDRESS)


def transmission_works_in_a_browser():
    browser = ROOT / "tests/browser"
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if not node or not chromium or not (browser / "node_modules/playwright-core").is_dir():
        raise Skip("no node, no chromium, or no node_modules in tests/browser")
    for guard in (False, True):
        with running(TRANSMISSION, guard) as program:
            torrent = make_torrent(program)
            done = subprocess.run([node, str(browser / "transmission.mjs")], capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
                                  env=ENVIRONMENT | {"CHROMIUM": chromium, "URL": f"http://{ADDRESS}:{program.port}/", "TORRENT": str(torrent)})
            assert done.returncode == 0, f"{'guarded' if guard else 'bare'}: {done.stdout}{done.stderr}"
            assert rpc(program, "torrent-get", fields=["name"]) == {"torrents": [{"name": "payload"}]}


# --- litecoind ------------------------------------------------------------------------------------------------------------

KEY = "pkh(0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)"


def cli(program, *words):
    options = ["-regtest", f"-datadir={program.folder}", f"-rpcport={program.port}", "-rpcuser=pipit", "-rpcpassword=pipit"]
    return client_of(program, "litecoin-cli", *options, *words)


def cli_result(program, *words):
    status, text = cli(program, *words)
    assert status == 0, (words, text)
    return text.strip()


def new_address(program):
    descriptor = json.loads(cli_result(program, "getdescriptorinfo", KEY))["descriptor"]
    return json.loads(cli_result(program, "deriveaddresses", descriptor))[0]


def use_cli(program):
    # Blocks are the same in each run when their time is.
    cli_result(program, "setmocktime", "1600000000")
    address = new_address(program)
    results = [cli(program, "generatetoaddress", "5", address), cli(program, "getblockchaininfo"), cli(program, "getblockhash", "5"),
               cli(program, "getblockhash", "6"), cli(program, "no-such-method"), cli(program, "help")]
    assert json.loads(results[1][1])["blocks"] == 5, results[1]
    assert [status for status, _ in results] == [0, 0, 0, 8, 89, 0], results
    return results


def litecoin_cli_works():
    same_bare_and_guarded(LITECOIN, use_cli)


def post(program, body, **keywords):
    return program.ask("POST", "/", body, LITECOIN.headers, **keywords)


def call(method, *parameters, name=1):
    return {"id": name, "method": method, "params": list(parameters)}


def send_batches(program):
    batch = json.dumps([call("getblockcount"), call("no-such"), call("echo", "a"), 5, call("getblockhash", 99)] * 50)
    answers = [post(program, body) for body in (batch, "[]", "[", '{"method":1}')]
    assert [status for status, _, _ in answers] == [200, 200, 500, 400], answers
    assert len(json.loads(answers[0][2])) == 250
    return [(status, headers["Content-Type"], text) for status, headers, text in answers]


def litecoin_takes_batches():
    same_bare_and_guarded(LITECOIN, send_batches)


def echo_much(program):
    text = "x" * 3_000_000
    status, _, body = post(program, json.dumps(call("echo", text)))
    assert status == 200 and json.loads(body)["result"] == [text], (status, body[:200])
    return len(body)


def litecoin_takes_bodies_of_3_mb():
    same_bare_and_guarded(LITECOIN, echo_much)


def not_loopback():
    """An IPv4 address of this machine. Nothing is sent to others."""
    words = subprocess.run(["hostname", "--all-ip-addresses"], capture_output=True, text=True, check=True).stdout.split()
    addresses = [word for word in words if "." in word]
    if not addresses:
        raise Skip("this machine has no address but the loopback's, which litecoind always allows")
    return addresses[0]


def litecoin_sees_the_clients_address():
    source = not_loopback()

    def ask(program):
        return [post(program, json.dumps(call("getblockcount")), source=address)[::2] for address in (ADDRESS, source)]

    def is_refused(program):
        answers = ask(program)
        assert [status for status, _ in answers] == [200, 403], answers
        return answers

    def is_allowed(program):
        answers = ask(program)
        assert [status for status, _ in answers] == [200, 200], answers
        return answers

    same_bare_and_guarded(LITECOIN, is_refused, f"-rpcallowip={OTHER_ADDRESS}")
    same_bare_and_guarded(LITECOIN, is_allowed, f"-rpcallowip={source}")


def ask_without_rights(program):
    wrong = {"Authorization": "Basic " + base64.b64encode(b"pipit:wrong").decode()}
    answers = [program.ask("POST", "/", "{}", headers) for headers in ({}, wrong)] + [program.ask("GET", "/", None, LITECOIN.headers)]
    assert [status for status, _, _ in answers] == [401, 401, 405], answers
    return [(status, headers["WWW-Authenticate"], text) for status, headers, text in answers]


def litecoin_asks_for_a_password():
    same_bare_and_guarded(LITECOIN, ask_without_rights)


class Call(threading.Thread):
    """A call that waits for a block."""

    def __init__(self, program):
        super().__init__(daemon=True)
        self.program, self.answer = program, None
        self.start()

    def run(self):
        try:
            status, _, text = post(self.program, json.dumps(call("waitfornewblock")))
            self.answer = status, text
        except (OSError, http.client.HTTPException) as error:
            self.answer = type(error).__name__

    def end(self):
        self.join(PATIENCE)
        assert self.answer, "the call has no end"
        return self.answer


def waiting_calls(program):
    commands = json.loads(cli_result(program, "getrpcinfo"))["active_commands"]
    return sum(command["method"] == "waitfornewblock" for command in commands)


def wait_for_a_block(program):
    cli_result(program, "setmocktime", "1600000000")
    calls = [Call(program) for _ in range(2)]
    wait_until(lambda: waiting_calls(program) == 2, "two calls wait")
    cli_result(program, "generatetoaddress", "1", new_address(program))
    answers = [call.end() for call in calls]
    assert all(status == 200 and b'"height":1' in text for status, text in answers), answers
    return answers


def litecoin_answers_long_calls():
    same_bare_and_guarded(LITECOIN, wait_for_a_block)


def litecoin_stops_while_calls_are_under_way():
    ends = []
    for guard in (False, True):
        with contextlib.closing(programs.Running(LITECOIN, guard)) as program:
            calls = [Call(program) for _ in range(2)]
            wait_until(lambda: waiting_calls(program) == 2, "two calls wait")
            stopped = cli(program, "stop")
            assert stopped[0] == 0, stopped
            status = program.process.wait(PATIENCE)
            assert status == 0, (status, program.log()[-2000:])
            ends.append((stopped, [call.end() for call in calls]))
    assert_same(*ends)


def fill_the_work_queue(guard):
    """One call runs at most, one waits at most. Then the daemon is stopped."""
    with contextlib.closing(programs.Running(LITECOIN, guard, "-rpcthreads=1", "-rpcworkqueue=1")) as program:
        body = json.dumps(call("waitfornewblock")).encode()
        head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: {programs.LITECOIN_AUTHORIZATION}\r\nContent-Length: {len(body)}\r\n\r\n"
        clients, answers = [], []
        for _ in range(50):
            client = program.dial()
            client.sendall(head.encode() + body)
            clients.append(client)
        while len(answers) < 48:
            readable = select.select(clients, [], [], PATIENCE)[0]
            assert readable, f"only {len(answers)} calls are refused"
            for client in readable:
                answer = http.client.HTTPResponse(client)
                answer.begin()
                answers.append((answer.status, answer.read()))
                clients.remove(client)
        assert 0 < len(clients) <= 2, f"{len(clients)} calls wait"
        assert program.end() == 0, program.log()[-2000:]
        for client in clients:
            read_to_end(client)
            client.close()
        return set(answers)


def litecoin_refuses_calls_when_its_work_queue_is_full():
    bare, guarded = (fill_the_work_queue(guard) for guard in (False, True))
    assert bare == guarded == {(500, b"Work queue depth exceeded")}, (bare, guarded)


# --- ustreamer ------------------------------------------------------------------------------------------------------------


def state(program):
    status, _, text = program.ask("GET", "/state")
    assert status == 200, text
    return json.loads(text)["result"]


def stream_clients(program):
    return state(program)["stream"]["clients"]


def ask_ustreamer(program):
    """The picture without a signal is always the same."""
    answers = [program.ask("GET", path) for path in ("/", "/snapshot", "/none")] + [program.ask("POST", "/state", "x")]
    assert answers[1][0] == 200 and answers[1][2].startswith(b"\xff\xd8") and answers[1][2].endswith(b"\xff\xd9"), answers[1]
    told = state(program)
    assert told["source"]["online"] is False and told["stream"]["clients"] == 0, told
    return told, [(status, headers["Content-Type"], headers["X-UStreamer-Online"], text) for status, headers, text in answers]


def ustreamer_tells_its_state_and_gives_snapshots():
    same_bare_and_guarded(USTREAMER, ask_ustreamer)


def ask_with_password(program):
    right = "Basic " + base64.b64encode(b"admin:right").decode()
    answers = [program.ask("GET", "/state", headers=headers)[::2] for headers in ({}, {"Authorization": "Basic x"}, {"Authorization": right})]
    return answers


def ustreamer_asks_for_a_password():
    same_bare_and_guarded(USTREAMER, ask_with_password)


FRAMES = 4
BOUNDARY = b"--boundarydonotcross\r\n"


def read_frames(client):
    """Pictures of a stream, without the headers that tell the time."""
    received = b""
    while received.count(BOUNDARY) <= FRAMES:
        more = client.recv(65536)
        assert more, f"the stream ended: {received[-300:]}"
        received += more
    return [part.split(b"\r\n\r\n", 1)[1] for part in received.split(BOUNDARY)[1:FRAMES + 1]]


def stream_to_three(program):
    clients = [program.dial(receive_bytes=4096) for _ in range(3)]
    for client in clients:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: stream_clients(program) == 3, "three clients of the stream")
    frames = [read_frames(client) for client in clients[:2]]
    assert stream_clients(program) == 3
    for client in clients:
        client.close()
    wait_until(lambda: stream_clients(program) == 0, "no client of the stream is left")
    assert all(frame.startswith(b"\xff\xd8") for one in frames for frame in one)
    return frames


def ustreamer_streams_to_readers_beside_one_that_does_not_read():
    same_bare_and_guarded(USTREAMER, stream_to_three)


# --- the end --------------------------------------------------------------------------------------------------------------


def ends_with_the_same_status(kind):
    for number in (signal.SIGTERM, signal.SIGINT):
        ends = []
        for guard in (False, True):
            with contextlib.closing(programs.Running(kind, guard)) as program:
                idle = program.dial()
                assert program.is_good(program.ask_good())
                program.process.send_signal(number)
                ends.append(program.process.wait(PATIENCE))
                idle.close()
        assert ends[0] == ends[1], (number, ends)


# --- vectors --------------------------------------------------------------------------------------------------------------

# The limits of tests/vectors/vectors.h.
VECTOR_LIMITS = {"PIPIT_MAX_HEAD_BYTES": "1024", "PIPIT_MAX_TARGET_BYTES": "200", "PIPIT_MAX_FIELDS": "10", "PIPIT_MAX_FIELD_BYTES": "300",
                 "PIPIT_MAX_BODY_BYTES": "500", "PIPIT_LOG_LEVEL": "error"}
VECTORS_AT_LEAST = 250
AFTER = b"GET /after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def answers_to(program, sent):
    """Statuses of all final replies to the bytes, until the connection ends."""
    with contextlib.closing(program.dial()) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(sent)
        received = read_to_end(client)
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) [A-Z]", received)]
    return [status for status in statuses if status != 100], received


def vectors(folder):
    return sorted((VECTORS / folder).glob("*.http"))


# Of a refusal by the guard; evhttp and the programs answer in HTML, text or JSON.
PROBLEM = b"\r\nContent-Type: application/problem+json\r\n"


def requests_logged(program):
    """By litecoind itself."""
    return pathlib.Path(program.folder, "regtest/debug.log").read_text().count("Received a ") if program.kind is LITECOIN else 0


def refuses_what_vectors_forbid(kind):
    words = ("-debug=http", ) if kind is LITECOIN else ()
    with running(kind, True, *words, **VECTOR_LIMITS) as program:
        before, wrong, paths = requests_logged(program), [], vectors("reject")
        assert (before > 0) == (kind is LITECOIN)
        for path in paths:
            statuses, received = answers_to(program, path.read_bytes() + AFTER)
            is_of_head = path.read_bytes().startswith(b"HEAD ")
            if statuses != [int(path.stem[:3])] or (PROBLEM not in received and not is_of_head):
                wrong.append(f"{path.stem}: {received[:200]!r}")
        assert not wrong, wrong
        assert len(paths) >= VECTORS_AT_LEAST
        assert requests_logged(program) == before, "requests have reached the program"
        assert program.total("http_rejected_total", reason="evhttp") == 0, "requests have reached evhttp"


def passes_what_vectors_allow(kind):
    with running(kind, True, **VECTOR_LIMITS) as program:
        wrong = []
        expected = before = program.total("http_requests_total", route="fallback")
        for path in vectors("accept"):
            sent = path.read_bytes()
            statuses, received = answers_to(program, sent + AFTER)
            # The guard answers OPTIONS * itself.
            expected += len(statuses) - sent.startswith(b"OPTIONS * ")
            if not statuses:
                wrong.append(f"{path.stem}: {received[:200]!r}")
        refused = {name: value for name, value in program.metrics().items()
                   if name.startswith("http_rejected_total") and value and "evhttp" not in name}
        assert not wrong and not refused, (wrong, refused)
        wait_until(lambda: program.total("http_requests_total", route="fallback") >= expected, "all are counted")
        assert expected - before >= VECTORS_AT_LEAST / 2


def smuggles_nothing(kind):
    """Bare, each of these programs answers some requests that stand in the body of another."""
    views = next(views for views in compare.VIEWS if views.kind is kind)
    for guard in (False, True):
        with running(kind, guard, *views.words) as program:
            names = compare.smuggled(program, views)
        assert bool(names) != guard, f"{'guarded' if guard else 'bare'}: {names}"


def the_comparison_runs():
    """compare.py runs. Its figures are not judged."""
    if not shutil.which("wrk") or not {0, 1} <= os.sched_getaffinity(0):
        raise Skip("no wrk, or no two cores")
    words = [sys.executable, str(ROOT / "tests/guard/compare.py"), "--only", "ustreamer", "--rounds", "1", "--slices", "1", "--seconds", "0.1", "--connections", "2"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=4 * PATIENCE, check=False)
    assert done.returncode == 0 and "| requests smuggled: 0 | 0 | yes |" in done.stdout, f"{done.stdout}{done.stderr}"


# --- clients that abuse the server ----------------------------------------------------------------------------------------

SHORT_DEADLINES = {"PIPIT_HEAD_TIMEOUT": "5s", "PIPIT_RATE_GRACE": "5s", "PIPIT_WRITE_TIMEOUT": "5s", "PIPIT_LOG_LEVEL": "error"}
# Memory of the program that may stay allocated, beside the budget of the guard. litecoind makes replies on threads of its own: it grew by 37 to
# 57 MiB in bounds_unread_replies, and by 414 to 426 MiB without a budget.
SLACK_KIB = {"transmission-daemon": 32 * 1024, "litecoind": 64 * 1024, "ustreamer": 32 * 1024}
NO_LINGERING = struct.pack("ii", 1, 0)


class Good:
    """A client that must be answered throughout: on a new connection, and on one that it keeps."""

    def __init__(self, program):
        self.program, self.kept, self.count = program, program.connection(), 0

    def ask(self):
        kind = self.program.kind
        answer = self.program.ask_good()
        assert self.program.is_good(answer), f"request {self.count} of the good client: {answer}"
        try:
            self.kept.request(kind.method, kind.path, kind.body, kind.headers)
            answer = self.kept.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # The program's own timeout; an idle connection may end at any time (RFC 9112 §9.3).
            self.kept.close()
            return
        assert answer.status == kind.status and kind.text in answer.read(), f"request {self.count} of the good client: {answer.status}"
        self.count += 1

    def wait_until(self, condition, what):
        def asked():
            self.ask()
            return condition()
        wait_until(asked, what)

    def close(self):
        self.kept.close()


@contextlib.contextmanager
def abused(kind, **variables):
    """The program and its good client. At the end no connection and no buffer is left."""
    # The queue of litecoind is its own limit, and not what is tested.
    words = ("-rpcworkqueue=10000", ) if kind is LITECOIN else ()
    with running(kind, True, *words, **SHORT_DEADLINES | variables) as program, contextlib.closing(Good(program)) as good:
        good.ask()
        yield program, good
        good.ask()
        good.close()
        wait_until(lambda: program.total("http_connections") == 0, "no connection is left")
        wait_until(lambda: program.total("pipit_buffered_bytes") == 0, "nothing is buffered")
        assert program.end() == 0, program.log()[-2000:]
        program.process.poll = lambda: None


def connect(program, good, count, sent, receive_bytes=None):
    clients = []
    for i in range(count):
        client = program.dial(receive_bytes)
        client.sendall(sent)
        clients.append(client)
        if i % 100 == 0:
            good.ask()
    return clients


def close_all(clients):
    """Every second by a reset."""
    for i, client in enumerate(clients):
        if i % 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
        client.close()


def survives_2000_slow_heads(kind):
    with abused(kind, PIPIT_HEAD_TIMEOUT="60s") as (program, good):
        clients = connect(program, good, 2000, b"GET / HTTP/1.1\r\nHost: slow\r\nA: ")
        good.wait_until(lambda: program.total("http_connections", state="reading") >= 2000, "2000 heads are read")
        for client in clients:
            client.sendall(b"b")
        good.ask()
        assert program.total("http_connections", state="reading") >= 2000
        close_all(clients)


def times_slow_heads_and_bodies_out(kind):
    with abused(kind) as (program, good):
        heads = connect(program, good, 200, b"GET / HTTP/1.1\r\nHost: slow\r\nA: ")
        bodies = connect(program, good, 200, b"POST / HTTP/1.1\r\nHost: slow\r\nContent-Length: 400\r\n\r\nhalf")
        half_open = connect(program, good, 100, b"POST / HTTP/1.1\r\nHost: slow\r\nContent-Length: 400\r\n\r\nhalf")
        for client in half_open:
            client.shutdown(socket.SHUT_WR)
        good.wait_until(lambda: program.total("http_timeouts_total", phase="head") >= 200, "the heads have timed out")
        good.wait_until(lambda: program.total("http_timeouts_total", phase="body") >= 200, "the bodies have timed out")
        for client in heads + bodies:
            answer = read_to_end(client)
            assert answer.startswith(b"HTTP/1.1 408 "), answer[:200]
        assert not any(read_to_end(client).startswith(b"HTTP/1.1 2") for client in half_open)
        close_all(heads + bodies + half_open)


def bounds_unread_replies(kind):
    """The kernel takes about 2.5 MB of a loopback connection's reply; the rest stays with the guard, which closes or refuses such clients."""
    budget_mib, count = 8, 50
    with abused(kind, PIPIT_MEMORY_LIMIT=f"{budget_mib}m") as (program, good):
        before = most = program.resident_kib()
        clients = connect(program, good, count, kind.large_often(), receive_bytes=2048)

        def are_all_refused():
            nonlocal most
            most = max(most, program.resident_kib())
            closed = program.total("http_timeouts_total", phase="write") + program.total("http_connections_evicted_total")
            return closed + program.total("http_rejected_total", reason="memory_limit") >= count

        good.wait_until(are_all_refused, "the clients that do not read are closed")
        assert most - before < budget_mib * 1024 * 1.5 + SLACK_KIB[kind.name], f"{most} KiB are resident, {before} before"
        close_all(clients)


def survives_floods_of_connects(kind):
    with abused(kind) as (program, good):
        for _ in range(3):
            close_all(connect(program, good, 500, b""))
            close_all(connect(program, good, 200, b"GET / HT"))
            close_all(connect(program, good, 100, kind.small()))
            close_all(connect(program, good, 20, kind.large))
        good.ask()


def serves_others_beside_pipelines(kind):
    with abused(kind) as (program, good):
        clients = connect(program, good, 10, kind.small() * 200)
        good.ask()
        for client in clients:
            client.sendall(kind.small("Connection: close\r\n"))
        for client in clients:
            received = read_to_end(client)
            assert received.count(b"HTTP/1.1 %d " % kind.status) == 201, received.count(b"HTTP/1.1 ")
        close_all(clients)


# --- slowhttptest ---------------------------------------------------------------------------------------------------------

CONNECTIONS = 500
ATTACK_SECONDS = 2 * PATIENCE
# For the report, which has a sample each second.
REPORTED_SECONDS = 3
# Arguments of slowhttptest, and the phase of the deadline that must end some connections; None: its requests are answered.
MODES = {
    "slow-heads": (["-H"], "head"),
    "slow-bodies": (["-B", "-s", "8192"], "body"),
    "ranges": (["-R", "-t", "GET", "-a", "5", "-b", "3000"], None),
    "slow-readers": (["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32"], None),
}


def is_met(program, phase, accepted):
    return program.total("http_connections_accepted_total") >= accepted and (not phase or program.total("http_timeouts_total", phase=phase) > 0)


def attack(mode, program, good):
    """Until the guard has reacted. Returns the rows of the report, one per second."""
    arguments, phase = MODES[mode]
    path = kind_path(program.kind)
    prefix = pathlib.Path(program.folder, mode)
    accepted = program.total("http_connections_accepted_total") + CONNECTIONS
    command = ["slowhttptest", "-c", str(CONNECTIONS), "-r", "200", "-i", "2", "-l", str(ATTACK_SECONDS), "-p", str(PATIENCE), "-v", "1",
               "-g", "-o", str(prefix), *arguments, "-u", f"http://{ADDRESS}:{program.port}{path}"]
    with open(f"{prefix}.out", "w+") as out, subprocess.Popen(command, stdout=out, stderr=out, cwd=program.folder) as process:
        try:
            good.wait_until(lambda: is_met(program, phase, accepted), f"{mode}: the guard has reacted")
            end = time.monotonic() + REPORTED_SECONDS
            good.wait_until(lambda: time.monotonic() > end, "samples for the report")
            process.send_signal(signal.SIGINT)
            process.wait(timeout=PATIENCE)
        finally:
            if process.poll() is None:
                process.kill()
    with open(f"{prefix}.csv", newline="") as lines:
        return list(csv.DictReader(lines))


def kind_path(kind):
    """Of the largest reply."""
    return kind.large.split()[1].decode()


def stays_available_under_slowhttptest(kind):
    if not shutil.which("slowhttptest"):
        raise Skip("slowhttptest is not installed")
    for mode in MODES:
        with abused(kind) as (program, good):
            rows = attack(mode, program, good)
        columns = [name for name in rows[0] if name and "available" in name.lower()] if rows else []
        assert columns, f"{mode}: a report without samples of availability: {rows}"
        assert all(int(row[columns[0]]) for row in rows), f"{mode}: not available: {rows}"


# --- all of them ----------------------------------------------------------------------------------------------------------

OWN_CLIENTS = {
    TRANSMISSION: (transmission_remote_works, transmission_takes_large_uploads, transmission_serves_its_web_interface,
                   transmission_asks_for_a_session, transmission_sees_the_clients_address, transmission_works_in_a_browser),
    LITECOIN: (litecoin_cli_works, litecoin_takes_batches, litecoin_takes_bodies_of_3_mb, litecoin_sees_the_clients_address,
               litecoin_asks_for_a_password, litecoin_answers_long_calls, litecoin_stops_while_calls_are_under_way,
               litecoin_refuses_calls_when_its_work_queue_is_full),
    USTREAMER: (ustreamer_tells_its_state_and_gives_snapshots, ustreamer_asks_for_a_password,
                ustreamer_streams_to_readers_beside_one_that_does_not_read, the_comparison_runs),
}
OF_EACH = (ends_with_the_same_status, refuses_what_vectors_forbid, passes_what_vectors_allow, smuggles_nothing, survives_2000_slow_heads,
           times_slow_heads_and_bodies_out, bounds_unread_replies, survives_floods_of_connects, serves_others_beside_pipelines,
           stays_available_under_slowhttptest)


def tests_of(kind):
    """(name, function) of each."""
    for test in OWN_CLIENTS[kind]:
        yield test.__name__, test
    for test in OF_EACH:
        yield f"{kind.name} {test.__name__}", lambda test=test: test(kind)


def run(name, test):
    """False: it has failed."""
    try:
        test()
        print(f"passed: {name}", flush=True)
    except Skip as why:
        print(f"skipped: {name}: {why}", flush=True)
    except Exception as error:  # of any kind: go on with the next test
        print(f"FAILED: {name}: {type(error).__name__}: {str(error)[:MESSAGE]}", flush=True)
        return False
    return True


def main():
    programs.allow_descriptors()
    present = [kind for kind in KINDS if not kind.missing()]
    for kind in KINDS:
        if kind not in present:
            print(f"skipped: {kind.name}: not installed: {', '.join(kind.missing())}")
    if not present:
        return SKIPPED
    chosen = [(name, test) for kind in present for name, test in tests_of(kind) if not sys.argv[1:] or any(word in name for word in sys.argv[1:])]
    return 1 if not all([run(name, test) for name, test in chosen]) else 0


if __name__ == "__main__":
    sys.exit(main())
