"""The server that is measured against: a process of the run's own, without persistence."""

from __future__ import annotations

import socket
from typing import Any

import hiredis

from rustforge.redis.multiplexer import pack
from tests.support.servers import RedisServer

__all__ = ["RedisServer", "ask"]


def ask(port: int, *commands: tuple[str | int, ...]) -> list[Any]:
    """Send commands over a socket of their own and return the replies."""
    reader = hiredis.Reader()
    replies: list[Any] = []
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"".join([pack(*command) for command in commands]))
        while len(replies) < len(commands):
            reader.feed(connection.recv(1 << 16))
            while (reply := reader.gets()) is not False:
                replies.append(reply)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
