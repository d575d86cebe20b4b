# SPDX-License-Identifier: MIT
"""What wrk sends, and the correct answers.

A workload is one entry in WORKLOADS; peers.py says which servers take part in it."""

import dataclasses
import json
import random
import typing

import watches
from answers import Answer
from machine import ADDRESS, BOTH_CORES, CLIENT_CORE

ECHO_BYTES = 200


@dataclasses.dataclass(frozen=True)
class Load:
    """What wrk sends: GETs on keep-alive connections, unless headers or a Lua script in this folder change that."""

    answer: Answer
    path: str = "/json/hello"
    headers: tuple = ()  # each "Name: value"
    script: str = ""
    arguments: tuple = ()  # of the script
    burst: int = 1  # requests in one write
    closes: bool = False  # the server ends the connection after its answer
    tls: bool = False
    handshakes: str = ""  # "full" or "resumed": handshakes.c sends it instead of wrk, each GET on a connection of its own
    connections: int = 0  # at once; 0: as --connections says
    cores: tuple = (CLIENT_CORE,)  # of wrk, a thread on each
    watch: typing.Callable | None = None  # see watches.py

    @property
    def request(self):
        """One GET as this script sends it."""
        return f"GET {self.path} HTTP/1.1\r\nHost: {ADDRESS}\r\n\r\n".encode()


@dataclasses.dataclass(frozen=True)
class Workload:
    """Rows that are compared with each other: every server with every load, measured one after the other."""

    name: str
    loads: dict  # label that is appended to the server's name, or "" -> Load


def one(name, load):
    return Workload(name, {"": load})


def echo_body():
    """A JSON object of exactly ECHO_BYTES bytes, printed without spaces as pipit prints it."""
    document = {"device": "gateway-7", "online": True, "temperature": 21.5, "ports": [1, 2, 3, 4], "note": ""}
    rest = ECHO_BYTES - len(json.dumps(document, separators=(",", ":")))
    document["note"] = ("forty-two lines of status " * ECHO_BYTES)[:rest]
    return json.dumps(document, separators=(",", ":")).encode()


def file_of(length):
    """Random bytes, the same in every run."""
    return Answer(random.Random(length).randbytes(length), "text/plain")


HELLO = Answer(b'{"message":"Hello, World!"}')
ECHO = Answer(echo_body())
# Files that the servers serve, by name.
FILES = {"1k.txt": file_of(1 << 10), "100k.txt": file_of(100 << 10), "10m.txt": file_of(10 << 20)}

# Settings of a device, and one value in them.
NOTE = "".join(chr(ord("a") + i % 26) for i in range(1022))
SETTINGS = {"network": {"hostname": "gateway-7", "dns": ["192.0.2.1", "192.0.2.2"]}, "unit": {"note": NOTE, "online": True}}

# In the daemon a native handler answers.
GET = Load(HELLO)
BROWSER = Load(HELLO, script="browser_headers.lua")
PIPELINE16 = Load(HELLO, script="pipeline16.lua", burst=16)
# In the daemon an evhttp callback answers.
CALLBACK, CALLBACK_BROWSER, CALLBACK_PIPELINE16 = (
    dataclasses.replace(load, path="/hello/get") for load in (GET, BROWSER, PIPELINE16)
)
SETTING = Load(Answer(json.dumps(NOTE).encode()), path="/api/settings/unit/note")
POST = Load(ECHO, path="/json/echo", script="post.lua", arguments=(ECHO.body.decode(),))
TLS = dataclasses.replace(GET, tls=True)
TLS_CLOSING = dataclasses.replace(TLS, headers=("Connection: close",), closes=True)
SMALL_FILE = Load(FILES["1k.txt"], path="/1k.txt")

WORKLOADS = (
    one("get", GET),
    one("browser", BROWSER),
    one("pipeline16", PIPELINE16),
    one("evhttp", CALLBACK),
    one("evhttp-browser", CALLBACK_BROWSER),
    one("evhttp-pipeline16", CALLBACK_PIPELINE16),
    Workload("echo", {"POST": POST, "GET": GET}),
    one("connect", Load(HELLO, headers=("Connection: close",), closes=True)),
    one("static1k", SMALL_FILE),
    one("static100k", Load(FILES["100k.txt"], path="/100k.txt")),
    # Few connections: answers that are under way when wrk stops have taken CPU time and are not counted.
    one("static10m", Load(FILES["10m.txt"], path="/10m.txt", connections=4)),
    one("tls", TLS),
    one("handshake", dataclasses.replace(TLS_CLOSING, handshakes="full")),
    one("resumed", dataclasses.replace(TLS_CLOSING, handshakes="resumed")),
    one("tls10m", Load(FILES["10m.txt"], path="/10m.txt", tls=True, connections=4)),
    one("routes1000", GET),
    one("accesslog", GET),
    Workload("setting", {"1 KiB by pointer": SETTING, "GET": GET}),
    Workload("metrics", {"not scraped": GET, "scraped": dataclasses.replace(GET, watch=watches.scraped)}),
    Workload("slowheads", {"alone": GET, "beside slow heads": dataclasses.replace(GET, watch=watches.beside_slow_heads)}),
    one("scaling", dataclasses.replace(GET, cores=BOTH_CORES)),
    one("fairness", dataclasses.replace(GET, cores=BOTH_CORES, connections=8, watch=watches.shared)),
)
