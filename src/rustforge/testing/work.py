"""Run everything that is queued, and travel through the delays where a test wants that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustforge.boot import BootContext
from rustforge.errors import JobError
from rustforge.jobs.job import Job
from rustforge.jobs.registry import JobRegistry
from rustforge.jobs.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustforge.clock import ManualClock
    from rustforge.jobs.job import WorkerContext
    from rustforge.jobs.queue import Queue
    from rustforge.jobs.runner import WorkerStatistics

__all__ = ["next_due", "queues_of", "run_until_empty"]

_MANY = 10_000
_A_MILLISECOND = 0.001


async def run_until_empty(
    ctx: WorkerContext,
    registry: JobRegistry | Iterable[type[Job]],
    clock: ManualClock | None = None,
    *,
    until: float | None = None,
    **options: Any,
) -> WorkerStatistics:
    """Run all jobs that can be run, those that they enqueue included, and those of the outbox that are committed.

    Args:
        ctx: The services, such as a [`BootContext`][rustforge.boot.BootContext].
        registry: The job classes. All queues that they name are worked on, and those that hold jobs.
        clock: The clock of the queue's `memory://` store; then delays and backoffs are travelled through as well. See
            [`time_travel`][rustforge.testing.time_travel].
        until: With a clock: the time, in seconds since 1970, beyond which nothing is travelled to.
        options: Further arguments of [`Worker`][rustforge.jobs.Worker], such as `middleware`.

    Returns:
        What the worker did, so that a test can say `assert (await run_until_empty(...)).dead == 0`.

    Raises:
        JobError: The jobs go on for ever: each run makes another delayed one.
    """
    known = JobRegistry.of(registry)
    worker = Worker(ctx, await queues_of(ctx.queue, known), registry=known, **options)
    await _work_off(ctx, worker)
    for _ in range(_MANY):
        due = None if clock is None else await next_due(ctx.queue, await queues_of(ctx.queue, known))
        if clock is None or due is None or (until is not None and due > until):
            return worker.statistics()
        clock.advance(max(due - clock.time(), 0) + _A_MILLISECOND)
        await _work_off(ctx, worker)
    msg = (
        f"after {_MANY:,} delays there are still jobs; one of them seems to enqueue itself, or to be snoozed, for ever"
    )
    raise JobError(msg)


async def _work_off(ctx: WorkerContext, worker: Worker) -> None:
    """Run what can be run now, until a round has found nothing."""
    claimed = -1
    while worker.statistics().claimed != claimed:
        claimed = worker.statistics().claimed
        if isinstance(ctx, BootContext):
            await ctx._database.flush_outbox()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - ours
        await worker.run_until_empty()


async def queues_of(queue: Queue, registry: JobRegistry) -> list[str]:
    """List the queues that job classes name, and those that hold jobs."""
    return sorted({Job.QUEUE, *[cls.QUEUE for cls in registry], *await queue.names()})


async def next_due(queue: Queue, names: Iterable[str]) -> float | None:
    """Return the time at which the next delayed job is due, in seconds since 1970; `None` where there is none."""
    found: list[float] = []
    for name in names:
        for base in queue.bases(name):
            first = await queue.client.call("ZRANGE", f"{base}:delayed", 0, 0, "WITHSCORES")
            if first:
                pair = first[0] if isinstance(first[0], list) else first
                found.append(float(pair[1]) / 1000)
    return min(found, default=None)
