"""`rustforge jobs stats`, `pause`, `resume`, `cancel`, `clear`, `held` and `let-go`: the queues in Redis."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from rustforge.boot import boot
from rustforge.cli.options import Json, QueueName, Yes
from rustforge.cli.output import confirm, show_json, show_table, with_bar
from rustforge.cli.run import fail, run
from rustforge.jobs.queue import Queue, QueueStats

__all__ = ["cancel", "clear", "held", "let_go", "pause", "resume", "stats"]

_Queues = Annotated[list[str], typer.Argument(help="The queues.")]


def stats(
    queues: Annotated[list[str] | None, typer.Argument(show_default="those that hold jobs", help="The queues.")] = None,
    as_json: Json = False,
) -> None:
    """Count the jobs of queues, by where they stand."""

    async def _work() -> None:
        async with boot() as ctx:
            found = [await ctx.queue.stats(name) for name in queues or await ctx.queue.names()]
        if as_json:
            show_json(found)
        elif not found:
            typer.echo("No queue holds any jobs.")
        else:
            titles = ["queue", "ready", "delayed", "waiting", "running", "parked", "quarantined", "dead", "workers"]
            show_table([*titles, "oldest", "state"], [_row(one) for one in found])

    run(_work())


def pause(queues: _Queues, as_json: Json = False) -> None:
    """Let workers take nothing from queues any more; what runs goes on."""

    async def _work() -> None:
        async with boot() as ctx:
            for name in queues:
                await ctx.queue.pause(name)
        _tell(queues, "paused", as_json=as_json)

    run(_work())


def resume(queues: _Queues, as_json: Json = False) -> None:
    """Let workers take jobs again."""

    async def _work() -> None:
        async with boot() as ctx:
            for name in queues:
                await ctx.queue.resume(name)
        _tell(queues, "resumed", as_json=as_json)

    run(_work())


def cancel(
    job_id: Annotated[str, typer.Argument(help="The job's id.")],
    queue: QueueName = None,
    as_json: Json = False,
) -> None:
    """Take a job out of its queue, or stop it where it runs."""

    async def _work() -> None:
        async with boot() as ctx:
            if not await _in_one_of(ctx.queue, queue, lambda name: ctx.queue.cancel(job_id, name)):
                fail(f"there is no job {job_id} in {'any queue' if queue is None else f'queue {queue}'}")
        _tell([job_id], "cancelled", as_json=as_json)

    run(_work())


def clear(
    queue: Annotated[str, typer.Argument(help="The queue.")],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove all jobs of a queue that do not run, the delayed and waiting ones included."""

    async def _work() -> None:
        async with boot() as ctx:
            count = await ctx.queue.size(queue)
            confirm(f"Remove up to {count:,} jobs from queue {queue} for ever?", yes=yes or not count)
            gone = await with_bar("Clearing", ctx.queue.clear(queue), lambda: ctx.queue.size(queue), hidden=as_json)
        if as_json:
            show_json({"removed": gone})
        else:
            typer.echo(f"Removed {gone:,} jobs.")

    run(_work())


def held(queue: QueueName = None, as_json: Json = False) -> None:
    """List the groups and chains that wait, as one of their jobs failed for good."""

    async def _work() -> None:
        async with boot() as ctx:
            names = await _names(ctx.queue, queue)
            rows = [
                {"group": one.group, "queue": name, "job_id": one.job_id}
                for name in names
                for one in await ctx.queue.held_groups(name)
            ]
        if as_json:
            show_json(rows)
        elif not rows:
            typer.echo("No group is held.")
        else:
            show_table(["group", "queue", "held by job"], [list(row.values()) for row in rows])

    run(_work())


def let_go(
    group: Annotated[str, typer.Argument(help="The group; of a chain the id of its first job.")],
    queue: QueueName = None,
    as_json: Json = False,
) -> None:
    """Give up the job that holds a group or chain, so that the next one has its turn."""

    async def _work() -> None:
        async with boot() as ctx:
            if not await _in_one_of(ctx.queue, queue, lambda name: ctx.queue.let_go(group, name)):
                fail(f"no failed job holds a group {group}")
        _tell([group], "let go", as_json=as_json)

    run(_work())


async def _names(queues: Queue, chosen: str | None) -> list[str]:
    """Name the queue that was chosen, or else all of them."""
    return await queues.names() if chosen is None else [chosen]


async def _in_one_of(queues: Queue, chosen: str | None, act: Callable[[str], Awaitable[bool]]) -> bool:
    """Do something in one queue after the other until it was done; return whether it was."""
    for name in await _names(queues, chosen):
        if await act(name):
            return True
    return False


def _row(one: QueueStats) -> list[object]:
    oldest = f"{one.oldest_seconds:,.0f} s" if one.ready else ""
    counts = [one.ready, one.delayed, one.waiting, one.running, one.parked, one.quarantined, one.dead, one.workers]
    return [one.queue, *counts, oldest, "paused" if one.paused else "working" if one.workers else "no worker"]


def _tell(names: list[str], done: str, *, as_json: bool) -> None:
    if as_json:
        show_json({done.replace(" ", "_"): names})
    else:
        typer.echo(f"{done.capitalize()}: {', '.join(names)}")
