"""The client of one Redis server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from rustforge.redis.client import RedisClient
from rustforge.redis.commands import UNSHAREABLE, refusal, tracked
from rustforge.redis.multiplexer import Multiplexer, Reply, pack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from rustforge.errors import RedisReplyError
    from rustforge.redis.script import Script
    from rustforge.redis.url import Address, RedisUrl
    from rustforge.types import CommandArgument

__all__ = ["StandaloneClient"]

_CACHING = pack("CLIENT", "CACHING", "YES")


class StandaloneClient(RedisClient):
    """One server behind `redis://`, `rediss://` or `unix://`."""

    def __init__(self, url: RedisUrl) -> None:
        """Prepare the connection; nothing is opened yet."""
        super().__init__(url)
        self._multiplexer = self._connect_to(url)
        self._send = self._multiplexer.send

    def _connect_to(self, url: RedisUrl) -> Multiplexer:
        return Multiplexer(
            self._resolve,
            place=str(url),
            username=url.username,
            password=url.password,
            database=url.database,
            tls=url.ssl_context(),
            timeout=url.seconds("timeout", 5.0),
            connect_timeout=url.seconds("connect_timeout", 3.0),
            on_error=self._take_over,
            on_push=self._hear,
            on_lost=self._forget,
        )

    async def _resolve(self) -> Address:
        return self.url.addresses[0]

    def _take_over(self, reply: Reply, error: RedisReplyError) -> bool:  # noqa: ARG002 - for subclasses
        return False

    def _hear(self, push: list[Any]) -> None:
        if push[0] == b"invalidate":
            self._announce(push[1])

    def _forget(self) -> None:
        self._announce(None)

    def call(self, *args: CommandArgument, retry: bool = False) -> Awaitable[Any]:
        """Send one command; see [`RedisClient.call`][rustforge.redis.RedisClient.call]."""
        if args[0] in UNSHAREABLE:
            raise refusal(args[0])
        return self._send(pack(*args), retry)

    def get(self, key: str) -> Awaitable[bytes | None]:
        """Read a string key; see [`RedisClient.get`][rustforge.redis.RedisClient.get]."""
        name = key.encode()
        return self._send(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(name), name), True)  # noqa: FBT003

    def pipeline(self, commands: Sequence[Sequence[CommandArgument]], *, retry: bool = False) -> Awaitable[list[Any]]:
        """Send several commands at once; see [`RedisClient.pipeline`][rustforge.redis.RedisClient.pipeline]."""
        if not commands:
            return _ready([], self._multiplexer)
        return self._send(b"".join([pack(*command) for command in commands]), retry, len(commands))

    def run(
        self,
        script: Script,
        keys: Sequence[CommandArgument],
        args: Sequence[CommandArgument] = (),
        *,
        retry: bool = False,
    ) -> Awaitable[Any]:
        """Run a Lua script; see [`RedisClient.run`][rustforge.redis.RedisClient.run]."""
        rest = (len(keys), *keys, *args)
        return self._send(
            pack("EVALSHA", script.digest, *rest), retry, fallback=lambda: pack("EVAL", script.source, *rest)
        )

    def mget(self, keys: Sequence[CommandArgument]) -> Awaitable[list[bytes | None]]:
        """Read many keys with one MGET."""
        return self.call("MGET", *keys, retry=True) if keys else _ready([], self._multiplexer)

    def unlink(self, keys: Sequence[CommandArgument]) -> Awaitable[int]:
        """Remove many keys with one UNLINK."""
        return self.call("UNLINK", *keys, retry=True) if keys else _ready(0, self._multiplexer)

    async def scan(self, match: bytes, count: int = 500) -> AsyncIterator[list[bytes]]:
        """Walk over keys; see [`RedisClient.scan`][rustforge.redis.RedisClient.scan]."""
        cursor = b"0"
        while True:
            cursor, keys = await self.call("SCAN", cursor, "MATCH", match, "COUNT", count, retry=True)
            if keys:
                yield keys
            if cursor == b"0":
                return

    def flush(self) -> None:
        """Write what waits now; see [`RedisClient.flush`][rustforge.redis.RedisClient.flush]."""
        self._multiplexer.flush()

    @property
    def tracking(self) -> bool:
        """Whether the server tells of changed keys."""
        return self._multiplexer.tracking

    def track(self, key: CommandArgument) -> Awaitable[tuple[bytes | None, int]]:
        """Read a key and hear of its next change; see [`RedisClient.track`][rustforge.redis.RedisClient.track]."""
        payload = _CACHING + pack("GET", key) + pack("PTTL", key)
        return _read_tracked(self._send(payload, True, 3))  # noqa: FBT003 - sent now, whenever it is awaited

    def statistics(self) -> dict[str, int]:
        """Count what the client did; see [`RedisClient.statistics`][rustforge.redis.RedisClient.statistics]."""
        multiplexer = self._multiplexer
        return {**multiplexer.statistics, "in_flight": multiplexer.in_flight, "queued": multiplexer.queued}

    async def open(self) -> Self:
        """Connect now; see [`RedisClient.open`][rustforge.redis.RedisClient.open]."""
        try:
            await self._multiplexer.open()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def aclose(self) -> None:
        """Wait for the answers that are due, then close."""
        await self._multiplexer.aclose()


async def _read_tracked(reply: Awaitable[list[Any]]) -> tuple[bytes | None, int]:
    _, value, remaining = await reply
    return tracked(value, remaining)


def _ready(value: Any, multiplexer: Multiplexer) -> Awaitable[Any]:
    """Make an awaitable that is already answered."""
    future = multiplexer.loop.create_future()
    future.set_result(value)
    return future
