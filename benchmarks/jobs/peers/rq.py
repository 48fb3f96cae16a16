"""RQ."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from redis import Redis
from rq import Queue, SimpleWorker

from benchmarks.jobs.adapter import Producer, ran

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["noop", "produce", "work"]


def noop(sent: int) -> None:
    """Do nothing."""
    ran(sent)


@asynccontextmanager
async def produce(url: str, variant: str) -> AsyncIterator[Producer]:
    """`Queue.enqueue` and `Queue.enqueue_many`."""
    del variant
    connection = Redis.from_url(url)
    queue = Queue(connection=connection)

    def enqueue(sent: int) -> object:
        return queue.enqueue(noop, sent, result_ttl=0)

    def bulk(sent: Sequence[int]) -> object:
        return queue.enqueue_many([Queue.prepare_data(noop, (one,), result_ttl=0) for one in sent])

    yield Producer(enqueue, bulk, blocking=True)
    connection.close()


def work(url: str, variant: str, concurrency: int) -> None:
    """`SimpleWorker.work`."""
    del variant, concurrency
    connection = Redis.from_url(url)
    SimpleWorker([Queue(connection=connection)], connection=connection).work(logging_level="ERROR")
