"""Caches of a test on one of the backends, and what must be true when the test is over."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass, field
from typing import Any

import redis

from rustforge.cache import Cache
from rustforge.cache.entry import is_lease
from rustforge.redis import connect
from tests.support.wait import wait_until


@dataclass
class Backend:
    """Where the caches of a test live.

    Attributes:
        name: `"memory"`, `"redis"` or `"cluster"`.
        url: What caches connect to.
        prefix: The test's own prefix.
        ports: The servers behind it; none for `memory://`.
        may_leave: Set by a test that leaves leases or locks on purpose.
    """

    name: str
    url: str
    prefix: str
    ports: list[int] = field(default_factory=list)
    may_leave: bool = False
    caches: list[Cache] = field(default_factory=list)

    async def connect(self, **options: Any) -> Cache:
        """Open one more cache; each is like a process of its own but for the clock."""
        cache = await Cache.connect(self.url, **{"prefix": self.prefix, **options})
        self.caches.append(cache)
        return cache

    async def close(self) -> None:
        """Close all caches; fail where a task, a lease, a lock or a key of nobody is left."""
        memory = connect(self.url) if self.name == "memory" else None
        if memory is not None:
            await memory.open()
        for cache in self.caches:
            await cache.aclose()
        left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("rustforge-")]
        stored: dict[bytes, bytes | None] = {}
        if memory is not None:
            async for keys in memory.scan(b"*"):
                stored |= {key: await memory.call("GET", key) for key in keys}
            await memory.aclose()
        for port in self.ports:
            stored |= take_all(port)
        assert left == [], "tasks that went on"
        own, lock = (f"{self.prefix}:".encode(), f"{self.prefix}~".encode()), f"{self.prefix}~lock:".encode()
        assert [key for key in stored if not key.startswith(own)] == [], "keys outside of the prefix"
        lasting = [key for key, value in stored.items() if key.startswith(lock) or (value and is_lease(value))]
        assert self.may_leave or lasting == [], "leases or locks that nobody holds"


def take_all(port: int) -> dict[bytes, bytes | None]:
    """Read all keys of a server, with the values of those that hold text, and remove them."""
    raw = _client(port)
    keys = list(raw.scan_iter(count=10_000))
    pipe = raw.pipeline(transaction=False)
    for key in keys:
        pipe.get(key)
    values = [value if isinstance(value, bytes) else None for value in pipe.execute(raise_on_error=False)]
    if keys:
        raw.flushall()
    return dict(zip(keys, values, strict=True))


@functools.cache
def _client(port: int) -> redis.Redis:
    """Keep one connection to each server of the session."""
    return redis.Redis(port=port)


class Gate:
    """A factory that waits to be let through, and counts how often it was called.

    Attributes:
        value: What it returns; an exception is raised.
        calls: How often it was called.
        started: Set by each call.
    """

    def __init__(self, value: Any = 1) -> None:
        """Start closed."""
        self.value = value
        self.calls = 0
        self.started = asyncio.Event()
        self._open = asyncio.Event()

    def open(self) -> None:
        """Let all calls through, those to come included."""
        self._open.set()

    def close(self) -> None:
        """Hold the calls to come."""
        self._open.clear()
        self.started.clear()

    async def __call__(self) -> Any:
        """Wait, then return the value that there was at the start: what is computed is as old as its beginning."""
        self.calls += 1
        value = self.value
        self.started.set()
        await self._open.wait()
        if isinstance(value, BaseException):
            raise value
        return value


def opened(value: Any = 1) -> Gate:
    """Make a gate that is open."""
    gate = Gate(value)
    gate.open()
    return gate


async def waiting(cache: Cache, count: int) -> None:
    """Wait until so many callers wait for computations of a cache in its process."""
    flights = cache._flights._flights
    await wait_until(lambda: sum(flight.waiters for flight in flights.values()) >= count)
