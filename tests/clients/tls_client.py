#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tls_client.py URL CERTIFICATE COUNT: http.client of Python, each request on a connection of its own. Prints status and body of each."""
import http.client
import ssl
import sys
import urllib.parse

url, certificate, count = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2], int(sys.argv[3])
context = ssl.create_default_context(cafile=certificate)
session = None


class Connection(http.client.HTTPSConnection):
    def connect(self):
        http.client.HTTPConnection.connect(self)
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host, session=session)


for _ in range(count):
    connection = Connection(url.hostname, url.port, context=context)
    connection.request("GET", url.path)
    sock = connection.sock
    response = connection.getresponse()
    print(response.status, response.read().decode())
    session = sock.session
    connection.close()
