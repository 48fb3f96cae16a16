"""Rustforge: as it comes, with middleware and tracing, and with jobs in groups."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.jobs.adapter import Producer, ran, run
from rustforge.jobs import Job, JobContext, Queue, Worker, tracing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from rustforge.jobs import Middleware

__all__ = ["produce", "work"]

GROUPS = 10_000
KEPT = {"traced": 1.0, "sampled": 0.1}
"""Which share of the traces is recorded, where there is tracing."""
LEASES = {"stuck-soon": 1.0}
"""How long the lease is, where it is not the default."""


class Noop(Job):
    """Do nothing."""

    NAME: ClassVar[str] = "noop"
    sent: int

    async def handle(self, ctx: JobContext) -> None:
        """Note that it runs."""
        del ctx
        ran(self.sent)


class Grouped(Noop):
    """Do nothing, one after the other within a group."""

    NAME: ClassVar[str] = "grouped"
    group: int

    def group_id(self) -> str:
        """One of many groups."""
        return str(self.group)


class Stuck(Noop):
    """Never end."""

    NAME: ClassVar[str] = "stuck"

    async def handle(self, ctx: JobContext) -> None:
        """Note that it runs, and go on for ever."""
        await super().handle(ctx)
        await asyncio.Event().wait()


_numbers = itertools.count()


def _grouped(sent: int) -> Job:
    return Grouped(sent=sent, group=next(_numbers) % GROUPS)


MAKE: dict[str, Callable[[int], Job]] = {
    "": lambda sent: Noop(sent=sent),
    "traced": lambda sent: Noop(sent=sent),
    "sampled": lambda sent: Noop(sent=sent),
    "grouped": _grouped,
    "stuck": lambda sent: Stuck(sent=sent),
    "stuck-soon": lambda sent: Stuck(sent=sent),
}


@asynccontextmanager
async def produce(url: str, variant: str) -> AsyncIterator[Producer]:
    """`Queue.push` and `Queue.push_many`."""
    make = MAKE[variant]
    _trace_enqueueing(variant)
    async with Queue.connect(url, prefix="bench") as queue:

        async def enqueue(sent: int) -> object:
            return await queue.push(make(sent))

        async def bulk(sent: Sequence[int]) -> object:
            return await queue.push_many(map(make, sent))

        yield Producer(enqueue, bulk)


async def _pass(ctx: JobContext, job: Job, call_next: Callable[[], Awaitable[Any]]) -> Any:
    """Be a middleware that does next to nothing."""
    del ctx, job
    return await call_next()


def _trace_enqueueing(variant: str) -> None:
    if variant in KEPT:
        _set_tracer(KEPT[variant])
        tracing.trace_enqueueing()


def _middleware(variant: str) -> list[Middleware]:
    if variant not in KEPT:
        return []
    _set_tracer(KEPT[variant])
    return [tracing.trace_runs(), _pass]


def _set_tracer(share: float) -> None:
    """Let the spans of so many traces be recorded, and dropped when they end."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - only these variants have it
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415
    from opentelemetry.trace import set_tracer_provider  # noqa: PLC0415

    set_tracer_provider(TracerProvider(sampler=ParentBasedTraceIdRatio(share)))


def work(url: str, variant: str, concurrency: int) -> None:
    """`Worker.run`."""

    async def run_worker() -> None:
        async with Queue.connect(url, prefix="bench") as queue:
            ctx = SimpleNamespace(settings=None, cache=None, queue=queue, db=None, extensions={})
            worker = Worker(
                ctx, concurrency=concurrency, lease=LEASES.get(variant, 10), middleware=_middleware(variant)
            )
            await worker.register(Noop, Grouped, Stuck).run()

    run(run_worker())
