"""The process that asks: as many connections as requests are under way, each sends the next one after its answer."""

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter
from typing import Any, cast

from benchmarks.children import READY, say


class Turn:
    """The requests of one application's turn.

    Attributes:
        request: The bytes of one request.
        left: How many are yet to be sent.
        waiting: How many connections wait for an answer.
        done: Set when the last answer is there.
    """

    def __init__(self, path: str) -> None:
        """Write the request."""
        self.request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n".encode()
        self.left = self.waiting = 0
        self.done: asyncio.Future[None]

    async def run(self, connections: list[Connection], requests: int) -> None:
        """Send so many requests over connections that stay open."""
        self.done = asyncio.get_running_loop().create_future()
        self.left = requests
        self.waiting = len(connections)
        for connection in connections:
            self.go_on(connection)
        await self.done

    def go_on(self, connection: Connection) -> None:
        """Send the next request, if there is one."""
        if self.left:
            self.left -= 1
            connection.transport.write(self.request)
            return
        self.waiting -= 1
        if not self.waiting:
            self.done.set_result(None)

    def fail(self, text: str) -> None:
        """Give up."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(text))


class Connection(asyncio.Protocol):
    """A connection that waits for the whole answer, and knows it by its length."""

    transport: asyncio.WriteTransport

    def __init__(self, turn: Turn) -> None:
        """Say whose requests it sends."""
        self.turn = turn
        self.head = self.body = b""
        self._received = bytearray()
        self._length = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to write."""
        self.transport = cast("asyncio.WriteTransport", transport)  # uvloop's do not inherit from it

    def data_received(self, data: bytes) -> None:
        """Collect an answer; its length is that of the first one."""
        self._received += data
        if not self._length:
            head, end, _ = bytes(self._received).partition(b"\r\n\r\n")
            if not end:
                return
            found = {name.lower(): value for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n"))}
            self._length = len(head) + 4 + int(found[b"content-length"])
            self.head = head
        if len(self._received) < self._length:
            return
        if len(self._received) > self._length or not self._received.startswith(b"HTTP/1.1 200 "):
            self.turn.fail(f"an answer begins with {bytes(self._received[:100])!r}")
            return
        self.body = bytes(self._received[len(self.head) + 4 :])
        self._received.clear()
        self.turn.go_on(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the server hung up, unless all is done."""
        self.turn.fail(f"the server hung up: {exc}")


def work() -> None:
    """In a child: take turns, as often as told."""
    import uvloop  # noqa: PLC0415 - the parent has no use for it

    say(READY)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            say(json.dumps(runner.run(take_turn(**json.loads(line)))))


async def take_turn(*, port: int, path: str, clock: int, requests: int, connections: int) -> dict[str, Any]:
    """Ask one application; one request of each connection goes before, uncounted.

    Args:
        port: The application's port.
        path: What is asked for.
        clock: The port that tells the processor time of the server's process.
        requests: How many requests are counted.
        connections: How many of them are under way at a time.

    Returns:
        Requests a second, microseconds of the server's processor time for each, and the body of an answer.
    """
    turn, tick = Turn(path), Turn("/")
    opened = [await _open(port, turn) for _ in range(connections)]
    [watch] = [await _open(clock, tick)]
    try:
        await turn.run(opened, connections)
        before = await _read(watch)
        began = perf_counter()
        await turn.run(opened, requests)
        seconds = perf_counter() - began
        cpu = await _read(watch) - before
    finally:
        for connection in (*opened, watch):
            connection.transport.abort()
    return {"speed": requests / seconds, "cpu": cpu / 1000 / requests, "body": opened[0].body.decode()}


async def _open(port: int, turn: Turn) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(turn), "127.0.0.1", port)
    return connection


async def _read(watch: Connection) -> int:
    await watch.turn.run([watch], 1)
    return int(watch.body)
