"""A context as `boot` gives it, of which nothing is left when a test ends."""

from __future__ import annotations

import contextlib
import itertools
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from rustforge.boot import BootContext, Channels, LazyDatabase, LazyStorage
from rustforge.cache import Cache
from rustforge.clock import SYSTEM_CLOCK, ManualClock
from rustforge.errors import InvalidArgumentError
from rustforge.jobs.queue import Queue
from rustforge.redis import RedisUrl, connect, escape_glob
from rustforge.redis.memory import MemoryClient
from rustforge.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from rustforge.clock import Clock
    from rustforge.redis import RedisClient
    from rustforge.storage import Storage

__all__ = ["ClockOfTest", "StorageOfTest", "open_context"]

_numbers = itertools.count(1)


class ClockOfTest(ManualClock):
    """The machine's clock, until a test stops it; then it stands until it is moved."""

    def __init__(self) -> None:
        """Go."""
        super().__init__()
        self._stopped = False
        self._ahead = 0.0

    def stop(self) -> None:
        """Stand still from now on."""
        if not self._stopped:
            self._stopped = True
            self._now = round(SYSTEM_CLOCK.time(), 3)
            self._ahead = SYSTEM_CLOCK.monotonic() - self._now

    def time(self) -> float:
        """Return the time."""
        return super().time() if self._stopped else SYSTEM_CLOCK.time()

    def monotonic(self) -> float:
        """Return seconds that never go backwards, when it is stopped either."""
        return super().monotonic() + self._ahead if self._stopped else SYSTEM_CLOCK.monotonic()

    def advance(self, seconds: float) -> None:
        """Move it, once it is stopped."""
        if not self._stopped:
            msg = "the clock of a test moves by itself unless the test asks for rustforge_time"
            raise InvalidArgumentError(msg)
        super().advance(seconds)


class StorageOfTest(LazyStorage):
    """A storage in memory with assertions, made when it is first asked for."""

    def get(self) -> Storage:
        """Make it at the first call; where its extra is not installed, that is the error."""
        if self._made is None and not self._ended:
            with contextlib.suppress(ModuleNotFoundError):
                from rustforge.testing.storage import FakeStorage  # noqa: PLC0415 - an extra

                self._made = FakeStorage(secret=self._secret or None, clock=self._clock)
        return super().get()


@asynccontextmanager
async def open_context(
    *,
    settings: Settings | None = None,
    extensions: Mapping[str, Any] | None = None,
    clock: Clock = SYSTEM_CLOCK,
    redis_url: str = "",
    prefix: str | None = None,
    database: Callable[[Queue], LazyDatabase],
    storage: LazyStorage,
) -> AsyncGenerator[BootContext]:
    """Open a context that has nothing in common with others.

    Args:
        settings: The settings that the application sees, except for addresses, which are those of the test.
        extensions: Services of the application by name.
        clock: The clock of cache, queue, storage and channels.
        redis_url: A Redis; empty for one in this process.
        prefix: What keys start with; `None` for what the settings say. With a Redis, all of them are removed at the
            end.
        database: Makes the database, given the queue to which its outbox leads.
        storage: The storage.
    """
    chosen = Settings.model_construct() if settings is None else settings
    keys = chosen.redis_prefix if prefix is None else prefix
    if redis_url:
        client: RedisClient = connect(redis_url)
    else:
        client = MemoryClient(RedisUrl.parse(f"memory://test-{next(_numbers)}"), clock)
    async with AsyncExitStack() as stack:
        await client.open()
        stack.push_async_callback(client.aclose)
        if redis_url:
            stack.push_async_callback(_remove_keys, client, keys)
        cache = await stack.enter_async_context(Cache(client, prefix=keys))
        queue = await stack.enter_async_context(Queue(client, prefix=keys, shards=chosen.queue_shards))
        made = database(queue)
        stack.push_async_callback(made.aclose)
        stack.push_async_callback(storage.aclose)
        seen = chosen.model_copy(
            update={
                "redis_url": redis_url or "memory://",
                "redis_prefix": keys,
                "storage_url": "memory://",
                "mail_url": "memory:",
                "alert_urls": SecretStr(""),
            }
        )
        channels = Channels.of(seen, client, clock)
        stack.push_async_callback(channels.aclose)
        yield BootContext(seen, cache, queue, MappingProxyType(dict(extensions or {})), made, storage, channels)


async def _remove_keys(client: RedisClient, prefix: str) -> None:
    """Remove all keys under a prefix: values, and what lies beside them."""
    async for found in client.scan(f"{escape_glob(prefix)}[:~]*".encode()):
        await client.unlink(found)
