# SPDX-License-Identifier: MIT
"""What a right answer is, and whether a server gave it."""

import dataclasses
import http.client

from machine import Failure


@dataclasses.dataclass(frozen=True)
class Answer:
    """The only right one, apart from header fields that servers may choose."""

    content: bytes
    content_type: str = "application/json"
    status: int = 200

    def check(self, status, content_type, content):
        if (status, content_type) != (self.status, self.content_type):
            raise Failure(f"answers {status} {content_type}: {content[:80]!r}")
        if len(content) != len(self.content):
            raise Failure(f"answers with {len(content)} bytes of content, not {len(self.content)}: {content[:80]!r}")
        if content != self.content:
            at = next(i for i, (got, right) in enumerate(zip(content, self.content)) if got != right)
            raise Failure(f"answers with wrong content from byte {at} on: {content[at:at + 80]!r}")


def read_answer(reader):
    """One response of several on a connection, which http.client cannot read by itself: it takes the stream along."""
    words = reader.readline().split()
    if len(words) < 2 or not words[1].isdigit():
        raise Failure(f"no status line but {words}")
    headers = http.client.parse_headers(reader)
    return int(words[1]), headers.get_content_type(), reader.read(int(headers["Content-Length"] or 0))
