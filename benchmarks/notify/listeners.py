"""The process that has the clients: as many streams as there are browsers, and when each message came to each."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any, cast

from benchmarks.children import run, say
from benchmarks.notify.streams import CHANNEL, allow_many_files

if TYPE_CHECKING:
    from collections.abc import Callable

_AT_ONCE = 50
_PAYLOAD = re.compile(rb'"number": ?(\d+), ?"at": ?(\d+)')
"""What a message says: it is searched for, as reading all of the JSON would take the processor from the server."""


class Listener(asyncio.Protocol):
    """One client.

    Attributes:
        numbers: The numbers of the messages that came, in order.
        late: How many nanoseconds after its publishing each came.
        position: The last id.
    """

    transport: asyncio.WriteTransport

    def __init__(self, heard: Callable[[], None]) -> None:
        """Say what is called when something came."""
        self.numbers: list[int] = []
        self.late: list[int] = []
        self.position = b""
        self.open = False
        self._heard = heard
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to write."""
        self.transport = cast("asyncio.WriteTransport", transport)

    def ask(self) -> None:
        """Ask for the stream, from where this client is."""
        known = b"Last-Event-ID: " + self.position + b"\r\n" if self.position else b""
        self.transport.write(b"GET /realtime/%b HTTP/1.1\r\nHost: bench\r\n%b\r\n" % (CHANNEL.encode(), known))

    def data_received(self, data: bytes) -> None:
        """Take the messages that are complete."""
        now = time.monotonic_ns()
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            self.open = True  # the server's first words
            for line in block.split(b"\n"):
                if line.startswith(b"id: "):
                    self.position = line[4:]
                elif line.startswith(b"data: ") and (found := _PAYLOAD.search(line)):
                    self.numbers.append(int(found[1]))
                    self.late.append(now - int(found[2]))
        self._heard()


class Crowd:
    """All clients of the process."""

    def __init__(self, clients: int) -> None:
        """Make them."""
        self._changed = asyncio.Event()
        self.listeners = [Listener(self._changed.set) for _ in range(clients)]

    async def connect(self, port: int) -> None:
        """Open all streams, some at a time, and wait for the server's first words on each."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(self.listeners), _AT_ONCE):
            some = self.listeners[start : start + _AT_ONCE]
            for one in some:
                one.open, one._rest = False, b""  # noqa: SLF001 - of this module
                await loop.create_connection(lambda one=one: one, "127.0.0.1", port)  # type: ignore[misc]
                one.ask()
            await self.wait(lambda some=some: all(one.open for one in some))  # type: ignore[misc]

    async def wait(self, predicate: Callable[[], bool]) -> None:
        """Wait until something holds that depends on what came."""
        while not predicate():
            self._changed.clear()
            await self._changed.wait()

    async def hear(self, count: int) -> dict[str, Any]:
        """Wait until each client has so many messages more, and tell of them."""
        await self.wait(lambda: all(len(one.numbers) >= count for one in self.listeners))
        wrong = sum(one.numbers != list(range(one.numbers[0], one.numbers[0] + count)) for one in self.listeners)
        late = sorted(late for one in self.listeners for late in one.late)
        for one in self.listeners:
            one.numbers.clear()
            one.late.clear()
        return {
            "wrong": wrong,
            "p50": late[len(late) // 2] / 1e6,
            "p99": late[len(late) * 99 // 100] / 1e6,
            "last": late[-1] / 1e6,
        }

    def leave(self) -> None:
        """Hang up."""
        for one in self.listeners:
            one.transport.abort()


def work(*, port: int, clients: int) -> None:
    """In a child: do what each line says, and tell what came of it."""
    allow_many_files()
    run(_listen(port, clients))


async def _listen(port: int, clients: int) -> None:
    crowd = Crowd(clients)
    while line := await asyncio.to_thread(sys.stdin.readline):
        what, _, count = line.strip().partition(" ")
        if what == "connect":
            await crowd.connect(port)
            say("{}")
        elif what == "hear":
            say(json.dumps(await crowd.hear(int(count))))
        else:
            crowd.leave()
            say("{}")
