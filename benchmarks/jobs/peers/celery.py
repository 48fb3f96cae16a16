"""Celery, with Redis as its broker."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from celery import Celery

from benchmarks.jobs.adapter import Producer, ran

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["produce", "work"]

POOLS = {
    "": ("--pool=prefork", "--concurrency=1"),
    "solo": ("--pool=solo", "--prefetch-multiplier=100"),
}
"""One child, which is its default pool; and no child and many jobs fetched ahead, which makes a busy worker faster."""


def noop(sent: int) -> None:
    """Do nothing."""
    ran(sent)


def _app(url: str) -> tuple[Any, Any]:
    """Make an application and its task."""
    app = Celery("bench", broker=url)
    app.conf.update(
        task_ignore_result=True,
        worker_redirect_stdouts=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
    )
    return app, app.task(noop, name="noop")


@asynccontextmanager
async def produce(url: str, variant: str) -> AsyncIterator[Producer]:
    """`task.delay`."""
    del variant
    app, task = _app(url)
    yield Producer(task.delay, blocking=True)
    app.close()


def work(url: str, variant: str, concurrency: int) -> None:
    """The `worker` command, in this process."""
    del concurrency
    app, _ = _app(url)
    app.worker_main(["--quiet", "worker", *POOLS[variant], "--loglevel=ERROR", "--without-gossip", "--without-mingle"])
