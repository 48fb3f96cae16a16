"""streaq."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from streaq import Worker

from benchmarks.jobs.adapter import Producer, ran

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["produce", "work"]


async def noop(sent: int) -> None:
    """Do nothing."""
    ran(sent)


def _worker(url: str, concurrency: int) -> tuple[Any, Any]:
    """Make a worker, which also enqueues, and its task."""
    worker = Worker(redis_url=url, concurrency=concurrency, grace_period=5, anyio_kwargs={"use_uvloop": True})
    return worker, worker.task(ttl=0)(noop)


@asynccontextmanager
async def produce(url: str, variant: str) -> AsyncIterator[Producer]:
    """`task.enqueue` and `Worker.enqueue_many`."""
    del variant
    worker, task = _worker(url, 1)
    async with worker:

        async def enqueue(sent: int) -> object:
            return await task.enqueue(sent)

        async def bulk(sent: Sequence[int]) -> object:
            return await worker.enqueue_many([task.enqueue(one) for one in sent])

        yield Producer(enqueue, bulk)


def work(url: str, variant: str, concurrency: int) -> None:
    """`Worker.run_sync`."""
    del variant
    worker, _ = _worker(url, concurrency)
    worker.run_sync()
