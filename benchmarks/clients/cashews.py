"""cashews."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from cashews import Cache

from benchmarks.data import HOUR, KEYS, NUMBERS, TEXT, Article, Miss, Target, make_article

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["decorated", "flush", "get", "get_or_set", "get_or_set_near", "near", "stampede"]

logging.getLogger("cashews").setLevel(logging.CRITICAL)  # it logs each suppressed error with its traceback


@asynccontextmanager
async def _connect(url: str, **options: Any) -> AsyncIterator[Any]:
    cache = Cache()
    cache.setup(url, check_repr=False, max_connections=100, **options)
    await cache.init()
    yield cache
    await cache.close()


async def load(article_id: int) -> Article:
    """Compute an article."""
    return make_article(article_id)


@asynccontextmanager
async def get(url: str, **options: Any) -> AsyncIterator[Target]:
    """`Cache.get`."""
    async with _connect(url, **options) as cache:
        for key in KEYS:
            await cache.set(key, TEXT)
            await cache.get(key)
        yield Target(cache.get, KEYS, TEXT)


@asynccontextmanager
async def near(url: str) -> AsyncIterator[Target]:
    """`Cache.get` with the client-side cache."""
    async with get(url, client_side=True) as target:
        yield target


@asynccontextmanager
async def decorated(url: str) -> AsyncIterator[Target]:
    """A function under `@cache(ttl=..., key=...)`."""
    async with _connect(url) as cache:
        read = cache(ttl=HOUR, key="article:{article_id}")(load)
        for number in NUMBERS:
            await read(number)
        yield Target(read, NUMBERS, make_article(0))


@asynccontextmanager
async def get_or_set(url: str, **options: Any) -> AsyncIterator[Target]:
    """`Cache.get_or_set`, the shortest way that it has."""
    async with _connect(url, **options) as cache:

        def read(number: int) -> Awaitable[object]:
            async def factory() -> Article:
                return make_article(number)

            found: Awaitable[object] = cache.get_or_set(f"article:{number}", factory, expire=HOUR)
            return found

        for number in NUMBERS:
            await read(number)
        yield Target(read, NUMBERS, make_article(0))


@asynccontextmanager
async def get_or_set_near(url: str) -> AsyncIterator[Target]:
    """`Cache.get_or_set` with the client-side cache."""
    async with get_or_set(url, client_side=True) as target:
        yield target


async def flush(url: str, start: str) -> Callable[[], Awaitable[int]]:
    """`Cache.delete_match`, which does not say how many it removed."""
    cache = Cache()
    cache.setup(url)
    await cache.init()

    async def flush() -> int:
        await cache.delete_match(f"bench:{start}*")
        return -1

    return flush


@asynccontextmanager
async def stampede(url: str, miss: Miss) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """A function under `@cache(lock=True)`; its lock lasts as long as the value lives, so that is the lease."""
    async with _connect(url) as cache:

        async def compute() -> str:
            return await miss.factory()

        yield cache(ttl=miss.lease, key=miss.key, lock=True)(compute)
