"""arq."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvloop
from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker

from benchmarks.jobs.adapter import Producer, ran

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["produce", "work"]

POLL_SECONDS = {"": 0.5, "eager": 0.01}
"""How often it looks for jobs: its default, and what makes a busy worker faster."""


async def noop(ctx: dict[str, Any], sent: int) -> None:
    """Do nothing."""
    del ctx
    ran(sent)


@asynccontextmanager
async def produce(url: str, variant: str) -> AsyncIterator[Producer]:
    """`ArqRedis.enqueue_job`."""
    del variant
    pool = await create_pool(RedisSettings.from_dsn(url))

    async def enqueue(sent: int) -> object:
        return await pool.enqueue_job("noop", sent)

    yield Producer(enqueue)
    await pool.aclose()


def work(url: str, variant: str, concurrency: int) -> None:
    """`Worker.run`."""
    asyncio.set_event_loop(uvloop.new_event_loop())
    worker = Worker(
        [func(noop, name="noop", keep_result=0)],
        redis_settings=RedisSettings.from_dsn(url),
        max_jobs=concurrency,
        keep_result=0,
        poll_delay=POLL_SECONDS[variant],
    )
    try:
        worker.run()
    except asyncio.CancelledError:
        return
