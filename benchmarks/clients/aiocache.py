"""aiocache."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiocache import Cache, cached, cached_stampede
from aiocache.serializers import PickleSerializer, StringSerializer
from redis.asyncio import BlockingConnectionPool

from benchmarks.data import HOUR, KEYS, NUMBERS, TEXT, Article, Miss, Target, make_article

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["decorated", "flush", "get", "stampede"]

logging.getLogger("aiocache").setLevel(logging.CRITICAL)  # it logs each suppressed error with its traceback


def _options(url: str) -> dict[str, Any]:
    place = urlsplit(url)
    return {"cache": Cache.REDIS, "endpoint": place.hostname, "port": place.port}


async def load(article_id: int) -> Article:
    """Compute an article."""
    return make_article(article_id)


@asynccontextmanager
async def get(url: str) -> AsyncIterator[Target]:
    """`Cache.get`."""
    options = _options(url)
    async with Cache(options.pop("cache"), serializer=StringSerializer(), **options) as cache:
        for key in KEYS:
            await cache.set(key, TEXT)
        yield Target(cache.get, KEYS, TEXT)


@asynccontextmanager
async def decorated(url: str) -> AsyncIterator[Target]:
    """A function under `@cached`."""
    read = cached(
        ttl=HOUR,
        key_builder=lambda _, article_id: f"article:{article_id}",
        serializer=PickleSerializer(),
        **_options(url),
    )(load)
    for number in NUMBERS:
        await read(number)
    yield Target(read, NUMBERS, make_article(0))
    await read.cache.close()


async def flush(url: str, start: str) -> Callable[[], Awaitable[int]]:
    """`Cache.clear(namespace=...)`, which does not say how many it removed."""
    options = _options(url)
    cache = Cache(options.pop("cache"), **options)

    async def flush() -> int:
        await cache.clear(namespace=f"bench:{start.removesuffix(':')}")
        return -1

    return flush


@asynccontextmanager
async def stampede(url: str, miss: Miss) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """A function under `@cached_stampede`, which is `@cached` with its `RedLock`."""

    async def compute() -> str:
        return await miss.factory()

    read = cached_stampede(
        lease=miss.lease,
        ttl=HOUR,
        key=miss.key,
        serializer=StringSerializer(),
        timeout=None,
        pool_max_size=100,
        connection_pool_class=BlockingConnectionPool,
        connection_pool_kwargs={"timeout": None},
        **_options(url),
    )(compute)
    yield read
    await read.cache.close()
