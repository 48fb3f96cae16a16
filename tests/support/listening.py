"""Clients of realtime as a browser has them, to the byte."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Stream:
    """One response of server-sent events, read by hand.

    Attributes:
        status: The status.
        headers: The headers, by names in lower case.
        position: The last id, as an `EventSource` keeps it.
        comments: How many comments came.
        retry: The milliseconds after which to come back.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    position: str = ""
    comments: int = 0
    retry: int = 0
    _rest: bytes = b""

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int, path: str, **headers: str) -> AsyncIterator[Stream]:
        """Ask, and read the head; hang up at the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        stream = cls(reader, writer)
        lines = [f"GET {path} HTTP/1.1", "Host: test", "Accept: text/event-stream"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *rest = head.strip().split("\r\n")
            stream.status = int(first.split()[1])
            stream.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
            yield stream
        finally:
            writer.transport.abort()

    async def body(self) -> Any:
        """Read a body of known length as JSON."""
        return json.loads(await self.reader.readexactly(int(self.headers["content-length"])))

    async def block(self) -> bytes | None:
        """Read up to the next empty line; `None` at the end of the response."""
        while b"\n\n" not in self._rest:
            size = int(await self.reader.readline(), 16)
            self._rest += (await self.reader.readexactly(size + 2))[:-2]
            if size == 0:
                return None
        found, _, self._rest = self._rest.partition(b"\n\n")
        return found

    async def event(self) -> tuple[str, Any] | None:
        """Read up to the next event, as an `EventSource` does; `None` at the end of the response."""
        while True:
            block = await self.block()
            if block is None:
                return None
            name, data = "message", None
            for line in block.decode().split("\n"):
                word, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if word == "id":
                    self.position = value
                elif word == "event":
                    name = value
                elif word == "data":
                    data = json.loads(value)
                elif word == "retry":
                    self.retry = int(value)
                else:
                    assert word == ""
                    self.comments += 1
            if data is not None:
                return name, data

    async def events(self, count: int) -> list[Any]:
        """Read so many events; of each its data."""
        found: list[Any] = []
        async with asyncio.timeout(20):
            while len(found) < count:
                event = await self.event()
                assert event is not None, "the stream has ended"
                found.append(event[1])
        return found
