"""The process that takes webhooks: as fast as it can, so that it is not what is measured."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

from benchmarks.children import run, say

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Receiver(asyncio.Protocol):
    """A connection over which requests come, one after the other.

    Attributes:
        heads: The heads of all requests to this process, until they are asked for.
    """

    heads: list[bytes]
    transport: asyncio.WriteTransport

    def __init__(self, heads: list[bytes]) -> None:
        """Start with nothing."""
        self.heads = heads
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to write."""
        self.transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            length = int(_field(head, b"content-length"))
            if len(rest) < length:
                return
            self.heads.append(head)
            self._received = rest[length:]
            self.transport.write(_ANSWER)


def _field(head: bytes, name: bytes) -> bytes:
    found = head.lower().partition(b"\r\n" + name + b":")[2]
    return found.partition(b"\r\n")[0].strip()


def _tell(heads: list[bytes]) -> str:
    """Say how many requests came since the last time, how many of them were different, and their headers' names."""
    seen = {(head.partition(b" HTTP")[0], _field(head, b"webhook-id")) for head in heads}
    names = {line.partition(b":")[0].lower().decode() for head in heads[:1] for line in head.split(b"\r\n")[1:]}
    return json.dumps({"requests": len(heads), "different": len(seen), "headers": sorted(names)})


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    heads: list[bytes] = []
    server = await loop.create_server(lambda: Receiver(heads), "127.0.0.1", 0, backlog=1024)
    say(json.dumps(server.sockets[0].getsockname()[1]))
    while await asyncio.to_thread(sys.stdin.readline):
        say(_tell(heads))
        heads.clear()


def work() -> None:
    """In a child: say the port, take requests, and tell of them for each line that comes."""
    run(_serve())
