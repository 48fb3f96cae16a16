"""The failed jobs: stored once, found again, retried once under their own id, in their group and with all attempts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text, update

from rustforge.db import Database
from rustforge.db.tables import failed_jobs
from rustforge.errors import InvalidArgumentError, JobDecodeError, JobError, RedisError
from rustforge.jobs import DeadJob, Queue, Worker
from rustforge.jobs.dead_letters import DeadLetters
from rustforge.jobs.envelope import Envelope, new_id
from rustforge.jobs.failed import FailedJob, FailedJobs
from rustforge.jobs.job import envelope_of
from tests.support.crashes import RETRY
from tests.support.outbox import Context, Fails, Note
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from tests.support.processes import Crew

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def dead(n: int = 1, *, minutes: int = 0, error: str = "RuntimeError: no", group: str | None = None) -> DeadJob:
    """Make a job that died so many minutes after noon."""
    return DeadJob(envelope_of(Note(n=n, group=group)), error, 6, NOON + timedelta(minutes=minutes))


def numbers(jobs: list[FailedJob]) -> list[int]:
    """Name jobs by their numbers."""
    return [job.payload["n"] for job in jobs]


async def record(ctx: Context, *jobs: DeadJob) -> list[str]:
    """Store jobs and return their ids."""
    await FailedJobs(ctx.db).record(jobs)
    return [job.envelope.id for job in jobs]


class Stalling(Queue):
    """A queue whose caller stands still after it has looked at the dead jobs for the first time."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Stand still at the first look."""
        super().__init__(*args, **options)
        self.looked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def dead(self, queue: str = "default", limit: int = 100) -> list[DeadJob]:
        """Look, and stand still."""
        found = await super().dead(queue, limit)
        self.looked.set()
        await self.go_on.wait()
        return found


class Holds(Fails):
    """Holds its group when it has failed."""

    NAME = "holds"
    HOLD_GROUP = True


class Mended(Note):
    """What fails no more."""

    NAME = "fails"


async def at_rest(ctx: Context) -> None:
    """Check that nothing is left behind."""
    async with ctx.db.reading() as session:
        assert (await session.execute(select(failed_jobs))).all() == []
    assert await ctx.queue.sent() == []


async def test_a_job_that_fails_for_good_is_stored(ctx: Context) -> None:
    """A worker brings a dead job here with all that is known of it, and takes it out of the queue."""
    job_id = await Fails(n=7, group="g").dispatch(ctx.queue)
    assert await ctx.work() == [7]
    job = await FailedJobs(ctx.db).get(job_id)
    assert job is not None
    assert (job.id, job.job_name, job.queue, job.group_id) == (job_id, "fails", "default", "g")
    assert (job.payload, job.options["g"], job.attempts) == ({"n": 7, "group": "g", "key": None}, "g", 1)
    assert "RuntimeError: number 7 is wrong" in job.error
    assert abs(datetime.now(UTC) - job.failed_at) < timedelta(minutes=1)
    assert await ctx.queue.dead() == []


async def test_recording_again_changes_one_row(ctx: Context) -> None:
    """A job is one row, also when it is recorded twice at once; the last one counts."""
    first = dead(1)
    later = DeadJob(first.envelope, "RuntimeError: again", 12, NOON + timedelta(hours=1))
    await record(ctx, first, first)
    await asyncio.gather(record(ctx, first), record(ctx, first, dead(2)))
    await record(ctx, later)
    failed = FailedJobs(ctx.db)
    assert await failed.count() == 2
    job = await failed.get(first.envelope.id)
    assert job is not None
    assert (job.error, job.attempts, job.failed_at) == (later.error, 12, later.died_at)


async def test_whatever_is_in_it_can_be_recorded(ctx: Context) -> None:
    """Text that a database refuses (NUL, halves of characters) and payloads that are no UTF-8 do not stop a record."""
    envelope = Envelope(new_id(), "default", "note", b'{"n":"\xff\x00"}', {"g": "\ud800"})
    await record(ctx, DeadJob(envelope, "bad \x00 \ud83d text", 1, NOON))
    job = await FailedJobs(ctx.db).get(envelope.id)
    assert job is not None
    assert job.error == "bad \ufffd ? text"


async def test_pages(ctx: Context) -> None:
    """Pages hold the newest first and each job once, also where many failed in the same moment or new ones come."""
    await record(ctx, *[dead(n, minutes=n // 4) for n in range(10)])
    failed = FailedJobs(ctx.db)
    page = await failed.list(limit=4)
    seen = list(page.items)
    await record(ctx, dead(99, minutes=99))
    while page.next:
        page = await failed.list(limit=4, before=page.next)
        seen += page.items
    assert sorted(numbers(seen)) == list(range(10))
    assert [job.failed_at for job in seen] == sorted((job.failed_at for job in seen), reverse=True)
    assert len(page.items) == 2


async def test_filters(ctx: Context) -> None:
    """Queue, name, group, time and text narrow the list and the count."""
    await record(
        ctx,
        dead(1, minutes=1, group="a"),
        dead(2, minutes=2, error="ValueError: 100% of it_is gone"),
        DeadJob(Envelope(new_id(), "mail", "mail.send", b'{"n":3}', {}), "no", 1, NOON + timedelta(minutes=3)),
    )
    failed = FailedJobs(ctx.db)

    async def found(**filters: object) -> list[int]:
        assert await failed.count(**filters) == len((await failed.list(**filters)).items)  # type: ignore[arg-type]
        return numbers((await failed.list(**filters)).items)  # type: ignore[arg-type]

    assert await found() == [3, 2, 1]
    assert await found(queue="mail") == [3]
    assert await found(name="note") == [2, 1]
    assert await found(group="a") == [1]
    assert await found(search="100% OF IT_IS") == [2]
    assert await found(search="0%i") == []
    assert await found(search='"n":3') == [3]
    assert await found(since=NOON + timedelta(minutes=2)) == [3, 2]
    assert await found(until=NOON + timedelta(minutes=2)) == [1]
    assert await found(queue="mail", name="note") == []


@pytest.mark.parametrize("limit", [0, -1, 1001, True, 2.0])
async def test_limits_that_cannot_be_used(ctx: Context, limit: int) -> None:
    """They are refused."""
    with pytest.raises(InvalidArgumentError, match="limit must be an int from 1 to 1,000"):
        await FailedJobs(ctx.db).list(limit=limit)


@pytest.mark.parametrize("before", ["", "x", "x-y", "1", "9" * 30 + "-x"])
async def test_cursors_that_cannot_be_used(ctx: Context, before: str) -> None:
    """They are refused."""
    with pytest.raises(InvalidArgumentError, match="before must be the next of a page"):
        await FailedJobs(ctx.db).list(before=before)


async def test_a_retry_starts_anew(ctx: Context) -> None:
    """It keeps id, group and payload, has all its attempts again, and no longer belongs to its batch."""
    original = dead(1, group="g")
    original.envelope.options["b"] = "batch"
    [job_id] = await record(ctx, original)
    failed = FailedJobs(ctx.db)
    assert await failed.retry(job_id, ctx.queue)
    view = await ctx.queue.show(job_id)
    assert view is not None
    assert (view.id, view.attempts, view.options) == (job_id, 0, {"g": "g"})
    assert await failed.get(job_id) is None
    assert not await failed.retry(job_id, ctx.queue)
    assert not await failed.retry("unknown", ctx.queue)
    assert await ctx.work() == [1]
    await at_rest(ctx)


async def test_a_job_that_fails_again_can_be_retried_again(ctx: Context) -> None:
    """Each retry is one more run, and each failure one row."""
    job_id = await Fails(n=1).dispatch(ctx.queue)
    await ctx.work()
    failed = FailedJobs(ctx.db)
    for runs in (2, 3):
        assert await failed.retry(job_id, ctx.queue)
        assert await ctx.work() == [1] * runs
        assert await failed.count() == 1


async def test_many_clicks_are_one_run(real: Context, database_url: str) -> None:
    """Retries of the same job at once, from several engines, enqueue it once; one of them at least says so."""
    ids = await record(real, *[dead(n) for n in range(5)])
    async with Database(database_url) as other:
        retrying = [FailedJobs(db).retry(job_id, real.queue) for job_id in ids for db in (real.db, other) for _ in "ab"]
        answers = await asyncio.gather(*retrying, FailedJobs(other).retry_all(real.queue))
    assert sum(answers) == 5
    assert sorted(await real.work()) == list(range(5))
    await at_rest(real)


@pytest.mark.parametrize("point", RETRY)
async def test_a_crash_at_any_step_is_one_run(real: Context, crashes: Crew, point: str) -> None:
    """A retry is killed at one of its steps, what it had enqueued runs, then somebody clicks again: one run."""
    ids = await record(real, dead(1, group="g"))
    [process] = crashes.gather(1)
    process.order(what="retry", ids=ids, point=point, **real.place)
    assert (await process.hear("ended"))["signal"] == 9
    await real.work()
    await FailedJobs(real.db).retry_all(real.queue)
    await FailedJobs(real.db).retry(ids[0], real.queue)
    assert await real.work() == [1]
    await at_rest(real)


@pytest.mark.parametrize("point", ["after commit 1", "after enqueue 1", "after commit 2", "after forget 2"])
async def test_a_crash_and_another_failure(real: Context, crashes: Crew, point: str) -> None:
    """After the crash the job fails once more: it is a row again, and a click runs it again."""
    job_id = await Fails(n=1).dispatch(real.queue)
    await real.work()
    [process] = crashes.gather(1)
    process.order(what="retry", ids=[job_id], point=point, **real.place)
    await process.hear("ended")
    runs = len(await real.work())
    failed = FailedJobs(real.db)
    assert await failed.count() == 1
    await failed.retry(job_id, real.queue)
    assert len(await real.work()) == runs + 1
    assert await failed.count() == 1


async def test_retry_all(ctx: Context) -> None:
    """All that match are enqueued, in the order in which they failed; those that fail again meanwhile once only."""
    await record(ctx, *[dead(n, minutes=n) for n in range(230)], dead(999, minutes=5, group="other"))
    failed = FailedJobs(ctx.db)
    await record(ctx, DeadJob(Envelope(new_id(), "mail", "mail.send", b'{"n":3}', {}), "no", 1, NOON))
    assert await failed.retry_all(ctx.queue, name="note", until=NOON + timedelta(minutes=2)) == 2
    assert await failed.retry_all(ctx.queue, group="other") == 1
    assert await failed.retry_all(ctx.queue, queue="default") == 228
    assert [view.payload["n"] for view in await ctx.queue.peek(limit=1000)] == [0, 1, 999, *range(2, 230)]
    assert await failed.count() == 1
    assert await failed.retry_all(ctx.queue, name="nothing") == 0


async def test_rows_that_cannot_be_retried_stay(ctx: Context) -> None:
    """A row that is no job, is too large or has an unfinished twin stays with its reason; the others go."""
    twin = Note(n=1, key="k")
    ids = await record(
        ctx,
        DeadJob(envelope_of(twin), "no", 1, NOON),
        dead(2, minutes=1),
        DeadJob(Envelope("large", "default", "note", b'"%b"' % (b"x" * (1 << 20)), {}), "no", 1, NOON),
        dead(3, minutes=2),
    )
    async with ctx.db.transaction() as session:
        await session.execute(update(failed_jobs).where(failed_jobs.c.id == ids[1]).values(options="[1"))
    standing = await ctx.queue.push(twin)
    failed = FailedJobs(ctx.db)
    for _ in "ab":
        with pytest.raises(JobError, match=f"job {standing} has the same unique key"):
            await failed.retry(ids[0], ctx.queue)
        with pytest.raises(JobDecodeError, match=r"cannot be read: its options are no JSON object"):
            await failed.retry(ids[1], ctx.queue)
        with pytest.raises(JobError, match="over the queue's bound"):
            await failed.retry("large", ctx.queue)
    assert await failed.retry_all(ctx.queue) == 1
    assert await failed.count() == 3
    assert await ctx.work() == [1, 3]
    assert await failed.retry(ids[0], ctx.queue)
    assert await ctx.work() == [1, 3, 1]
    assert await ctx.queue.sent() == []


async def test_redis_away_leaves_the_rows(db: Database, prefix: str) -> None:
    """While Redis cannot be reached a retry fails, and the row stays."""
    with RedisServer() as server:
        async with Queue.connect(server.url, prefix=prefix) as queue:
            ctx = Context(db, queue)
            [job_id] = await record(ctx, dead(1))
            server.kill()
            failed = FailedJobs(db)
            with pytest.raises(RedisError):
                await failed.retry(job_id, queue)
            assert await failed.count() == 1
            server.start()
            assert await failed.retry(job_id, queue)
            assert await ctx.work() == [1]


async def test_the_database_away_loses_no_dead_job(ctx: Context, caplog: pytest.LogCaptureFixture) -> None:
    """While the table is away, dead jobs stay in the queue; they are stored when it is back, and not run again."""
    async with ctx.db.transaction() as session:
        await session.execute(text("ALTER TABLE failed_jobs RENAME TO elsewhere"))
    job_id = await Fails(n=1).dispatch(ctx.queue)
    await Worker(ctx, lease=2, shutdown_timeout=0).register(Fails).run_until_empty()
    assert [one.envelope.id for one in await ctx.queue.dead()] == [job_id]
    assert "stay in Redis" in caplog.text
    async with ctx.db.transaction() as session:
        await session.execute(text("ALTER TABLE elsewhere RENAME TO failed_jobs"))
    await Fails(n=2).dispatch(ctx.queue)
    assert await ctx.work() == [1, 2]
    assert sorted(numbers((await FailedJobs(ctx.db).list()).items)) == [1, 2]
    assert await ctx.queue.dead() == []


@pytest.mark.parametrize("then", ["succeeds", "dies", "is stored again", "is half retried"])
async def test_a_worker_that_stood_still_stores_nothing_stale(
    real: Context, crashes: Crew, then: str, database_url: str
) -> None:
    """It has read that a job is dead; others store and retry it before it goes on: what is true then is stored."""
    nowhere: Any = None
    without = replace(real, db=nowhere)
    job_id = await Fails(n=1).dispatch(real.queue)
    await without.work()
    async with Database(database_url) as other, Stalling.connect(real.place["redis"], prefix=real.queue.prefix) as slow:
        assert isinstance(slow, Stalling)
        recording = asyncio.create_task(DeadLetters(Context(other, slow), ["default"]).record())
        await slow.looked.wait()
        assert await DeadLetters(real, ["default"]).record()
        failed = FailedJobs(real.db)
        if then == "is half retried":
            [process] = crashes.gather(1)
            process.order(what="retry", ids=[job_id], point="after commit 2", **real.place)
            await process.hear("ended")
        else:
            assert await failed.retry(job_id, real.queue)
        if then in {"dies", "is stored again"}:
            await (without if then == "dies" else real).work()
        else:
            await Worker(real, lease=2).register(Mended).run_until_empty()
        slow.go_on.set()
        assert await recording
    assert await real.queue.dead() == []
    if then in {"dies", "is stored again"}:
        job = await failed.get(job_id)
        assert job is not None
        assert job.options["f"] == 2
        assert await failed.retry(job_id, real.queue)
        await Worker(real, lease=2).register(Mended).run_until_empty()
    assert await failed.count() == 0
    await failed.retry(job_id, real.queue)
    await at_rest(real)


async def test_forget_and_prune(ctx: Context) -> None:
    """One is removed by its id, the old ones by their age."""
    now = datetime.now(UTC)
    [job_id, *_] = await record(
        ctx, *[DeadJob(envelope_of(Note(n=n)), "no", 1, now - timedelta(days=n)) for n in (1, 2, 8, 9)]
    )
    failed = FailedJobs(ctx.db)
    assert await failed.forget(job_id)
    assert not await failed.forget(job_id)
    assert await failed.prune(timedelta(days=7)) == 2
    assert numbers((await failed.list()).items) == [2]
    with pytest.raises(InvalidArgumentError, match="older_than"):
        await failed.prune(0)


async def hold(ctx: Context, *groups: str) -> list[str]:
    """Let a job of each group fail and hold it, with one more behind it; return the ids of the failed ones."""
    ids = [await Holds(n=0, group=group).dispatch(ctx.queue) for group in groups]
    for number, group in enumerate(groups, start=1):
        await Note(n=number, group=group).dispatch(ctx.queue)
    await Worker(ctx, lease=2).register(Note, Holds).run_until_empty()
    assert await ctx.queue.dead() == []
    assert [one.job_id for one in await ctx.queue.held_groups()] == ids
    ctx.ran.clear()
    return ids


async def test_a_group_does_not_wait_for_a_forgotten_job(ctx: Context) -> None:
    """Forgetting a job lets its group go on; without a queue to do so the job stays, and so does one that is not it."""
    ids = await hold(ctx, "a", "b")
    failed = FailedJobs(ctx.db)
    with pytest.raises(JobError, match=f"job {ids[0]} may hold its group a: pass the queue"):
        await failed.forget(ids[0])
    assert await failed.count() == 2
    assert await failed.forget(ids[0], ctx.queue)
    assert not await failed.forget(ids[0], ctx.queue)
    assert await ctx.work() == [1]
    assert [one.group for one in await ctx.queue.held_groups()] == ["b"]
    assert await ctx.queue.let_go("b")
    assert await ctx.work() == [1, 2]
    [later] = await hold(ctx, "b")
    assert await failed.forget(ids[1], ctx.queue)
    assert [one.job_id for one in await ctx.queue.held_groups()] == [later]
    assert await failed.forget(later, ctx.queue)
    assert await ctx.work() == [1]
    await at_rest(ctx)


async def test_redis_away_forgets_no_job_that_holds_its_group(db: Database, prefix: str) -> None:
    """The row stays until the group can be let go."""
    with RedisServer() as server:
        async with Queue.connect(server.url, prefix=prefix) as queue:
            ctx = Context(db, queue)
            [job_id] = await hold(ctx, "g")
            server.kill()
            with pytest.raises(RedisError):
                await FailedJobs(db).forget(job_id, queue)
            assert await FailedJobs(db).count() == 1


async def test_what_holds_its_group_is_not_pruned(ctx: Context) -> None:
    """Without a queue all that may hold one stay, with it those that do."""
    ids = await hold(ctx, "a", "b")
    failed = FailedJobs(ctx.db)
    await record(ctx, dead())
    async with ctx.db.transaction() as session:
        await session.execute(update(failed_jobs).values(failed_at=NOON))
    await ctx.queue.let_go("a")
    assert await failed.prune(60) == 1
    assert await failed.count() == 2
    assert await failed.prune(60, ctx.queue) == 1
    assert [job.id for job in (await failed.list()).items] == [ids[1]]
    await failed.forget(ids[1], ctx.queue)
    assert await ctx.work() == [1, 2]
