#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files of gigabytes, sent in full and in parts with little memory, and large files that change while they are sent."""
import os
import random
import socket
import time

from served import (OLD, PATIENCE_SECONDS, Client, Daemon, Group, Reply, end_with_verdict, put, running, temporary_folder, wait_for,
                    write_request)

SEED = 32
KIB, MIB, GIB = 2**10, 2**20, 2**30
WHOLE_BYTES = 3 * GIB
FAR_BYTES = 9 * GIB + 12_345
RESIDENT_MAX_BYTES = 10 * MIB
BUFFER_BYTES = 4 * MIB
# Data in a sparse file, at offsets where an integer might overflow: of the file that is sent whole, and of the larger one.
MARK_BYTES = 64
WHOLE_MARKS = [0, 1_000_003, 2**31 - 32, 2**31 + 4096, WHOLE_BYTES - MARK_BYTES]
FAR_MARKS = [0, 2**31 - 32, 2**32 - 32, 2**32 + 4096, 2**33 - 32, FAR_BYTES - MARK_BYTES]
CHANGING_BYTES = 24 * MIB


def mark(place):
    return random.Random(f"{SEED}{place}").randbytes(MARK_BYTES)


def make_sparse(path, size, marks):
    path.parent.mkdir(exist_ok=True)
    with open(path, "wb") as file:
        file.truncate(size)
        for place in marks:
            file.seek(place)
            file.write(mark(place))
    os.utime(path, (OLD, OLD))
    return path.stat().st_blocks * 512 < 64 * MIB


def expected_bytes(marks, first, length):
    """The bytes of a sparse file at this offset."""
    content = bytearray(length)
    for place in marks:
        begin, end = max(place, first), min(place + MARK_BYTES, first + length)
        if begin < end:
            content[begin - first:end - first] = mark(place)[begin - place:end - place]
    return bytes(content)


class Download:
    """A request whose response is read piece by piece."""

    def __init__(self, address, target, *fields, buffer_bytes=None):
        self.socket = socket.socket()
        if buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect(address)
        self.socket.sendall(write_request("GET", target, [*fields, ("Connection", "close")]))
        received = b""
        while b"\r\n\r\n" not in received:
            more = self.socket.recv(1)
            assert more, f"closed within a head: {received}"
            received += more
        self.reply = Reply(received.partition(b"\r\n\r\n")[0])
        self.length = int(self.reply.get("content-length"))

    def pieces(self, buffer):
        """Lengths received into the buffer, to the end of the connection."""
        while True:
            try:
                count = self.socket.recv_into(buffer)
            except ConnectionResetError:
                count = 0
            if not count:
                self.socket.close()
                return
            yield count

    def rest(self):
        buffer, content = bytearray(MIB), bytearray()
        for count in self.pieces(buffer):
            content += memoryview(buffer)[:count]
        return bytes(content)


# --- gigabytes -------------------------------------------------------------------------------------------------------------


def check_whole(daemon):
    with Group(f"{WHOLE_BYTES} bytes at once") as group:
        download = Download(daemon.address, "/whole.bin", buffer_bytes=BUFFER_BYTES)
        group.same("status, length", (200, WHOLE_BYTES), (download.reply.status, download.length))
        buffer, zeros, place, number, most = bytearray(BUFFER_BYTES), bytes(BUFFER_BYTES), 0, 0, 0
        view, begin, wrong = memoryview(buffer), time.monotonic(), 0
        for count in download.pieces(buffer):
            # Most of it is a hole; all of it is compared.
            near = any(mark_place < place + count and mark_place + MARK_BYTES > place for mark_place in WHOLE_MARKS)
            wanted = expected_bytes(WHOLE_MARKS, place, count) if near else zeros[:count]
            wrong += bytes(view[:count]) != wanted
            place, number = place + count, number + 1
            if number % 256 == 0:
                most = max(most, daemon.memory("VmRSS"))
        group.same("bytes", (WHOLE_BYTES, 0), (place, wrong))
        group.true("VmRSS of the daemon", f"below {RESIDENT_MAX_BYTES}", 0 < most < RESIDENT_MAX_BYTES, most)
        seconds = time.monotonic() - begin
        group.notes.append(f"{seconds:.1f} s, {WHOLE_BYTES / seconds / GIB:.1f} GiB/s, VmRSS {most / MIB:.1f} MiB")


FAR_RANGES = [
    (0, 99), (2**31 - 40, 2**31 + 40), (2**32 - 40, 2**32 + 40), (2**32, 2**32), (2**32 + 4090, 2**32 + 5000),
    (2**33 - 33, 2**33 + 70),
    (FAR_BYTES - 70, FAR_BYTES - 1), (2**32 - MIB, 2**32 + MIB),
]


def check_far(daemon):
    with Group(f"parts of {FAR_BYTES} bytes") as group:
        client = daemon.client()
        head = client.ask("/far.bin", method="HEAD")
        group.same("HEAD", (200, str(FAR_BYTES)), (head.status, head.get("content-length")))
        spellings = [(f"bytes={first}-{last}", first, last) for first, last in FAR_RANGES]
        spellings += [(f"bytes={FAR_BYTES - 70}-", FAR_BYTES - 70, FAR_BYTES - 1), ("bytes=-1000", FAR_BYTES - 1000, FAR_BYTES - 1),
                      (f"bytes={FAR_BYTES - 70}-{2**64 + 5}", FAR_BYTES - 70, FAR_BYTES - 1)]
        for value, first, last in spellings:
            reply = client.ask("/far.bin", ("Range", value))
            group.same(value, (206, f"bytes {first}-{last}/{FAR_BYTES}"), (reply.status, reply.get("content-range")))
            group.same(f"{value}: content", expected_bytes(FAR_MARKS, first, last - first + 1), reply.content)
        for value in (f"bytes={FAR_BYTES}-", f"bytes={2**64}-", f"bytes={2**64 + 5}-{2**64 + 9}", f"bytes={2**63}-"):
            reply = client.ask("/far.bin", ("Range", value))
            group.same(value, (416, f"bytes */{FAR_BYTES}"), (reply.status, reply.get("content-range")))
        check_far_parts(group, client)
        # Parts of gigabytes: only their length is checked, and the end of the connection.
        several = Download(daemon.address, "/far.bin", ("Range", f"bytes={2**32}-{2**32 + 5},0-{FAR_BYTES - 2 * GIB}"))
        group.true("a part of gigabytes", "a length behind them all",
                   FAR_BYTES - 2 * GIB < several.length < FAR_BYTES - 2 * GIB + 2000, several.length)
        several.socket.close()
        group.true("VmRSS of the daemon", f"below {RESIDENT_MAX_BYTES}", daemon.memory("VmRSS") < RESIDENT_MAX_BYTES,
                   daemon.memory("VmRSS"))
        client.close()


def check_far_parts(group, client):
    """Ranges that do not touch, so that they are not merged."""
    wanted = [(2**32 - 40, 2**32 + 40), (0, 9), (FAR_BYTES - 70, FAR_BYTES - 60), (2**31 - 40, 2**31 + 40),
              (2**32 + 4090, 2**32 + 5000)]
    value = "bytes=" + ",".join(f"{first}-{last}" for first, last in wanted)
    reply = client.ask("/far.bin", ("Range", value))
    boundary = (reply.get("content-type") or "").partition("boundary=")[2].encode()
    if not group.true(value, "several parts", reply.status == 206 and boundary, reply):
        return
    pieces, rest = [], b"\r\n" + reply.content
    for first, last in wanted:
        head, _, rest = rest.partition(b"\r\n\r\n")
        group.true(f"{value}: head of a part", "boundary and Content-Range", head.startswith(b"\r\n--" + boundary + b"\r\n")
                   and f"Content-Range: bytes {first}-{last}/{FAR_BYTES}".encode() in head, head)
        pieces.append(rest[:last - first + 1])
        rest = rest[last - first + 1:]
    group.same(f"{value}: parts", [expected_bytes(FAR_MARKS, first, last - first + 1) for first, last in wanted], pieces)
    group.same(f"{value}: end", b"\r\n--" + boundary + b"--\r\n", rest)


# --- files that change -----------------------------------------------------------------------------------------------------


def letters(seed, size):
    """Different at each offset, so that bytes from a wrong offset are detected."""
    return random.Random(f"{SEED}{seed}").randbytes(size)


def check_replaced(daemon, root):
    with Group("replaced while it is sent") as group:
        old, new = letters("old", CHANGING_BYTES), letters("new", CHANGING_BYTES - 5)
        put(root, "replaced.bin", old)
        put(root, "replaced.next", new, OLD + 60)
        fields = [[], [("Range", f"bytes=1000-{CHANGING_BYTES - 2}")], [("Range", f"bytes=0-9,{MIB}-{CHANGING_BYTES - 100}")]]
        downloads = [Download(daemon.address, "/replaced.bin", *each, buffer_bytes=64 * KIB) for each in fields]
        tag = downloads[0].reply.get("etag")
        os.replace(root / "replaced.next", root / "replaced.bin")
        client = daemon.client()
        wait_for("the new file is seen", lambda: client.ask("/replaced.bin", method="HEAD").get("etag") != tag)
        group.same("the new file", True, client.ask("/replaced.bin").content == new)
        group.same("the range of the old tag", 200, client.ask("/replaced.bin", ("Range", "bytes=0-1"), ("If-Range", tag)).status)
        contents = [download.rest() for download in downloads]
        group.same("whole: the old file, all of it", True, contents[0] == old)
        group.same("a range: of the old file", True, contents[1] == old[1000:-1])
        group.same("ranges: as long as was said", downloads[2].length, len(contents[2]))
        group.true("ranges: of the old file", "all of it", old[MIB:CHANGING_BYTES - 99] in contents[2],
                   len(contents[2]))
        client.close()


def check_removed(daemon, root):
    with Group("removed while it is sent") as group:
        content = letters("removed", CHANGING_BYTES)
        put(root, "removed.bin", content)
        download = Download(daemon.address, "/removed.bin", buffer_bytes=64 * KIB)
        os.unlink(root / "removed.bin")
        client = daemon.client()
        wait_for("it is missed", lambda: client.ask("/removed.bin", method="HEAD").status == 404)
        group.same("all of it", True, download.rest() == content)
        client.close()


def check_cut(daemon, root):
    """The received bytes are the file's, and the connection ends before Content-Length is reached."""
    with Group("cut short while it is sent") as group:
        content, kept = letters("cut", CHANGING_BYTES), CHANGING_BYTES - 8 * MIB
        for fields in ([], [("Range", f"bytes=4096-{CHANGING_BYTES - 1}")], [("Range", f"bytes=0-9,4096-{CHANGING_BYTES - 1}")]):
            put(root, "cut.bin", content)
            client = daemon.client()
            wait_for("it is whole", lambda: client.ask("/cut.bin", method="HEAD").get("content-length") == str(CHANGING_BYTES))
            download = Download(daemon.address, "/cut.bin", *fields, buffer_bytes=64 * KIB)
            os.truncate(root / "cut.bin", kept)
            received = download.rest()
            group.true(f"{fields}", "less than announced", len(received) < download.length, (len(received), download.length))
            if len(fields) == 0:
                group.true("whole", "the bytes that are left, or some of them",
                           received == content[:len(received)] and 0 < len(received) <= kept, len(received))
            else:
                begin = received.find(content[4096:4096 + 64])
                group.true(f"{fields}", "bytes of the file only", begin >= 0 and content.startswith(received[begin:], 4096)
                           and len(received) - begin <= kept - 4096, (begin, len(received)))
            wait_for("its new length is told", lambda: client.ask("/cut.bin", method="HEAD").get("content-length") == str(kept))
            group.same("another file afterwards", 206, client.ask("/far.bin", ("Range", "bytes=0-9")).status)
            client.close()


def check_grown(daemon, root):
    with Group("grown while it is sent") as group:
        content = letters("grown", CHANGING_BYTES)
        put(root, "grown.bin", content)
        download = Download(daemon.address, "/grown.bin", buffer_bytes=64 * KIB)
        with open(root / "grown.bin", "ab") as file:
            file.write(b"more" * MIB)
        group.same("as long as was said", True, download.rest() == content)


def check_slow_clients(daemon, root):
    """Many clients that have read little: the rest is in the file, not in memory."""
    with Group("50 clients that do not read") as group:
        content = letters("slow", CHANGING_BYTES)
        put(root, "slow.bin", content)
        downloads = [Download(daemon.address, "/slow.bin", buffer_bytes=16 * KIB) for _ in range(50)]
        group.true("VmRSS of the daemon", f"below {RESIDENT_MAX_BYTES}", daemon.memory("VmRSS") < RESIDENT_MAX_BYTES,
                   daemon.memory("VmRSS"))
        group.same("one of them", True, downloads[25].rest() == content)
        for download in downloads:
            download.socket.close()
        client = Client(daemon.address)
        group.same("another client", 206, client.ask("/slow.bin", ("Range", "bytes=0-9")).status)
        client.close()


def main():
    # /tmp may be in memory, which reading holes would fill.
    where = {"dir": "/var/tmp"} if os.access("/var/tmp", os.W_OK) else {}
    with temporary_folder(**where) as folder:
        root = folder / "root"
        if not make_sparse(root / "far.bin", FAR_BYTES, FAR_MARKS) or not make_sparse(root / "whole.bin", WHOLE_BYTES, WHOLE_MARKS):
            raise SystemExit("the file system of /var/tmp has no sparse files")
        with running(Daemon(root)) as daemon:
            check_whole(daemon)
            check_far(daemon)
            check_replaced(daemon, root)
            check_removed(daemon, root)
            check_cut(daemon, root)
            check_grown(daemon, root)
            check_slow_clients(daemon, root)
    end_with_verdict()


if __name__ == "__main__":
    main()
