"""The outbox: jobs that are enqueued if, and only if, the transaction commits in which they were pushed.

[`JobBuffer`][rustforge.jobs.outbox.JobBuffer] writes them as rows in the caller's transaction, and
[`OutboxFlusher`][rustforge.jobs.outbox.OutboxFlusher] brings the rows into the queue. The row's id is the job's, and
the queue remembers it until the row is gone, so that a crash between any two steps enqueues no job twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from sqlalchemy import Connection, Engine, delete, event, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from rustforge.clock import milliseconds
from rustforge.db.statements import upsert
from rustforge.db.tables import failed_jobs, outbox_jobs, utc_now
from rustforge.errors import DatabaseError, InvalidArgumentError, InvalidTypeError, JobDecodeError, RedisError
from rustforge.jobs.job import Job, envelope_of
from rustforge.jobs.rows import columns_of, enqueue_once, envelope_from, forget_sent, plain

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from rustforge.db import Database
    from rustforge.jobs.envelope import Envelope
    from rustforge.jobs.queue import Queue
    from rustforge.types import Duration

__all__ = ["JobBuffer", "OutboxContext", "OutboxFlusher"]

_logger = logging.getLogger("rustforge.jobs.outbox")

_BATCH = 500
_PATIENCE = 5.0
_LOCK = 0x7275_7374_6F75_7478  # "rustoutx", in pg_locks
_COMMITTED = "rustforge_outbox"

_flushers: defaultdict[str, WeakSet[OutboxFlusher]] = defaultdict(WeakSet)
_flushers_guard = threading.Lock()


class OutboxContext(Protocol):
    """What a flusher works with; [`BootContext`][rustforge.boot.BootContext] is one."""

    @property
    def db(self) -> Any:
        """The database."""
        ...

    @property
    def queue(self) -> Any:
        """The queue."""
        ...


class JobBuffer:
    """Pushes jobs within a transaction of the caller's: they are enqueued when it commits, and never if it does not.

    Example:
        ```python
        async with ctx.db.transaction() as session:
            session.add(order)
            await SendReceipt(order_id=order.id).dispatch(JobBuffer(session))
        ```
    """

    def __init__(self, session: AsyncSession | AsyncConnection | Session | Connection) -> None:
        """Say within which transaction.

        Args:
            session: A session or connection of SQLAlchemy, with or without asyncio.

        Raises:
            InvalidTypeError: It is none.
        """
        if isinstance(session, (AsyncSession, AsyncConnection)):
            self._sync: Session | Connection = (
                session.sync_session if isinstance(session, AsyncSession) else _sync_connection(session)
            )
        elif isinstance(session, (Session, Connection)):
            self._sync = session
        else:
            msg = f"session must be a session or connection of SQLAlchemy, not {type(session).__name__}"
            raise InvalidTypeError(msg)
        self._session = session

    async def push(self, job: Job, delay: Duration | None = None) -> str:
        """Push a job.

        Args:
            job: The job.
            delay: Seconds to wait from now on as a number, or a `timedelta`.

        Returns:
            The job's id.

        Raises:
            JobEncodeError: The job is not JSON. Nothing was written.
        """
        return (await self.push_many([job], delay))[0]

    async def push_many(
        self, jobs: Iterable[Job], delay: Duration | None = None, *, ids: Sequence[str] | None = None
    ) -> list[str]:
        """Push many jobs, in order.

        Args:
            jobs: The jobs.
            delay: As for `push`.
            ids: Their ids, in order, where rows of the application's name the jobs; each must be new, for good. `None`
                makes them.

        Returns:
            Their ids, in order.
        """
        rows = _rows(jobs, delay, ids)
        if rows:
            if isinstance(self._session, (AsyncSession, AsyncConnection)):
                await self._session.execute(insert(outbox_jobs).values(created_at=utc_now()), rows)
            else:
                self._session.execute(insert(outbox_jobs).values(created_at=utc_now()), rows)
            _wake_after_commit(self._sync)
        return [row["id"] for row in rows]

    def push_sync(self, job: Job, delay: Duration | None = None) -> str:
        """Push a job through a session or connection without asyncio, where nothing can be awaited.

        Args:
            job: The job.
            delay: As for `push`.

        Returns:
            The job's id.
        """
        return self.push_many_sync([job], delay)[0]

    def push_many_sync(self, jobs: Iterable[Job], delay: Duration | None = None) -> list[str]:
        """Push many jobs, in order, through a session or connection without asyncio.

        Args:
            jobs: The jobs.
            delay: As for `push`.

        Returns:
            Their ids, in order.
        """
        if isinstance(self._session, (AsyncSession, AsyncConnection)):
            msg = f"push_sync needs a session without asyncio; await push(job) with {type(self._session).__name__}"
            raise InvalidTypeError(msg)
        rows = _rows(jobs, delay)
        if rows:
            self._session.execute(insert(outbox_jobs).values(created_at=utc_now()), rows)
            _wake_after_commit(self._sync)
        return [row["id"] for row in rows]


class OutboxFlusher:
    """Brings committed jobs into the queue: in their order, each exactly once.

    However many processes have one, one of them works at a time. Who uses [`boot`][rustforge.boot.boot] needs to make
    none: its context flushes after each commit in its process, and each worker looks every few seconds for what was
    left, should a process have died between the two. Without `boot`, let `run` go on in a task.

    Example:
        ```python
        flushing = asyncio.create_task(OutboxFlusher(ctx).run())
        ```
    """

    def __init__(self, ctx: OutboxContext) -> None:
        """Say from where to where.

        Args:
            ctx: What has the database and the queue, such as the context of [`boot`][rustforge.boot.boot].
        """
        self._db: Database = ctx.db
        self._queue: Queue = ctx.queue
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    async def flush(self) -> int:
        """Enqueue what was committed.

        A row that cannot be enqueued, because somebody else wrote it or it is too large for the queue, goes to
        `failed_jobs` with the reason.

        Returns:
            How many jobs.

        Raises:
            RedisError: Redis could not do it; the rows stay, and come at the next flush.
        """
        total = 0
        async with self._turn:
            while await self._anything():
                total += await self._step()
        return total

    async def run(self, interval: float = 5.0) -> None:
        """Flush after each commit in this process, and every few seconds for those of others, until cancelled.

        What fails is logged, and tried again at the next interval.

        Args:
            interval: The seconds.
        """
        milliseconds(interval, "interval")
        self.listen(asyncio.get_running_loop())
        self._task = asyncio.current_task()
        try:
            while True:
                self._wake.clear()
                await self._try()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(interval):
                        await self._wake.wait()
        finally:
            self._task = None
            self._listen_no_more()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Flush on this loop after each commit in this process, and look for nothing in between, until `aclose`."""
        self._loop = loop
        with _flushers_guard:
            _flushers[_place(self._db.engine.sync_engine)].add(self)

    def wake(self) -> None:
        """Flush now, in the background; from any thread. Does nothing unless `run` goes on, or `listen` was called."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._wake_up)

    async def aclose(self) -> None:
        """Listen no more, and let a flush that was begun by a commit come to its end."""
        self._listen_no_more()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _wake_up(self) -> None:
        self._wake.set()
        if self._task is None and self._loop is not None:
            self._task = self._loop.create_task(self._flush_on_demand())

    async def _flush_on_demand(self) -> None:
        while self._wake.is_set():
            self._wake.clear()
            await self._try()
        self._task = None

    async def _try(self) -> None:
        try:
            await _to_its_end(self.flush())
        except (RedisError, DatabaseError, SQLAlchemyError, OSError) as error:
            _logger.warning("The outbox was not flushed, and waits: %s: %s", type(error).__name__, error)

    def _listen_no_more(self) -> None:
        self._loop = None
        with _flushers_guard:
            _flushers[_place(self._db.engine.sync_engine)].discard(self)

    async def _anything(self) -> bool:
        """Look whether there are rows, without locking anything."""
        async with self._db.reading() as session:
            return await session.scalar(select(outbox_jobs.c.seq).limit(1)) is not None

    async def _step(self) -> int:
        """Delete the rows that were enqueued, and enqueue the next ones; return how many.

        Each row goes through two transactions. In the first it is enqueued and says so; if that comes to nothing, the
        queue remembers its id, so that it counts once when it comes again. In the second the queue forgets the id, and
        the row goes.
        """
        async with self._db.transaction() as session:
            if self._db.is_postgresql:  # on SQLite the transaction itself is the lock
                await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            enqueued = outbox_jobs.c.enqueued_at.is_not(None)
            gone = (await session.execute(select(outbox_jobs.c.id, outbox_jobs.c.queue).where(enqueued))).all()
            if gone:
                await forget_sent(self._queue, gone)
                await session.execute(delete(outbox_jobs).where(enqueued))
            query = select(outbox_jobs, utc_now().label("now")).where(~enqueued).order_by(outbox_jobs.c.seq)
            rows = (await session.execute(query.limit(_BATCH))).all()
            return await self._enqueue(session, rows) if rows else 0

    async def _enqueue(self, session: AsyncSession, rows: Sequence[Any]) -> int:
        """Enqueue rows, and move those aside that cannot be."""
        envelopes: list[Envelope] = []
        delays: list[int] = []
        refused: dict[str, Exception] = {}
        for row in rows:
            try:
                envelopes.append(envelope_from(row.id, row.queue, row.name, row.payload, row.options))
                delays.append(_rest_of_delay(row))
            except JobDecodeError as error:
                refused[row.id] = error
        went, others = await enqueue_once(self._queue, envelopes, delays)
        refused |= others
        await upsert(session, failed_jobs, [_aside(row, refused[row.id]) for row in rows if row.id in refused])
        ids = [row.id for row in rows]
        await session.execute(update(outbox_jobs).where(outbox_jobs.c.id.in_(ids)).values(enqueued_at=utc_now()))
        for job_id, reason in refused.items():
            _logger.error("Job %s of the outbox could not be enqueued and is in failed_jobs: %s", job_id, reason)
        return len(went)


async def _to_its_end(flushing: Coroutine[Any, Any, object]) -> None:
    """Let a flush come to its end when the task is cancelled; one that Redis holds up is given up after a while."""
    task = asyncio.ensure_future(flushing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_PATIENCE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def _sync_connection(connection: AsyncConnection) -> Connection:
    found = connection.sync_connection
    if found is None:
        msg = "the connection is not open: use it as `async with engine.begin() as connection`"
        raise InvalidArgumentError(msg)
    return found


def _rows(jobs: Iterable[Job], delay: Duration | None, ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Write jobs as rows of the outbox."""
    wait = 0 if delay is None else milliseconds(delay, "delay", allow_zero=True)
    if ids is None:
        written = [envelope_of(job) for job in jobs]
    else:
        written = [envelope_of(job, job_id=job_id) for job, job_id in zip(jobs, ids, strict=True)]
    return [{**columns_of(one), "name": one.name, "delay_ms": wait} for one in written]


def _rest_of_delay(row: Any) -> int:
    """Count the milliseconds that a job has still to wait, by the database's clock alone."""
    if not row.delay_ms:
        return 0
    passed: int = (row.now - row.created_at) // timedelta(milliseconds=1)
    return min(int(row.delay_ms), max(0, int(row.delay_ms) - passed))


def _aside(row: Any, reason: Exception) -> dict[str, Any]:
    """Write a row that cannot be enqueued as a failed job, as it stands."""
    return {
        "id": row.id,
        "job_name": row.name,
        "queue": row.queue,
        "group_id": None,
        "payload": row.payload,
        "options": row.options,
        "error": plain(f"outbox: {reason}"),
        "attempts": 0,
        "failed_at": row.now,
        "retry": None,
    }


# -- waking after a commit --------------------------------------------------------------------------------------------


def _place(bind: Engine | Connection) -> str:
    """Name the database that an engine leads to, whichever driver it uses."""
    url = bind.engine.url
    return f"{url.get_backend_name()}://{url.host or ''}:{url.port or ''}/{url.database or ''}"


def _wake_all(place: str) -> None:
    with _flushers_guard:
        found = list(_flushers.get(place, ()))
    for flusher in found:
        flusher.wake()


def _wake_after_commit(sync: Session | Connection) -> None:
    """Wake the flushers of this process once the transaction is committed."""
    if isinstance(sync, Session):
        sync.info[_COMMITTED] = _place(sync.get_bind(clause=outbox_jobs))
        if not event.contains(sync, "after_commit", _session_committed):
            event.listen(sync, "after_commit", _session_committed)
            event.listen(sync, "after_soft_rollback", _session_rolled_back)
    elif not event.contains(sync, "commit", _connection_commits):
        event.listen(sync, "commit", _connection_commits)
        if not event.contains(sync.engine.pool, "checkin", _connection_returns):
            event.listen(sync.engine.pool, "checkin", _connection_returns)


def _session_committed(session: Session) -> None:
    if not session.in_nested_transaction():  # the end of a savepoint is no commit
        place = session.info.pop(_COMMITTED, None)
        if place is not None:
            _wake_all(place)


def _session_rolled_back(session: Session, transaction: Any) -> None:
    if transaction.parent is None:
        session.info.pop(_COMMITTED, None)


def _connection_commits(connection: Connection) -> None:
    """Note that the commit is about to happen; when the connection is given back, it has."""
    connection.info[_COMMITTED] = _place(connection)


def _connection_returns(connection: Any, record: Any) -> None:
    del connection
    place = record.info.pop(_COMMITTED, None)
    if place is not None:
        _wake_all(place)
