#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""urllib_client.py URL METHOD BYTES length|chunked COUNT [NAME=VALUE]: urllib.request of Python's library."""
import sys
import urllib.error
import urllib.request

import uploads

url, method, size, framing, count, fields = uploads.arguments(sys.argv)


def upload():
    content = uploads.pieces(size) if framing == "chunked" else bytes(size)
    request = urllib.request.Request(url, content, fields, method=method)
    try:
        with urllib.request.urlopen(request, timeout=uploads.PATIENCE_SECONDS) as response:
            response.read()
            return response.status
    except urllib.error.HTTPError as error:
        error.read()
        return error.code


uploads.repeat(count, upload)
