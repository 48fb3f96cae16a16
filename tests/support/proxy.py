"""A TCP proxy in front of a server that does what networks do: cut at any byte, delay, dribble, stall, refuse."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

_CHUNK = 65_536


async def until(predicate: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until the predicate holds, for what no event tells of."""
    async with asyncio.timeout(seconds):
        while not predicate():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def serving(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve a made-up server on a free port, which is given, and leave no connection of it behind."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await handle(reader, writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            writer.close()
            await writer.wait_closed()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class Plan:
    """What happens to one connection.

    Attributes:
        cut_up: Cut it once so many bytes went from the client to the server.
        cut_down: Cut it once so many bytes went from the server to the client.
        piece: Pass on at most so many bytes at a time.
        delay: Seconds to wait before each piece.
        reset: Cut with a TCP reset, which discards what is on its way, and not with an orderly end.
    """

    cut_up: int | None = None
    cut_down: int | None = None
    piece: int = _CHUNK
    delay: float = 0.0
    reset: bool = False


class Proxy:
    """Passes connections on to a port of this machine, each by its plan.

    Attributes:
        plans: One for each connection to come, in order; those after them get `default`.
        default: The plan of every further connection.
        up: Sizes of what was read from clients, a number for each read.
        down: Everything that was passed on to clients.
        passed: Bytes passed on, both ways, all connections together.
        inject: Bytes that go to the client before and after the next ones of the server, once.
        on_pass: Called with `passed` after each piece.
        accepted: How many connections were made.
    """

    def __init__(self, target: int, *plans: Plan, tls: ssl.SSLContext | None = None) -> None:
        """Name the server's port; nothing listens yet."""
        self.port = 0
        self.plans = deque(plans)
        self.default = Plan()
        self.up: list[int] = []
        self.down = bytearray()
        self.passed = 0
        self.inject = (b"", b"")
        self.on_pass: Callable[[int], None] = lambda _: None
        self.accepted = 0
        self._target = target
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut everything and stop listening."""
        self.refuse()
        await self.cut()

    async def accept(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Refuse new connections; those that exist go on."""
        if self._server is not None:
            self._server.close()

    def stall(self) -> None:
        """Pass nothing on, and leave all connections open, as a black hole does."""
        self._flowing.clear()

    def flow(self) -> None:
        """Pass on again."""
        self._flowing.set()

    async def cut(self) -> None:
        """Cut all connections that exist."""
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on; being cut is its normal end."""
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._carry(reader, writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on until either side ends, or its plan says to."""
        self.accepted += 1
        plan = self.plans.popleft() if self.plans else self.default
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        ends = [writer]
        pumps: list[asyncio.Task[None]] = []
        try:
            if 0 in {plan.cut_up, plan.cut_down}:
                return
            upstream, server = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(server)
            pumps.append(asyncio.create_task(self._pump(reader, server, plan, up=True)))
            pumps.append(asyncio.create_task(self._pump(upstream, writer, plan, up=False)))
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in ends:
                _close(end, reset=plan.reset)
            try:
                closing = asyncio.gather(*pumps, *[end.wait_closed() for end in ends], return_exceptions=True)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closing, 1)
            finally:
                for end in ends:
                    end.transport.abort()
                self._connections.discard(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, plan: Plan, *, up: bool) -> None:
        """Pass bytes on in one direction, up to the plan's limit."""
        limit = plan.cut_up if up else plan.cut_down
        passed = 0
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                if up:
                    self.up.append(len(data))
                for start in range(0, len(data), plan.piece):
                    piece = data[start : start + plan.piece]
                    if plan.delay:
                        await asyncio.sleep(plan.delay)
                    await self._flowing.wait()
                    if limit is not None:
                        piece = piece[: limit - passed]
                    if not up:
                        piece = self.inject[0] + piece + self.inject[1]
                        self.inject = (b"", b"")
                    sink.write(piece)
                    await sink.drain()
                    await asyncio.sleep(0)
                    passed += len(piece)
                    self.passed += len(piece)
                    if not up:
                        self.down += piece
                    self.on_pass(self.passed)
                    if passed == limit:
                        return


def _close(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """End a connection: in order, with what was written still delivered, or by a reset."""
    connection = writer.get_extra_info("socket")
    if reset and connection is not None and not writer.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    writer.close()
