"""A worker in this process, for as long as a program's tasks take."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from celery.contrib.testing.worker import start_worker
from celery.signals import task_postrun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery


@contextmanager
def working(app: Celery, runs: int) -> Iterator[None]:
    """Start a worker, and end it when so many runs of tasks are over."""
    ended = threading.Semaphore(0)

    @task_postrun.connect(weak=False)
    def count(**_: Any) -> None:
        ended.release()

    with start_worker(
        app, perform_ping_check=False, loglevel="CRITICAL"
    ):
        yield
        for _ in range(runs):
            assert ended.acquire(timeout=30)
