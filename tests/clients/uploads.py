# SPDX-License-Identifier: MIT
"""Shared by the clients in Python: their arguments, the content, and a line of output for each upload."""

PATIENCE_SECONDS = 60
PIECE = 8192


def arguments(argv):
    """URL METHOD BYTES length|chunked COUNT [NAME=VALUE]..."""
    url, method, size, framing, count = argv[1:6]
    return url, method, int(size), framing, int(count), dict(field.split("=", 1) for field in argv[6:])


def pieces(size):
    while size > 0:
        yield bytes(min(size, PIECE))
        size -= PIECE


def repeat(count, upload):
    """Prints the status of each upload, or the error that the client reports."""
    for _ in range(count):
        try:
            print(upload(), flush=True)
        except Exception as error:  # a client may raise whatever it likes
            print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)
