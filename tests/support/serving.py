"""A real server for an application, in the test's own loop, and clients that send what no library would."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


@asynccontextmanager
async def serve(app: Any, ws: Any = "none") -> AsyncIterator[int]:
    """Run an application under uvicorn, and give its port; `ws` is what speaks WebSocket."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws=ws, timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listener]))
        await wait_until(lambda: server.started or running.done())
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await running


class Raw:
    """A connection over which bytes are sent as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def connect(cls, port: int) -> AsyncIterator[Raw]:
        """Connect, and hang up at the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def send(self, *pieces: bytes) -> None:
        """Send bytes."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    async def head(self, path: str, **headers: str) -> None:
        """Begin a POST; `_` in a header's name stands for `-`."""
        lines = [f"POST {path} HTTP/1.1", "Host: test", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def chunks(self, pieces: Iterable[bytes]) -> None:
        """Send pieces of a body whose length nobody knows, without its end."""
        for piece in pieces:
            await self.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read the response: its status, headers and body."""
        head, _, body = (await self._reader.read()).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(first.split()[1]), headers, body

    def abort(self) -> None:
        """Hang up without a word."""
        self._writer.transport.abort()
