#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The coding of a static file by Accept-Encoding, from precompressed files or compressed on the fly; each is a representation with
its own ETag, conditions and ranges."""
import os
import random
import re
import shutil
import subprocess
import time
import zlib

from served import (OLD, PATIENCE_SECONDS, Daemon, Group, end_with_verdict, put, running, settle, show, temporary_folder,
                    wait_for)

SEED = 1952
CODINGS = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}  # in order of preference, with the extensions of precompressed files
TOOLS = {"br": ["brotli", "-c"], "zstd": ["zstd", "-q", "-c"]}
COMPRESSED_MIN, COMPRESSED_MAX = 1024, 256 * 1024
IDENTITY, NONE = "identity", "406"
SECRET = b"the secret beside the root"


# --- making and undoing codings ------------------------------------------------------------------------------------------


def gzip(content):
    packer = zlib.compressobj(wbits=31)
    return packer.compress(content) + packer.flush()


def encode(coding, content):
    """Without the tool any bytes will do: the server does not read them."""
    if coding == "gzip":
        return gzip(content)
    if shutil.which(TOOLS[coding][0]):
        return subprocess.run(TOOLS[coding], input=content, capture_output=True, check=True).stdout
    return b"not really " + coding.encode() + b" " + content[:10]


def decode(coding, content):
    """None: the tool is missing."""
    if coding == IDENTITY:
        return content
    if coding == "gzip":
        unpacker = zlib.decompressobj(wbits=31)
        plain = unpacker.decompress(content)
        assert unpacker.eof and not unpacker.unused_data, "gzip without its end, or with bytes behind it"
        return plain
    if not shutil.which(TOOLS[coding][0]):
        return None
    return subprocess.run(TOOLS[coding] + ["-d"], input=content, capture_output=True, check=True).stdout


def text(name, size):
    """Compressible, and different for each name."""
    generator = random.Random(f"{SEED}{name}")
    words = [bytes(generator.choices(b"abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(50)]
    return b" ".join(generator.choice(words) for _ in range(size // 7 + 1))[:size]


def put_with_neighbours(root, name, codings, size=5000, modified=OLD):
    content = text(name, size)
    put(root, name, content)
    for coding in codings:
        put(root, name + CODINGS[coding], encode(coding, content), modified)
    return content


# --- expected results ----------------------------------------------------------------------------------------------------

# Accept-Encoding and the coding, of a file with all precompressed files.
ACCEPTED = [
    (None, IDENTITY),
    ("", IDENTITY),
    (",", IDENTITY),
    ("gzip", "gzip"),
    ("x-gzip", "gzip"),
    ("GZip", "gzip"),
    ("br", "br"),
    ("BR", "br"),
    ("zstd", "zstd"),
    ("deflate", IDENTITY),
    ("compress, deflate, exi, unknown", IDENTITY),
    ("identity", IDENTITY),
    ("*", "br"),
    ("gzip, br", "br"),
    ("gzip, zstd", "zstd"),
    ("br, zstd, gzip", "br"),
    ("gzip, deflate, br, zstd", "br"),
    ("gzip,deflate,zstd", "zstd"),
    ("gzip , \t br", "br"),
    (",, gzip ,,", "gzip"),
    ("gzip;q=1, br;q=0.9", "gzip"),
    ("gzip;q=0.8, br;q=0.9", "br"),
    ("gzip;q=0.5, zstd;q=0.5, br;q=0.4", "zstd"),
    ("gzip ; q=0.5 , br\t;\tq=0.4", "gzip"),
    ("gzip;Q=0.5, br;Q=0.4", "gzip"),
    ("gzip;q=0.501, br;q=0.5", "gzip"),
    ("gzip;q=0.002, br;q=0.001", "gzip"),
    ("gzip;q=1.000, br;q=0.999", "gzip"),
    ("gzip;q=0.", IDENTITY),
    ("br;q=0, gzip", "gzip"),
    ("br;q=0.0, zstd;q=0.00, gzip;q=0.000", IDENTITY),
    ("gzip;q=0", IDENTITY),
    ("br;q=0, *", "zstd"),
    ("*;q=0.5, gzip", "gzip"),
    ("*;q=0.5, gzip;q=0.4", "br"),
    ("*, br;q=0, zstd;q=0", "gzip"),
    # Identity that is not named is acceptable unless "*;q=0", with the lowest preference.
    ("gzip;q=0.001", "gzip"),
    ("identity;q=0.5, gzip;q=0.4", IDENTITY),
    ("identity;q=0.5, gzip;q=0.5", "gzip"),
    ("identity;q=0.4, gzip;q=0.5", "gzip"),
    ("identity, gzip;q=0.9", IDENTITY),
    ("identity;q=1, *;q=0", IDENTITY),
    ("identity, *;q=0.5", IDENTITY),
    ("gzip, *;q=0", "gzip"),
    ("identity;q=0, gzip", "gzip"),
    ("identity;q=0, *", "br"),
    ("identity;q=0, *;q=0.1", "br"),
    ("identity;q=0", NONE),
    ("identity;q=0, deflate", NONE),
    ("identity;q=0.000, gzip;q=0", NONE),
    ("*;q=0", NONE),
    ("*;q=0, deflate", NONE),
    ("deflate, identity;q=0, br;q=0, zstd;q=0, *;q=0", NONE),
    ("gzip, deflate;q=0.5, *;q=0", "gzip"),
]


def model_coding(value, available):
    """RFC 9110 §12.5.3, and the order of this server among equals."""
    weights = {}
    for member in (value or "").lower().split(","):
        name, *weight = [part.strip() for part in member.split(";")]
        if name:
            weights["gzip" if name == "x-gzip" else name] = float(weight[0][2:]) if weight else 1.0

    def weight_of(coding):
        if coding in weights:
            return weights[coding]
        if coding == IDENTITY:
            return 0 if weights.get("*") == 0 else 0.0001
        return weights.get("*", 0)

    best = max([*CODINGS, IDENTITY], key=lambda coding: weight_of(coding) if coding in available or coding == IDENTITY else -1)
    return best if weight_of(best) > 0 else NONE


# --- checks --------------------------------------------------------------------------------------------------------------


def accept(value):
    return [] if value is None else [("Accept-Encoding", value)]


def check_choice(group, client, name, fields, expected, content, kind):
    """The reply to GET, checked; HEAD must have the same headers."""
    asked = show("GET", f"/{name}", fields)
    reply = client.ask(f"/{name}", *fields)
    if expected == NONE:
        group.same(f"{asked}: status, Vary", (406, "Accept-Encoding, Accept"), (reply.status, reply.get("vary")))
        return reply
    if not group.same(asked, (200, None if expected == IDENTITY else expected), (reply.status, reply.get("content-encoding"))):
        return reply
    group.same(f"{asked}: Vary", "Accept-Encoding", reply.get("vary"))
    group.same(f"{asked}: Content-Type", kind, reply.get("content-type"))
    plain = decode(expected, reply.content)
    if plain is not None:
        group.same(f"{asked}: decoded", content, plain)
    head = client.ask(f"/{name}", *fields, method="HEAD")
    group.same(f"HEAD: {asked}", reply.without("date"), head.without("date"))
    return reply


SETS = {"all.html": list(CODINGS), "gzip.html": ["gzip"], "br.html": ["br"], "zstd-gzip.html": ["zstd", "gzip"],
        "br-zstd.html": ["br", "zstd"]}


def check_neighbours(client, root):
    with Group(f"{len(ACCEPTED)} Accept-Encoding fields") as group:
        contents = {name: put_with_neighbours(root, name, codings) for name, codings in SETS.items()}
        settle()
        kind = "text/html; charset=utf-8"
        for value, expected in ACCEPTED:
            group.same(f"the model of Accept-Encoding: {value}", expected,
                       model_coding(value, SETS["all.html"]))
            for name, codings in SETS.items():
                # gzip is compressed on the fly without a precompressed file.
                wanted = expected if name == "all.html" else model_coding(value, codings + ["gzip"])
                check_choice(group, client, name, accept(value), wanted, contents[name], kind)
        for fields, expected in (
                ([("Accept-Encoding", "gzip;q=0.5"), ("Accept-Encoding", "zstd")], "zstd"),
                ([("Accept-Encoding", "deflate"), ("accept-encoding", "gzip")], "gzip"),
                ([("Accept-Encoding", "gzip"), ("Accept-Encoding", "identity;q=0")], "gzip"),
                ([("Accept-Encoding", "identity;q=0"), ("Accept-Encoding", "gzip;q=0")], NONE)):
            check_choice(group, client, "all.html", fields, expected, contents["all.html"], kind)
        for version in ("HTTP/1.0", "HTTP/1.1"):
            reply = client.ask("/all.html", ("Accept-Encoding", "gzip"), version=version)
            group.same(f"gzip in {version}", "gzip", reply.get("content-encoding"))


def check_representations(client, root):
    """Each coding has its own ETag, to which conditions and ranges apply."""
    with Group("tags and ranges of neighbours") as group:
        replies = {coding: client.ask("/all.html", ("Accept-Encoding", coding)) for coding in [*CODINGS, IDENTITY]}
        tags = {coding: reply.get("etag") for coding, reply in replies.items()}
        group.same("different tags", 4, len(set(tags.values())))
        for coding, tag in tags.items():
            group.true(f"tag of {coding}", "a strong ETag", re.fullmatch(r'"[^"]+"', tag or ""), tag)
            content = replies[coding].content
            for other, other_tag in tags.items():
                asked = f"GET {coding}, If-None-Match with the tag of {other}"
                reply = client.ask("/all.html", ("Accept-Encoding", coding), ("If-None-Match", other_tag))
                group.same(asked, 304 if other == coding else 200, reply.status)
                group.same(f"{asked}: ETag, Vary", (tag, "Accept-Encoding"), (reply.get("etag"), reply.get("vary")))
                asked = f"GET {coding}, Range, If-Range with the tag of {other}"
                reply = client.ask("/all.html", ("Accept-Encoding", coding), ("Range", "bytes=3-12"), ("If-Range", other_tag))
                group.same(asked, (206, content[3:13]) if other == coding else (200, content), (reply.status, reply.content))
                reply = client.ask("/all.html", ("Accept-Encoding", coding), ("If-Match", other_tag))
                group.same(f"GET {coding}, If-Match with the tag of {other}", 200 if other == coding else 412, reply.status)
            reply = client.ask("/all.html", ("Accept-Encoding", coding), ("Range", "bytes=3-12"))
            group.same(f"Range of {coding}: headers",
                       (f"bytes 3-12/{len(content)}", None if coding == IDENTITY else coding, "Accept-Encoding",
                        "text/html; charset=utf-8"),
                       tuple(reply.get(name) for name in ("content-range", "content-encoding", "vary", "content-type")))
            reply = client.ask("/all.html", ("Accept-Encoding", coding), ("Range", f"bytes={len(content)}-"))
            group.same(f"Range after the end of {coding}", (416, f"bytes */{len(content)}"), (reply.status, reply.get("content-range")))
            several = client.ask("/all.html", ("Accept-Encoding", coding), ("Range", "bytes=0-4,10-14"))
            group.same(f"ranges of {coding}: Content-Encoding", None if coding == IDENTITY else coding,
                       several.get("content-encoding"))
            group.true(f"ranges of {coding}", "the bytes of both",
                       several.status == 206 and content[:5] in several.content and content[10:15] in several.content, several)


def check_direct(client, root):
    with Group("neighbours by their own name") as group:
        for coding, ending in CODINGS.items():
            content = (root / f"all.html{ending}").read_bytes()
            kind = {"gzip": "application/gzip", "zstd": "application/zstd", "br": "application/octet-stream"}[coding]
            for fields in ([], [("Accept-Encoding", "gzip, br, zstd")], [("Accept-Encoding", "identity;q=0")]):
                reply = client.ask(f"/all.html{ending}", *fields)
                group.same(show("GET", f"/all.html{ending}", fields), (200, None, kind, content),
                           (reply.status, reply.get("content-encoding"), reply.get("content-type"), reply.content))


def check_age(client, root, folder):
    """Whole seconds: a precompressed file that is older than the file belongs to an earlier version."""
    with Group("which neighbours count") as group:
        for name, modified, expected in (("older.css", OLD - 1, False), ("same.css", OLD, True), ("newer.css", OLD + 5, True)):
            content = put_with_neighbours(root, name, ["br"], modified=modified)
            check_choice(group, client, name, accept("br"), "br" if expected else IDENTITY, content, "text/css; charset=utf-8")
        content = put_with_neighbours(root, "fraction.css", ["br"])
        os.utime(root / "fraction.css", ns=(OLD * 10**9, OLD * 10**9 + 900_000_000))
        check_choice(group, client, "fraction.css", accept("br"), "br", content, "text/css; charset=utf-8")
        # An older .br is skipped in favour of a newer .zst.
        content = put_with_neighbours(root, "mixed.css", ["br", "zstd"])
        os.utime(root / "mixed.css.br", (OLD - 100, OLD - 100))
        check_choice(group, client, "mixed.css", accept("br, zstd"), "zstd", content, "text/css; charset=utf-8")
        check_choice(group, client, "mixed.css", accept("br, identity;q=0"), NONE, content, "text/css; charset=utf-8")
        # Not a regular file, or a link out of the root.
        (folder / "secret.br").write_bytes(SECRET)
        for name, make in (("directory.css", lambda path: path.mkdir()), ("fifo.css", os.mkfifo),
                           ("leading.css", lambda path: path.symlink_to("../secret.br")),
                           ("absolute.css", lambda path: path.symlink_to(folder / "secret.br")),
                           ("dangling.css", lambda path: path.symlink_to("nowhere"))):
            content = put_with_neighbours(root, name, [])
            make(root / f"{name}.br")
            check_choice(group, client, name, accept("br"), IDENTITY, content, "text/css; charset=utf-8")
        put(root, "directory.css.br/index.html", SECRET)
        check_choice(group, client, "directory.css", accept("br"), IDENTITY, text("directory.css", 5000), "text/css; charset=utf-8")
        content = put_with_neighbours(root, "inside.css", [])
        put(root, "elsewhere/packed", encode("br", content))
        (root / "inside.css.br").symlink_to("elsewhere/packed")
        check_choice(group, client, "inside.css", accept("br"), "br", content, "text/css; charset=utf-8")
        # Of a directory's index, and without the uncompressed file.
        content = put_with_neighbours(root, "folder/index.html", ["br"])
        check_choice(group, client, "folder/", accept("br"), "br", content, "text/html; charset=utf-8")
        put(root, "alone.css.br", encode("br", b"alone"))
        group.same("a neighbour of nothing", 404, client.ask("/alone.css", ("Accept-Encoding", "br")).status)
        # A type that does not compress has no precompressed files and no Vary.
        put_with_neighbours(root, "image.png", ["gzip", "br"])
        for value in (None, "gzip, br", "identity;q=0"):
            reply = client.ask("/image.png", *accept(value))
            group.same(f"an image, Accept-Encoding: {value}", (200, None, None, text("image.png", 5000)),
                       (reply.status, reply.get("content-encoding"), reply.get("vary"), reply.content))


def check_changes(client, root):
    """A change is served within two seconds, although files are cached."""
    with Group("neighbours that come and go") as group:
        content = put_with_neighbours(root, "changing.css", [])
        fields = [("Accept-Encoding", "br")]

        def coding():
            reply = client.ask("/changing.css", *fields)
            plain = decode(reply.get("content-encoding") or IDENTITY, reply.content)
            group.true("the content meanwhile", "of one representation", plain in (None, content, content[::-1]), plain)
            return reply.get("content-encoding")

        group.same("without it", None, coding())
        put(root, "changing.css.br", encode("br", content))
        wait_for("it has come", lambda: coding() == "br")
        put(root, "changing.css", content[::-1], OLD + 10)
        wait_for("it is older than the file", lambda: coding() is None)
        put(root, "changing.css.br", encode("br", content[::-1]), OLD + 10)
        wait_for("it is made again", lambda: coding() == "br")
        os.unlink(root / "changing.css.br")
        wait_for("it has gone", lambda: coding() is None)


# --- on the fly ------------------------------------------------------------------------------------------------------------

MADE_TYPES = {
    "txt": "text/plain; charset=utf-8", "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "js": "text/javascript; charset=utf-8", "mjs": "text/javascript; charset=utf-8", "json": "application/json",
    "xml": "application/xml",
    "svg": "image/svg+xml", "wasm": "application/wasm", "webmanifest": "application/manifest+json",
    "md": "text/markdown; charset=utf-8",
}
LEFT_TYPES = ("png", "jpg", "gif", "webp", "zip", "gz", "zst", "7z", "mp4", "mp3", "woff2", "pdf", "bin", "")
MADE_SIZES = {COMPRESSED_MIN - 1: False, COMPRESSED_MIN: True, 32 * 1024: True, 32 * 1024 + 1: True, COMPRESSED_MAX: True,
              COMPRESSED_MAX + 1: False}


def ask_for_made(client, name, *fields):
    """Compression has a limited share of each second: on a slow machine a file is sometimes sent uncompressed."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        reply = client.ask(f"/{name}", ("Accept-Encoding", "gzip"), *fields)
        if reply.get("content-encoding") or reply.status != 200 or time.monotonic() > end:
            return reply
        time.sleep(0.3)


def check_made_sizes(client, root):
    with Group("gzip on the fly") as group:
        for ending in list(MADE_TYPES) + list(LEFT_TYPES):
            put(root, f"made/file.{ending}" if ending else "made/file", text(ending, 4000))
        for size in MADE_SIZES:
            put(root, f"made/{size}.txt", text(str(size), size))
        put(root, "made/empty.txt", b"")
        settle()
        for ending, kind in MADE_TYPES.items():
            name, content = f"made/file.{ending}", text(ending, 4000)
            reply = ask_for_made(client, name)
            group.same(f"{name}: gzip, Content-Type", ("gzip", kind), (reply.get("content-encoding"), reply.get("content-type")))
            group.same(f"{name}: decoded", content, decode(reply.get("content-encoding") or IDENTITY, reply.content))
            group.true(f"{name}: length", "shorter", len(reply.content) < len(content), len(reply.content))
            check_choice(group, client, name, [], IDENTITY, content, kind)
            check_choice(group, client, name, accept("br, zstd"), IDENTITY, content, kind)
            check_choice(group, client, name, accept("gzip;q=0"), IDENTITY, content, kind)
            check_choice(group, client, name, accept("identity;q=0, br"), NONE, content, kind)
        for ending in LEFT_TYPES:
            name = f"made/file.{ending}" if ending else "made/file"
            reply = client.ask(f"/{name}", ("Accept-Encoding", "gzip, br, *"))
            group.same(f"{name}: uncompressed", (200, None, None, text(ending, 4000)),
                       (reply.status, reply.get("content-encoding"), reply.get("vary"), reply.content))
        for size, is_made in MADE_SIZES.items():
            content = text(str(size), size)
            reply = ask_for_made(client, f"made/{size}.txt") if is_made else client.ask(f"/made/{size}.txt",
                                                                                        ("Accept-Encoding", "gzip"))
            group.same(f"{size} bytes", "gzip" if is_made else None, reply.get("content-encoding"))
            group.same(f"{size} bytes: decoded", content, decode(reply.get("content-encoding") or IDENTITY, reply.content))
            group.same(f"{size} bytes: Vary", "Accept-Encoding", reply.get("vary"))
        reply = client.ask("/made/empty.txt", ("Accept-Encoding", "gzip"))
        group.same("an empty file", (200, None, b""), (reply.status, reply.get("content-encoding"), reply.content))
        for size in (COMPRESSED_MIN - 1, COMPRESSED_MAX + 1):
            reply = client.ask(f"/made/{size}.txt", ("Accept-Encoding", "gzip, identity;q=0"))
            group.same(f"{size} bytes, identity forbidden", (406, "Accept-Encoding, Accept"), (reply.status, reply.get("vary")))


def check_made(client, root):
    with Group("gzip on the fly is a representation") as group:
        for name in (f"made/{COMPRESSED_MIN}.txt", f"made/{COMPRESSED_MAX}.txt"):
            packed, plain = ask_for_made(client, name), client.ask(f"/{name}")
            tag, content = packed.get("etag"), packed.content
            group.true(f"{name}: tag", "a strong one, not the file's",
                       re.fullmatch(r'"[^"]+"', tag or "") and tag != plain.get("etag"), tag)
            for version in ("HTTP/1.0", "HTTP/1.1"):
                reply = client.ask(f"/{name}", ("Accept-Encoding", "gzip"), version=version)
                group.same(f"{name} in {version}", ("gzip", tag, content),
                           (reply.get("content-encoding"), reply.get("etag"), reply.content))
            head = client.ask(f"/{name}", ("Accept-Encoding", "gzip"), method="HEAD")
            group.same(f"HEAD {name}", packed.without("date"), head.without("date"))
            reply = ask_for_made(client, name, ("If-None-Match", tag))
            group.same(f"{name}: If-None-Match", (304, tag, "Accept-Encoding"),
                       (reply.status, reply.get("etag"), reply.get("vary")))
            group.same(f"{name}: If-None-Match with the file's tag", 200,
                       ask_for_made(client, name, ("If-None-Match", plain.get("etag"))).status)
            reply = client.ask(f"/{name}", ("If-None-Match", tag))
            group.same(f"{name}: If-None-Match with the tag of gzip, requesting the file", 200, reply.status)
            generator = random.Random(SEED)
            for _ in range(40):
                first, last = sorted((generator.randrange(len(content)), generator.randrange(len(content))))
                reply = ask_for_made(client, name, ("Range", f"bytes={first}-{last}"), ("If-Range", tag))
                group.same(f"{name}: bytes {first}-{last} of gzip",
                           (206, f"bytes {first}-{last}/{len(content)}", content[first:last + 1], "gzip"),
                           (reply.status, reply.get("content-range"), reply.content, reply.get("content-encoding")))
            reply = ask_for_made(client, name, ("Range", "bytes=0-9"), ("If-Range", plain.get("etag")))
            group.same(f"{name}: If-Range with the file's tag", (200, content), (reply.status, reply.content))
            reply = ask_for_made(client, name, ("Range", f"bytes={len(content)}-"))
            group.same(f"{name}: a range after its end", (416, f"bytes */{len(content)}"), (reply.status, reply.get("content-range")))


def check_off(root):
    with Group("--compress off") as group, running(Daemon(root, "--compress", "off")) as daemon:
        client = daemon.client()
        content = text(str(COMPRESSED_MIN), COMPRESSED_MIN)
        check_choice(group, client, f"made/{COMPRESSED_MIN}.txt", accept("gzip"), IDENTITY, content, "text/plain; charset=utf-8")
        check_choice(group, client, "gzip.html", accept("gzip"), "gzip", text("gzip.html", 5000), "text/html; charset=utf-8")
        client.close()


def main():
    with temporary_folder() as folder:
        root = folder / "root"
        put(root, "index.html", b"index")
        with running(Daemon(root)) as daemon:
            client = daemon.client()
            check_neighbours(client, root)
            check_representations(client, root)
            check_direct(client, root)
            check_age(client, root, folder)
            check_changes(client, root)
            check_made_sizes(client, root)
            check_made(client, root)
            client.finish("/index.html")
        check_off(root)
    end_with_verdict()


if __name__ == "__main__":
    main()
