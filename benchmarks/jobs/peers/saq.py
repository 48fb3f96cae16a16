"""SAQ."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue

from benchmarks.jobs.adapter import Producer, ran, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["produce", "work"]

NO_RESULTS = -1


async def noop(ctx: dict[str, Any], *, sent: int) -> None:
    """Do nothing."""
    del ctx
    ran(sent)


def _queue(url: str) -> Any:
    """Make a queue with more connections, and more patient ones, than redis-py's defaults give it."""
    return RedisQueue(Redis.from_url(url, max_connections=1000, socket_timeout=None), max_concurrent_ops=100)


@asynccontextmanager
async def produce(url: str, variant: str) -> AsyncIterator[Producer]:
    """`Queue.enqueue`."""
    del variant
    queue = _queue(url)
    await queue.connect()

    async def enqueue(sent: int) -> object:
        return await queue.enqueue("noop", sent=sent, ttl=NO_RESULTS)

    yield Producer(enqueue)
    await queue.disconnect()


def work(url: str, variant: str, concurrency: int) -> None:
    """`Worker.start`."""
    del variant

    async def start() -> None:
        await Worker(_queue(url), [noop], concurrency=concurrency).start()

    run(start())
