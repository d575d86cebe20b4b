#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nginx behaves as the models of static_test.py and static_codings_test.py, apart from the listed differences: this checks the models,
and that clients of nginx get the same from pipit."""
import collections
import pathlib
import re

from served import Daemon, Group, Nginx, end_with_verdict, put, running, settle, show, temporary_folder
from static_codings_test import IDENTITY, accept, decode, put_with_neighbours, text
from static_test import (DATE, EMPTY, RANGES, SIZES, SMALL, all_cases, check_range, expected_status, fields_of, make_root, of_empty)

# Not "-0", for which nginx sends the empty file.
EMPTY_RANGES = ["bytes=0-", "bytes=0-0", "bytes=0-499", "bytes=-1", "bytes=-500", "bytes=1-", "bytes=5-9", "bytes=0-,5-"]


def check_plain(client, root):
    with Group("plain replies of nginx") as group:
        for name in list(SIZES) + ["index.html", "text.txt", "sub/", ""]:
            content = (root / (name if name and not name.endswith("/") else name + "index.html")).read_bytes()
            reply = client.ask(f"/{name}")
            group.same(f"GET /{name}", (200, content, DATE), (reply.status, reply.content, reply.get("last-modified")))


# Differences of nginx, intended or not. Every other case must agree with the model.
NGINX_DIFFERS = {
    "nginx fails If-Unmodified-Since that is no date": lambda case: case.if_unmodified_since == "malformed",
    "nginx heeds If-Unmodified-Since beside If-Match":
        lambda case: case.if_match != "absent" and case.if_unmodified_since == "earlier",
    "nginx wants both If-None-Match and If-Modified-Since to say 304":
        lambda case: case.if_none_match != "absent" and case.if_modified_since != "absent",
    "nginx heeds Range for HEAD": lambda case: case.method == "HEAD" and case.range in ("absent", "same", "date"),
}


def check_combinations(client):
    etag = client.ask(f"/{SMALL}").get("etag")
    with Group("combinations of conditions at nginx") as group:
        differing = collections.Counter()
        for case in all_cases():
            reasons = [reason for reason, applies in NGINX_DIFFERS.items() if applies(case)]
            fields = fields_of(case, etag)
            status = client.ask(f"/{SMALL}", *fields, method=case.method).status
            if reasons:
                differing.update(reasons[:1] if status != expected_status(case) else [])
            else:
                group.same(show(case.method, f"/{SMALL}", fields), expected_status(case), status)
        for reason, count in differing.items():
            group.notes.append(f"{reason} ({count})")
        group.true("the table of differences", "each to be met", set(differing) == set(NGINX_DIFFERS),
                   set(NGINX_DIFFERS) - set(differing))


def check_ranges(client, root):
    content = (root / SMALL).read_bytes()
    etag = client.ask(f"/{SMALL}").get("etag")
    with Group("Range fields at nginx") as group:
        differing = collections.Counter()
        for value, expected, *reason in RANGES:
            if reason:
                differing.update(reason)
            else:
                check_range(group, client, SMALL, value, expected, content, etag)
        group.notes += [f"{reason} ({count})" for reason, count in differing.items()]
        for value in EMPTY_RANGES:
            check_range(group, client, EMPTY, value, of_empty(value, [(0, 0)]), b"", None)


def check_neighbours(client):
    with Group("gzip_static of nginx") as group:
        for value, expected in ((None, None), ("gzip", "gzip"), ("gzip;q=0", None), ("deflate", None), ("gzip;q=0.5", "gzip"),
                                ("identity", None)):
            reply = client.ask("/gzip.html", *accept(value))
            group.same(f"Accept-Encoding: {value}", expected, reply.get("content-encoding"))
            group.same(f"Accept-Encoding: {value}: decoded", text("gzip.html", 5000), decode(expected or IDENTITY, reply.content))


# Where the registered type or that of Debian's table differs from nginx's.
TYPES_DIFFER = {"application/javascript", "text/xml", "image/x-icon", "image/x-ms-bmp", "audio/x-m4a", "video/x-m4v",
                "application/x-rar-compressed", "application/octet-stream"}


def check_types(folder):
    """pipit knows every extension of nginx's table."""
    table = pathlib.Path("/etc/nginx/mime.types")
    if not table.exists():
        print("types of nginx: skipped: there is no /etc/nginx/mime.types")
        return
    known = {}
    for line in re.search(r"types *{(.*)}", table.read_text(), re.DOTALL).group(1).split(";"):
        kind, *extensions = line.split() or [None]
        known.update(dict.fromkeys(extensions, kind))
    for extension in known:
        put(folder, f"types/a.{extension}", b"content")
    with Group(f"{len(known)} types of nginx") as group, running(Daemon(folder / "types")) as daemon:
        client = daemon.client()
        for extension, kind in known.items():
            reply = client.ask(f"/a.{extension}")
            own = reply.get("content-type").partition(";")[0]
            group.true(extension, kind, own == kind or kind in TYPES_DIFFER, own)
        client.close()


def main():
    with temporary_folder() as folder:
        root = make_root(folder)
        put_with_neighbours(root, "gzip.html", ["gzip"])
        settle()
        with running(Nginx(root, folder)) as nginx:
            client = nginx.client()
            check_plain(client, root)
            check_combinations(client)
            check_ranges(client, root)
            if nginx.has_gzip_static:
                check_neighbours(client)
            client.close()
        check_types(folder)
    end_with_verdict()


if __name__ == "__main__":
    main()
