#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Options of a site: directories, listings, --spa, error pages, --cache-control and --media-types, and the start-up that is refused
when these are invalid."""
import datetime
import gzip
import html.parser
import json
import os
import pathlib
import subprocess
import urllib.parse

from served import DAEMON, ENVIRONMENT, OLD, Daemon, Group, end_with_verdict, put, refusal, running, show, temporary_folder, unprivileged

HTML, PROBLEM = "text/html; charset=utf-8", "application/problem+json"
BROWSER = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
JSON = ("Accept", "application/json")


def told(reply, *names):
    return (reply.status, *(reply.get(name) for name in names))


# --- directories ----------------------------------------------------------------------------------------------------------

# Target, status, Location or body.
DIRECTORIES = [
    ("/", 200, b"the index"),
    ("/index.html", 200, b"the index"),
    ("/sub", 301, "/sub/"),
    ("/sub/", 200, b"of sub"),
    ("/sub/.", 200, b"of sub"),
    ("/sub/..", 200, b"the index"),
    ("/sub?", 301, "/sub/?"),
    ("/sub?a=b&c", 301, "/sub/?a=b&c"),
    ("/sub?a=/b//c%20d", 301, "/sub/?a=/b//c%20d"),
    ("/sub?a=b?c", 301, "/sub/?a=b?c"),
    ("/sub?a=100%&b=%4&c=%41", 301, "/sub/?a=100%25&b=%254&c=%41"),
    ("/%73ub", 301, "/%73ub/"),
    ("/sub/../sub", 301, "/sub/../sub/"),
    ("/sub/deep", 301, "/sub/deep/"),
    ("/sub/deep/", 200, b"of deep"),
    ("/with%20space", 301, "/with%20space/"),
    ("/with%20space/", 200, b"of space"),
    ("/bare", 404, None),
    ("/bare/", 404, None),
    ("/bare/file.txt", 200, b"a file"),
    ("/bare/file.txt/", 404, None),
    ("/index.html/", 404, None),
    ("/linked", 301, "/linked/"),
    ("/linked/", 200, b"of sub"),
    # Location must not become the name of another host.
    ("//sub", 404, None),
    ("//sub/", 200, b"of sub"),
]


def make_site(root):
    put(root, "index.html", b"the index")
    put(root, "sub/index.html", b"of sub")
    put(root, "sub/deep/index.html", b"of deep")
    put(root, "with space/index.html", b"of space")
    put(root, "bare/file.txt", b"a file")
    (root / "linked").symlink_to("sub")


def check_directories(client):
    with Group("directories") as group:
        for method in ("GET", "HEAD"):
            for target, status, what in DIRECTORIES:
                asked = f"{method} {target}"
                reply = client.ask(target, method=method)
                group.same(asked, status, reply.status)
                if status == 301:
                    group.same(f"{asked}: Location", what, reply.get("location"))
                elif status == 200:
                    group.same(f"{asked}: Content-Type", HTML if not target.endswith("txt") else "text/plain; charset=utf-8",
                               reply.get("content-type"))
                    group.same(asked, what if method == "GET" else b"", reply.content)
                else:
                    group.same(f"{asked}: Content-Type", PROBLEM, reply.get("content-type"))


# --- listings -------------------------------------------------------------------------------------------------------------

NAMES = ["plain.txt", "a & b <c>.txt", '"quoted" \'too\'.txt', "per%cent%41.txt", "spa\u00df \u65e5\u672c.txt",
         "semi;colon?query#hash.txt", "-dash", "~tilde",
         "back\\slash", "new\nline", "tab\there", "a:b", "plus+plus", "<script>alert(1)", "<img src=x onerror=alert(1)>", "UPPER",
         "zz", "(round)[square]{curly}|`^", "no\x7fprint"]
DIRECTORY_NAMES = ["zdir", "adir & <b>", "dir%20dir"]
HIDDEN = [".hidden", ".htaccess", "..two"]


class Rows(html.parser.HTMLParser):
    """The links of a page, with the cells of their rows; and its tags, to detect unexpected ones."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.tags, self.title, self.inside = [], set(), "", None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.inside = tag
        if tag == "tr":
            self.rows.append({"href": None, "cells": []})
        elif tag in ("td", "th"):
            self.rows[-1]["cells"].append("")
        elif tag == "a":
            self.rows[-1]["href"] = dict(attributes)["href"]

    def handle_endtag(self, tag):
        self.inside = "td" if tag == "a" else None

    def handle_data(self, data):
        if self.inside in ("td", "th", "a"):
            self.rows[-1]["cells"][-1] += data
        elif self.inside == "title":
            self.title += data


def make_listed(root):
    for number, name in enumerate(NAMES):
        put(root, f"listed/{name}", b"x" * number, OLD + number)
    for name in DIRECTORY_NAMES:
        put(root, f"listed/{name}/inside.txt", b"inside")
        os.utime(root / "listed" / name, (OLD - 60, OLD - 60))
    for name in HIDDEN:
        put(root, f"listed/{name}", b"hidden")
    put(root, "listed/.hiddendir/file", b"hidden")
    pathlib.Path(os.fsdecode(os.fsencode(root) + b"/listed/\xff\xfe.bin")).write_bytes(b"no UTF-8")
    put(root, "<b>bold/inside.txt", b"inside")
    (root / "empty").mkdir()


def check_html(group, client, root):
    reply = client.ask("/listed/")
    group.same("the listing: status, Content-Type, nosniff", (200, HTML, "nosniff"),
               told(reply, "content-type", "x-content-type-options"))
    page = Rows(reply.content.decode(errors="surrogateescape"))
    rows = [row for row in page.rows if row["href"] and row["href"] != "../"]
    found = [urllib.parse.unquote(row["href"], errors="surrogateescape").removeprefix("./") for row in rows]
    files = NAMES + [os.fsdecode(b"\xff\xfe.bin")]
    group.same("names", sorted(files + [f"{name}/" for name in DIRECTORY_NAMES]), sorted(found))
    group.same("directories first, each by name", sorted(found, key=lambda name: (not name.endswith("/"), os.fsencode(name))),
               found)
    group.true("tags", "none of a name", not page.tags & {"script", "b", "c", "img"}, page.tags)
    group.true("the listing", "no dotfiles", not any(name in reply.content.decode(errors="replace") for name in HIDDEN))
    group.true("the listing", "a link to the directory above", any(row["href"] == "../" for row in page.rows))
    for name, row in zip(found, rows):
        check_row(group, client, root, name, row)


def check_row(group, client, root, name, row):
    shown, size, date = row["cells"][0], row["cells"][1], row["cells"][2]
    path = root / "listed" / name
    group.same(f"{name!r}: as it is shown", name, shown)
    group.true(f"{name!r}: href {row['href']}", "of characters of URIs",
               row["href"].isascii() and not set(row["href"]) & set(' "<>\\^`{|}?#:'))
    if name.endswith("/"):
        group.same(f"{name!r}: size", "", size)
    else:
        group.same(f"{name!r}: size", path.stat().st_size, int(size))
    when = datetime.datetime.fromisoformat(date.replace("Z", "+00:00"))
    group.same(f"{name!r}: date", int(path.stat().st_mtime), int(when.timestamp()))
    target = urllib.parse.urljoin("/listed/", row["href"])
    reply = client.ask(target)
    group.same(f"{target}, where the link leads", 200, reply.status)
    group.true(f"{target}, where the link leads", "the file", name.endswith("/") or reply.content == path.read_bytes(),
               reply.content)


def check_json(group, client, root):
    reply = client.ask("/listed/", JSON)
    group.same("the listing as JSON", (200, "application/json"), told(reply, "content-type"))
    items = json.loads(reply.content)
    files = {item["name"]: item for item in items if item["type"] == "file"}
    group.same("directories in JSON", sorted(DIRECTORY_NAMES),
               sorted(item["name"] for item in items if item["type"] == "directory"))
    group.same("files in JSON", sorted(NAMES + ["\ufffd\ufffd.bin"]), sorted(files))
    for number, name in enumerate(NAMES):
        when = datetime.datetime.fromisoformat(files[name]["modified"].replace("Z", "+00:00"))
        group.same(f"{name!r} in JSON", (number, OLD + number), (files[name]["size"], int(when.timestamp())))


# Accept, and whether it prefers JSON.
PREFERENCES = [
    ("application/json", True), ("application/json;q=0.5", True), ("application/json, text/html;q=0.9", True),
    ("Application/JSON", True),
    ("application/json, */*;q=0.1", True), ("text/html;q=0.5, application/json;q=0.8", True), ("text/html", False), ("*/*", False),
    ("text/*", False),
    (BROWSER[1], False), ("text/html, application/json;q=0.9", False), ("application/json;q=0.1, text/html", False),
    ("application/json;q=0, text/html", False), ("text/plain", False), ("application/jsonp", False),
]


def check_listings(root):
    make_listed(root)
    with Group("--listing") as group, running(Daemon(root, "--listing")) as daemon:
        client = daemon.client()
        check_html(group, client, root)
        check_json(group, client, root)
        reply = client.ask("/listed/")
        group.true("Vary", "Accept", "accept" in (reply.get("vary") or "").lower().split(", "), reply.get("vary"))
        group.same("two Accept fields", "application/json",
                   client.ask("/listed/", ("Accept", "text/html;q=0.5"), JSON).get("content-type"))
        for accept, is_json in PREFERENCES:
            reply = client.ask("/listed/", ("Accept", accept))
            group.same(f"Accept: {accept}", "application/json" if is_json else HTML, reply.get("content-type"))
        group.same("HEAD", client.ask("/listed/").without("date"), client.ask("/listed/", method="HEAD").without("date"))
        for target, location in (("/listed", "/listed/"), ("/listed?x=1", "/listed/?x=1"), ("/sub", "/sub/")):
            group.same(target, (301, location), told(client.ask(target), "location"))
        group.same("a directory with an index", (200, b"of sub"), (lambda r: (r.status, r.content))(client.ask("/sub/")))
        for target, status in (("/empty/", 200), ("/listed/?x", 200), ("/listed/adir%20%26%20%3Cb%3E/", 200), ("/missing/", 404),
                               ("/listed/.hiddendir/", 404), ("/listed/plain.txt/", 404), ("/../", 400), ("/listed/%2e/", 200)):
            group.same(target, status, client.ask(target).status)
        page = Rows(client.ask("/%3Cb%3Ebold/").content.decode())
        group.true("the title of a strange directory", "its name, and no tag", "<b>bold" in page.title and "b" not in page.tags,
                   page.title)
        client.close()
    with Group("no --listing") as group, running(Daemon(root)) as daemon:
        client = daemon.client()
        for target in ("/listed", "/listed/", "/empty", "/empty/", "/bare/"):
            group.same(target, 404, client.ask(target).status)
        client.close()


LISTING_MAX, LISTED_LINKS_MAX = 2000, 200


def listed(client, target):
    page = client.ask(target)
    names = [urllib.parse.unquote(row["href"]).removeprefix("./") for row in Rows(page.content.decode()).rows
             if row["href"] and row["href"] != "../"]
    items = json.loads(client.ask(target, JSON).content)
    return names, {item["name"]: item for item in items}, "has more entries" in page.content.decode()


def check_listed_links(root, folder):
    """A listing has what is served, and nothing else."""
    put(folder, "outside.txt", b"outside")
    put(root, "links/file.txt", b"a file", OLD)
    put(root, "links/directory/inside.txt", b"inside")
    put(root, "links/.hidden", b"hidden")
    put(root, "links/locked.txt", b"locked")
    os.mkfifo(root / "links/fifo")
    for name, to in {"in": "file.txt", "in-absolute": root / "links/file.txt", "in-directory": "directory", "above": "..",
                     "out": "../../outside.txt", "out-absolute": folder / "outside.txt", "out-directory": "../..",
                     "dangling": "nowhere", "loop": "loop", "to-hidden": ".hidden", "to-fifo": "fifo"}.items():
        (root / "links" / name).symlink_to(to)
    for folder_of_files, count in (("full", LISTING_MAX), ("many", LISTING_MAX + 1)):
        # Nearly as many hidden ones: one of them is the last, in every other order that the file system may have.
        for number in range(count):
            if number < LISTING_MAX - 10:
                put(root, f"{folder_of_files}/.{number}", b"")
            put(root, f"{folder_of_files}/{number:05}.txt", b"")
    for folder_of_links, count in (("full-of-links", LISTED_LINKS_MAX), ("links-only", LISTED_LINKS_MAX + 1)):
        (root / folder_of_links).mkdir()
        for number in range(count):
            (root / f"{folder_of_links}/{number:05}").symlink_to("../links/file.txt")
    # With "." and "..".
    for folder_of_hidden, count in (("full-of-hidden", 2 * LISTING_MAX - 2), ("hidden", 2 * LISTING_MAX - 1)):
        for number in range(count):
            put(root, f"{folder_of_hidden}/.{number:05}", b"")
    with Group("what a listing has") as group, running(Daemon(root, "--listing")) as daemon:
        client = daemon.client()
        names, items, has_more = listed(client, "/links/")
        group.same("names", ["above/", "directory/", "in-directory/", "file.txt", "in", "in-absolute", "locked.txt"], names)
        group.same("names in JSON", sorted(name.rstrip("/") for name in names), sorted(items))
        group.same("a link in JSON", {**items["file.txt"], "name": "in"}, items["in"])
        group.same("a note of more", False, has_more)
        for name in names:
            group.same(f"/links/{name}", 200, client.ask(f"/links/{name}").status)
        for target, count, more in (("/full/", LISTING_MAX, False), ("/many/", LISTING_MAX, True),
                                    ("/full-of-links/", LISTED_LINKS_MAX, False), ("/links-only/", LISTED_LINKS_MAX, True),
                                    ("/full-of-hidden/", 0, False), ("/hidden/", 0, True)):
            names, items, has_more = listed(client, target)
            group.same(f"{target}: names, names in JSON, a note of more", (count, count, more), (len(names), len(items), has_more))
            group.same(f"HEAD {target}", client.ask(target).without("date"), client.ask(target, method="HEAD").without("date"))
        client.close()
    how = unprivileged()
    if how:
        (root / "links/locked.txt").chmod(0)
        with Group("what a listing has of unreadable files") as group, running(Daemon(root, "--listing", **how)) as daemon:
            client = daemon.client()
            names, _, _ = listed(client, "/links/")
            group.same("names", ["above/", "directory/", "in-directory/", "file.txt", "in", "in-absolute"], names)
            group.same("the unreadable file", 403, client.ask("/links/locked.txt").status)
            client.close()


# --- --spa ------------------------------------------------------------------------------------------------------------------

# Target, Accept, status: 200 is the index.
PLACES = [
    ("/place", None, 200), ("/place/deeper/still", None, 200), ("/place", BROWSER, 200), ("/place", ("Accept", "text/html"), 200),
    ("/place", ("Accept", "*/*"), 200), ("/place?query=1.2", None, 200), ("/place/", BROWSER, 200), ("/v1.2/place", BROWSER, 200),
    ("/place", ("Accept", "application/json, text/html"), 200), ("/pl%61ce", BROWSER, 200),
    ("/place", JSON, 404), ("/place", ("Accept", "image/png"), 404), ("/place", ("Accept", "text/css"), 404),
    ("/place", ("Accept", "text/html;q=0"), 404), ("/place", ("Accept", "application/json, text/html;q=0, */*;q=0"), 404),
    ("/missing.js", BROWSER, 404), ("/missing.css", None, 404), ("/place/app.map", BROWSER, 404),
    ("/favicon.ico", ("Accept", "*/*"), 404),
    ("/missing%2Ejs", BROWSER, 404), 
    # With a dot, when the client navigates: it names text/html, and the extension is of no known type.
    ("/a.", BROWSER, 200), ("/user/john.doe", BROWSER, 200), ("/release/1.2.3", ("Accept", "text/html"), 200),
    ("/token/eyJhbGciOi.eyJzdWIi.SflKxw", BROWSER, 200), ("/user/john%2Edoe", BROWSER, 200),
    ("/user/john.doe", None, 404), ("/user/john.doe", ("Accept", "*/*"), 404), ("/user/john.doe", JSON, 404),
    ("/user/john.doe", ("Accept", "image/avif,image/webp,*/*;q=0.8"), 404), ("/missing.mp4", BROWSER, 404),
    ("/place", ("Accept", "TEXT/HTML"), 200),
    ("/.hidden", BROWSER, 404), ("/../place", BROWSER, 400), ("/place%00", BROWSER, 400),
]


# Target, Sec-Fetch-Mode, Accept, status.
FETCHED = [
    ("/user/john.doe", "navigate", BROWSER, 200), ("/report.pdf", "navigate", BROWSER, 200),
    ("/user/john.doe", "cors", BROWSER, 404), ("/missing.js", "no-cors", ("Accept", "*/*"), 404),
    ("/missing.js", "cors", BROWSER, 404),
]


def check_spa(root):
    with Group("--spa") as group, running(Daemon(root, "--spa")) as daemon:
        client = daemon.client()
        for method in ("GET", "HEAD"):
            for target, accept, status in PLACES:
                fields = [accept] if accept else []
                reply = client.ask(target, *fields, method=method)
                if group.same(show(method, target, fields), status, reply.status) and status == 200:
                    group.same(f"{show(method, target, fields)}: content", (HTML, b"the index" if method == "GET" else b""),
                               (reply.get("content-type"), reply.content))
        for target, mode, accept, status in FETCHED:
            fields = [("Sec-Fetch-Mode", mode), accept]
            reply = client.ask(target, *fields)
            group.same(show("GET", target, fields), (status, True), (reply.status, "Sec-Fetch-Mode" in reply.get("vary")))
        for target, vary in (("/place", "Accept, Accept-Encoding"), ("/john.doe", "Accept, Accept-Encoding, Sec-Fetch-Mode"),
                             ("/index.html", "Accept-Encoding")):
            group.same(f"{target}: Vary", (200, vary), told(client.ask(target, BROWSER), "vary"))
        for target, vary in (("/place", "Accept"), ("/john.doe", "Accept")):
            group.same(f"{target} for JSON: Vary", (404, vary), told(client.ask(target, JSON), "vary"))
        etag = client.ask("/index.html").get("etag")
        group.same("If-None-Match of a place", 304, client.ask("/place", BROWSER, ("If-None-Match", etag)).status)
        group.same("a file that is there", b"a file", client.ask("/bare/file.txt", BROWSER).content)
        group.same("POST to a place", 405, client.ask("/place", ("Content-Length", "0"), method="POST").status)
        client.close()
    with Group("no --spa") as group, running(Daemon(root)) as daemon:
        client = daemon.client()
        group.same("/place", 404, client.ask("/place", BROWSER).status)
        client.close()


# --- error pages --------------------------------------------------------------------------------------------------------------


def check_error_pages(root, folder):
    page = b"<!doctype html><title>nothing here</title>" + b"<p>really nothing</p>" * 100
    site = folder / "pages"
    put(site, "404.html", page)
    put(site, "403.html", b"not for you")
    with Group("pages for errors") as group, running(Daemon(site)) as daemon:
        client = daemon.client()
        for fields in ([], [BROWSER], [("Accept", "*/*")], [("Accept", "image/png")], [BROWSER, ("Range", "bytes=0-3")],
                       [BROWSER, ("If-None-Match", "*")], [BROWSER, ("If-Match", '"x"')],
                       [BROWSER, ("If-Modified-Since", "Fri, 31 Dec 9999 23:59:59 GMT")]):
            for target in ("/missing", "/missing/", "/missing.png", "/.hidden", "/"):
                reply = client.ask(target, *fields)
                group.same(show("GET", target, fields), (404, HTML, page), (reply.status, reply.get("content-type"), reply.content))
                group.same(f"{show('GET', target, fields)}: Vary", "Accept, Accept-Encoding", reply.get("vary"))
                group.same(f"{show('GET', target, fields)}: validators", (None, None, None),
                           told(reply, "etag", "last-modified", "content-range")[1:])
                head = client.ask(target, *fields, method="HEAD")
                group.same(show("HEAD", target, fields), reply.without("date"), head.without("date"))
        for fields in ([JSON], [("Accept", PROBLEM)], [("Accept", "application/json, text/plain")]):
            reply = client.ask("/missing", *fields)
            group.same(show("GET", "/missing", fields), (404, PROBLEM, "Accept"), told(reply, "content-type", "vary"))
            group.same("its status member", 404, json.loads(reply.content)["status"])
        group.same("the page by its own name", (200, page), (lambda r: (r.status, r.content))(client.ask("/404.html")))
        group.same("400 has no page of its own", 400, client.ask("/../x", BROWSER).status)
        client.close()
    with Group("no pages for errors") as group, running(Daemon(root)) as daemon:
        client = daemon.client()
        group.same("/missing", (404, PROBLEM, "Accept"), told(client.ask("/missing"), "content-type", "vary"))
        reply = client.ask("/missing", BROWSER)
        group.same("/missing for a browser", (404, HTML, "Accept"), told(reply, "content-type", "vary"))
        # By an evhttp callback, by the guard, and by the router.
        for target, status in (("/hello/get?name=" + "x" * 2000, 400), ("/%", 400), ("/healthz", 405)):
            for fields in ([], [BROWSER]):
                method = "POST" if status == 405 else "GET"
                reply = client.ask(target, *fields, method=method, content=b"" if status == 405 else None)
                # The guard has read no Accept header when it refuses the target.
                group.same(show(method, target, fields), (status, HTML if fields and target != "/%" else PROBLEM, "Accept"),
                           told(reply, "content-type", "vary"))
        client.close()


# --- --cache-control ------------------------------------------------------------------------------------------------------------

RULES = ("*.html=no-cache; /assets/*=public, max-age=31536000, immutable;/assets/x.bin=never; *.d[ab]t = private, max-age=60 ;;"
         "/with space/*=max-age=5; /q?.bin=max-age=7; /eq.bin=a=b=c;")
CACHED = [
    ("/index.html", "no-cache"), ("/", "no-cache"), ("/sub/deep/index.html", "no-cache"), ("/assets/app.html", "no-cache"),
    ("/assets/x.bin", "public, max-age=31536000, immutable"), ("/assets/deep/y.bin", "public, max-age=31536000, immutable"),
    ("/%61ssets/x.bin", "public, max-age=31536000, immutable"), ("/other/../assets/x.bin", "public, max-age=31536000, immutable"),
    ("/a.dat", "private, max-age=60"), ("/a.dbt", "private, max-age=60"), ("/a.dct", None), ("/with%20space/f.bin", "max-age=5"),
    ("/q1.bin", "max-age=7"), ("/q12.bin", None), ("/eq.bin", "a=b=c"), ("/plain.bin", None), ("/x/assets/x.bin", None),
]


def check_cache_control(folder):
    site = folder / "cached"
    for target, _ in CACHED:
        name = target.lstrip("/").replace("%20", " ").replace("%61", "a").replace("other/../", "") or "index.html"
        put(site, name, b"0123456789" * 5)
    with Group("--cache-control") as group, running(Daemon(site, "--cache-control", RULES)) as daemon:
        client = daemon.client()
        for target, value in CACHED:
            reply = client.ask(target)
            group.same(target, (200, value), told(reply, "cache-control"))
            for status, fields in ((206, [("Range", "bytes=1-2")]), (206, [("Range", "bytes=1-2,7-8")]),
                                   (304, [("If-None-Match", reply.get("etag"))]),
                                   (304, [("If-Modified-Since", reply.get("last-modified"))])):
                group.same(show("GET", target, fields), (status, value), told(client.ask(target, *fields), "cache-control"))
            group.same(f"HEAD {target}", (200, value), told(client.ask(target, method="HEAD"), "cache-control"))
        client.close()
    with Group("no --cache-control") as group, running(Daemon(site)) as daemon:
        client = daemon.client()
        for target, _ in CACHED:
            group.same(target, (200, None), told(client.ask(target), "cache-control"))
        client.close()
    with Group("wrong --cache-control") as group:
        for rules in ("nothing", "=no-cache", "*.html=", "*.html=no-cache; nothing", "*.html=no\x01cache",
                      "*.html=a\r\nSet-Cookie: b",
                      "*.html=\x7f", " = no-cache", "*.html=" + "x" * 5000):
            for how in ("option", "variable"):
                if how == "option":
                    status, messages = refusal("--root", str(site), "--cache-control", rules)
                else:
                    status, messages = refusal("--root", str(site), environment={"PIPIT_CACHE_CONTROL": rules})
                group.same(f"{how} {rules[:60]!r}: exit status", 2, status)
                group.true(f"{how} {rules[:60]!r}: message", "one line that names it",
                           messages.count("\n") == 1 and ("cache-control" in messages or "CACHE_CONTROL" in messages), messages)


# --- --media-types --------------------------------------------------------------------------------------------------------------

MEDIA_TYPES = """\
# not built in
text/x-new\tnew  newer
application/x-one one

text/plain;charset=iso-8859-1 latin   # a comment after it
text/html   html5
application/x-mine json
\timage/x-blank   blank
application/x-none
TEXT/X-UPPER UPPER
application/x-last last"""
TYPED = {
    "a.new": "text/x-new; charset=utf-8", "a.newer": "text/x-new; charset=utf-8", "a.NEW": "text/x-new; charset=utf-8",
    "a.one": "application/x-one",
    "a.latin": "text/plain;charset=iso-8859-1", "a.html5": "text/html; charset=utf-8", "a.json": "application/x-mine",
    "a.blank": "image/x-blank",
    "a.last": "application/x-last", "a.b.one": "application/x-one", "one": "application/octet-stream",
    "a.html": "text/html; charset=utf-8",
    "a.css": "text/css; charset=utf-8", "a.png": "image/png", "a.PNG": "image/png", "a.xyz": "application/octet-stream",
    "a.": "application/octet-stream",
}
# The file, and the invalid line.
WRONG_TYPES = [
    ("text html\n", 1), ("text/plain txt\n\n/html x\n", 3), ("text/ x\n", 1), ("# fine\ntext/html .htm\n", 2),
    ("text/html a/b\n", 1),
    ("a/b c\na/b/c d\n", 2), ("text/plain txt\r\ntext\r\n", 2), ("text/ht\x01ml x\n", 1), ("text/html;a\x01b x\n", 1),
    ("a/b\xe4 c\n", 1),
    ("a/b c\n" * 40 + "wrong", 41),
]


def check_media_types(folder):
    site, table = folder / "typed", folder / "mime.types"
    table.write_text(MEDIA_TYPES)
    for name in TYPED:
        put(site, name, b"content")
    with Group("--media-types") as group, running(Daemon(site, "--media-types", str(table))) as daemon:
        client = daemon.client()
        for name, kind in TYPED.items():
            group.same(name, (200, kind), told(client.ask(f"/{name}"), "content-type"))
            group.same(f"{name}: nosniff", "nosniff", client.ask(f"/{name}").get("x-content-type-options"))
        client.close()
    # Extensions with a dot, and long ones, as in Debian's table.
    table.write_text("application/cwl+json cwl.json\napplication/x-long sarif-external-properties\napplication/x-one one\n")
    with Group("--media-types with strange endings") as group, running(Daemon(site, "--media-types", str(table))) as daemon:
        client = daemon.client()
        group.same("a.one", (200, "application/x-one"), told(client.ask("/a.one"), "content-type"))
        client.close()
    if pathlib.Path("/etc/mime.types").exists():
        with Group("--media-types /etc/mime.types") as group, running(Daemon(site, "--media-types", "/etc/mime.types")) as daemon:
            client = daemon.client()
            group.same("a.png", (200, "image/png"), told(client.ask("/a.png"), "content-type"))
            client.close()
    with Group("wrong --media-types") as group:
        for text, line in WRONG_TYPES:
            table.write_bytes(text.encode("latin-1"))
            check_refused(group, site, table, f"{text[-60:]!r}", f"{table}:{line}:")
        table.write_bytes(b"text/plain txt\n\0\n")
        check_refused(group, site, table, "NUL", str(table))
        check_refused(group, site, folder / "missing", "a missing file", f"{folder}/missing")
        check_refused(group, site, folder, "a directory", str(folder))
        status, messages = refusal("--root", str(folder / "missing"))
        group.same("a missing root: exit status", 2, status)
        group.true("a missing root: message", "its name", "missing" in messages, messages)


def check_exposed(folder):
    """What the daemon writes must not lie where clients read."""
    site, outside = folder / "exposed", folder / "beside"
    put(site, "index.html", b"the index")
    put(site, "data/old.json", b"{}")
    outside.mkdir()
    (outside / "link.json").symlink_to(site / "data/old.json")
    (folder / "exposed-link").symlink_to("exposed")
    with Group("settings and logs below the root") as group:
        for root in (site, folder / "exposed-link"):
            for option in ("--settings", "--access-log"):
                for file in (site / "new.json", site / "data/old.json", site / "data/new.json", outside / "link.json",
                             outside / "../exposed/new.json", folder / "exposed-link/new.json", site / ".hidden.json"):
                    status, messages = refusal("--root", str(root), option, str(file))
                    group.same(f"{option} {file}: exit status", 2, status)
                    group.true(f"{option} {file}: message", "one line with the option, the file and the root",
                               messages.count("\n") == 1 and f'{option} {file}: lies below' in messages
                               and f'root = "{root}"' in messages, messages)
        group.same("what was made", ["data", "index.html"], sorted(path.name for path in site.iterdir()))
        status, messages = refusal("--root", str(site), "--settings", str(site / "s"), "--access-log", str(site / "l"))
        group.same("both: lines", 2, messages.count("\n"))
    with Group("settings and logs outside the root") as group:
        for options in (["--settings", str(outside / "new.json"), "--access-log", str(outside / "log")],
                        ["--settings", str(folder / "exposed-not.json")], ["--access-log", "-"]):
            with running(Daemon(site, *options)) as daemon:
                client = daemon.client()
                group.same(f"{options}", 200, client.ask("/").status)
                client.close()


def check_svgz(folder):
    site, image = folder / "images", gzip.compress(b"<svg/>" * 1000)
    put(site, "a.svgz", image)
    with Group(".svgz") as group, running(Daemon(site)) as daemon:
        client = daemon.client()
        for value in ("gzip", "identity", "br, zstd"):
            reply = client.ask("/a.svgz", ("Accept-Encoding", value))
            group.same(f"Accept-Encoding: {value}", (200, "image/svg+xml", "gzip", None, image),
                       (*told(reply, "content-type", "content-encoding", "vary"), reply.content))
        group.same("a range", (206, "gzip", image[2:5]),
                   (lambda r: (r.status, r.get("content-encoding"), r.content))(client.ask("/a.svgz", ("Range", "bytes=2-4"))))
        client.close()


def check_refused(group, site, table, what, place):
    status, messages = refusal("--root", str(site), "--media-types", str(table))
    group.same(f"{what}: exit status", 2, status)
    group.true(f"{what}: message", f"one line with {place}", messages.count("\n") == 1 and place in messages, messages)


# --- the dashboard beside a root -------------------------------------------------------------------------------------------

# Target, status, and Location or a part of the body.
DASHBOARD = [
    ("/", 404, b"There is no index.html in the root directory. The dashboard is at /_pipit/."),
    ("/missing", 404, b"There is no such file."),
    ("/_pipit", 301, "/_pipit/"),
    ("/_pipit/", 200, b"<!doctype html>"),
    ("/_pipit/index.html", 200, b"<!doctype html>"),
    ("/_pipit/dashboard.js", 200, b"EventSource"),
    ("/_pipit/missing", 404, b"There is no such file."),
    ("/_pipit/../file", 400, b"it leaves the root"),
    ("/_pipit/_pipit/", 404, b"There is no such file."),
    ("/_pipitx", 404, b"There is no such file."),
]


def check_dashboard(folder):
    root = folder / "no index"
    put(root, "file", b"a file")
    with Group("the dashboard beside a root") as group, running(Daemon(root)) as daemon:
        client = daemon.client()
        for target, status, expected in DASHBOARD:
            reply = client.ask(target)
            group.same(target, status, reply.status)
            if isinstance(expected, str):
                group.same(f"{target}: Location", expected, reply.get("location"))
            else:
                group.true(target, expected, expected in reply.content, reply.content[:200])
        client.finish("/file")
    with Group("--dashboard off") as group, running(Daemon(root, "--dashboard", "off")) as daemon:
        client = daemon.client()
        group.same("/_pipit/", 404, client.ask("/_pipit/").status)
        reply = client.ask("/")
        group.same("/", 404, reply.status)
        group.true("/", "no word of a dashboard", b"ashboard" not in reply.content, reply.content)
        client.finish("/file")


# --- a root without permission ---------------------------------------------------------------------------------------------

def check_unreadable(folder):
    """As another user when root runs the test: root may read all."""
    other = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    folder.chmod(0o755)
    locked = folder / "locked"
    locked.mkdir()
    with Group("a root without permission") as group:
        for mode, options, status in ((0o000, [], 2), (0o444, [], 2), (0o311, [], 0), (0o311, ["--listing"], 2), (0o555, ["--listing"], 0)):
            locked.chmod(mode)
            done = subprocess.run([DAEMON, "--check", "--listen", "127.0.0.1:0", "--max-connections", "100", "--root", str(locked), *options],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, timeout=60, check=False, **other)
            group.same(f"{mode:o} {options}", status, done.returncode)
            message = f"pipit: error: --root {locked}: Permission denied; use a readable directory\n" if status else ""
            group.same(f"{mode:o} {options}: message", message, done.stderr)
    locked.chmod(0o755)


def main():
    with temporary_folder() as folder:
        root = folder / "root"
        make_site(root)
        with running(Daemon(root)) as daemon:
            client = daemon.client()
            check_directories(client)
            client.finish()
        check_listings(root)
        check_listed_links(root, folder)
        check_spa(root)
        check_error_pages(root, folder)
        check_cache_control(folder)
        check_media_types(folder)
        check_dashboard(folder)
        check_unreadable(folder)
        check_svgz(folder)
        check_exposed(folder)
    end_with_verdict()


if __name__ == "__main__":
    main()
