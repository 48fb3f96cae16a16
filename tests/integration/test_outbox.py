"""The outbox: committed jobs are enqueued exactly once and in order, rolled-back ones never."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from rustforge.db import Database
from rustforge.db.tables import failed_jobs, outbox_jobs, utc_now
from rustforge.errors import InvalidArgumentError, InvalidTypeError, JobEncodeError, RedisError
from rustforge.jobs import Queue
from rustforge.jobs.failed import FailedJobs
from rustforge.jobs.outbox import JobBuffer, OutboxFlusher
from tests.support.crashes import FLUSH
from tests.support.outbox import Context, Note
from tests.support.servers import RedisServer
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.processes import Crew


async def push(ctx: Context, *numbers: int, group: str | None = None) -> list[str]:
    """Push jobs in one transaction."""
    async with ctx.db.transaction() as session:
        return [await JobBuffer(session).push(Note(n=n, group=group)) for n in numbers]


async def rows(ctx: Context) -> int:
    """Count what is in the outbox."""
    async with ctx.db.reading() as session:
        return await session.scalar(select(func.count()).select_from(outbox_jobs)) or 0


async def queued(ctx: Context) -> list[int]:
    """List the numbers of the jobs that are ready."""
    return [view.payload["n"] for view in await ctx.queue.peek(limit=10_000)]


async def at_rest(ctx: Context) -> None:
    """Check that nothing is left behind."""
    assert await rows(ctx) == 0
    assert await ctx.queue.sent() == []


async def test_a_commit_enqueues_once(ctx: Context) -> None:
    """What is pushed is enqueued after the commit and not before, under the id that `push` gave, and once."""
    async with ctx.db.transaction() as session:
        job_id = await Note(n=1).dispatch(JobBuffer(session))
        assert await OutboxFlusher(ctx).flush() == 0
    assert await queued(ctx) == []
    flusher = OutboxFlusher(ctx)
    assert await flusher.flush() == 1
    assert [view.id for view in await ctx.queue.peek()] == [job_id]
    assert await flusher.flush() == 0
    assert await ctx.work() == [1]
    await at_rest(ctx)


async def test_a_rollback_leaves_nothing(ctx: Context) -> None:
    """An exception, a rollback and a savepoint that is rolled back take the jobs with them."""

    async def fail() -> None:
        async with ctx.db.transaction() as session:
            await JobBuffer(session).push(Note(n=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with ctx.db.transaction() as session:
        await JobBuffer(session).push(Note(n=2))
        async with session.begin_nested() as savepoint:
            await JobBuffer(session).push(Note(n=3))
            await savepoint.rollback()
        await JobBuffer(session).push(Note(n=4))
    assert await OutboxFlusher(ctx).flush() == 2
    assert await queued(ctx) == [2, 4]


async def test_order_within_and_across_transactions(ctx: Context) -> None:
    """Jobs come in the order of their pushes, also over several batches, and also those of a group."""
    numbers = list(range(1200))
    async with ctx.db.transaction() as session:
        assert len(await JobBuffer(session).push_many([Note(n=n) for n in numbers[:1100]])) == 1100
    for n in numbers[1100:]:
        await push(ctx, n)
    assert await OutboxFlusher(ctx).flush() == 1200
    assert await queued(ctx) == numbers
    await at_rest(ctx)
    await ctx.queue.clear()
    await push(ctx, 1, 2, 3, group="g")
    await OutboxFlusher(ctx).flush()
    assert await queued(ctx) == [1]
    assert await ctx.work() == [1, 2, 3]


async def test_options_go_with_the_job(ctx: Context) -> None:
    """Group and unique key are in the envelope; a job that its key keeps out is done with."""
    first, second = Note(n=1, group="g", key="k"), Note(n=2, key="k")
    async with ctx.db.transaction() as session:
        await JobBuffer(session).push_many([first, second])
    assert await OutboxFlusher(ctx).flush() == 2
    [view] = await ctx.queue.peek()
    assert view.options == {"g": "g", "u": "k"}
    assert await ctx.work() == [1]
    await at_rest(ctx)


async def test_a_delay_counts_from_the_push(ctx: Context) -> None:
    """What has passed between the push and the flush, by the database's clock, is taken off."""
    an_hour_less_a_minute = text(
        "created_at - interval '59 minutes'"
        if ctx.db.is_postgresql
        else "strftime('%Y-%m-%d %H:%M:%f000', created_at, '-59 minutes')"
    )
    async with ctx.db.transaction() as session:
        buffer = JobBuffer(session)
        [early] = await buffer.push_many([Note(n=1)], delay=timedelta(hours=1))
        await buffer.push(Note(n=2), delay=3600)
        over = await buffer.push(Note(n=3), delay=60)
        earlier = update(outbox_jobs).where(outbox_jobs.c.id.in_([early, over]))
        await session.execute(earlier.values(created_at=an_hour_less_a_minute))
    await OutboxFlusher(ctx).flush()
    assert await queued(ctx) == [3]
    [base] = ctx.queue.bases("default")
    due: list[Any] = await ctx.queue.client.call("ZRANGE", f"{base}:delayed", 0, -1, "WITHSCORES")
    scores = [float(pair[1]) for pair in due] if isinstance(due[0], list) else [float(score) for score in due[1::2]]
    assert 58 * 60 < (scores[1] - scores[0]) / 1000 < 60 * 60


async def test_rows_that_are_no_jobs_are_moved_aside(ctx: Context, caplog: pytest.LogCaptureFixture) -> None:
    """Bad rows end in `failed_jobs` as they were, with the reason; those around them are enqueued."""
    bad = {
        "options": {"options": "[1"},
        "list": {"options": "[]"},
        "payload": {"payload": "{n: 1}"},
        "queue": {"queue": "a/b c"},
        "name": {"name": "two words\n"},
        "large": {"payload": json.dumps("x" * (1 << 20))},
    }
    good = {"queue": "default", "name": "note", "payload": '{"n":2}', "options": "{}", "delay_ms": 0}
    await push(ctx, 1)
    async with ctx.db.transaction() as session:
        for job_id, columns in bad.items():
            await session.execute(insert(outbox_jobs).values(created_at=utc_now(), id=job_id, **(good | columns)))
    await push(ctx, 3)
    assert await OutboxFlusher(ctx).flush() == 2
    assert await queued(ctx) == [1, 3]
    await at_rest(ctx)
    failed = {job.id: job for job in (await FailedJobs(ctx.db).list()).items}
    assert failed.keys() == bad.keys()
    assert all(job.error.startswith("outbox: ") and job.attempts == 0 for job in failed.values())
    assert failed["payload"].payload == "{n: 1}"
    assert "over the queue's bound" in failed["large"].error
    assert all(f"Job {job_id} of the outbox could not be enqueued" in caplog.text for job_id in bad)


@pytest.mark.parametrize("point", FLUSH)
async def test_a_crash_at_any_step_enqueues_once(real: Context, crashes: Crew, point: str) -> None:
    """A flusher is killed at one of its steps, what it had enqueued runs, then the next one flushes: one run each."""
    await push(real, 1, 2, group="g")
    await push(real, 3)
    [process] = crashes.gather(1)
    process.order(what="flush", point=point, **real.place)
    assert (await process.hear("ended"))["signal"] == signal.SIGKILL
    await real.work()
    await OutboxFlusher(real).flush()
    assert sorted(await real.work()) == [1, 2, 3]
    await at_rest(real)


async def test_many_flushers_enqueue_once_and_in_order(real: Context, database_url: str) -> None:
    """Flushers of several engines and tasks, while jobs are pushed: each job once, those of a transaction in order."""
    async with Database(database_url) as other:
        flushers = [OutboxFlusher(Context(db, real.queue)) for db in (real.db, other) for _ in range(3)]
        counts = []
        for start in range(0, 60, 6):
            await push(real, *range(start, start + 6))
            counts += await asyncio.gather(*[flusher.flush() for flusher in flushers])
    assert sum(counts) == 60
    assert await queued(real) == list(range(60))
    await at_rest(real)


async def test_redis_away_leaves_the_rows(db: Database, prefix: str) -> None:
    """While Redis cannot be reached, flushing fails and the rows stay; when it is back they go, once."""
    with RedisServer() as server:
        async with Queue.connect(server.url, prefix=prefix) as queue:
            ctx = Context(db, queue)
            await push(ctx, 1, 2)
            server.kill()
            with pytest.raises(RedisError):
                await OutboxFlusher(ctx).flush()
            assert await rows(ctx) == 2
            server.start()
            assert await OutboxFlusher(ctx).flush() == 2
            assert await ctx.work() == [1, 2]


class Tasks:
    """A flusher that runs, and is only woken: its interval is an hour."""

    def __init__(self, ctx: Context) -> None:
        """Start it."""
        self.flusher = OutboxFlusher(ctx)
        self.task = asyncio.create_task(self.flusher.run(3600))

    async def listening(self) -> None:
        """Wait until it has flushed for the first time and waits."""
        wake = self.flusher._wake
        await wait_until(lambda: self.flusher._loop is not None and len(wake._waiters) == 1 and not wake.is_set())

    async def end(self) -> None:
        """End it."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def running(ctx: Context) -> AsyncIterator[Tasks]:
    """Have a flusher that runs."""
    tasks = Tasks(ctx)
    await tasks.listening()
    yield tasks
    await tasks.end()


async def test_a_commit_wakes_the_flusher(ctx: Context, running: Tasks, database_url: str) -> None:
    """A commit wakes it: of a session, of a connection, of an engine of the application's own; a rollback does not."""
    await push(ctx, 1)
    await wait_until(lambda: queued_is(ctx, [1]))
    await running.listening()
    async with ctx.db.engine.begin() as connection:
        await JobBuffer(connection).push(Note(n=2))
    await wait_until(lambda: queued_is(ctx, [1, 2]))
    await running.listening()
    async with Database(database_url) as other, AsyncSession(other.engine) as session:
        await JobBuffer(session).push(Note(n=3))
        await session.commit()
        await wait_until(lambda: queued_is(ctx, [1, 2, 3]))
        await running.listening()
        await JobBuffer(session).push(Note(n=4))
        await session.rollback()
        async with session.begin_nested():
            await JobBuffer(session).push(Note(n=5))
        await session.rollback()
        await session.execute(text("SELECT 1"))
        await session.commit()
    async with ctx.db.engine.connect() as connection:
        await JobBuffer(connection).push(Note(n=6))
        await connection.rollback()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not running.flusher._wake.is_set()
    assert await queued(ctx) == [1, 2, 3]


async def queued_is(ctx: Context, numbers: list[int]) -> bool:
    """Tell whether just these are ready."""
    return await queued(ctx) == numbers


async def test_sessions_without_asyncio(tmp_path: Any, prefix: str) -> None:
    """A session and a connection without asyncio push from a thread, and wake the flusher of the loop."""
    async with (
        Queue.connect(f"memory://{prefix}", prefix=prefix) as queue,
        Database(f"sqlite:///{tmp_path}/shop.db") as db,
    ):
        await db.upgrade()
        ctx = Context(db, queue)
        tasks = Tasks(ctx)
        await tasks.listening()
        engine = create_engine(f"sqlite:///{tmp_path}/shop.db")

        def in_a_thread() -> None:
            with Session(engine) as session, session.begin():
                JobBuffer(session).push_sync(Note(n=1))
            with engine.begin() as connection:
                JobBuffer(connection).push_sync(Note(n=2))

        await asyncio.to_thread(in_a_thread)
        await wait_until(lambda: queued_is(ctx, [1, 2]))
        await tasks.listening()  # from here on nobody else writes while this thread does
        with Session(engine) as session, session.begin():
            await JobBuffer(session).push(Note(n=3))
        await wait_until(lambda: queued_is(ctx, [1, 2, 3]))
        await tasks.end()
        engine.dispose()


async def test_run_goes_on_after_a_failure(
    ctx: Context, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Redis or the database fails, that is logged, and the next wake tries again; the interval does too."""
    working = ctx.queue.enqueue

    async def away(*_: Any, **__: Any) -> list[str]:
        msg = "away"
        raise RedisError(msg)

    monkeypatch.setattr(ctx.queue, "enqueue", away)
    tasks = Tasks(ctx)
    await tasks.listening()
    await push(ctx, 1)
    await wait_until(lambda: "was not flushed" in caplog.text)
    monkeypatch.setattr(ctx.queue, "enqueue", working)
    await tasks.listening()
    tasks.flusher.wake()
    await wait_until(lambda: queued_is(ctx, [1]))
    await tasks.end()
    sweeping = asyncio.create_task(OutboxFlusher(ctx).run(0.01))
    async with ctx.db.transaction() as session:
        columns = {"id": "x", "queue": "default", "name": "note", "payload": '{"n":2}', "options": "{}", "delay_ms": 0}
        await session.execute(insert(outbox_jobs).values(created_at=utc_now(), **columns))  # as another process does
    await wait_until(lambda: queued_is(ctx, [1, 2]))
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_what_cannot_be_pushed(ctx: Context) -> None:
    """Wrong arguments are refused with a hint, and nothing is written."""

    class Bad(Note):
        NAME = "bad"
        what: Any = None

    with pytest.raises(InvalidTypeError, match="session must be a session or connection of SQLAlchemy, not str"):
        JobBuffer("session")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="not open"):
        JobBuffer(ctx.db.engine.connect())
    with pytest.raises(InvalidArgumentError, match="interval"):
        await OutboxFlusher(ctx).run(0)
    async with ctx.db.transaction() as session:
        with pytest.raises(InvalidTypeError, match="await push"):
            JobBuffer(session).push_sync(Note(n=1))
        with pytest.raises(InvalidArgumentError, match="delay"):
            await JobBuffer(session).push(Note(n=1), delay=-1)
        with pytest.raises(JobEncodeError):
            await JobBuffer(session).push(Bad(n=1, what=object()))
        assert await JobBuffer(session).push_many([]) == []
    assert await rows(ctx) == 0
    async with ctx.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(failed_jobs)) == 0
