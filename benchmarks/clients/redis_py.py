"""redis-py, the client of Redis itself: its asyncio half, with hiredis."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis.asyncio import BlockingConnectionPool, Redis

from benchmarks.data import HOUR, KEYS, NUMBERS, TEXT, Article, Miss, Target, make_article

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["flush_keys", "flush_scan", "get", "model", "open_one", "queue", "read_of", "stampede"]

BATCH = 500


@asynccontextmanager
async def get(url: str) -> AsyncIterator[Target]:
    """GET."""
    async with Redis.from_url(url) as client:
        for key in KEYS:
            await client.set(key, TEXT)
        yield Target(client.get, KEYS, TEXT.encode())


@asynccontextmanager
async def model(url: str) -> AsyncIterator[Target]:
    """GET, and the model read from its JSON by hand."""
    async with Redis.from_url(url) as client:
        for number in NUMBERS:
            await client.set(f"article:{number}", make_article(number).model_dump_json(), ex=HOUR)

        async def read(number: int) -> Article:
            raw: Any = await client.get(f"article:{number}")
            return Article.model_validate_json(raw)

        yield Target(read, NUMBERS, make_article(0))


def _pool(url: str) -> Redis:
    """Make a client whose callers wait for one of a hundred connections, as the default pool raises instead."""
    return Redis(connection_pool=BlockingConnectionPool.from_url(url, max_connections=100, timeout=None))


async def flush_keys(url: str, start: str) -> Callable[[], Awaitable[int]]:
    """KEYS, then DEL of all that it found."""
    client = Redis.from_url(url)

    async def flush() -> int:
        keys: Any = await client.keys(f"bench:{start}*")
        return int(await client.delete(*keys))

    return flush


async def flush_scan(url: str, start: str) -> Callable[[], Awaitable[int]]:
    """SCAN by `scan_iter`, then DEL, some hundreds at a time."""
    client = Redis.from_url(url)

    async def flush() -> int:
        removed = 0
        batch: list[bytes] = []
        async for key in client.scan_iter(match=f"bench:{start}*", count=BATCH):
            batch.append(key)
            if len(batch) >= BATCH:
                removed += int(await client.delete(*batch))
                batch.clear()
        return removed + (int(await client.delete(*batch)) if batch else 0)

    return flush


@asynccontextmanager
async def stampede(url: str, miss: Miss) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """GET; where there is nothing, compute and SET."""
    async with _pool(url) as client:

        async def read() -> str:
            raw: Any = await client.get(miss.key)
            if raw is not None:
                return str(raw.decode())
            value = await miss.factory()
            await client.set(miss.key, value, ex=HOUR)
            return value

        yield read


async def open_one(url: str) -> Redis:
    """Make one client with its connection."""
    client = _pool(url)
    await client.get("missing")
    return client


def read_of(client: Redis) -> Callable[[str], Awaitable[object]]:
    """Give the function that reads one key."""
    return client.get


async def queue(url: str, count: int) -> tuple[object, Callable[[], Awaitable[object]]]:
    """Queue many GETs in a pipeline, none of them sent yet; also say how to go on."""
    client = Redis.from_url(url)
    pipeline = client.pipeline(transaction=False)
    for number in range(count):
        _ = pipeline.get(f"page:{number}")  # in a pipeline it is queued

    async def finish() -> None:
        await pipeline.execute()
        await client.aclose()

    return pipeline, finish
