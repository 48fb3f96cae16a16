"""docket, whose package is called pydocket."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from docket import Docket, Worker

from benchmarks.jobs.adapter import Producer, ran, run_until_terminated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["produce", "work"]

LOOK_MILLISECONDS = {"": 250, "eager": 10}
"""How soon a worker that is full looks again: its default, and what makes a busy worker faster."""


async def noop(sent: int) -> None:
    """Do nothing."""
    ran(sent)


def _docket(url: str) -> Any:
    docket = Docket(name="bench", url=f"{url}?max_connections=1000", execution_ttl=timedelta(0))
    docket.register(noop)
    return docket


@asynccontextmanager
async def produce(url: str, variant: str) -> AsyncIterator[Producer]:
    """`Docket.add` and `Docket.add_many`."""
    del variant
    async with _docket(url) as docket:

        async def enqueue(sent: int) -> object:
            return await docket.add(noop)(sent)

        async def bulk(sent: Sequence[int]) -> object:
            return await docket.add_many([docket.call(noop)(one) for one in sent])

        yield Producer(enqueue, bulk)


def work(url: str, variant: str, concurrency: int) -> None:
    """`Worker.run_forever`."""
    pause = timedelta(milliseconds=LOOK_MILLISECONDS[variant])

    async def run_worker() -> None:
        async with (
            _docket(url) as docket,
            Worker(docket, concurrency=concurrency, minimum_check_interval=pause) as worker,
        ):
            await worker.run_forever()

    run_until_terminated(run_worker())
