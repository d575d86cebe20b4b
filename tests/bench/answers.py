# SPDX-License-Identifier: MIT
"""The correct answer, and the check of what a server sends."""

import dataclasses
import http.client

from machine import Failure


@dataclasses.dataclass(frozen=True)
class Answer:
    """Status, content type and body must be these; other headers may differ."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200

    def check(self, status, content_type, body):
        if (status, content_type) != (self.status, self.content_type):
            raise Failure(f"answers {status} {content_type}: {body[:80]!r}")
        if len(body) != len(self.body):
            raise Failure(f"answers with a body of {len(body)} bytes, not {len(self.body)}: {body[:80]!r}")
        if body != self.body:
            at = next(i for i, (got, right) in enumerate(zip(body, self.body)) if got != right)
            raise Failure(f"answers with a body that is wrong from byte {at} on: {body[at:at + 80]!r}")


def read_answer(reader):
    """One of several responses on a connection. http.client.HTTPResponse would read ahead into the next one."""
    words = reader.readline().split()
    if len(words) < 2 or not words[1].isdigit():
        raise Failure(f"no status line but {words}")
    headers = http.client.parse_headers(reader)
    return int(words[1]), headers.get_content_type(), reader.read(int(headers["Content-Length"] or 0))
