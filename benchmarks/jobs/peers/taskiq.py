"""taskiq with taskiq-redis: its broker on streams, and the one on lists."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker, RedisStreamBroker

from benchmarks.jobs.adapter import Producer, ran, run_until_terminated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["produce", "work"]


async def noop(sent: int) -> None:
    """Do nothing."""
    ran(sent)


def _broker(url: str, variant: str) -> tuple[Any, Any]:
    """Make a broker and its task; its BRPOP waits longer than redis-py's default of 5 s."""
    broker = {"list": ListQueueBroker, "stream": RedisStreamBroker}[variant](url, socket_timeout=None)
    return broker, broker.register_task(noop, task_name="noop")


@asynccontextmanager
async def produce(url: str, variant: str) -> AsyncIterator[Producer]:
    """`task.kiq`."""
    broker, task = _broker(url, variant)
    await broker.startup()

    async def enqueue(sent: int) -> object:
        return await task.kiq(sent)

    yield Producer(enqueue)
    await broker.shutdown()


def work(url: str, variant: str, concurrency: int) -> None:
    """`run_receiver_task`, which is what the command line runs."""
    broker, _ = _broker(url, variant)

    async def receive() -> None:
        try:
            await run_receiver_task(broker, max_async_tasks=concurrency, run_startup=True)
        finally:
            await broker.shutdown()

    run_until_terminated(receive())
