#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipit-guard and libpipit-guard.so in front of small programs that use evhttp in every way that real ones do (shapes.c).

Each program is also run without the guard: what its own clients see must be the same.

usage: guard_test.py [--valgrind] [TEST...]"""

import contextlib
import http.client
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
import tempfile
import time

GUARD = pathlib.Path(os.environ["PIPIT_GUARD_PROGRAM"])
SHAPES = os.environ["PIPIT_GUARD_SHAPES"]
LIBRARY = GUARD.parent / "libpipit-guard.so"
STATUS = 7  # of shapes.c
VALGRIND = ("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite")
PATIENCE = 60
# A sanitizer's library must come first.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIPIT_") and name != "LD_PRELOAD"}
under_valgrind = False
FORBIDDEN = b"GET / HTTP/1.1\r\nHost: two words\r\n\r\n"


class Program:
    """A program in a shape. With `command` the guard's words stand before it."""

    def __init__(self, shape, command=(), ports=1, **environment):
        words = [*map(str, command), SHAPES, shape]
        # The launcher would see valgrind, not the program.
        if under_valgrind and command:
            words = [*VALGRIND, SHAPES, shape]
            environment["LD_PRELOAD"] = str(LIBRARY)
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=ENVIRONMENT | environment)
        lines = [self.process.stdout.readline() for _ in range(ports)]
        if not all(lines):
            self.process.wait(PATIENCE)
            raise AssertionError(f"{shape} did not start ({self.process.returncode}): {self.log()}")
        self.ports = [int(line) for line in lines]
        self.port = self.ports[0]

    def log(self):
        self.errors.seek(0)
        return self.errors.read()

    def get(self, path, body=None, port=None):
        """(status, text) over a new connection."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("POST" if body else "GET", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def exchange(self, request, port=None):
        """All that comes until the end of the connection."""
        with socket.create_connection(("127.0.0.1", port or self.port), PATIENCE) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            received = b""
            while more := client.recv(65536):
                received += more
        return received

    def is_guarded(self, port=None):
        return self.exchange(FORBIDDEN, port).startswith(b"HTTP/1.1 400 ")

    def end(self):
        """Its exit status."""
        self.get("/end")
        return self.process.wait(PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def guarded(shape, *options, **keywords):
    return contextlib.closing(Program(shape, (GUARD, *options), **keywords))


def bare(shape, **keywords):
    return contextlib.closing(Program(shape, **keywords))


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "has not become true"
        time.sleep(0.02)


def run(*words, **environment):
    return subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT | environment, check=False)


# --- every way to bind ----------------------------------------------------------------------------------------------------

SOCKETS = ("plain", "handle", "accept", "accept-handle", "listener", "start", "locks", "thread", "fork", "freed", "bevcb-null")


def guards_every_way_to_bind():
    for shape in SOCKETS:
        with bare(shape) as program:
            assert not program.is_guarded(), shape
            assert program.end() == STATUS, shape
        with guarded(shape) as program:
            assert program.get("/") == (200, "hello"), shape
            assert program.is_guarded(), shape
            assert f"guards 127.0.0.1:{program.port}" in program.log(), program.log()
            assert program.end() == STATUS, (shape, program.log())


def guards_each_evhttp_of_a_process():
    with guarded("two", ports=2) as program:
        for port in program.ports:
            assert program.get("/", port=port) == (200, "hello")
            assert program.is_guarded(port)
        assert program.end() == STATUS


def guards_when_preloaded_without_the_launcher():
    with contextlib.closing(Program("plain", LD_PRELOAD=str(LIBRARY))) as program:
        assert program.is_guarded()
        assert program.end() == STATUS


def guards_an_evhttp_that_takes_the_place_of_another():
    # Without its cache, malloc() returns the same address.
    with guarded("replaced", GLIBC_TUNABLES="glibc.malloc.tcache_count=0") as program:
        assert program.get("/") == (200, "hello")
        assert program.is_guarded()
        assert program.end() == STATUS


def binds_and_frees_while_the_loop_runs_in_another_thread():
    for options in ((), ("--metrics", free_address())):
        with guarded("churn", *options) as program:
            assert program.is_guarded()
            assert program.end() == STATUS, program.log()


def guards_clients_that_wait_when_a_socket_is_bound():
    with guarded("waiting") as program:
        assert program.end() == STATUS, program.log()


def guards_after_a_start_without_descriptors():
    for _ in range(2):
        with contextlib.closing(Program("short", ("prlimit", "--nofile=64", GUARD))) as program:
            assert program.is_guarded(), program.log()
            assert program.get("/") == (200, "hello")
            assert program.end() == STATUS


def logs_the_client_that_a_trusted_proxy_names():
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder, "access.log")
        with guarded("plain", PIPIT_ACCESS_LOG=str(log), PIPIT_TRUSTED_PROXY="127.0.0.1") as program:
            program.exchange(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.1, 192.0.2.9\r\nConnection: close\r\n\r\n")
            wait_until(lambda: log.read_text().startswith("192.0.2.9 - - "))


def opens_the_log_before_the_program_gives_up_its_rights():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder, "access.log")
        with guarded("dropped", PIPIT_ACCESS_LOG=str(log)) as program:
            assert program.get("/") == (200, "hello")
            wait_until(lambda: '"GET / ' in log.read_text())


def finds_its_files_when_the_program_has_changed_its_directory():
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "guard.conf").write_text("max-target-bytes = 100\n")
        before = os.getcwd()
        os.chdir(folder)
        try:
            with guarded("moved", "--config", "guard.conf") as program:
                assert program.exchange(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 200)).startswith(b"HTTP/1.1 414 ")
        finally:
            os.chdir(before)


def keeps_its_options_when_the_program_has_cleared_its_environment():
    address = free_address()
    with guarded("cleared", "--metrics", address, PIPIT_MAX_TARGET_BYTES="100") as program:
        assert program.exchange(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 200)).startswith(b"HTTP/1.1 414 ")
        wait_until(lambda: 'code="414"} 1\n' in scrape(address))


def writes_no_message_into_a_file_of_the_program():
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        try:
            with guarded("errors-closed") as program:
                assert program.is_guarded()
                assert pathlib.Path(folder, "program.db").read_bytes() == b""
        finally:
            os.chdir(before)


PLUGIN = """
#include <event2/event.h>
#include <event2/http.h>
int serve(void) { return evhttp_bind_socket(evhttp_new(event_base_new()), "127.0.0.1", 0); }
"""
HOST = """
#include <dlfcn.h>
int main(int argc, char **argv)
{
	void *plugin = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
	int (*serve)(void) = (int (*)(void))dlsym(plugin, "serve");
	return serve() == 0 ? 5 : 6;
}
"""


def stands_aside_of_a_libevent_that_only_a_plugin_has():
    with tempfile.TemporaryDirectory() as folder:
        plugin = compile_program(folder, "plugin.so", PLUGIN, "-shared", "-fPIC", "-levent")
        host = compile_program(folder, "host", HOST)
        done = run(host, plugin, LD_PRELOAD=str(LIBRARY))
        assert done.returncode == 5, done
        assert "stands aside" in done.stderr, done


def goes_through_a_script():
    """Also without "#!", as execvp() and shells do."""
    for first_line in ("#!/bin/sh\n", "", "\n"):
        with tempfile.TemporaryDirectory() as folder:
            script = pathlib.Path(folder, "script")
            script.write_text(f'{first_line}exec {SHAPES} "$@"\n')
            script.chmod(0o755)
            done = run(GUARD, "--explain", script)
            assert done.returncode == 0 and "the script (/bin/sh) runs" in done.stdout, done
            process = subprocess.Popen([GUARD, script, "plain"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
            port = int(process.stdout.readline())
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                client.sendall(FORBIDDEN)
                assert client.recv(1024).startswith(b"HTTP/1.1 400 ")
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
                connection.request("GET", "/end")
                connection.getresponse().read()
            process.communicate(timeout=PATIENCE)
            assert process.returncode == STATUS


WRAPPERS = (
    ("nice",),
    ("env", "WRAPPED=yes"),
    ("sh", "-c", 'exec "$@"', "sh"),
    ("sh", "-c", '"$@"; exit $?', "sh"),  # a child
    ("sh", "-c", 'nice "$@"; exit $?', "sh", "sh", "-c", '"$@"; exit $?', "sh"),  # a grandchild
)


def guards_what_a_wrapper_starts():
    for words in WRAPPERS:
        with contextlib.closing(Program("plain", (GUARD, "--children", "--", *words))) as program:
            assert program.is_guarded(), words
            assert re.search(r"stands aside of \S+: it is linked with no libevent that has evhttp; guards what it starts\n", program.log()), program.log()
            assert f"guards 127.0.0.1:{program.port}" in program.log(), program.log()
            assert program.end() == STATUS, (words, program.log())
        with contextlib.closing(Program("plain", (GUARD, *words))) as program:
            assert not program.is_guarded(), words
            assert "what it starts is not guarded without --children\n" in program.log(), program.log()
            assert program.end() == STATUS, words


# --- what the program sees ------------------------------------------------------------------------------------------------


def tells_the_true_peer_and_passes_bodies():
    with guarded("plain") as program:
        body = b"x" * 3_000_000  # pipit's own limit of 1 MiB is not the program's
        with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as client:
            client.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            answer = client.makefile("rb").read()
            assert answer.endswith(b"3000000 127.0.0.1 %d" % client.getsockname()[1]), answer


def changes_no_signal_and_no_locale():
    with bare("plain") as program:
        expected = program.get("/facts")
    with guarded("plain", "--metrics", free_address()) as program:
        assert program.get("/facts") == expected


def is_taken_out_of_the_environment():
    with guarded("plain") as program:
        assert program.get("/child") == (200, "child ")
    with guarded("plain", "--children") as program:
        assert str(LIBRARY) in program.get("/child")[1]
    other = "libc.so.6"
    with contextlib.closing(Program("plain", LD_PRELOAD=f"{LIBRARY}:{other}")) as program:
        text = program.get("/child")[1]
        assert other in text and "pipit" not in text, text


def replies_from_threads_arrive():
    with guarded("locks") as program:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", program.port, timeout=PATIENCE)) as connection:
            for _ in range(5):
                connection.request("GET", "/task")
                assert connection.getresponse().read() == b"from a thread"
        assert program.end() == STATUS


def may_strace():
    done = shutil.which("strace") and run("strace", "-o", "/dev/null", "true")
    return bool(done) and done.returncode == 0


def waits_for_a_reply_without_a_system_call():
    """evhttp removes a client's events while a callback prepares its reply, and adds them again, with four calls."""
    if not may_strace():
        print("skipped: strace does not trace here")
        return
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder, "trace")
        calls = ("strace", "-D", "-f", "-e", "trace=epoll_ctl,recvfrom", "-o", trace)
        # Leaks cannot be looked for under strace.
        options = f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"
        with contextlib.closing(Program("locks", (*calls, GUARD), ASAN_OPTIONS=options)) as program:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", program.port, timeout=PATIENCE)) as connection:
                for _ in range(20):
                    connection.request("GET", "/task")
                    assert connection.getresponse().read() == b"from a thread"
            assert program.end() == STATUS
        wait_until(lambda: "+++ exited" in trace.read_text().splitlines()[-1])
        requests = [text.split("epoll_ctl(") for text in trace.read_text().split('"GET /task')[1:]]
        assert len(requests) == 20, trace.read_text()
        # The first request may have come with the connection, and what follows the last belongs to its end.
        assert sum(len(calls) - 1 for calls in requests[1:-1]) == 0, trace.read_text()


def answers_what_a_client_sends_before_the_reply():
    with guarded("locks") as program:
        with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as client:
            request, received = b"GET /task HTTP/1.1\r\nHost: x\r\n\r\n", b""
            for _ in range(3):
                client.sendall(request[:20])
                time.sleep(0.02)
                client.sendall(request[20:])
            while received.count(b"from a thread") < 3:
                more = client.recv(65536)
                assert more, received
                received += more
        assert program.end() == STATUS


def leave(client, how):
    if how == "half-close":
        client.shutdown(socket.SHUT_WR)
        # The server closes, too.
        assert client.recv(1) == b""
    if how == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def keeps_the_connection_of_a_client_that_has_left_until_the_reply():
    """The program asks for it; evhttp by itself frees it only after the reply."""
    with guarded("locks") as program, contextlib.ExitStack() as stack:
        for count, how in enumerate(("fin", "reset", "half-close"), 1):
            client = socket.create_connection(("127.0.0.1", program.port), PATIENCE)
            client.sendall(b"GET /task?slow HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: program.get("/tasks")[1].startswith(f"begun {count},"))
            leave(client, how)
        # evhttp shuts the descriptor of such a client down after the reply: by then no other client may have its number.
        others = [http.client.HTTPConnection("127.0.0.1", program.port, timeout=PATIENCE) for _ in range(6)]
        for other in others:
            stack.enter_context(contextlib.closing(other))
            other.request("GET", "/")
            assert other.getresponse().read() == b"hello"
        wait_until(lambda: program.get("/tasks")[1] == "begun 3, done 3")
        for other in others:
            other.request("GET", "/")
            assert other.getresponse().read() == b"hello"
        assert program.end() == STATUS, program.log()


def read_frames(client, count):
    received = b""
    while received.count(b"12345\r\n") < count:
        more = client.recv(65536)
        assert more, received
        received += more
    return received


def streams_past_evhttp_work():
    """Three readers, one of which does not read, as ustreamer's are."""
    with guarded("stream") as program:
        clients = [socket.create_connection(("127.0.0.1", program.port), PATIENCE) for _ in range(3)]
        for client in clients:
            client.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        for client in clients[:2]:
            head = read_frames(client, 5).split(b"\r\n\r\n")[0].decode()
            # An HTTP/1.0 reply without a length ends with its connection.
            assert head.startswith("HTTP/1.1 200 OK") and "Connection: close" in head, head
        assert program.get("/streams")[1] == "open 3, ended 0"
        for client in clients:
            client.close()
        wait_until(lambda: program.get("/streams")[1] == "open 0, ended 3")
        assert program.end() == STATUS


def a_callback_may_remove_the_callbacks_of_its_bufferevent():
    for start in (bare, guarded):
        with start("plain") as program:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", program.port, timeout=PATIENCE)) as connection:
                for path in ("/bare", "/bare?late", "/bare?late", "/"):
                    connection.request("GET", path)
                    assert connection.getresponse().read() == (b"hello" if path == "/" else b"without callbacks"), (start, path)
            assert program.end() == STATUS, program.log()


def ends_no_loop_that_runs_once():
    for options in ((), ("--metrics", free_address())):
        with guarded("once", *options) as program:
            assert program.process.wait(PATIENCE) == STATUS, options


# --- memory shortage ------------------------------------------------------------------------------------------------------


def toggle_shortage(program):
    program.process.send_signal(signal.SIGUSR1)
    assert program.process.stdout.readline() in ("starves\n", "has memory\n")


def send_forbidden(program):
    client = socket.create_connection(("127.0.0.1", program.port), PATIENCE)
    # A client that is refused may be closed already.
    with contextlib.suppress(OSError):
        client.sendall(FORBIDDEN)
        client.shutdown(socket.SHUT_WR)
    return client


def read_to_end(client):
    received = b""
    with client, contextlib.suppress(ConnectionResetError):
        while more := client.recv(65536):
            received += more
    return received


def enable_until_all_have_ended(program, clients):
    """The guard has paused the socket; its program enables it for the next client."""

    def have_ended():
        program.process.send_signal(signal.SIGUSR2)
        poller = select.poll()
        for client in clients:
            poller.register(client, select.POLLRDHUP)
        return len(poller.poll(50)) == len(clients)

    wait_until(have_ended)


def has_hello(program):
    try:
        return program.get("/") == (200, "hello")
    except (OSError, http.client.HTTPException):
        return False


def serves_no_client_unguarded_while_memory_is_short():
    for enables in (False, True):
        for is_attached in (False, True):
            with guarded("starved") as program:
                if is_attached:
                    assert program.get("/") == (200, "hello")
                toggle_shortage(program)
                clients = [send_forbidden(program) for _ in range(6)]
                if enables:
                    enable_until_all_have_ended(program, clients)
                toggle_shortage(program)
                replies = [read_to_end(client) for client in clients]
                assert all(reply == b"" or reply.startswith(b"HTTP/1.1 400 ") for reply in replies), (enables, is_attached, replies)
                wait_until(lambda: has_hello(program))
                assert program.is_guarded()
                assert program.end() == STATUS, program.log()


# --- standing aside -------------------------------------------------------------------------------------------------------


def stands_aside_of_a_bevcb_of_the_program():
    for shape in ("bevcb-before", "bevcb-after"):
        with guarded(shape) as program:
            assert not program.is_guarded(), shape
            assert program.log().count("stands aside: the program sets a bevcb") == 1, program.log()
            assert program.end() == STATUS


def assert_aside(done, reason):
    assert done.stderr.count("\n") == 1 and "stands aside" in done.stderr and reason in done.stderr, done.stderr


CLIENT = """
#include <event2/event.h>
#include <event2/http.h>
int main(void) { return evhttp_connection_base_new(event_base_new(), NULL, "127.0.0.1", 1) ? 5 : 6; }
"""


def stands_aside_of_programs_without_a_server():
    with tempfile.TemporaryDirectory() as folder:
        done = run(GUARD, compile_program(folder, "client", CLIENT, "-levent"))
        assert done.returncode == 5
        assert_aside(done, "only as a client")
    done = run(GUARD, "true")
    assert done.returncode == 0
    assert_aside(done, "no libevent")


def compile_program(folder, name, text, *flags):
    source, program = pathlib.Path(folder, name + ".c"), pathlib.Path(folder, name)
    source.write_text(text)
    subprocess.run(["cc", source, "-o", program, *flags], check=True)
    return program


def stands_aside_of_programs_that_it_cannot_reach():
    main = "int main(void) { return 5; }\n"
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program = compile_program(folder, "static", main, "-static")
        done = run(GUARD, program)
        assert done.returncode == 5
        assert_aside(done, "linked statically")
        program = compile_program(folder, "inside", "void *evhttp_new(void *base) { return base; }\n" + main)
        done = run(GUARD, program)
        assert done.returncode == 5
        assert_aside(done, "contains evhttp itself")
        program = compile_program(folder, "setuid", main)
        program.chmod(0o4755)
        done = run(GUARD, program)
        assert done.returncode == 5
        assert_aside(done, "gains rights")
        done = run(GUARD, "--children", program)
        assert_aside(done, "preloads nothing then; what it starts is not guarded, either")
        done = run(GUARD, "--children", "--explain", program)
        assert done.returncode == 3 and "guard:   is not preloaded into the programs that it starts\n" in done.stdout, done


def preloads_nothing_for_another_c_library():
    """Its loader would end the program."""
    if not shutil.which("musl-gcc"):
        return
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder, "musl.c"), pathlib.Path(folder, "musl")
        source.write_text("int main(void) { return 5; }\n")
        subprocess.run(["musl-gcc", source, "-o", program], check=True)
        done = run(GUARD, "--children", program)
        assert done.returncode == 5, done
        assert_aside(done, "another C library; what it starts is not guarded, either")


OTHER_LIBEVENT = """
#include <stdint.h>
#include <stdio.h>
uint32_t event_get_version_number(void) { return 0x02020100; }
const char *event_get_version(void) { return "2.2.1-test"; }
int evhttp_bind_socket(void *http, const char *address, unsigned short port) { (void)http, (void)address, (void)port; return 0; }
void *evhttp_bind_socket_with_handle(void *http, const char *address, unsigned short port) { (void)address, (void)port; return http; }
"""
USER_OF_IT = """
int evhttp_bind_socket(void *http, const char *address, unsigned short port);
int main(void) { static int http; return evhttp_bind_socket(&http, "x", 1) == 0 ? 5 : 6; }
"""


def stands_aside_of_another_libevent():
    with tempfile.TemporaryDirectory() as folder:
        compile_program(folder, "libevent-2.2.so.1", OTHER_LIBEVENT, "-shared", "-fPIC", "-Wl,-soname,libevent-2.2.so.1")
        program = compile_program(folder, "user", USER_OF_IT, f"{folder}/libevent-2.2.so.1", f"-Wl,-rpath,{folder}")
        done = run(GUARD, program)
        assert done.returncode == 5
        assert_aside(done, "libevent-2.2.so.1")
        done = run(program, LD_PRELOAD=str(LIBRARY))
        assert done.returncode == 5
        assert_aside(done, "2.2.1-test")


# --- the configuration ----------------------------------------------------------------------------------------------------

WRONG = (
    ({"PIPIT_MAX_FIELDS": "abc"}, (), 'PIPIT_MAX_FIELDS = "abc": not a number'),
    ({"PIPIT_LISTEN": "127.0.0.1:1"}, (), "PIPIT_LISTEN: has no effect on a guarded program; remove it"),
    ({"PIPIT_GUARD_METRIC": "x"}, (), "PIPIT_GUARD_METRIC: unknown variable; use PIPIT_GUARD_METRICS"),
    ({}, ("--metrics", "nonsense"), "--metrics nonsense: not an address; use ADDR:PORT"),
    ({"PIPIT_GUARD_METRICS": "nonsense"}, (), 'environment: PIPIT_GUARD_METRICS = "nonsense": not an address; use ADDR:PORT'),
    ({}, ("--metrics", "192.0.2.1:80"), "--metrics 192.0.2.1:80: cannot be used"),
    ({"PIPIT_GUARD_METRICS": "192.0.2.1:80"}, (), 'environment: PIPIT_GUARD_METRICS = "192.0.2.1:80": cannot be used'),
    ({}, ("--config", "/none/such"), "--config /none/such: cannot be read"),
    ({"PIPIT_CONFIG": "/none/such"}, (), 'environment: PIPIT_CONFIG = "/none/such": cannot be read'),
    ({"PIPIT_ACCESS_LOG": "/none/such"}, (), "cannot be opened"),
    ({"PIPIT_ACCESS_LOG": "access.log"}, (), "relative; use an absolute path"),
    ({}, ("--metrix", ), "--metrix: unknown option"),
    ({}, ("--max-connections", "5"),
     "--max-connections: not a flag of pipit-guard; use PIPIT_MAX_CONNECTIONS=5 in the environment, or max-connections = 5 in the file of --config"),
    ({}, ("--max-connections=5", ), "use PIPIT_MAX_CONNECTIONS=5 in"),
    ({}, ("--idle-timeout", ), "use PIPIT_IDLE_TIMEOUT=TIME in"),
    ({}, ("--root", "/srv"), "--root: has no effect on a guarded program; remove it"),
    ({}, ("--metrics", ), "--metrics: has no value"),
    ({"PIPIT_GUARD_CHILDREN": "yes"}, (), "unknown value; use off or on"),
)


def runs_nothing_with_a_wrong_configuration():
    for environment, options, expected in WRONG:
        with tempfile.TemporaryDirectory() as folder:
            mark = pathlib.Path(folder, "mark")
            words = [GUARD, *options]
            if options not in (("--metrics", ), ("--metrix", ), ("--idle-timeout", )):
                words += ["touch", mark]
            done = run(*words, **environment)
            assert done.returncode == 2 and expected in done.stderr, (environment, options, done.stderr)
            assert not mark.exists()


def prints_the_configuration_that_it_has_checked():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "guard.conf")
        file.write_text("max-connections = 5\n")
        done = run(GUARD, "--check", "--config", file, PIPIT_IDLE_TIMEOUT="9s")
        assert done.returncode == 0 and not done.stderr, done
        lines = done.stdout.splitlines()
        assert "max-connections = 5" in lines and "idle-timeout = 9s" in lines and "# no metrics" in lines, lines
        address = free_address()
        file.write_text(done.stdout)
        # What it prints is a file that it takes.
        again = run(GUARD, "--check", "--config", file, "--metrics", address)
        assert again.returncode == 0 and again.stdout == done.stdout.replace("# no metrics", f"# metrics at {address}"), again


def binding_fails_when_a_preloaded_configuration_is_wrong():
    done = run(SHAPES, "plain", LD_PRELOAD=str(LIBRARY), PIPIT_MAX_FIELDS="abc")
    assert done.returncode == 1 and "PIPIT_MAX_FIELDS" in done.stderr and "evhttp_bind_socket" in done.stderr, done


def binding_fails_without_the_core():
    with tempfile.TemporaryDirectory() as folder:
        alone = shutil.copy(LIBRARY, folder)
        done = run(SHAPES, "plain", LD_PRELOAD=alone)
        assert done.returncode == 1, done
        assert "error: the program cannot bind its evhttp: " in done.stderr and "libpipit-guard-core.so" in done.stderr, done.stderr


def names_the_variable_of_metrics_that_cannot_listen():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.closing(Program("plain", LD_PRELOAD=str(LIBRARY), PIPIT_GUARD_METRICS=address)) as program:
            assert f'environment: PIPIT_GUARD_METRICS = "{address}": cannot be used' in program.log(), program.log()
            assert "goes on without metrics" in program.log(), program.log()
            assert program.is_guarded()


def reads_limits_and_log_from_the_environment_and_a_file():
    with tempfile.TemporaryDirectory() as folder:
        file, log = pathlib.Path(folder, "guard.conf"), pathlib.Path(folder, "access.log")
        file.write_text(f"max-target-bytes = 100\naccess-log = {log}\n")
        with guarded("plain", "--config", str(file), PIPIT_LOG_FORMAT="json") as program:
            assert program.exchange(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 200)).startswith(b"HTTP/1.1 414 ")
            assert program.get("/") == (200, "hello")
            wait_until(lambda: log.read_text().count("\n") == 2)
            assert '"status":414' in log.read_text() and f'"program":"pipit-guard[{pathlib.Path(SHAPES).name}]"' in program.log(), program.log()


def names_the_program_in_what_it_says_of_a_refusal():
    with guarded("plain", PIPIT_LOG_LEVEL="debug") as program:
        assert program.is_guarded()
        name = pathlib.Path(SHAPES).name
        assert f"pipit-guard[{name}]: debug: refused with 400: An HTTP/1.1 request must have exactly one valid Host" in program.log(), program.log()


def reports_programs_that_cannot_run():
    assert run(GUARD, "no-such-program").returncode == 127
    assert run(GUARD, "/etc/passwd").returncode == 126
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder, "data")
        data.write_bytes(b"\x89data\0\0")
        data.chmod(0o755)
        done = run(GUARD, data)
        assert done.returncode == 126 and "neither a program nor a script" in done.stderr, done
    assert run(GUARD).returncode == 2


# --- metrics --------------------------------------------------------------------------------------------------------------


def scrape(address, path="/metrics"):
    host, port = address.split(":")
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=PATIENCE)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()


def shows_metrics_on_a_listener_of_its_own():
    address = free_address()
    with guarded("two", "--metrics", address, ports=2) as program:
        for port in program.ports:
            program.get("/", port=port)
        assert program.is_guarded()
        wait_until(lambda: 'http_requests_total{method="GET",route="fallback",code="200"} 2\n' in scrape(address))
        page = scrape(address)
        assert re.search(r'^http_rejected_total\{reason="[^"]*host[^"]*"\} 1$', page, re.MULTILINE), page
        assert 'event_base_info{worker="1"' in page
        assert scrape(address, "/healthz") == '{"status":"ok"}'
        links = re.findall(r'<a href="([^"#:]+)"', scrape(address, "/"))
        assert {"metrics", "healthz", "readyz", "openapi.json"} <= set(links), links
        for link in links:
            assert scrape(address, f"/{link}"), link
        wait_until(lambda: f"serves metrics at http://{address}/metrics" in program.log())
        assert scrape(address, "/readyz") == '{"status":"ready"}'
        assert '"/metrics"' in scrape(address, "/openapi.json")
        assert program.end() == STATUS


def metrics_status(address, host):
    with contextlib.closing(http.client.HTTPConnection(*address.split(":"), timeout=PATIENCE)) as connection:
        connection.request("GET", "/metrics", headers={"Host": host})
        return connection.getresponse().status


def metrics_refuse_the_name_of_a_foreign_site():
    for hosts, allowed, refused in (
        ({}, ("localhost", "127.0.0.1", "10.1.2.3", "nas"), ("evil.example", "nas.example.com")),
        ({"PIPIT_HOSTS": "nas.example.com"}, ("localhost", "127.0.0.1", "nas.example.com"), ("evil.example", "10.1.2.3")),
    ):
        address = free_address()
        with guarded("plain", "--metrics", address, **hosts) as program:
            wait_until(lambda: "serves metrics at" in program.log())
            for host in allowed:
                assert metrics_status(address, host) == 200, (hosts, host)
            for host in refused:
                assert metrics_status(address, host) == 421, (hosts, host)
            assert "refused a request for the host \"evil.example\" with 421" in program.log(), program.log()


def says_that_the_metrics_have_the_port_of_the_program():
    address = free_address()
    port = address.split(":")[1]
    for bound in ("127.0.0.1", "0.0.0.0", "localhost", "any"):
        done = run(GUARD, "--metrics", address, SHAPES, "plain", bound, port)
        assert done.returncode == 1, done
        assert f"the program cannot bind port {port}, because its metrics listen there; use another port for the metrics" in done.stderr, done.stderr
        assert "Address already in use" in done.stderr, done.stderr
    with socket.create_server(("127.0.0.1", 0)) as listener:
        other = listener.getsockname()[1]
        done = run(GUARD, "--metrics", address, SHAPES, "plain", "127.0.0.1", other)
        assert done.returncode == 1 and "its metrics" not in done.stderr, done


def shows_the_metrics_of_the_process_that_serves():
    """A daemon may fork after it has bound."""
    address = free_address()
    with guarded("fork", "--metrics", address) as program:
        program.get("/")
        wait_until(lambda: 'code="200"} 1\n' in scrape(address))
        assert program.end() == STATUS


def keeps_counters_after_an_evhttp_has_ended():
    address = free_address()
    with guarded("replaced", "--metrics", address) as program:
        program.get("/")
        wait_until(lambda: 'route="fallback",code="200"} 1\n' in scrape(address))
        page = scrape(address)
        # worker 0 was the evhttp that has ended
        assert 'event_base_info{worker="0"' in page and 'event_base_info{worker="1"' in page, page
        assert program.end() == STATUS


# --- explaining -----------------------------------------------------------------------------------------------------------


def explains_without_running():
    done = run(GUARD, "--explain", SHAPES)
    assert done.returncode == 0 and "guard:   on" in done.stdout and "evhttp_bind_listener" in done.stdout, done
    assert "note:    evhttp_set_bevcb" in done.stdout and not done.stderr
    linked = re.search(r"^links:(.*?)^\S", done.stdout, re.MULTILINE | re.DOTALL).group(1).split()
    assert linked == sorted(linked) and "evhttp_start" in linked, linked
    assert "it links functions that bind an evhttp; if it calls one," in done.stdout, done.stdout
    done = run(GUARD, "--explain", "true")
    assert done.returncode == 3 and "stands aside" in done.stdout
    done = run(GUARD, "--children", "--explain", "true")
    assert done.returncode == 0 and "is preloaded into the programs that it starts, and guards those that bind an evhttp\n" in done.stdout, done


def prints_help_of_at_most_80_columns():
    done = run(GUARD, "--help")
    assert done.returncode == 0 and done.stdout.startswith("Usage: pipit-guard")
    assert max(map(len, done.stdout.splitlines())) <= 80


TESTS = (
    guards_every_way_to_bind,
    guards_each_evhttp_of_a_process,
    guards_when_preloaded_without_the_launcher,
    guards_an_evhttp_that_takes_the_place_of_another,
    binds_and_frees_while_the_loop_runs_in_another_thread,
    guards_clients_that_wait_when_a_socket_is_bound,
    guards_after_a_start_without_descriptors,
    logs_the_client_that_a_trusted_proxy_names,
    opens_the_log_before_the_program_gives_up_its_rights,
    finds_its_files_when_the_program_has_changed_its_directory,
    keeps_its_options_when_the_program_has_cleared_its_environment,
    writes_no_message_into_a_file_of_the_program,
    stands_aside_of_a_libevent_that_only_a_plugin_has,
    goes_through_a_script,
    guards_what_a_wrapper_starts,
    tells_the_true_peer_and_passes_bodies,
    changes_no_signal_and_no_locale,
    is_taken_out_of_the_environment,
    replies_from_threads_arrive,
    waits_for_a_reply_without_a_system_call,
    answers_what_a_client_sends_before_the_reply,
    keeps_the_connection_of_a_client_that_has_left_until_the_reply,
    streams_past_evhttp_work,
    a_callback_may_remove_the_callbacks_of_its_bufferevent,
    ends_no_loop_that_runs_once,
    serves_no_client_unguarded_while_memory_is_short,
    stands_aside_of_a_bevcb_of_the_program,
    stands_aside_of_programs_without_a_server,
    stands_aside_of_programs_that_it_cannot_reach,
    preloads_nothing_for_another_c_library,
    stands_aside_of_another_libevent,
    runs_nothing_with_a_wrong_configuration,
    prints_the_configuration_that_it_has_checked,
    binding_fails_when_a_preloaded_configuration_is_wrong,
    binding_fails_without_the_core,
    names_the_variable_of_metrics_that_cannot_listen,
    reads_limits_and_log_from_the_environment_and_a_file,
    names_the_program_in_what_it_says_of_a_refusal,
    reports_programs_that_cannot_run,
    shows_metrics_on_a_listener_of_its_own,
    metrics_refuse_the_name_of_a_foreign_site,
    says_that_the_metrics_have_the_port_of_the_program,
    shows_the_metrics_of_the_process_that_serves,
    keeps_counters_after_an_evhttp_has_ended,
    explains_without_running,
    prints_help_of_at_most_80_columns,
)


# Their programs need no option.
UNDER_VALGRIND = (a_callback_may_remove_the_callbacks_of_its_bufferevent, serves_no_client_unguarded_while_memory_is_short, keeps_the_connection_of_a_client_that_has_left_until_the_reply, guards_every_way_to_bind, guards_each_evhttp_of_a_process, replies_from_threads_arrive, streams_past_evhttp_work)


def chosen_tests():
    global under_valgrind
    under_valgrind = "--valgrind" in sys.argv
    names = {name for name in sys.argv[1:] if name != "--valgrind"}
    return [test for test in (UNDER_VALGRIND if under_valgrind else TESTS) if not names or test.__name__ in names]


def main():
    failed = 0
    if "--valgrind" in sys.argv and not shutil.which("valgrind"):
        print("skipped: please install valgrind")
        return 77
    for test in chosen_tests():
        try:
            test()
            print(f"passed: {test.__name__}", flush=True)
        except Exception as error:  # of any kind: go on with the next test
            failed += 1
            print(f"FAILED: {test.__name__}: {type(error).__name__}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
