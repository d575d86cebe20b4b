#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Conditions and ranges of static files, each against a model written from RFC 9110. static_nginx_test.py asks nginx the same."""
import collections
import datetime
import email.parser
import email.policy
import itertools
import os
import random
import re
import shutil
import subprocess
import time

from served import (Daemon, Group, end_with_verdict, put, running, show, temporary_folder, wait_for)

SEED = 9110
DATE = "Thu, 04 Mar 2021 05:06:07 GMT"  # OLD
LATER = "Thu, 04 Mar 2021 05:06:08 GMT"
EARLIER = "Thu, 04 Mar 2021 05:06:06 GMT"
RANGES_MAX = 32
# Ranges of a header, before they are merged: with more of them it is unsatisfiable.
MEMBERS_MAX = 3 * RANGES_MAX
RANDOM_RANGES = 1500
Case = collections.namedtuple("Case", "method if_match if_unmodified_since if_none_match if_modified_since range")

# The name of the file, its size. Up to 32 KiB files are sent from memory, larger ones by the kernel.
SMALL, LARGE, EMPTY, SINGLE = "small.bin", "large.bin", "empty.bin", "single.bin"
SIZES = {SMALL: 1000, LARGE: 200_000, EMPTY: 0, SINGLE: 1}


def make_root(folder):
    root = folder / "root"
    generator = random.Random(SEED)
    for name, size in SIZES.items():
        put(root, name, generator.randbytes(size))
    put(root, "index.html", b"<!doctype html><title>index</title>")
    put(root, "sub/index.html", b"<!doctype html><title>sub</title>")
    put(root, "text.txt", b"some text\n")
    return root


# --- a plain file -----------------------------------------------------------------------------------------------------


def check_plain(client, root):
    with Group("plain replies") as group:
        for name in list(SIZES) + ["index.html", "text.txt", "sub/", ""]:
            content = (root / (name if name and not name.endswith("/") else name + "index.html")).read_bytes()
            reply = client.ask(f"/{name}")
            group.same(f"GET /{name}", (200, content), (reply.status, reply.content))
            group.same(f"GET /{name}: Last-Modified", DATE, reply.get("last-modified"))
            group.same(f"GET /{name}: Accept-Ranges", "bytes", reply.get("accept-ranges"))
            group.same(f"GET /{name}: X-Content-Type-Options", "nosniff", reply.get("x-content-type-options"))
            group.same(f"GET /{name}: Content-Length", str(len(content)), reply.get("content-length"))
            etag = reply.get("etag") or ""
            group.true(f"GET /{name}: ETag", "a strong ETag", re.fullmatch(r'"[\x21\x23-\x7e]+"', etag), etag)
            head = client.ask(f"/{name}", method="HEAD")
            group.same(f"HEAD /{name}: headers", reply.without("date"), head.without("date"))
            group.same(f"GET /{name} again: ETag", etag, client.ask(f"/{name}").get("etag"))
        etags = {client.ask(f"/{name}").get("etag") for name in SIZES}
        group.same("ETags of different files", len(SIZES), len(etags))
        missing = client.ask("/missing", ("If-Match", "*"), ("If-None-Match", "*"), ("Range", "bytes=0-0"))
        group.same("a missing file with conditions", 404, missing.status)
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            reply = client.ask(f"/{SMALL}", ("Content-Length", "0"), method=method)
            group.same(f"{method} /{SMALL}", 405, reply.status)
            group.true(f"{method} /{SMALL}: Allow", "GET and HEAD",
                       {"GET", "HEAD"} <= set(re.split(", *", reply.get("allow") or "")))


def check_young_files(client, root):
    """A file that was just written may be written again without a change of its times."""
    with Group("weak tags of young files") as group:
        etags = {}

        def write_and_ask():
            """True if it took less than a tenth of a second."""
            name = f"young{len(etags)}.bin"
            (root / name).write_bytes(b"young")
            etags[name] = client.ask(f"/{name}").get("etag")
            group.true("ETag of a new file", "an entity tag", re.fullmatch(r'(W/)?"[^"]+"', etags[name] or ""), etags[name])
            return etags[name].startswith("W/")

        wait_for("a file that is asked for as soon as it is written has a weak tag", write_and_ask)
        name, etag = list(etags.items())[-1]
        reply = client.ask(f"/{name}", ("Range", "bytes=0-1"), ("If-Range", etag))
        group.same("If-Range with a weak tag", (200, b"young"), (reply.status, reply.content))
        group.same("If-Match with a weak tag", 412, client.ask(f"/{name}", ("If-Match", etag)).status)
        group.same("If-None-Match with a weak tag", 304, client.ask(f"/{name}", ("If-None-Match", etag)).status)
        wait_for("its tag is a strong one", lambda: client.ask(f"/{name}").get("etag").startswith('"'))
        etag = client.ask(f"/{name}").get("etag")
        group.same("If-Match with the strong tag", 200, client.ask(f"/{name}", ("If-Match", etag)).status)


# --- all combinations of conditions -------------------------------------------------------------------------------------

# Values of each header by name; "%s" stands for the opaque tag with its quotes.
TAGS = {"absent": None, "same": "%s", "weak": "W/%s", "other": '"other"', "any": "*", "malformed": "unquoted"}
DATES = {"absent": None, "same": DATE, "later": LATER, "earlier": EARLIER, "malformed": "yesterday"}
RANGE = "bytes=10-19"
# Of If-Range: "none" is no Range either, "absent" is a Range without it.
IF_RANGES = {"none": None, "absent": None, "same": "%s", "weak": "W/%s", "other": '"other"', "date": DATE, "later": LATER}


def fields_of(case, etag):
    values = [("If-Match", TAGS[case.if_match]), ("If-Unmodified-Since", DATES[case.if_unmodified_since]),
              ("If-None-Match", TAGS[case.if_none_match]), ("If-Modified-Since", DATES[case.if_modified_since]),
              ("Range", None if case.range == "none" else RANGE), ("If-Range", IF_RANGES[case.range])]
    return [(name, value.replace("%s", etag)) for name, value in values if value is not None]


def expected_status(case):
    """RFC 9110 §13.2.2, step by step."""
    if case.if_match != "absent":
        if case.if_match not in ("same", "any"):  # §13.1.1: strong comparison
            return 412
    elif case.if_unmodified_since == "earlier":  # §13.1.4: an invalid date is ignored
        return 412
    if case.if_none_match != "absent":
        if case.if_none_match in ("same", "weak", "any"):  # §13.1.2: weak comparison
            return 304
    elif case.if_modified_since in ("same", "later"):  # §13.1.3
        return 304
    # §14.2: Range is defined for GET only; §13.1.5: a strong tag, or exactly the date.
    if case.method == "GET" and case.range in ("absent", "same", "date"):
        return 206
    return 200


def check_combination(group, client, case, etag, content):
    fields, status = fields_of(case, etag), expected_status(case)
    reply = client.ask(f"/{SMALL}", *fields, method=case.method)
    asked = show(case.method, f"/{SMALL}", fields)
    body = {200: content, 206: content[10:20], 304: b""}.get(status) if case.method == "GET" else b""
    if not group.same(asked, status, reply.status):
        return
    if body is not None:
        group.same(f"{asked}: content", body, reply.content)
    if status == 412:
        group.same(f"{asked}: Content-Type", "application/problem+json", reply.get("content-type"))
    else:
        group.same(f"{asked}: ETag, Last-Modified", (etag, DATE), (reply.get("etag"), reply.get("last-modified")))
        group.same(f"{asked}: Content-Range", "bytes 10-19/1000" if status == 206 else None, reply.get("content-range"))
    if status == 304:
        group.same(f"{asked}: headers of the body", (None, None, None),
                   tuple(reply.get(name) for name in ("content-type", "content-encoding", "content-range")))
        group.true(f"{asked}: Content-Length", "none, or the file's", reply.get("content-length") in (None, str(len(content))),
                   reply)


def all_cases():
    names = [("GET", "HEAD"), TAGS, DATES, TAGS, DATES, IF_RANGES]
    return [Case(*states) for states in itertools.product(*names)]


def check_combinations(client, root):
    content = (root / SMALL).read_bytes()
    etag = client.ask(f"/{SMALL}").get("etag")
    with Group("combinations of conditions") as group:
        for case in all_cases():
            check_combination(group, client, case, etag, content)


# --- details of conditions ----------------------------------------------------------------------------------------------

# Headers and the status; "%s" is the tag with its quotes, "%o" the tag without them.
DETAILS = [
    # Lists (§8.8.3, §5.6.1): empty members are allowed, commas within quotes do not separate.
    ([("If-Match", '"a", %s')], 200),
    ([("If-Match", '%s, "a"')], 200),
    ([("If-Match", '"a","b",%s,"c"')], 200),
    ([("If-Match", '"a" ,\t%s')], 200),
    ([("If-Match", ',,, %s')], 200),
    ([("If-Match", ', "a" , , %s ,')], 200),
    ([("If-Match", '"a", "b"')], 412),
    ([("If-Match", '"a,b", %s')], 200),
    ([("If-Match", '"a, %o, b"')], 412),
    ([("If-Match", '",%o"')], 412),
    ([("If-Match", '"%o,"')], 412),
    ([("If-Match", '"a", W/%s')], 412),
    ([("If-Match", 'W/%s, %s')], 200),
    ([("If-Match", 'W/"a", %s')], 200),
    ([("If-Match", '"a\x80\xff", %s')], 200),
    ([("If-Match", '"", %s')], 200),
    ([("If-None-Match", '"a", %s')], 304),
    ([("If-None-Match", 'W/"a", W/%s')], 304),
    ([("If-None-Match", '%s , "a"')], 304),
    ([("If-None-Match", '"a,%o"')], 200),
    ([("If-None-Match", '"a, %o , b", "c"')], 200),
    ([("If-None-Match", '"a,b",W/%s')], 304),
    ([("If-None-Match", ',%s,')], 304),
    ([("If-None-Match", '""')], 200),
    ([("If-None-Match", " \t%s\t ")], 304),
    # Several headers form one list (§5.3).
    ([("If-Match", '"a"'), ("If-Match", "%s")], 200),
    ([("If-Match", "%s"), ("If-Match", '"a"')], 200),
    ([("If-Match", '"a"'), ("If-Match", '"b"')], 412),
    ([("If-Match", '"a"'), ("If-Match", '"b"'), ("if-match", '"c", %s')], 200),
    ([("If-None-Match", '"a"'), ("If-None-Match", "W/%s")], 304),
    ([("If-None-Match", '"a"'), ("IF-NONE-MATCH", '"b"')], 200),
    # Malformed lists: If-Match fails, If-None-Match does not match.
    ([("If-Match", "%o")], 412),
    ([("If-Match", "'%o'")], 412),
    ([("If-Match", '"%o')], 412),
    ([("If-Match", '%o"')], 412),
    ([("If-Match", "w/%s")], 412),
    ([("If-Match", "W%s")], 412),
    ([("If-Match", "W/")], 412),
    ([("If-Match", "a %s")], 412),
    ([("If-Match", "a, %s")], 412),
    ([("If-Match", "**")], 412),
    ([("If-Match", '"*"')], 412),
    ([("If-Match", "")], 412),
    ([("If-Match", ",")], 412),
    ([("If-Match", "%s junk")], 412),
    ([("If-Match", '%s "a"')], 412),
    ([("If-Match", '%s"a"')], 412),
    ([("If-Match", '%s, junk')], 412),
    ([("If-Match", '*, "a"')], 412),
    ([("If-Match", "*,")], 412),
    ([("If-None-Match", "%s junk")], 200),
    ([("If-None-Match", '%s "a"')], 200),
    ([("If-None-Match", '%s, junk')], 200),
    ([("If-None-Match", '*, "a"')], 200),
    ([("If-None-Match", "%o")], 200),
    ([("If-None-Match", '"%o')], 200),
    ([("If-None-Match", '%o"')], 200),
    ([("If-None-Match", "w/%s")], 200),
    ([("If-None-Match", '"*"')], 200),
    ([("If-None-Match", "a, %s")], 200),
    ([("If-None-Match", "")], 200),
    # If-None-Match, matching or not, disables If-Modified-Since (§13.1.3).
    ([("If-None-Match", ""), ("If-Modified-Since", DATE)], 200),
    ([("If-None-Match", "malformed"), ("If-Modified-Since", LATER)], 200),
    ([("If-Match", "%s"), ("If-Unmodified-Since", EARLIER)], 200),
    # The three formats of a date (§5.6.7).
    ([("If-Modified-Since", DATE)], 304),
    ([("If-Modified-Since", "Thursday, 04-Mar-21 05:06:07 GMT")], 304),
    ([("If-Modified-Since", "Thu Mar  4 05:06:07 2021")], 304),
    ([("If-Modified-Since", "Thursday, 04-Mar-21 05:06:06 GMT")], 200),
    ([("If-Modified-Since", "Thu Mar  4 05:06:06 2021")], 200),
    ([("If-Modified-Since", " \t" + DATE + " ")], 304),
    ([("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")], 200),
    ([("If-Modified-Since", "Fri, 31 Dec 9999 23:59:59 GMT")], 304),
    ([("If-Modified-Since", "Sat, 29 Feb 2020 00:00:00 GMT")], 200),
    ([("If-Modified-Since", "Thu, 29 Feb 2024 00:00:00 GMT")], 304),
    # RFC 850 years: the most recent past with these digits, when the date would be over 50 years from now (§5.6.7).
    ([("If-Modified-Since", "Thursday, 04-Mar-99 05:06:07 GMT")], 200),
    ([("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")], 200),
    ([("If-Unmodified-Since", "Thursday, 04-Mar-21 05:06:07 GMT")], 200),
    ([("If-Unmodified-Since", "Thu Mar  4 05:06:06 2021")], 412),
    ([("If-Unmodified-Since", "Thursday, 04-Mar-99 05:06:07 GMT")], 412),
    # Invalid dates are ignored.
    ([("If-Modified-Since", "")], 200),
    ([("If-Modified-Since", "1614834367")], 200),
    ([("If-Modified-Since", "Thu, 04 Mar 2021 05:06:07")], 200),
    ([("If-Modified-Since", "Thu, 04 Mar 2021 05:06:07 CET")], 200),
    ([("If-Modified-Since", "Thu, 04 Mar 2021 05:06:07 GMT, x")], 200),
    ([("If-Modified-Since", "Thu, 04 Mar 2021 25:06:07 GMT")], 200),
    ([("If-Modified-Since", "Thu, 04 Mar 2021 05:60:07 GMT")], 200),
    ([("If-Modified-Since", "Tue, 30 Feb 2022 05:06:07 GMT")], 200),
    ([("If-Modified-Since", "Thu, 04 Mrz 2022 05:06:07 GMT")], 200),
    ([("If-Modified-Since", "Thu, 4 Mar 2021 05:06:07 GMT")], 200),
    ([("If-Modified-Since", "2021-03-04T05:06:07Z")], 200),
    ([("If-Modified-Since", DATE + ", " + DATE)], 200),
    ([("If-Modified-Since", "9" * 400)], 200),
    ([("If-Unmodified-Since", "")], 200),
    ([("If-Unmodified-Since", "Thu, 04 Mar 2021 05:06:06")], 200),
    ([("If-Unmodified-Since", "0")], 200),
    # Several dates are invalid (§13.1.3 and §13.1.4: ignored where "the field value has more than one member").
    ([("If-Modified-Since", DATE), ("If-Modified-Since", DATE)], 200),
    ([("If-Modified-Since", LATER), ("If-Modified-Since", EARLIER)], 200),
    ([("If-Unmodified-Since", EARLIER), ("If-Unmodified-Since", EARLIER)], 200),
    # If-Range (§13.1.5): one strong tag, or exactly the date, in any format.
    ([("Range", RANGE), ("If-Range", "%s")], 206),
    ([("Range", RANGE), ("If-Range", "Thursday, 04-Mar-21 05:06:07 GMT")], 206),
    ([("Range", RANGE), ("If-Range", "Thu Mar  4 05:06:07 2021")], 206),
    ([("Range", RANGE), ("If-Range", EARLIER)], 200),
    ([("Range", RANGE), ("If-Range", "W/%s")], 200),
    ([("Range", RANGE), ("If-Range", "%o")], 200),
    ([("Range", RANGE), ("If-Range", "*")], 200),
    ([("Range", RANGE), ("If-Range", '%s, "a"')], 200),
    ([("Range", RANGE), ("If-Range", '"a", %s')], 200),
    ([("Range", RANGE), ("If-Range", "")], 200),
    ([("Range", RANGE), ("If-Range", "%s"), ("If-Range", "%s")], 200),
    ([("Range", "bytes=5000-"), ("If-Range", "%s")], 416),
    ([("Range", "bytes=5000-"), ("If-Range", '"other"')], 200),
    ([("If-Range", "%s")], 200),
    ([("If-Range", '"other"')], 200),
    # A condition comes before the range.
    ([("Range", "bytes=5000-"), ("If-Match", '"other"')], 412),
    ([("Range", "bytes=5000-"), ("If-None-Match", "%s")], 304),
    ([("Range", "nonsense"), ("If-None-Match", "%s")], 304),
]


def check_details(client):
    with Group("details of conditions") as group:
        etag = client.ask(f"/{SMALL}").get("etag")
        for method in ("GET", "HEAD"):
            for fields, status in DETAILS:
                filled = [(name, value.replace("%s", etag).replace("%o", etag.strip('"'))) for name, value in fields]
                if method == "HEAD" and status in (206, 416):
                    status = 200
                reply = client.ask(f"/{SMALL}", *filled, method=method)
                group.same(show(method, f"/{SMALL}", filled), status, reply.status)


# --- ranges -----------------------------------------------------------------------------------------------------------

IGNORED, UNSATISFIABLE = "ignored", "unsatisfiable"

# Of the small file, 1000 bytes: the header, the first and last byte of each part, and why nginx differs.
RANGES = [
    ("bytes=0-0", [(0, 0)]),
    ("bytes=0-499", [(0, 499)]),
    ("bytes=500-999", [(500, 999)]),
    ("bytes=999-999", [(999, 999)]),
    ("bytes=0-999", [(0, 999)]),
    ("bytes=0-", [(0, 999)]),
    ("bytes=1-", [(1, 999)]),
    ("bytes=999-", [(999, 999)]),
    ("bytes=0000-0009", [(0, 9)]),
    ("bytes=00000000000000000000000000000000000000005-6", [(5, 6)], "nginx refuses many digits"),
    # The last byte is clamped, and a suffix too.
    ("bytes=990-1000", [(990, 999)]),
    ("bytes=990-5000", [(990, 999)]),
    ("bytes=0-9223372036854775806", [(0, 999)], "nginx refuses many digits"),
    ("bytes=0-9223372036854775807", [(0, 999)], "nginx refuses many digits"),
    ("bytes=0-9223372036854775808", [(0, 999)], "nginx refuses many digits"),
    ("bytes=0-18446744073709551614", [(0, 999)], "nginx refuses many digits"),
    ("bytes=0-18446744073709551615", [(0, 999)], "nginx refuses many digits"),
    ("bytes=0-18446744073709551616", [(0, 999)], "nginx refuses many digits"),
    ("bytes=5-18446744073709551618", [(5, 999)], "nginx refuses many digits"),
    ("bytes=0-" + "9" * 300, [(0, 999)], "nginx refuses many digits"),
    ("bytes=-1", [(999, 999)]),
    ("bytes=-10", [(990, 999)]),
    ("bytes=-999", [(1, 999)]),
    ("bytes=-1000", [(0, 999)]),
    ("bytes=-1001", [(0, 999)], "nginx of old sends such a suffix as 200"),
    ("bytes=-5000", [(0, 999)], "nginx of old sends such a suffix as 200"),
    ("bytes=-18446744073709551617", [(0, 999)], "nginx refuses many digits"),
    ("bytes=-" + "8" * 300, [(0, 999)], "nginx refuses many digits"),
    # Not satisfiable.
    ("bytes=1000-", UNSATISFIABLE),
    ("bytes=1000-1000", UNSATISFIABLE),
    ("bytes=5000-6000", UNSATISFIABLE),
    ("bytes=-0", UNSATISFIABLE),
    ("bytes=-00", UNSATISFIABLE),
    ("bytes=18446744073709551616-", UNSATISFIABLE),
    ("bytes=18446744073709551616-18446744073709551617", UNSATISFIABLE),
    ("bytes=" + "7" * 300 + "-", UNSATISFIABLE),
    ("bytes=1000-,2000-3000,-0", UNSATISFIABLE),
    # Malformed, or of another unit: ignored.
    ("bytes", IGNORED, "nginx refuses what is malformed"),
    ("bytes=", IGNORED, "nginx refuses what is malformed"),
    ("bytes=-", IGNORED, "nginx refuses what is malformed"),
    ("bytes=--1", IGNORED, "nginx refuses what is malformed"),
    ("bytes=1--2", IGNORED, "nginx refuses what is malformed"),
    ("bytes=a-b", IGNORED, "nginx refuses what is malformed"),
    ("bytes=0x0-0x9", IGNORED, "nginx refuses what is malformed"),
    ("bytes=+0-9", IGNORED, "nginx refuses what is malformed"),
    ("bytes=0-+9", IGNORED, "nginx refuses what is malformed"),
    ("bytes=1.0-2", IGNORED, "nginx refuses what is malformed"),
    ("bytes=5", IGNORED, "nginx refuses what is malformed"),
    ("bytes=5-4", IGNORED, "nginx refuses what is malformed"),
    ("bytes=18446744073709551617-0", IGNORED, "nginx refuses what is malformed"),
    ("bytes=0-1;2-3", IGNORED, "nginx refuses what is malformed"),
    ("bytes=0-1 2-3", IGNORED, "nginx refuses what is malformed"),
    ("bytes=0-1,abc", IGNORED, "nginx refuses what is malformed"),
    ("bytes=abc,0-1", IGNORED, "nginx refuses what is malformed"),
    ("bytes=0-1,5-4", IGNORED, "nginx refuses what is malformed"),
    ("bytes=2000-,5-4", IGNORED, "nginx refuses what is malformed"),
    ("bytes=0 -9", IGNORED, "nginx allows blanks within"),
    ("bytes=0- 9", IGNORED, "nginx allows blanks within"),
    ("bytes =0-9", IGNORED),
    ("bytes:0-9", IGNORED),
    ("bytes 0-9", IGNORED),
    ("bytes=0-9/1000", IGNORED, "nginx refuses what is malformed"),
    ("byte=0-9", IGNORED),
    ("bytess=0-9", IGNORED),
    ("bits=0-9", IGNORED),
    ("items=0-9", IGNORED),
    ("none", IGNORED),
    ("=0-9", IGNORED),
    ("0-9", IGNORED),
    ("", IGNORED),
    # The unit is case-insensitive (§14.1).
    ("BYTES=0-9", [(0, 9)]),
    ("Bytes=-5", [(995, 999)]),
    ("bYtEs=7-", [(7, 999)]),
    # Several: in the order of the request; touching ones are merged, unsatisfiable ones omitted.
    ("bytes=0-0,2-2", [(0, 0), (2, 2)]),
    ("bytes=0-0, 2-2", [(0, 0), (2, 2)]),
    ("bytes=0-0\t ,\t 2-2", [(0, 0), (2, 2)], "nginx allows no tabs"),
    ("bytes=0-0,-1", [(0, 0), (999, 999)]),
    ("bytes=-1,0-0", [(999, 999), (0, 0)]),
    ("bytes=500-600,100-200,300-400", [(500, 600), (100, 200), (300, 400)]),
    ("bytes=0-9,20-29,40-49,60-69,80-89", [(0, 9), (20, 29), (40, 49), (60, 69), (80, 89)]),
    (",".join(["bytes=0-0"] + [f"{30 * i}-{30 * i + 10}" for i in range(1, 32)]),
     [(0, 0)] + [(30 * i, 30 * i + 10) for i in range(1, 32)]),
    ("bytes=0-9,5000-6000", [(0, 9)]),
    ("bytes=5000-,0-9", [(0, 9)]),
    ("bytes=-0,3-4", [(3, 4)]),
    ("bytes=5000-,0-9,6000-7000,20-29", [(0, 9), (20, 29)]),
    ("bytes=,0-9", [(0, 9)], "nginx allows no empty members"),
    ("bytes=0-9,", [(0, 9)], "nginx allows no empty members"),
    ("bytes=,,0-9, ,20-29,,", [(0, 9), (20, 29)], "nginx allows no empty members"),
    ("bytes=0-9,10-19", [(0, 19)], "nginx merges nothing"),
    ("bytes=10-19,0-9", [(0, 19)], "nginx merges nothing"),
    ("bytes=0-9,5-14", [(0, 14)], "nginx merges nothing"),
    ("bytes=0-99,10-19", [(0, 99)], "nginx merges nothing"),
    ("bytes=10-19,0-99", [(0, 99)], "nginx merges nothing"),
    ("bytes=0-9,0-9", [(0, 9)], "nginx merges nothing"),
    ("bytes=0-9,11-19", [(0, 9), (11, 19)]),
    ("bytes=0-0,2-2,1-1", [(0, 2)], "nginx merges nothing"),
    ("bytes=0-9,50-59,10-19", [(0, 19), (50, 59)], "nginx merges nothing"),
    ("bytes=50-59,0-9,10-19,58-70", [(50, 70), (0, 19)], "nginx merges nothing"),
    ("bytes=0-,-1", [(0, 999)], "nginx merges nothing"),
    ("bytes=0-,0-,0-,0-", [(0, 999)], "nginx merges nothing"),
    ("bytes=0-,5-,10-,-500", [(0, 999)], "nginx merges nothing"),
    ("bytes=" + ",".join(["0-"] * 60), [(0, 999)], "nginx merges nothing"),
    ("bytes=" + ",".join(f"{i}-{i}" for i in range(80)), [(0, 79)], "nginx merges nothing"),
    # At most 32 remain.
    ("bytes=" + ",".join(f"{20 * i}-{20 * i}" for i in range(32)), [(20 * i, 20 * i) for i in range(32)]),
    ("bytes=" + ",".join(f"{20 * i}-{20 * i}" for i in range(33)), UNSATISFIABLE, "nginx has no such limit"),
    ("bytes=" + ",".join(["0-0"] * MEMBERS_MAX), [(0, 0)], "nginx merges nothing"),
    ("bytes=" + ",".join(["0-0"] * (MEMBERS_MAX + 1)), UNSATISFIABLE, "nginx has no such limit"),
    ("bytes=" + ",".join(f"{2 * i}-{2 * i}" for i in range(500)), UNSATISFIABLE, "nginx has no such limit"),
    ("bytes=" + ",".join(["9000-"] * 40 + ["0-0"]), [(0, 0)]),
]


def model_ranges(value, size):
    """RFC 9110 §14.1.2, §14.2 and §15.3.7, written for clarity, not for speed."""
    match = re.fullmatch(r"bytes=(.*)", value, re.IGNORECASE)
    members = [member.strip(" \t") for member in match.group(1).split(",") if member.strip(" \t")] if match else []
    if not members or not all(re.fullmatch(r"\d+-\d*|-\d+", member) for member in members):
        return IGNORED
    found = []
    for member in members:
        first, last = member.split("-")
        if first and last and int(last) < int(first):
            return IGNORED
        if first:
            found.append((int(first), min(int(last) if last else size - 1, size - 1)))
        else:
            found.append((max(size - int(last), 0) if int(last) else size, size - 1))
    if len(members) > MEMBERS_MAX:
        return UNSATISFIABLE
    found = merge([(first, last) for first, last in found if first <= last and first < size])
    return found if 0 < len(found) <= RANGES_MAX else UNSATISFIABLE


def merge(ranges):
    """The requested bytes as intervals; each in the position of the first range that has a part of it."""
    bytes_asked = sorted(set().union(*(range(first, last + 1) for first, last in ranges)))
    starts = [byte for i, byte in enumerate(bytes_asked) if i == 0 or bytes_asked[i - 1] != byte - 1]
    ends = [byte for i, byte in enumerate(bytes_asked) if i + 1 == len(bytes_asked) or bytes_asked[i + 1] != byte + 1]
    return sorted(zip(starts, ends), key=lambda whole: min(i for i, part in enumerate(ranges) if whole[0] <= part[0] <= whole[1]))


def parse_parts(group, asked, reply, content, etype):
    """The parts of a multipart reply, parsed twice: by the grammar of RFC 2046 §5.1.1, and by Python's mail parser."""
    kind = re.fullmatch(r"multipart/byteranges; ?boundary=\"?([0-9A-Za-z'()+_,./:=?-]{1,70})\"?", reply.get("content-type") or "")
    if not group.true(f"{asked}: Content-Type", "multipart/byteranges with a boundary", kind, reply.get("content-type")):
        return []
    # nginx writes an empty preamble.
    boundary, found, rest = kind.group(1).encode(), [], b"\r\n" + reply.content.removeprefix(b"\r\n")
    while not re.match(rb"\r\n--%s--(\r\n)?$" % re.escape(boundary), rest):
        head = re.match(rb"\r\n--%s\r\n((?:[^\r\n]+\r\n)+)\r\n" % re.escape(boundary), rest)
        if not group.true(f"{asked}: a part", "its boundary and fields", head, rest[:200]):
            return found
        fields = dict(line.split(b": ", 1) for line in head.group(1).lower().splitlines())
        group.same(f"{asked}: Content-Type of a part", etype.encode(), fields.get(b"content-type"))
        place = re.fullmatch(rb"bytes (\d+)-(\d+)/(\d+)", fields.get(b"content-range", b""))
        if not group.true(f"{asked}: Content-Range of a part", "first-last/size", place, head.group(1)):
            return found
        first, last, size = map(int, place.groups())
        length, rest = last - first + 1, rest[head.end():]
        group.same(f"{asked}: part {first}-{last}", (len(content), content[first:last + 1]), (size, rest[:length]))
        found.append((first, last))
        rest = rest[length:]
    check_mail(group, asked, reply, [content[first:last + 1] for first, last in found])
    return found


def check_mail(group, asked, reply, parts):
    policy = email.policy.HTTP
    head = f"MIME-Version: 1.0\r\nContent-Type: {reply.get('content-type')}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=policy).parsebytes(head + reply.content)
    if not group.true(f"{asked}: as mail", "multipart without defects", message.is_multipart() and not message.defects,
                      message.defects):
        return
    group.same(f"{asked}: parts as mail", len(parts), len(message.get_payload()))
    for part, mail in zip(parts, message.get_payload()):
        # The parser works on lines; it keeps their ends unchanged.
        if b"\r" not in part and b"\n" not in part:
            group.same(f"{asked}: a part as mail", part, mail.get_payload(decode=True))


def check_range(group, client, name, value, expected, content, etag):
    asked = show("GET", f"/{name}", [("Range", value)])
    reply = client.ask(f"/{name}", ("Range", value))
    if expected == IGNORED:
        group.same(asked, (200, None, content), (reply.status, reply.get("content-range"), reply.content))
        return
    if expected == UNSATISFIABLE:
        group.same(asked, (416, f"bytes */{len(content)}"), (reply.status, reply.get("content-range")))
        return
    if not group.same(asked, 206, reply.status):
        return
    group.same(f"{asked}: ETag, Last-Modified", (etag, DATE), (reply.get("etag"), reply.get("last-modified")))
    if len(expected) == 1:
        (first, last), = expected
        group.same(asked, (f"bytes {first}-{last}/{len(content)}", content[first:last + 1]),
                   (reply.get("content-range"), reply.content))
        group.same(f"{asked}: Content-Type", "application/octet-stream", reply.get("content-type"))
    else:
        group.same(f"{asked}: no Content-Range", None, reply.get("content-range"))
        group.same(f"{asked}: parts", expected, parse_parts(group, asked, reply, content, "application/octet-stream"))


def of_empty(value, expected):
    """Ranges from the first byte on, and suffixes, are all of an empty file: nginx and Go send it then."""
    if expected == IGNORED:
        return IGNORED
    members = [member.strip(" \t") for member in value.partition("=")[2].split(",")]
    if len(members) > MEMBERS_MAX:
        return UNSATISFIABLE
    starts = any(re.fullmatch(r"0+-\d*|-\d*[1-9]\d*", member) for member in members)
    return IGNORED if starts else UNSATISFIABLE


def check_ranges(client, root):
    content = (root / SMALL).read_bytes()
    etag = client.ask(f"/{SMALL}").get("etag")
    with Group(f"{len(RANGES)} Range fields") as group:
        for value, expected, *_ in RANGES:
            group.same(f"the model of Range: {value}", expected, model_ranges(value, len(content)))
            check_range(group, client, SMALL, value, expected, content, etag)
            head = client.ask(f"/{SMALL}", ("Range", value), method="HEAD")
            group.same(f"HEAD with Range: {value}", (200, "1000", None),
                       (head.status, head.get("content-length"), head.get("content-range")))
    with Group("Range fields for other files") as group:
        for name in (LARGE, SINGLE):
            content, etag = (root / name).read_bytes(), client.ask(f"/{name}").get("etag")
            for value, *_ in RANGES:
                check_range(group, client, name, value, model_ranges(value, len(content)), content, etag)
        for value, expected, *_ in RANGES:
            check_range(group, client, EMPTY, value, of_empty(value, expected), b"", None)
        two = client.ask(f"/{SMALL}", ("Range", "bytes=0-1"), ("Range", "bytes=4-5"))
        group.true("two Range fields", "200, or both ranges", two.status in (200, 206), two)
        if two.status == 206:
            group.same("two Range fields", [(0, 1), (4, 5)],
                       parse_parts(group, "two Range fields", two, (root / SMALL).read_bytes(), "application/octet-stream"))
        old = client.ask(f"/{SMALL}", ("Range", "bytes=0-1"), version="HTTP/1.0")
        group.true("Range in HTTP/1.0", "200 or 206", old.status in (200, 206), old)


def random_field(generator, size):
    def number():
        return generator.choice((0, 1, size // 2, size - 1, size, size + 1, generator.randrange(size),
                                 generator.randrange(size + 50)))

    def member():
        first, last = number(), number()
        if generator.random() < 0.95:
            first, last = min(first, last), max(first, last)
        if generator.random() < 0.7 and first + 20 < last:
            last = first + generator.randrange(20)
        return generator.choice((f"{first}-{last}", f"{first}-{last}", f"{first}-{last}", f"{first}-",
                                 f"-{generator.randrange(60)}"))

    return "bytes=" + generator.choice((",", ", ")).join(member() for _ in range(generator.choice((1, 1, 2, 3, 5, 8, 20))))


def check_random_ranges(client, root):
    with Group(f"{RANDOM_RANGES} random Range fields, seed {SEED}") as group:
        generator = random.Random(SEED)
        files = {name: ((root / name).read_bytes(), client.ask(f"/{name}").get("etag")) for name in (SMALL, LARGE)}
        for number in range(RANDOM_RANGES):
            # Large files cost more, here and in the model.
            name = LARGE if number % 10 == 0 else SMALL
            content, etag = files[name]
            value = random_field(generator, len(content))
            check_range(group, client, name, value, model_ranges(value, len(content)), content, etag)


# Arguments of curl -r, and the ranges of the large file.
CURL_RANGES = {
    "0-99": [(0, 99)], "100-": [(100, 199_999)], "-500": [(199_500, 199_999)], "199999-": [(199_999, 199_999)], "0-0": [(0, 0)],
    "0-300000": [(0, 199_999)], "-300000": [(0, 199_999)], "40000-169999": [(40_000, 169_999)], "0-9,10-19": [(0, 19)],
}


def curl(*arguments):
    return subprocess.run(["curl", "--silent", "--show-error", *arguments], capture_output=True, timeout=60)


def check_curl(daemon, root, folder):
    if not shutil.which("curl"):
        print("skipped: curl -r: curl is missing")
        return
    url, content = f"http://{daemon.address[0]}:{daemon.address[1]}/{LARGE}", (root / LARGE).read_bytes()
    with Group("curl -r") as group:
        for value, ((first, last),) in CURL_RANGES.items():
            group.same(f"curl -r {value}", content[first:last + 1], curl("-r", value, url).stdout)
        group.same("curl -r 200000-: exit status", 22, curl("--fail", "-r", "200000-", url).returncode)
        parts = curl("-r", "0-4,1000-1004", url).stdout
        group.true("curl -r 0-4,1000-1004", "both parts", content[:5] in parts and content[1000:1005] in parts, parts)
        # Resumed in the middle, and again when complete.
        path = folder / "resumed"
        path.write_bytes(content[:77_777])
        group.same("curl -C -: exit status", 0, curl("-C", "-", "-o", str(path), url).returncode)
        group.same("curl -C -: the file", content, path.read_bytes())
        os.truncate(path, 0)
        group.same("curl -z: exit status", 0, curl("-z", LATER, "-o", str(path), url).returncode)
        group.same("curl -z: the file", b"", path.read_bytes())


# --- dates that 32 bits do not hold, and dates before 1970 ----------------------------------------------------------------


def http_date(second):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=second)).strftime("%a, %d %b %Y %H:%M:%S GMT")


def check_dates(client, root):
    with Group("dates of all years") as group:
        for second in (-11644473600, -2147483649, -2147483648, -1, 0, 2147483648, 2366841600, 4294967296):
            name = f"{second}.txt"
            put(root, name, b"dated\n")
            os.utime(root / name, (second, second))
            second = int((root / name).stat().st_mtime)  # file systems have limits of their own
            reply = client.ask(f"/{name}")
            is_past = second <= time.time()
            group.same(f"modified at {second}", (200, b"dated\n"), (reply.status, reply.content))
            # Not later than the reply (RFC 9110 §8.8.2.1).
            group.same(f"modified at {second}: Last-Modified", http_date(second) if is_past else reply.get("date"),
                       reply.get("last-modified"))
            for condition, value, status in (("If-Modified-Since", second, 304), ("If-Modified-Since", second - 1, 200),
                                        ("If-Unmodified-Since", second, 200), ("If-Unmodified-Since", second - 1, 412)):
                asked = client.ask(f"/{name}", (condition, http_date(value)))
                group.same(f"modified at {second}, {condition}: {http_date(value)}", status, asked.status)


def main():
    with temporary_folder() as folder:
        root = make_root(folder)
        with running(Daemon(root)) as daemon:
            client = daemon.client()
            check_plain(client, root)
            check_combinations(client, root)
            check_details(client)
            check_ranges(client, root)
            check_random_ranges(client, root)
            check_curl(daemon, root, folder)
            check_young_files(client, root)
            check_dates(client, root)
            client.finish(f"/{SMALL}")
    end_with_verdict()


if __name__ == "__main__":
    main()
