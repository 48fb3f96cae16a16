"""`rustforge jobs quarantine`: what was set aside, as running it makes no sense."""

from collections.abc import Sequence
from typing import Annotated

import typer

from rustforge.boot import BootContext, boot
from rustforge.cli.options import Json, QueueName, Yes
from rustforge.cli.output import confirm, show_json, show_table
from rustforge.cli.run import fail, run

__all__ = ["app"]

app: typer.Typer = typer.Typer(
    help="Look after jobs that could not be read, or that crashed their workers too often.", no_args_is_help=True
)
_Id = Annotated[str, typer.Argument(help="The job's id.")]


@app.command("list")
def list_(queue: QueueName = None, as_json: Json = False) -> None:
    """List what is in quarantine, with the reasons."""

    async def _work() -> None:
        async with boot() as ctx:
            found = [(name, one) for name in await _queues(ctx, queue) for one in await ctx.queue.quarantined(name)]
        rows = [
            {"id": one.id, "queue": name, "reason": one.reason, "body": one.body.decode(errors="replace")}
            for name, one in found
        ]
        if as_json:
            show_json(rows)
        elif not rows:
            typer.echo("Nothing is in quarantine.")
        else:
            show_table(list(rows[0]), [list(row.values()) for row in rows])

    run(_work())


@app.command()
def requeue(job_id: _Id, queue: QueueName = None, as_json: Json = False) -> None:
    """Enqueue a job in quarantine anew."""

    async def _work() -> None:
        async with boot() as ctx:
            for name in await _queues(ctx, queue):
                if await ctx.queue.requeue_quarantined(job_id, name):
                    break
            else:
                fail(f"there is no job {job_id} in quarantine")
        _tell("requeued", job_id, as_json=as_json)

    run(_work())


@app.command()
def discard(job_id: _Id, queue: QueueName = None, yes: Yes = False, as_json: Json = False) -> None:
    """Throw a job in quarantine away."""

    async def _work() -> None:
        async with boot() as ctx:
            confirm(f"Throw job {job_id} away for ever?", yes=yes)
            for name in await _queues(ctx, queue):
                if await ctx.queue.discard_quarantined(job_id, name):
                    break
            else:
                fail(f"there is no job {job_id} in quarantine")
        _tell("discarded", job_id, as_json=as_json)

    run(_work())


async def _queues(ctx: BootContext, queue: str | None) -> Sequence[str]:
    return await ctx.queue.names() if queue is None else [queue]


def _tell(done: str, job_id: str, *, as_json: bool) -> None:
    if as_json:
        show_json({done: job_id})
    else:
        typer.echo(f"{done.capitalize()}: {job_id}")
