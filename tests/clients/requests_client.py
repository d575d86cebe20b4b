#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""requests_client.py URL METHOD BYTES length|chunked COUNT [NAME=VALUE]: requests."""
import sys

import requests

import uploads

url, method, size, framing, count, fields = uploads.arguments(sys.argv)


def upload():
    content = uploads.pieces(size) if framing == "chunked" else bytes(size)
    return requests.request(method, url, data=content, headers=fields, timeout=uploads.PATIENCE_SECONDS).status_code


uploads.repeat(count, upload)
