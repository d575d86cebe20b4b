#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The order of inclusion is a ladder: a file includes only project headers that stand above its own."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER = ROOT / "server"

# From the top.
LADDER = """base/slice base/bytes base/refusal pipit base/log base/freelist base/oom_reserve metrics/counters metrics/process metrics/prometheus config/option config/config config/options http/guard http/router http/media_types files/files json/pointer json/decimal json/tree json/json json/equality json/printer json/problem json/patch json/json_index settings/snapshot settings/atomic_file metrics/dashboard_data http/response_head http/preconditions http/ranges
http/accept_header http/content_type http/content_coding files/gzip_cache files/listing base/shared_fd files/file_cache tls net/listener net/limits net/handler_table net/connection net/budget net/output http1/evhttp_link http1/evhttp_lane http1/timeouts net/eviction net/pending net/content http1/acceptor http1/open_reply http1/http1
net/facts request/request request/json_stream request/sse_event request/sse app/dashboard_feed files/file_response files/static_site request/json_reader settings/settings settings/settings_http app/openapi request/dispatch app/worker app/signals app/server app/evhttp_callback app/evhttp_guard app/healthcheck main""".split()
RUNG = {name: number for number, name in enumerate(LADDER)}
# A header that two files share in private stands on the rung of the upper one.
RUNG["metrics/counter_cells"] = RUNG["metrics/counters"]
# libevent's HTTP and bufferevents are known from the connection downwards only.
ENGINE = re.compile(r"\b(evhttp_|bufferevent_)\w+\s*\(|#include <event2/(http|bufferevent)")


def includes(path):
    return re.findall(r'^#include "([^"]+)\.h"', path.read_text(), re.M)


def wrong_in_server(path):
    name = str(path.relative_to(SERVER))
    module = str(path.relative_to(SERVER).with_suffix(""))
    if module not in RUNG:
        yield f"{name} has no place on the ladder"
        return
    rung = RUNG[module]
    for header in includes(path):
        if header in ("handlers", "embedded") and name == "main.c":
            continue
        if header not in RUNG:
            yield f"{name} includes {header}.h, which has no place on the ladder"
        elif RUNG[header] > rung:
            yield f"{name} includes {header}.h, which stands below it"
    if name == "pipit.h" and includes(path):
        yield "pipit.h includes a project header"
    if rung < RUNG["net/connection"] and name != "pipit.h" and ENGINE.search(path.read_text()):
        yield f"{name} uses evhttp or a bufferevent, above the connection"


def wrong_in_handlers(path):
    for header in includes(path):
        if header not in ("pipit", "handlers"):
            yield f"{path.name} includes {header}.h; handlers know pipit.h only"


def main():
    server = sorted(SERVER.rglob("*.[ch]"))
    handlers = sorted((ROOT / "handlers").glob("*.[ch]"))
    assert server and handlers
    wrong = [w for path in server for w in wrong_in_server(path)]
    wrong += [w for path in handlers for w in wrong_in_handlers(path)]
    listed = re.search(r"set\(PIPIT_SOURCES ([^)]*)\)", (ROOT / "CMakeLists.txt").read_text()).group(1).split()
    if listed != [n for n in LADDER if n in listed]:
        order = [n for n in LADDER if n in listed]
        wrong.append(f"CMakeLists.txt lists the sources out of order; right is: {' '.join(order)}")
    print("\n".join(wrong) or f"{len(server) + len(handlers)} files stand in order")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
