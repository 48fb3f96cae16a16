"""Rustforge."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.data import HOUR, KEYS, NUMBERS, TEXT, Article, Miss, Target, make_article
from rustforge.cache import Cache, NearCache, cached
from rustforge.redis import RedisClient, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = [
    "call",
    "decorated",
    "flush",
    "get",
    "memory",
    "memory_call",
    "near",
    "open_one",
    "queue",
    "read_of",
    "remember",
    "remember_near",
    "stampede",
]

PREFIX = "bench"


async def load(article_id: int) -> Article:
    """Compute an article."""
    return make_article(article_id)


@asynccontextmanager
async def call(url: str) -> AsyncIterator[Target]:
    """GET by the bare client."""
    async with connect(url) as client:
        for key in KEYS:
            await client.call("SET", key, TEXT)
        yield Target(lambda key: client.call("GET", key, retry=True), KEYS, TEXT.encode())


@asynccontextmanager
async def get(url: str) -> AsyncIterator[Target]:
    """`Cache.get`."""
    async with Cache.connect(url, prefix=PREFIX) as cache:
        await cache.put_many(dict.fromkeys(KEYS, TEXT))
        yield Target(cache.get, KEYS, TEXT)


@asynccontextmanager
async def near(url: str) -> AsyncIterator[Target]:
    """`Cache.get` of values that the near cache holds."""
    async with Cache.connect(url, prefix=PREFIX, near=NearCache()) as cache:
        await cache.put_many(dict.fromkeys(KEYS, TEXT))
        for key in KEYS:
            await cache.get(key)
        yield Target(cache.get, KEYS, TEXT)


async def _fill(cache: Cache) -> None:
    for number in NUMBERS:
        await cache.remember(f"article:{number}", HOUR, partial(load, number))


@asynccontextmanager
async def remember(url: str) -> AsyncIterator[Target]:
    """`Cache.remember` of a model that is there."""
    async with Cache.connect(url, prefix=PREFIX) as cache:
        await _fill(cache)
        yield Target(
            lambda number: cache.remember(f"article:{number}", HOUR, partial(load, number)), NUMBERS, make_article(0)
        )


@asynccontextmanager
async def remember_near(url: str) -> AsyncIterator[Target]:
    """`Cache.remember` of a model that the near cache holds."""
    async with Cache.connect(url, prefix=PREFIX, near=NearCache()) as cache:
        await _fill(cache)
        await _fill(cache)
        yield Target(
            lambda number: cache.remember(f"article:{number}", HOUR, partial(load, number)), NUMBERS, make_article(0)
        )


@asynccontextmanager
async def decorated(url: str) -> AsyncIterator[Target]:
    """A function under `@cached`, of a model that is there."""
    async with Cache.connect(url, prefix=PREFIX) as cache:
        read = cached("article:{article_id}", ttl=HOUR, cache=cache)(load)
        for number in NUMBERS:
            await read(number)
        yield Target(read, NUMBERS, make_article(0))


@asynccontextmanager
async def memory(_: str) -> AsyncIterator[Target]:
    """`Cache.get` on `memory://`."""
    async with get("memory://") as target:
        yield target


@asynccontextmanager
async def memory_call(_: str) -> AsyncIterator[Target]:
    """GET by the bare client on `memory://`."""
    async with call("memory://") as target:
        yield target


async def flush(url: str, start: str) -> Callable[[], Awaitable[int]]:
    """`Cache.flush_prefix`."""
    cache = await Cache.connect(url, prefix=PREFIX)
    return lambda: cache.flush_prefix(start)


@asynccontextmanager
async def stampede(url: str, miss: Miss) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """`Cache.remember`."""
    async with Cache.connect(url, prefix=PREFIX) as cache:
        yield lambda: cache.remember(miss.key, HOUR, miss.factory, lease=miss.lease)


async def open_one(url: str) -> Cache:
    """Make one cache with its connection."""
    cache = await Cache.connect(url, prefix=PREFIX)
    await cache.get("missing")
    return cache


def read_of(cache: Cache) -> Callable[[str], Awaitable[object]]:
    """Give the function that reads one key."""
    return cache.get


async def queue(url: str, count: int) -> tuple[object, Callable[[], Awaitable[object]]]:
    """Queue many GETs, none of them sent yet; also say how to go on."""
    client: RedisClient = await connect(url).open()
    replies = [client.call("GET", f"page:{number}", retry=True) for number in range(count)]

    async def finish() -> None:
        for reply in replies:
            await reply
        await client.aclose()

    return replies, finish
