#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""http_client.py URL METHOD BYTES length|chunked COUNT [NAME=VALUE]: http.client of Python's library."""
import http.client
import sys
import urllib.parse

import uploads

url, method, size, framing, count, fields = uploads.arguments(sys.argv)
parts = urllib.parse.urlsplit(url)


def upload():
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=uploads.PATIENCE_SECONDS)
    try:
        if framing == "chunked":
            connection.request(method, parts.path, uploads.pieces(size), fields, encode_chunked=True)
        else:
            connection.request(method, parts.path, bytes(size), fields)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


uploads.repeat(count, upload)
