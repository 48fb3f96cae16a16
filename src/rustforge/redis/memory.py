"""The client of `memory://`: a Redis in this process, with the same commands, replies and scripts.

Nothing leaves the process and nothing is kept after it. All clients of one URL that are open share one store, so a
cache and a job queue see the same data; the last one that closes takes the data with it.

The commands are those that Rustforge uses, with the replies and errors of Redis 7; the conformance tests compare them
with real servers. What it does not have: persistence, eviction, other processes, and a limit on how long a script runs.
"""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop  # the form that returns None and does not raise
from typing import TYPE_CHECKING, Any, Self, cast

from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import InvalidArgumentError, RedisClosedError, RedisReplyError
from rustforge.redis.client import RedisClient
from rustforge.redis.commands import UNSHAREABLE, refusal
from rustforge.redis.embedded.database import Database, Listener
from rustforge.redis.embedded.pipeline import run_all
from rustforge.redis.embedded.registry import encode, execute
from rustforge.redis.embedded.scripting import run_script
from rustforge.redis.embedded.standard import COMMANDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from rustforge.clock import Clock
    from rustforge.redis.script import Script
    from rustforge.redis.url import RedisUrl
    from rustforge.types import CommandArgument

__all__ = ["MemoryClient"]

_NAME_AND_KEY = 2
_CALLS_PER_TICK = 128
_EXPIRED_PER_TICK = 1000


class _Store:
    """The data behind one `memory://` URL, while a client of it is open."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self.loop = loop
        self.clock = clock
        self.clients = 0
        self.database = Database(clock)
        self.database.on_nearest = self._wake
        self._timer: asyncio.TimerHandle | None = None
        self._alarm = 0

    def announce(self) -> None:
        """Tell who waits for it what changed."""
        database = self.database
        while database.notices:
            notices, database.notices = database.notices, []
            for listener, key in notices:
                listener(None if key is None else [key])

    def close(self) -> None:
        """Free the data; the timer must not outlive the clients."""
        if self._timer is not None:
            self._timer.cancel()
        self.database.on_nearest = None
        self.database.clear()

    def _wake(self, when: int) -> None:
        """Remove what expires at that time, then."""
        if self._timer is not None:
            if when >= self._alarm:
                return
            self._timer.cancel()
        self._alarm = when
        self._timer = self.loop.call_later(max(when - self.database.now(), 1) / 1000, self._expire)

    def _expire(self) -> None:
        self._timer = None
        when = self.database.expire_due(_EXPIRED_PER_TICK)
        if when is not None:
            self._wake(when)
        self.announce()


_STORES: dict[str, _Store] = {}


class MemoryClient(RedisClient):
    """A client of the store that this process keeps for `memory://` or `memory://name`.

    A command runs at once, within the call; its awaitable is done unless many calls came without a break, so that a
    task which only calls does not keep the event loop from all others.
    """

    def __init__(self, url: RedisUrl, clock: Clock = SYSTEM_CLOCK) -> None:
        """Remember the URL; the store is made or joined with the first command.

        Args:
            url: The store's URL.
            clock: What expiry goes by; all clients of a store have the same.
        """
        super().__init__(url)
        self._clock = clock
        self._store: _Store | None = None
        self._closed = False
        self._loop = cast("asyncio.AbstractEventLoop", self)  # equals no loop until the client is open
        self._database = cast("Database", None)
        self._calls = 0
        self._more_commands = 0
        self._connects = 0
        self._late: list[tuple[asyncio.Future[Any], Any]] = []

    # -- commands ------------------------------------------------------------------------------------------------

    def call(self, *args: CommandArgument, retry: bool = False) -> Awaitable[Any]:  # noqa: ARG002 - it always runs
        """Run one command; see [`RedisClient.call`][rustforge.redis.RedisClient.call]."""
        if _get_running_loop() is not self._loop:
            self._attach()
        command = COMMANDS.get(args[0])  # type: ignore[arg-type]
        if command is None or not command.fewest <= len(args) <= command.most:
            if args[0] in UNSHAREABLE:
                raise refusal(args[0])
            return self._answer(execute, args)
        try:
            if len(args) == _NAME_AND_KEY:
                word = args[1]
                reply = command.function(self._database, word if type(word) is bytes else encode(word))
            else:
                words = [word if type(word) is bytes else encode(word) for word in args[1:]]
                reply = command.function(self._database, *words)
        except RedisReplyError as error:
            reply = error
            self._calls += 1
        else:
            self._calls = calls = self._calls + 1
            if calls % _CALLS_PER_TICK and not self._late and not self._database.notices:
                future = self._loop.create_future()
                future.set_result(reply)
                return future
        return self._settle(reply)

    def pipeline(
        self,
        commands: Sequence[Sequence[CommandArgument]],
        *,
        retry: bool = False,  # noqa: ARG002 - it always runs
    ) -> Awaitable[list[Any]]:
        """Run several commands; see [`RedisClient.pipeline`][rustforge.redis.RedisClient.pipeline]."""
        self._more_commands += len(commands) - 1
        return self._answer(run_all, commands)

    def run(
        self,
        script: Script,
        keys: Sequence[CommandArgument],
        args: Sequence[CommandArgument] = (),
        *,
        retry: bool = False,  # noqa: ARG002 - it always runs
    ) -> Awaitable[Any]:
        """Run a Lua script; see [`RedisClient.run`][rustforge.redis.RedisClient.run]."""
        return self._answer(run_script, script.source, script.digest, keys, args)

    def mget(self, keys: Sequence[CommandArgument]) -> Awaitable[list[bytes | None]]:
        """Read many keys; see [`RedisClient.mget`][rustforge.redis.RedisClient.mget]."""
        return self._answer(execute, ("MGET", *keys)) if keys else self._answer(_nothing, [])

    def unlink(self, keys: Sequence[CommandArgument]) -> Awaitable[int]:
        """Remove many keys; see [`RedisClient.unlink`][rustforge.redis.RedisClient.unlink]."""
        return self._answer(execute, ("UNLINK", *keys)) if keys else self._answer(_nothing, 0)

    async def scan(self, match: bytes, count: int = 500) -> AsyncIterator[list[bytes]]:
        """Walk over keys; see [`RedisClient.scan`][rustforge.redis.RedisClient.scan]."""
        cursor = b"0"
        while True:
            cursor, keys = await self.call("SCAN", cursor, "MATCH", match, "COUNT", count)
            if keys:
                yield keys
            if cursor == b"0":
                return
            await asyncio.sleep(0)

    @property
    def tracking(self) -> bool:
        """Whether the store tells of changed keys: always."""
        return True

    def track(self, key: CommandArgument) -> Awaitable[tuple[bytes | None, int]]:
        """Read a key and hear of its next change; see [`RedisClient.track`][rustforge.redis.RedisClient.track]."""
        return self._answer(_track, encode(key), self._announce)

    # -- answers -------------------------------------------------------------------------------------------------

    def _answer(self, function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
        """Run a function of the database."""
        if _get_running_loop() is not self._loop:
            self._attach()
        try:
            reply = function(self._database, *args)
        except RedisReplyError as error:
            reply = error
        self._calls += 1
        return self._settle(reply)

    def _settle(self, reply: Any) -> asyncio.Future[Any]:
        """Give the answer: now, or with the next tick if many came without a break."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._database.notices:
            cast("_Store", self._store).announce()
        if not self._late and self._calls % _CALLS_PER_TICK:
            _finish(future, reply)
            return future
        if not self._late:
            self._loop.call_soon(self._flush)
        self._late.append((future, reply))
        return future

    def _flush(self) -> None:
        """Give the answers that were put off, in order."""
        late, self._late = self._late, []
        for future, reply in late:
            if not future.done():
                _finish(future, reply)

    # -- life cycle ----------------------------------------------------------------------------------------------

    def _attach(self) -> None:
        """Join the store, or say why that cannot be."""
        loop = asyncio.get_running_loop()
        if self._closed:
            msg = f"the Redis client of {self.url} is closed"
            raise RedisClosedError(msg)
        if self._store is not None:
            msg = "this Redis client belongs to another event loop; connect once in each loop"
            raise RedisClosedError(msg)
        name = self.url.name
        store = _STORES.get(name)
        if store is not None and store.loop is not loop and store.loop.is_closed():
            # Its clients were left open when their loop ended, and can never be used again.
            store.close()
            del _STORES[name]
            store = None
        if store is None:
            store = _STORES.setdefault(name, _Store(loop, self._clock))
        if store.loop is not loop:
            msg = (
                f"{self.url} is in use by another event loop; close its clients there first, or take a store with a "
                "name of its own, as in memory://other"
            )
            raise RedisClosedError(msg)
        if store.clock is not self._clock:
            msg = f"{self.url} is already open with another clock; all clients of a store need the same"
            raise InvalidArgumentError(msg)
        store.clients += 1
        store.database.listeners.add(self._announce)
        self._store = store
        self._loop = loop
        self._database = store.database
        self._connects += 1

    def statistics(self) -> dict[str, int]:
        """Count what the client did; see [`RedisClient.statistics`][rustforge.redis.RedisClient.statistics]."""
        return {
            "commands": self._calls + self._more_commands,
            "writes": self._calls,
            "connects": self._connects,
            "timeouts": 0,
            "lost": 0,
            "in_flight": len(self._late),
            "queued": 0,
        }

    async def open(self) -> Self:
        """Make or join the store; see [`RedisClient.open`][rustforge.redis.RedisClient.open]."""
        if asyncio.get_running_loop() is not self._loop:
            self._attach()
        return self

    async def aclose(self) -> None:
        """Give the answers that are due, then leave the store; the last client frees it."""
        store = self._store
        if self._closed:
            return
        self._closed = True
        if store is None:
            return
        self._flush()
        self._store = None
        self._loop = cast("asyncio.AbstractEventLoop", self)
        self._database = cast("Database", None)
        store.database.forget(self._announce)
        store.clients -= 1
        if store.clients == 0:
            store.close()
            if _STORES.get(self.url.name) is store:
                del _STORES[self.url.name]
        self._announce(None)


def _finish(future: asyncio.Future[Any], reply: Any) -> None:
    if isinstance(reply, RedisReplyError):
        future.set_exception(reply)
    else:
        future.set_result(reply)


def _track(database: Database, key: bytes, listener: Listener) -> tuple[bytes | None, int]:
    """Read a value and its time to live, and note who hears of its next change."""
    value = database.fetch(key, bytes)
    database.watch(key, listener)
    return value, execute(database, (b"PTTL", key))


def _nothing(_: Database, reply: Any) -> Any:
    return reply
