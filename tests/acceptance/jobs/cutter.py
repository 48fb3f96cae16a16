"""A proxy in front of a Redis that knows commands: it names each, counts them, and strikes at the one it is told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeAlias

import hiredis

from rustforge.jobs.scripts import load

if TYPE_CHECKING:
    from collections.abc import Callable

Side: TypeAlias = Literal["before", "after", "late"]
"""Whether the connection is cut before the command reaches the server, after it ran but before its answer is passed on,
or before it, and the command reaches the server all the same, when the client has long given it up."""

_SCRIPTS = {
    load(name.removesuffix(".lua")).digest: name.removesuffix(".lua")
    for name in (entry.name for entry in resources.files("rustforge.jobs").joinpath("lua").iterdir())
    if name.endswith(".lua") and name != "common.lua"
}
_HANDSHAKE = {"HELLO", "CLIENT", "SELECT", "AUTH", "PING"}
_LATE_SECONDS = 0.15


class Point(NamedTuple):
    """A place in the traffic: the n-th command with a name."""

    name: str
    number: int


@dataclass(frozen=True)
class Strike:
    """What to do, and where.

    Attributes:
        point: Where.
        side: On which side of the command.
        kill: Called there, such as to kill the process; the connection is cut too.
    """

    point: Point
    side: Side
    kill: Callable[[], None] | None = None


class Cutter:
    """Passes connections on to a server of this machine, command by command.

    Attributes:
        port: Where it listens.
        seen: How often each command came.
        struck: Whether the place was reached.
    """

    def __init__(self, target: int, strike: Strike | None = None) -> None:
        """Name the server's port; nothing listens yet."""
        self.port = 0
        self.seen: Counter[str] = Counter()
        self.struck = False
        self._target = target
        self._strike = strike
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut everything."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection; it is closed at the end, also where that comes before it was begun."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await _Connection(self, reader, writer).carry(self._target)

    def meet(self, command: list[bytes]) -> Strike | None:
        """Count a command; return the strike if it is the one."""
        name = name_of(command)
        if name is None:
            return None
        self.seen[name] += 1
        strike = self._strike
        if strike is None or self.struck or Point(name, self.seen[name]) != strike.point:
            return None
        self.struck = True
        return strike


class _Connection:
    """One connection through the proxy."""

    def __init__(self, owner: Cutter, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._owner = owner
        self._reader = reader
        self._writer = writer
        self._sent = 0
        self._answered = 0
        self._last: int | None = None
        self._struck: Strike | None = None

    async def carry(self, port: int) -> None:
        upstream, server = await asyncio.open_connection("127.0.0.1", port)
        pumps = [asyncio.create_task(self._up(server)), asyncio.create_task(self._down(upstream))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            self._writer.transport.abort()
            if self._struck is not None and self._struck.side == "late":
                await asyncio.sleep(_LATE_SECONDS)
                server.write(self._held)
                await server.drain()
                await asyncio.sleep(_LATE_SECONDS / 3)
        finally:
            for pump in pumps:
                pump.cancel()
            server.transport.abort()
            self._writer.transport.abort()
            await asyncio.gather(*pumps, server.wait_closed(), self._writer.wait_closed(), return_exceptions=True)

    async def _up(self, server: asyncio.StreamWriter) -> None:
        parser = hiredis.Reader()
        while data := await self._reader.read(65_536):
            parser.feed(data)
            while (command := parser.gets()) is not False:
                strike = self._owner.meet(command)
                if strike is not None and strike.side != "after":
                    self._struck, self._held = strike, pack(command)
                    self._hit(strike)
                    return
                self._sent += 1
                if strike is not None:
                    self._struck, self._last = strike, self._sent
                server.write(pack(command))
                await server.drain()
                if strike is not None:
                    await asyncio.sleep(10)  # what follows is lost; the answer ends it

    async def _down(self, upstream: asyncio.StreamReader) -> None:
        parser = hiredis.Reader()
        while data := await upstream.read(65_536):
            parser.feed(data)
            while (answer := parser.gets()) is not False:
                self._answered += type(answer) is not hiredis.PushNotification
            if self._last is not None and self._answered >= self._last:
                assert self._struck is not None
                self._hit(self._struck)
                return
            self._writer.write(data)
            await self._writer.drain()

    @staticmethod
    def _hit(strike: Strike) -> None:
        if strike.kill is not None:
            strike.kill()


def name_of(command: list[bytes]) -> str | None:
    """Name a command by what it does, without what differs from run to run; nothing for a handshake."""
    word = command[0].decode().upper()
    if word in _HANDSHAKE:
        return None
    if word in {"EVALSHA", "EVAL"}:
        digest = command[1].decode() if word == "EVALSHA" else load_digest(command[1])
        script = _SCRIPTS.get(digest, "?")
        arguments = [one.decode(errors="replace") for one in command[4:]]
        what = f"{script} {_detail(script, arguments)}".strip()
        return what if word == "EVALSHA" else f"{what} (source)"
    suffix = command[1].decode(errors="replace").partition("}:")[2].split(":")[0] if len(command) > 1 else ""
    return f"{word} {suffix}".strip()


def load_digest(source: bytes) -> str:
    """Find the digest of a script's source."""
    return next((digest for digest, name in _SCRIPTS.items() if load(name).source.encode() == source), "?")


def _detail(script: str, args: list[str]) -> str:
    if script in {"worker", "manage"}:
        return args[0]
    if script == "settle":
        return _settled(args)
    if script == "enqueue":
        return "once" if args[2] == "1" else ""
    if script == "cron":
        return "fire" if args[2] else "ask"
    return ""


def _settled(args: list[str]) -> str:
    """Tell what a settle is about: the kinds of outcomes, and whether it claims."""
    at = 3 + int(args[2])
    words = {"done"} if int(args[2]) else set[str]()
    grouped = int(args[at])
    words |= {"grouped"} if grouped else set()
    at += 1 + 2 * grouped
    words |= {args[place] for place in range(at, len(args), 4)}
    words |= {"claim"} if args[1] != "0" else set()
    return "+".join(sorted(words))


def pack(command: list[bytes]) -> bytes:
    """Write a command as clients send it."""
    return b"*%d\r\n" % len(command) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in command])
