"""The jobs that failed for good: rows of `failed_jobs`, to look at, to retry and to forget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Text, delete, func, literal, or_, select, tuple_, update

from rustforge import codec
from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.db.pages import read_cursor, require_limit, write_cursor
from rustforge.db.statements import upsert
from rustforge.db.tables import failed_jobs as table
from rustforge.errors import JobDecodeError, JobError
from rustforge.jobs.envelope import Envelope
from rustforge.jobs.rows import enqueue_once, envelope_from, failed_columns, forget_sent, options_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from rustforge.db import Database
    from rustforge.jobs.queue import DeadJob, Queue
    from rustforge.types import Duration

__all__ = ["FailedJob", "FailedJobs", "FailedPage"]

_SLICE = 100
_BEGUN, _DONE = "begun", "done"
_STANDING = table.c.retry.is_distinct_from(_DONE)
_MAY_HOLD = table.c.options.contains('"gh":')


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that failed for good.

    Attributes:
        id: Its id, which a retry keeps.
        job_name: Its `NAME`.
        queue: The queue it came from, and goes back to.
        group_id: Its group.
        payload: Its fields as plain JSON; the text as it stands where that is not JSON.
        options: Its options; see `rustforge.jobs.envelope.Envelope`.
        error: The last error.
        attempts: How many attempts failed.
        failed_at: When the last one did.
    """

    id: str
    job_name: str
    queue: str
    group_id: str | None
    payload: Any
    options: dict[str, Any]
    error: str
    attempts: int
    failed_at: datetime


@dataclass(frozen=True, slots=True)
class FailedPage:
    """Some failed jobs of a list.

    Attributes:
        items: The jobs, the newest failure first.
        next: What to pass as `before` to get those that follow; `None` where there are none.
    """

    items: list[FailedJob]
    next: str | None


class FailedJobs:
    """The failed jobs in a database.

    Example:
        ```python
        failed = FailedJobs(ctx.db)
        for job in (await failed.list(name="mail.send")).items:
            print(job.id, job.error)
        await failed.retry_all(ctx.queue, name="mail.send")
        ```
    """

    def __init__(self, db: Database) -> None:
        """Say where they are.

        Args:
            db: The database, such as `ctx.db`.
        """
        self._db = db

    async def list(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        group: str | None = None,
        search: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> FailedPage:
        """List failed jobs, the newest failure first, page by page.

        Args:
            queue: Only those of this queue.
            name: Only those with this `NAME`.
            group: Only those of this group.
            search: Only those that have this text in their id, name, payload or error, in either case.
            since: Only those that failed at this time or later.
            until: Only those that failed before this time.
            limit: How many at most, up to 1,000.
            before: The `next` of the page before.

        Raises:
            InvalidArgumentError: `limit` or `before` cannot be used.
        """
        require_limit(limit)
        matching = _conditions(queue=queue, name=name, group=group, search=search, since=since, until=until)
        if before is not None:
            matching.append(_position() < _read_cursor(before))
        query = select(table).where(*matching).order_by(table.c.failed_at.desc(), table.c.id.desc()).limit(limit + 1)
        async with self._db.reading() as session:
            rows = (await session.execute(query)).all()
        return FailedPage([_job(row) for row in rows[:limit]], _cursor(rows[limit - 1]) if len(rows) > limit else None)

    async def count(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        group: str | None = None,
        search: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """Count failed jobs; the arguments are those of `list`."""
        matching = _conditions(queue=queue, name=name, group=group, search=search, since=since, until=until)
        async with self._db.reading() as session:
            return await session.scalar(select(func.count()).select_from(table).where(*matching)) or 0

    async def get(self, job_id: str) -> FailedJob | None:
        """Look at one failed job; `None` where there is none with this id."""
        async with self._db.reading() as session:
            row = (await session.execute(select(table).where(table.c.id == job_id, _STANDING))).one_or_none()
        return None if row is None else _job(row)

    async def retry(self, job_id: str, target: Queue, /) -> bool:
        """Enqueue a failed job anew: under its id, in its group, with all its attempts before it.

        It runs once more however often this is called at the same time, and wherever a call is cut off.

        Args:
            job_id: Its id.
            target: The queues, such as `ctx.queue`; it goes to the one it came from.

        Returns:
            Whether there was such a job; one that was retried already is not there any more.

        Raises:
            JobDecodeError: The row cannot be read; it stays.
            JobError: An unfinished job with the same unique key stands in its way; the row stays.
            RedisError: Redis could not do it; the row stays.
        """
        retried, refused = await self._retry([job_id], target)
        for error in refused.values():
            raise error
        return bool(retried)

    async def retry_all(
        self,
        target: Queue,
        /,
        *,
        queue: str | None = None,
        name: str | None = None,
        group: str | None = None,
        search: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """Retry failed jobs, in the order in which they failed; those that `retry` would refuse stay.

        Args:
            target: The queues, such as `ctx.queue`.
            queue: As for `list`, and so are the others.
            name: As for `list`.
            group: As for `list`.
            search: As for `list`.
            since: As for `list`.
            until: As for `list`.

        Returns:
            How many were enqueued.
        """
        matching = _conditions(queue=queue, name=name, group=group, search=search, since=since, until=until)
        async with self._db.reading() as session:
            newest = await session.scalar(select(func.max(table.c.failed_at)).where(*matching))
        if newest is None:
            return 0
        matching.append(table.c.failed_at <= newest)  # what fails again meanwhile is not retried again
        following: tuple[ColumnElement[bool], ...] = ()
        total = 0
        while True:
            query = select(table.c.id, table.c.failed_at).where(*matching, *following)
            async with self._db.reading() as session:
                rows = (await session.execute(query.order_by(table.c.failed_at, table.c.id).limit(_SLICE))).all()
            if not rows:
                return total
            following = (_position() > _read_cursor(_cursor(rows[-1])),)
            total += len((await self._retry([row.id for row in rows], target))[0])

    async def forget(self, job_id: str, target: Queue | None = None) -> bool:
        """Remove a failed job, and let its group or chain go on where it holds it.

        Args:
            job_id: Its id.
            target: The queues, such as `ctx.queue`; needed for a job with `HOLD_GROUP` or of a chain.

        Returns:
            Whether there was such a job.

        Raises:
            JobError: It may hold its group, which nobody could let go any more; the row stays.
            RedisError: Redis could not let the group go; the row stays.
        """
        async with self._db.transaction() as session:
            rows = [row for row in await _lock(session, [job_id]) if row.retry != _DONE]
            for row in rows:
                options = options_from(row.options) or {}
                if options.get("gh"):
                    if target is None:
                        msg = f"job {job_id} may hold its group {row.group_id}: pass the queue, which lets it go"
                        raise JobError(msg)
                    await target.let_go(str(options.get("g")), row.queue, job_id=job_id)
                await session.execute(delete(table).where(table.c.id == job_id))
        return bool(rows)

    async def prune(self, older_than: Duration, target: Queue | None = None) -> int:
        """Remove the jobs that failed longer ago than this, but for those that hold their group or chain.

        Args:
            older_than: Seconds as a number, or a `timedelta`.
            target: The queues, such as `ctx.queue`, to ask which these are. Without it all jobs with `HOLD_GROUP` and
                of chains stay.

        Returns:
            How many.
        """
        age = timedelta(milliseconds=milliseconds(older_than, "older_than"))
        limit = datetime.fromtimestamp(SYSTEM_CLOCK.time(), UTC) - age
        old = table.c.failed_at < limit, _STANDING
        async with self._db.transaction() as session:
            gone = await session.execute(delete(table).where(*old, ~_MAY_HOLD).returning(table.c.id))
            total = len(gone.all())
            if target is not None:
                rows = (await session.execute(select(table.c.id, table.c.queue).where(*old, _MAY_HOLD))).all()
                held = {one.job_id for name in {row.queue for row in rows} for one in await target.held_groups(name)}
                free = [row.id for row in rows if row.id not in held]
                for start in range(0, len(free), _SLICE):
                    await session.execute(delete(table).where(table.c.id.in_(free[start : start + _SLICE])))
                total += len(free)
        return total

    async def record(self, dead: Iterable[DeadJob], source: Queue | None = None) -> None:
        """Store jobs that died, each under its id, however often it is called for them; workers do so.

        Args:
            dead: The jobs.
            source: Where they are dead. One that is not any more, as somebody stored and retried it meanwhile, is left
                out.
        """
        left = list(dead)
        while left:
            rows = [{**failed_columns(one.envelope, one.error, one.attempts), "failed_at": one.died_at} for one in left]
            async with self._db.transaction() as session:
                await upsert(session, table, rows)  # nobody can retry these rows until the end of the transaction
                standing = left if source is None else await source.still_dead(left)
                if len(standing) == len(left):
                    return
                await session.rollback()
            left = standing

    async def _retry(self, ids: Sequence[str], target: Queue) -> tuple[dict[str, str], dict[str, Exception]]:
        """Enqueue rows and delete them, in steps of which each may be the last that is taken.

        First a row says that it goes (`begun`). From then on the queue remembers its id for this retry; what it
        remembers from before is of an earlier life of the job, and is forgotten. Then it is enqueued and says so
        (`done`). Then the queue forgets the id, and the row is deleted. A row that dies again starts at the beginning.
        """
        async with self._db.transaction() as session:
            done = select(table).where(table.c.retry == _DONE).with_for_update(skip_locked=True)
            gone = (await session.execute(done)).all()
            fresh = [row for row in await _lock(session, ids) if row.retry is None]
            await forget_sent(target, [*gone, *fresh])
            await session.execute(delete(table).where(table.c.id.in_([row.id for row in gone])))
            await session.execute(update(table).where(table.c.id.in_([row.id for row in fresh])).values(retry=_BEGUN))
        refused: dict[str, Exception] = {}
        async with self._db.transaction() as session:
            rows = [row for row in await _lock(session, ids) if row.retry == _BEGUN]
            envelopes: list[Envelope] = []
            for row in rows:
                try:
                    envelopes.append(_envelope(row))
                except JobDecodeError as error:
                    refused[row.id] = error
            went, others = await enqueue_once(target, envelopes, [0] * len(envelopes))
            refused |= others
            for job_id, standing in list(went.items()):
                if standing != job_id:
                    msg = f"job {job_id} cannot be retried now: job {standing} has the same unique key"
                    refused[job_id] = JobError(msg)
                    del went[job_id]
            await session.execute(update(table).where(table.c.id.in_(went)).values(retry=_DONE))
            await session.execute(update(table).where(table.c.id.in_(refused)).values(retry=None))
        if went:
            async with self._db.transaction() as session:
                gone = [row for row in await _lock(session, list(went)) if row.retry == _DONE]
                await forget_sent(target, gone)
                await session.execute(delete(table).where(table.c.id.in_([row.id for row in gone])))
        return went, refused


def _position() -> ColumnElement[Any]:
    """Say where a row stands in the list."""
    return tuple_(table.c.failed_at, table.c.id)


def _cursor(row: Any) -> str:
    """Write where a row stands in the list."""
    return write_cursor(row.failed_at, row.id)


def _read_cursor(text: str) -> ColumnElement[Any]:
    """Read what `_cursor` wrote."""
    when, job_id = read_cursor(text)
    return tuple_(literal(when, table.c.failed_at.type), literal(job_id, Text))


def _conditions(
    *,
    queue: str | None,
    name: str | None,
    group: str | None,
    search: str | None,
    since: datetime | None,
    until: datetime | None,
) -> list[ColumnElement[bool]]:
    """Write the filters of a list."""
    found: list[ColumnElement[bool]] = [_STANDING]
    for column, value in ((table.c.queue, queue), (table.c.job_name, name), (table.c.group_id, group)):
        if value is not None:
            found.append(column == value)
    if search:
        texts = (table.c.id, table.c.job_name, table.c.payload, table.c.error)
        found.append(or_(*[text.icontains(search, autoescape=True) for text in texts]))
    if since is not None:
        found.append(table.c.failed_at >= since)
    if until is not None:
        found.append(table.c.failed_at < until)
    return found


async def _lock(session: AsyncSession, ids: Sequence[str]) -> Sequence[Any]:
    """Read rows, and let nobody else have them until the end of the transaction."""
    query: Select[Any] = select(table).where(table.c.id.in_(ids)).order_by(table.c.failed_at, table.c.id)
    rows: Sequence[Any] = (await session.execute(query.with_for_update())).all()
    return rows


def _envelope(row: Any) -> Envelope:
    """Read the job that is enqueued anew; its batch is over."""
    found = envelope_from(row.id, row.queue, row.job_name, row.payload, row.options)
    return Envelope(
        found.id,
        found.queue,
        found.name,
        found.payload,
        {key: value for key, value in found.options.items() if key != "b"},
    )


def _job(row: Any) -> FailedJob:
    """Show a row, whatever is in it."""
    try:
        payload: Any = codec.decode(row.payload.encode())
    except codec.DecodeError:
        payload = row.payload
    return FailedJob(
        id=row.id,
        job_name=row.job_name,
        queue=row.queue,
        group_id=row.group_id,
        payload=payload,
        options=options_from(row.options) or {},
        error=row.error,
        attempts=row.attempts,
        failed_at=row.failed_at,
    )
