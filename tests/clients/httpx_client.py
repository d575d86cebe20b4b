#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""httpx_client.py URL METHOD BYTES length|chunked COUNT [NAME=VALUE]: httpx."""
import sys

import httpx

import uploads

url, method, size, framing, count, fields = uploads.arguments(sys.argv)


def upload():
    content = uploads.pieces(size) if framing == "chunked" else bytes(size)
    return httpx.request(method, url, content=content, headers=fields, timeout=uploads.PATIENCE_SECONDS).status_code


uploads.repeat(count, upload)
