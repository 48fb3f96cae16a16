"""No job queue: a list, filled by LPUSH and emptied by BRPOP, with redis-py."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis.asyncio import BlockingConnectionPool, Redis

from benchmarks.jobs.adapter import Producer, ran, run_until_terminated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["produce", "work"]

KEY = "bench"


def _client(url: str, connections: int) -> Redis:
    """Make a client whose callers wait for a connection, and whose BRPOP may wait longer than its default of 5 s."""
    pool = BlockingConnectionPool.from_url(url, max_connections=connections, timeout=None, socket_timeout=None)
    return Redis(connection_pool=pool)


def _body(sent: int) -> str:
    return json.dumps({"name": "noop", "sent": sent})


@asynccontextmanager
async def produce(url: str, variant: str) -> AsyncIterator[Producer]:
    """LPUSH."""
    del variant
    async with _client(url, 100) as client:

        async def enqueue(sent: int) -> object:
            return await client.lpush(KEY, _body(sent))

        async def bulk(sent: Sequence[int]) -> object:
            return await client.lpush(KEY, *map(_body, sent))

        yield Producer(enqueue, bulk)


def work(url: str, variant: str, concurrency: int) -> None:
    """BRPOP, from many tasks."""
    del variant

    async def pop() -> None:
        async with _client(url, concurrency) as client:

            async def one() -> None:
                while True:
                    popped: Any = await client.brpop(KEY, timeout=5)
                    if popped:
                        ran(json.loads(popped[1])["sent"])

            await asyncio.gather(*[one() for _ in range(concurrency)])

    run_until_terminated(pop())
