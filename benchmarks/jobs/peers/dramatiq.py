"""dramatiq."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.jobs.adapter import Producer, ran

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["produce", "work"]

THREADS_AND_PREFETCH = {"": (8, None), "eager": (32, "200")}
"""Its defaults, and what makes a busy worker faster: more threads, and more jobs fetched ahead."""


def noop(sent: int) -> None:
    """Do nothing."""
    ran(sent)


def _actor(url: str) -> tuple[Any, Any]:
    """Make a broker and its actor."""
    import dramatiq  # noqa: PLC0415 - it reads the environment when it is imported
    from dramatiq.brokers.redis import RedisBroker  # noqa: PLC0415

    broker = RedisBroker(url=url)
    dramatiq.set_broker(broker)
    return broker, dramatiq.actor(noop, broker=broker)


@asynccontextmanager
async def produce(url: str, variant: str) -> AsyncIterator[Producer]:
    """`actor.send`."""
    del variant
    broker, actor = _actor(url)
    yield Producer(actor.send, blocking=True)
    broker.close()


def work(url: str, variant: str, concurrency: int) -> None:
    """`Worker.start`, which each process of its command line runs."""
    del concurrency
    threads, prefetch = THREADS_AND_PREFETCH[variant]
    if prefetch:
        os.environ["dramatiq_queue_prefetch"] = prefetch  # noqa: SIM112 - its name is like that
    broker, _ = _actor(url)
    from dramatiq import Worker  # noqa: PLC0415 - see above

    worker = Worker(broker, worker_threads=threads)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    worker.start()
    signal.sigwait({signal.SIGTERM})
    worker.stop()
    broker.close()
