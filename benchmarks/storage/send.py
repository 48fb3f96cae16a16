"""The process that uploads a file as a browser does: a form, over one connection, as fast as it is taken."""

from __future__ import annotations

import socket
import sys
from time import perf_counter
from typing import Any

from benchmarks.children import READY, say
from benchmarks.storage.content import PIECE, pieces

BOUNDARY = "the-end-of-a-part"
FORM_HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="report.pdf"\r\n'
    "Content-Type: application/pdf\r\n\r\n"
).encode()
FORM_TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


def work(*, port: int, size: int) -> dict[str, Any]:
    """In a child: connect, wait to be told, and send.

    Returns:
        The seconds until the answer was there, and its body.
    """
    with socket.create_connection(("127.0.0.1", port)) as connection:
        say(READY)
        sys.stdin.readline()
        began = perf_counter()
        head = (
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Content-Length: {len(FORM_HEAD) + size + len(FORM_TAIL)}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        )
        connection.sendall(head.encode() + FORM_HEAD)
        for piece in pieces(size):
            connection.sendall(piece)
        connection.sendall(FORM_TAIL)
        answer = bytearray()
        while received := connection.recv(PIECE):
            answer += received
        seconds = perf_counter() - began
    first, _, body = bytes(answer).partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 "), first
    return {"seconds": seconds, "body": body.decode()}
