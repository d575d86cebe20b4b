#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The order of dependency in server/: a module includes and calls only what stands above it.

Folders stand in order, and the modules of a folder stand in order. A module is a .c file, its header, or both. The rule is checked
on #include lines and on the symbols of the built objects (nm), because a header can declare what another module defines. A header
declares only functions of its own module; pipit.h, the public header, declares functions of many and includes none of ours.
"""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER = ROOT / "server"
BUILD = pathlib.Path(os.environ.get("PIPIT_BUILD", ROOT / "build"))
MODULES_MAX = 9

# From the top.
FOLDERS = {
    "base": "slice bytes refusal sigpipe log freelist shared_fd methods percent",
    "http": "guard date response_head router preconditions ranges accept_header content_type content_coding",
    "json": "pointer child_index decimal tree json equality printer patch json_index",
    "metrics": "counters process exposition prometheus dashboard_data access_log",
    "config": "cgroup account address networks option option_error config start_file options",
    "proxy": "client_address proxy_protocol forwarded trusted_proxies",
    "tls": "certificate ticket_keys tls_context tls_session tls_client test_certificate no_tls",
    "net": "oom_reserve limits listener handler_table connection budget input output eviction",
    "sockets": "unix_socket inherited_socket listening listeners",
    "http1": "open_reply evhttp_link evhttp_lane acceptor exchange body handler_queue http1 timeouts",
    "request": "problem request json_reader json_stream sse_event sse filter dispatch",
    "access": "path_prefix address_rules token_buckets rate_limit host_names cors header_rules https_redirect access",
    "auth": "digest credentials password_hash user_file protection remembered failures verifier authentication",
    "files": "media_types file_status files file_cache gzip_cache listing file_response static_site",
    "settings": "atomic_file snapshot settings_file working_copy change change_queue apply_change settings settings_http",
    "confine": "core_dumps credentials landlock seccomp confine own_files",
    "app": "openapi routes dashboard_feed worker signals server evhttp_callback evhttp_guard healthcheck",
}
MODULES = [f"{folder}/{module}" for folder, modules in FOLDERS.items() for module in modules.split()]
ORDER = {module: number for number, module in enumerate(MODULES)}
# A header that modules of one folder share in private belongs to the first of them.
PRIVATE_HEADERS = {"metrics/counter_cells": "metrics/counters", "net/net": "net/connection", "confine/seccomp_calls": "confine/seccomp"}
# These know evhttp and bufferevents.
EVHTTP = {"http1/evhttp_link", "http1/evhttp_lane", "http1/acceptor", "app/evhttp_callback", "app/evhttp_guard"}
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|"[^"\n]*"', re.S)
EVHTTP_USE = re.compile(r"\b(evhttp_|bufferevent_)\w+\s*\(|#include <event2/(http|bufferevent)")
DECLARATION = re.compile(r"^(?!static|typedef|#| |\t|/)[A-Za-z_][\w \*]*?\*?\b(pipit_\w+)\(", re.M)


def module_of(path):
    module = str(path.relative_to(SERVER).with_suffix(""))
    return PRIVATE_HEADERS.get(module, module)


def includes(path):
    return re.findall(r'^#include "([^"]+)\.h"', path.read_text(), re.M)


def wrong_folders():
    for folder, modules in FOLDERS.items():
        if len(modules.split()) > MODULES_MAX:
            yield f"{folder}/ has more than {MODULES_MAX} modules"


def wrong_includes(path):
    module, name = module_of(path), path.relative_to(SERVER)
    if module in ("pipit", "main"):
        for header in includes(path):
            if module == "pipit":
                yield f"pipit.h includes {header}.h: the public header includes no other"
        return
    if module not in ORDER:
        yield f"{name} has no place in the order of modules"
        return
    for header in includes(path):
        if header == "pipit":
            continue
        header = PRIVATE_HEADERS.get(header, header)
        if header not in ORDER:
            yield f"{name} includes {header}.h, which has no place in the order of modules"
        elif ORDER[header] > ORDER[module]:
            yield f"{name} includes {header}.h, which stands below it"
    if module not in EVHTTP and EVHTTP_USE.search(COMMENT_OR_STRING.sub("", path.read_text())):
        yield f"{name} uses evhttp or a bufferevent; only {', '.join(sorted(EVHTTP))} do"


def symbols(module):
    """Of the module's object: the functions and objects that it defines, and those that it uses."""
    object_file = BUILD / "CMakeFiles/pipit-objects.dir/server" / f"{module}.c.o"
    if not object_file.exists():
        return set(), set()
    defined, used = set(), set()
    for line in subprocess.run(["nm", object_file], capture_output=True, text=True, check=True).stdout.splitlines():
        *_, kind, name = line.split()
        if name.startswith("pipit_"):
            (used if kind == "U" else defined).add(name)
    return defined, used


def wrong_symbols():
    table = {module: symbols(module) for module in MODULES}
    owner = {name: module for module, (defined, _) in table.items() for name in defined}
    if not owner:
        yield f"no objects below {BUILD}: build first"
    for module, (_, used) in table.items():
        for name in sorted(used):
            if name in owner and ORDER[owner[name]] > ORDER[module]:
                yield f"{module}.c uses {name}() of {owner[name]}.c, which stands below it"
    for header in sorted(SERVER.glob("*/*.h")):
        for name in DECLARATION.findall(header.read_text()):
            # In a build without TLS, one module stands in for the others of its folder.
            if name in owner and owner[name] not in (module_of(header), "tls/no_tls"):
                yield f"{header.relative_to(SERVER)} declares {name}(), which {owner[name]}.c defines"


def wrong_in_handlers(path):
    for header in includes(path):
        if header not in ("pipit", "handlers"):
            yield f"handlers/{path.name} includes {header}.h; handlers know pipit.h only"


def wrong_in_cmake():
    listed = re.search(r"set\(PIPIT_SOURCES\s([^)]*)\)", (ROOT / "CMakeLists.txt").read_text()).group(1).split()
    order = [module for module in MODULES if (SERVER / f"{module}.c").exists()]
    if listed != order:
        yield f"CMakeLists.txt lists the sources out of order; right is: {' '.join(order)}"


def main():
    server = sorted(SERVER.rglob("*.[ch]"))
    handlers = sorted((ROOT / "handlers").glob("*.[ch]"))
    assert server and handlers
    wrong = [*wrong_folders(), *wrong_in_cmake(), *wrong_symbols()]
    wrong += [w for path in server for w in wrong_includes(path)]
    wrong += [w for path in handlers for w in wrong_in_handlers(path)]
    print("\n".join(wrong) or f"{len(server) + len(handlers)} files and their symbols stand in order")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
