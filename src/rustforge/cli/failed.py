"""`rustforge jobs list`, `show`, `retry`, `forget` and `purge`: the jobs that failed for good."""

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustforge import codec
from rustforge.boot import BootContext, boot
from rustforge.cli.options import Group, Json, Limit, Name, QueueName, Search, Since, Until, Yes, duration
from rustforge.cli.output import confirm, show_facts, show_json, show_table, when, with_bar
from rustforge.cli.run import FAILED, WRONG, fail, run
from rustforge.errors import JobError
from rustforge.jobs.queue import Queue

if TYPE_CHECKING:
    from rustforge.jobs.failed import FailedJob, FailedJobs

__all__ = ["forget", "list_", "purge", "retry", "show"]

_LONGEST_ERROR = 80
_PAGE = 500
_Ids = Annotated[list[str] | None, typer.Argument(help="The jobs' ids.")]


def list_(
    queue: QueueName = None,
    name: Name = None,
    group: Group = None,
    search: Search = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    before: Annotated[str | None, typer.Option(help="The end of the page before, to see what follows.")] = None,
    as_json: Json = False,
) -> None:
    """List failed jobs, the newest failure first."""
    filters = _filters(queue, name, group, search, since, until)

    async def _work() -> None:
        async with boot() as ctx:
            page = await _failed(ctx).list(**filters, limit=limit, before=before)
        if as_json:
            show_json(page)
        elif not page.items:
            typer.echo("No failed jobs.")
        else:
            show_table(
                ["id", "job", "queue", "group", "attempts", "failed at", "error"], [_row(one) for one in page.items]
            )
            if page.next is not None:
                typer.echo(f"There are more: --before {page.next}")

    run(_work())


def show(job_id: Annotated[str, typer.Argument(help="The job's id.")], as_json: Json = False) -> None:
    """Show a job with its payload and error: a failed one, or one that is in a queue."""

    async def _work() -> None:
        async with boot() as ctx:
            found: Any = await _failed(ctx).get(job_id)
            for queue in [] if found is not None else await ctx.queue.names():
                found = found or await ctx.queue.show(job_id, queue)
        if found is None:
            fail(f"there is no job {job_id}, neither failed nor in a queue")
        if as_json:
            return show_json(found)
        facts = {field: getattr(found, field) for field in found.__dataclass_fields__}
        for field, value in facts.items():
            if isinstance(value, datetime):
                facts[field] = when(value)
            elif field in {"payload", "options"} and not isinstance(value, str):
                facts[field] = codec.encode(value).decode()
        return show_facts(facts)

    run(_work())


def retry(
    ids: _Ids = None,
    every: Annotated[bool, typer.Option("--all", help="All that the options name.")] = False,
    queue: QueueName = None,
    name: Name = None,
    group: Group = None,
    search: Search = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Enqueue failed jobs anew, with all their attempts before them."""
    filters = _filters(queue, name, group, search, since, until)
    _require_choice(ids, every, filters)

    async def _work() -> int:
        async with boot() as ctx:
            failed = _failed(ctx)
            if not every:
                return await _each(
                    ids or [], lambda job_id: failed.retry(job_id, ctx.queue), "retried", as_json=as_json
                )
            count = await failed.count(**filters)
            confirm(f"Retry {count:,} failed jobs?", yes=yes or not count)
            retried = await with_bar(
                "Retrying", failed.retry_all(ctx.queue, **filters), lambda: failed.count(**filters), hidden=as_json
            )
        left = count - retried
        if as_json:
            show_json({"retried": retried, "left": left})
        else:
            typer.echo(f"Retried {retried:,} jobs." + (f" {left:,} cannot be retried now." if left > 0 else ""))
        return FAILED if left > 0 else 0

    run(_work())


def forget(
    ids: _Ids = None,
    every: Annotated[bool, typer.Option("--all", help="All that the options name.")] = False,
    queue: QueueName = None,
    name: Name = None,
    group: Group = None,
    search: Search = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove failed jobs, which cannot be retried any more; groups that they hold go on."""
    filters = _filters(queue, name, group, search, since, until)
    _require_choice(ids, every, filters)

    async def _work() -> int:
        async with boot() as ctx:
            failed = _failed(ctx)
            count = await failed.count(**filters) if every else len(ids or [])
            confirm(f"Forget {count:,} failed jobs for ever?", yes=yes or not count)
            if not every:
                return await _each(
                    ids or [], lambda job_id: failed.forget(job_id, ctx.queue), "forgotten", as_json=as_json
                )
            gone = await with_bar(
                "Forgetting", _forget_all(failed, ctx.queue, filters), lambda: failed.count(**filters), hidden=as_json
            )
        return _tell("forgotten", gone, as_json=as_json)

    run(_work())


def purge(
    older_than: Annotated[
        timedelta, typer.Option("--older-than", parser=duration, metavar="TIME", help="Since the failure, such as 30d.")
    ],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove the jobs that failed longer ago than a time, but for those that hold their groups."""

    async def _work() -> int:
        async with boot() as ctx:
            failed = _failed(ctx)
            confirm(f"Forget all jobs that failed longer than {older_than} ago?", yes=yes)
            gone = await with_bar("Purging", failed.prune(older_than, ctx.queue), failed.count, hidden=as_json)
        return _tell("forgotten", gone, as_json=as_json)

    run(_work())


async def _forget_all(failed: "FailedJobs", queue: Queue, filters: dict[str, Any]) -> int:
    gone = 0
    async for one in _pages(failed, filters):
        gone += await failed.forget(one.id, queue)
    return gone


async def _pages(failed: "FailedJobs", filters: dict[str, Any]) -> AsyncIterator["FailedJob"]:
    before: str | None = None
    while True:
        page = await failed.list(**filters, limit=_PAGE, before=before)
        for one in page.items:
            yield one
        before = page.next
        if before is None:
            return


async def _each(ids: list[str], do: Callable[[str], Coroutine[Any, Any, bool]], done: str, *, as_json: bool) -> int:
    """Do something with each job, and tell with which it could not be done."""
    fine: list[str] = []
    wrong: dict[str, str] = {}
    for job_id in dict.fromkeys(ids):
        try:
            if await do(job_id):
                fine.append(job_id)
            else:
                wrong[job_id] = "there is no such failed job"
        except JobError as error:
            wrong[job_id] = str(error)
    if as_json:
        show_json({done: fine, "errors": wrong})
    elif fine:
        typer.echo(f"{done.capitalize()}: {', '.join(fine)}")
    for job_id, reason in wrong.items():
        typer.secho(f"Error: {job_id}: {reason}", err=True, fg=typer.colors.RED)
    return FAILED if wrong else 0


def _tell(done: str, count: int, *, as_json: bool) -> int:
    if as_json:
        show_json({done: count})
    else:
        typer.echo(f"{done.capitalize()}: {count:,} jobs.")
    return 0


def _failed(ctx: BootContext) -> "FailedJobs":
    database = ctx.db  # which says what is to be installed, where it is not
    from rustforge.jobs.failed import FailedJobs  # noqa: PLC0415 - it needs SQLAlchemy, an extra

    return FailedJobs(database)


def _filters(
    queue: str | None,
    name: str | None,
    group: str | None,
    search: str | None,
    since: datetime | None,
    until: datetime | None,
) -> dict[str, Any]:
    found = {"queue": queue, "name": name, "group": group, "search": search, "since": since, "until": until}
    return {key: value for key, value in found.items() if value is not None}


def _require_choice(ids: list[str] | None, every: bool, filters: dict[str, Any]) -> None:
    """Ask for ids, or for all of a kind; an option that was forgotten must not mean all there are."""
    if bool(ids) == every:
        fail("name the jobs by their ids, or all that the options name by --all", WRONG)
    if ids and filters:
        fail("ids are enough; the other options go with --all", WRONG)


def _row(one: "FailedJob") -> list[object]:
    error = one.error.splitlines()[0] if one.error else ""
    short = error if len(error) <= _LONGEST_ERROR else f"{error[: _LONGEST_ERROR - 1]}…"
    return [one.id, one.job_name, one.queue, one.group_id, one.attempts, when(one.failed_at), short]
