# SPDX-License-Identifier: MIT
"""The servers: each is one entry in PEERS, with a C file or a configuration template in this folder."""

import dataclasses
import typing

import watches
from machine import ADDRESS, BOTH_CORES, SERVER_CORE
from workloads import CALLBACK, GET, SMALL_FILE, TLS, Load

# Measurements that are not wrk's.
INSTRUCTIONS, MEMORY, MANY, SCRAPE, DURABLE = "instructions", "memory", "many", "scrape", "durable"

MANY_CONNECTIONS = 20000
SERIES = 200
HELLO_WORKLOADS = ("get", "browser", "pipeline16", "connect", MEMORY)
EVHTTP_WORKLOADS = ("evhttp", "evhttp-browser", "evhttp-pipeline16")
FILE_WORKLOADS = ("static1k", "static100k", "static10m")
TLS_WORKLOADS = ("tls", "handshake", "resumed", MEMORY)


@dataclasses.dataclass(frozen=True)
class Peer:
    """A server. In `command` these names are filled in: {port}, {directory} (temporary, its own), {files} (what all
    servers of files serve), {certificate} and {key} (PEM files), {built} (from `source`), {pipit}; in `version` the last two; in the
    template @PORT@, @FILES@, @TLS@ and @TLS_SETTINGS@."""

    name: str  # as in the tables
    serves: tuple  # names of workloads and of the other measurements
    command: tuple  # argv; must stay in the foreground
    one_process: tuple = ()  # appended to `command` under callgrind, which counts one process
    family: str = ""  # its name in --peers, if that is not `name`
    version: tuple = ()  # argv that prints a version number somewhere; empty: no version
    product: str = ""  # what has that version, if it is not `name`
    programs: dict = dataclasses.field(default_factory=dict)  # what it runs -> Debian package
    template: str = ""  # NAME.in beside this file, written to {directory}/NAME
    tls_settings: str = ""  # for @TLS_SETTINGS@, with @CERTIFICATE@ and @KEY@; @TLS@ is then "ssl"
    source: str = ""  # C file beside this one
    libraries: dict = dataclasses.field(default_factory=dict)  # of `source`: name for pkg-config -> Debian package
    folder_variable: str = ""  # names the folder of sources that no package has; without it the peer is left out
    folder_sources: tuple = ()  # C files there, compiled with `source`
    links_pipit: bool = False  # `source` is built with libpipit.a, which lies beside the daemon
    announces: bool = False  # takes port 0 and prints "listening on http://ADDR:PORT" or https
    probe: Load = GET  # what it must answer before it counts as started
    prepare: typing.Callable | None = None  # called once with the started server
    cores: tuple = (SERVER_CORE,)
    counts: bool = False  # has /metrics with http_requests_total
    access_log: str = ""  # its name in {directory}

    @property
    def chosen_by(self):
        return self.family or self.name


def daemon(name, *, serves, workers=1, more=(), **fields):
    """pipit's daemon."""
    scheme = "https://" if fields.get("probe", GET).tls else ""
    listen = ("{pipit}", "--listen", f"{scheme}{ADDRESS}:0", "--workers", str(workers), "--idle-timeout", "0")
    return Peer(name, serves, (*listen, *more), family="pipit", announces=True, counts=True, **fields)


def program(name, source, *, serves, arguments=(), **fields):
    """A small program that links pipit's library."""
    return Peer(
        name,
        serves,
        ("{built}", *arguments),
        family="pipit",
        source=source,
        links_pipit=True,
        announces=True,
        **fields,
    )


PEERS = (
    daemon(
        "pipit",
        serves=(*HELLO_WORKLOADS, *EVHTTP_WORKLOADS, *FILE_WORKLOADS, "echo", "accesslog", "slowheads", INSTRUCTIONS),
        more=("--root", "{files}", "--access-log", "off"),
        version=("{pipit}", "--version"),
    ),
    daemon(
        "pipit, log on",
        serves=("accesslog",),
        more=("--root", "{files}", "--access-log", "{directory}/access.log"),
        access_log="access.log",
    ),
    daemon(
        "pipit, TLS",
        serves=(*TLS_WORKLOADS, "tls10m"),
        more=("--root", "{files}", "--access-log", "off", "--tls-certificate", "{certificate}", "--tls-key", "{key}"),
        probe=TLS,
    ),
    daemon("pipit, settings", serves=("setting",), more=("--settings", "{files}/settings.json")),
    daemon("pipit, durable", serves=(DURABLE,), more=("--settings", "{disk}/settings.json")),
    daemon("pipit, 1 worker", serves=("scaling",), cores=BOTH_CORES),
    daemon("pipit, 2 workers", serves=("scaling", "fairness"), workers=2, cores=BOTH_CORES),
    daemon("pipit, many connections", serves=(MANY,), more=("--max-connections", str(MANY_CONNECTIONS + 1))),
    # Each client sends one request to the evhttp callback, which borrows an evhttp connection for the time of the request.
    daemon("pipit, borrowed evhttp connection", serves=(MEMORY,), probe=CALLBACK),
    program("pipit, own evhttp connection", "evhttp_own.c", serves=("evhttp", MEMORY, INSTRUCTIONS), probe=CALLBACK),
    program("pipit, 1 route", "routes.c", serves=("routes1000",), arguments=("1",), counts=True),
    program("pipit, 1,000 routes", "routes.c", serves=("routes1000",), arguments=("1000",), counts=True),
    program(
        "pipit, 200 series",
        "routes.c",
        serves=("metrics", SCRAPE),
        arguments=(str(SERIES),),
        counts=True,
        prepare=watches.hit_routes(SERIES),
    ),
    Peer(
        "nginx",
        serves=(*HELLO_WORKLOADS, *FILE_WORKLOADS, "slowheads", INSTRUCTIONS),
        command=("nginx", "-p", "{directory}", "-c", "nginx.conf", "-e", "stderr"),
        one_process=("-g", "master_process off;"),
        version=("nginx", "-v"),
        programs={"nginx": "nginx-light"},
        template="nginx.conf.in",
    ),
    Peer(
        "nginx, TLS",
        serves=(*TLS_WORKLOADS, "tls10m"),
        command=("nginx", "-p", "{directory}", "-c", "nginx.conf", "-e", "stderr"),
        family="nginx",
        programs={"nginx": "nginx-light"},
        template="nginx.conf.in",
        # Tickets are its default; nginx 1.22 serves TLS 1.3 only when told so.
        tls_settings="ssl_certificate @CERTIFICATE@; ssl_certificate_key @KEY@; ssl_protocols TLSv1.3;",
        probe=TLS,
    ),
    Peer(
        "h2o",
        serves=HELLO_WORKLOADS,
        command=("{built}", "{port}"),
        version=("{built}",),
        product="libh2o",
        source="h2o.c",
        # h2o.h includes OpenSSL's headers, on which Debian's package does not depend.
        libraries={"libh2o-evloop": "libh2o-evloop-dev", "openssl": "libssl-dev"},
    ),
    Peer(
        "h2o, TLS",
        serves=TLS_WORKLOADS,
        command=("{built}", "{port}", "{certificate}", "{key}"),
        family="h2o",
        source="h2o.c",
        libraries={"libh2o-evloop": "libh2o-evloop-dev", "openssl": "libssl-dev"},
        probe=TLS,
    ),
    Peer(
        "libmicrohttpd",
        serves=HELLO_WORKLOADS,
        command=("{built}", "{port}"),
        version=("pkg-config", "--modversion", "libmicrohttpd"),
        source="microhttpd.c",
        libraries={"libmicrohttpd": "libmicrohttpd-dev"},
    ),
    Peer(
        "Mongoose",
        serves=HELLO_WORKLOADS,
        command=("{built}", "{port}"),
        version=("{built}", "--version"),
        source="mongoose.c",
        folder_variable="MONGOOSE",
        folder_sources=("mongoose.c",),
    ),
    Peer(
        "haproxy",
        serves=HELLO_WORKLOADS,
        command=("haproxy", "-db", "-f", "{directory}/haproxy.cfg"),
        version=("haproxy", "-v"),
        programs={"haproxy": "haproxy"},
        template="haproxy.cfg.in",
    ),
    Peer(
        "lighttpd",
        serves=FILE_WORKLOADS,
        command=("lighttpd", "-D", "-f", "{directory}/lighttpd.conf"),
        version=("lighttpd", "-v"),
        programs={"lighttpd": "lighttpd"},
        template="lighttpd.conf.in",
        probe=SMALL_FILE,
    ),
    Peer(
        "evhttp",
        serves=(*HELLO_WORKLOADS, *EVHTTP_WORKLOADS, INSTRUCTIONS),
        command=("{built}", "{port}"),
        version=("pkg-config", "--modversion", "libevent"),
        product="libevent",
        source="evhttp_naive.c",
        libraries={"libevent": "libevent-dev"},
    ),
    Peer("floor", serves=("get", "browser", "pipeline16"), command=("{built}", "{port}"), source="floor.c"),
)

FAMILIES = tuple(dict.fromkeys(peer.chosen_by for peer in PEERS))
