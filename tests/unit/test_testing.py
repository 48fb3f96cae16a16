"""What Rustforge offers to the tests of applications."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.boot import boot
from rustforge.errors import ConfigurationError, InvalidArgumentError, JobDecodeError, JobEncodeError, JobError
from rustforge.jobs import Job, JobBuffer, JobContext, Queue, Retry, Snooze
from rustforge.jobs.envelope import Envelope
from rustforge.jobs.failed import FailedJobs
from rustforge.jobs.scheduler import Scheduler
from rustforge.settings import Settings
from rustforge.testing import FakeQueue, job_context, run_job, run_until_empty, time_travel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rustforge.boot import BootContext

DONE: list[Any] = []


class Add(Job):
    """Adds a number, and says when the clock of the test says it does."""

    NAME = "test.add"
    QUEUE = "numbers"

    number: int

    async def handle(self, ctx: JobContext) -> int:
        """Note it."""
        await ctx.progress(self.number, 10, "adding")
        DONE.append(self.number)
        return self.number + ctx.attempt


class Counting(Job):
    """Pushes the next one within a transaction of its own."""

    NAME = "test.counting"

    down_to_zero: int

    async def handle(self, ctx: JobContext) -> None:
        """Note it, and go on."""
        DONE.append(self.down_to_zero - 1)
        if self.down_to_zero > 1:
            async with ctx.db.transaction() as session:
                await Counting(down_to_zero=self.down_to_zero - 1).dispatch(JobBuffer(session))


class Blocking(Job):
    """A handler without async."""

    NAME = "test.blocking"

    def handle(self, ctx: JobContext) -> str:
        """Tell the thread."""
        del ctx
        return threading.current_thread().name


class Stubborn(Job):
    """Fails twice."""

    NAME = "test.stubborn"

    async def handle(self, ctx: JobContext) -> None:
        """Fail, then work."""
        if ctx.attempt < 2:
            raise Retry(delay=3600)
        DONE.append("at last")


class Doomed(Job):
    """Always fails."""

    NAME = "test.doomed"

    async def handle(self, ctx: JobContext) -> None:
        """Fail."""
        raise LookupError(ctx.job_id)


class Endless(Job):
    """Never ends."""

    NAME = "test.endless"

    async def handle(self, ctx: JobContext) -> None:
        """Wait for ever."""
        del ctx
        raise Snooze(1)


class Unique(Job):
    """At most one of these."""

    NAME = "test.unique"

    number: int = 0

    async def handle(self, ctx: JobContext) -> None:
        """Do nothing."""

    def unique_key(self) -> str:
        """Return the same for all of a number."""
        return f"unique:{self.number}"


class Bad(Job):
    """Cannot be read again."""

    NAME = "test.bad"

    number: int = 0


@pytest.fixture(autouse=True)
def _forget() -> None:
    DONE.clear()


@pytest.fixture
async def ctx(prefix: str) -> AsyncIterator[BootContext]:
    """Boot in this process."""
    async with boot(Settings(redis_url=f"memory://{prefix}")) as context:
        yield context


# -- the fake --------------------------------------------------------------------------------------------------------


async def test_the_fake_keeps_typed_jobs() -> None:
    """Jobs are kept as objects, by whatever way they came, with ids, queues, delays and options."""
    fake = FakeQueue()
    first = await Add(number=1).dispatch(fake, delay=timedelta(minutes=1))
    rest = await fake.push_many([Add(number=2), Unique()])
    batch = await fake.push_batch([Add(number=3)], then=Add(number=33))
    chain = await fake.push_chain([Add(number=4), Add(number=5)])
    assert [job.number for job in fake.pushed(Add)] == [1, 2, 3, 33, 4, 5]
    assert fake.pushed(Add, lambda job: job.number == 5) == [Add(number=5)]
    assert [one.id for one in fake.jobs][:3] == [first, *rest]
    assert [one.id for one in fake.jobs][-2:] == chain
    assert fake.jobs[-1].options == {"g": chain[0], "gh": 1}
    with pytest.raises(InvalidArgumentError, match="all of its jobs in one queue"):
        await fake.push_chain([Add(number=1), Unique()])
    assert fake.jobs[0].delay == 60
    assert fake.jobs[0].queue == "numbers"
    assert fake.jobs[3].options == {"b": batch}
    fake.clear()
    fake.assert_nothing_pushed()


async def test_the_fake_keeps_what_was_written_already() -> None:
    """What the outbox enqueues is kept under its class; the same id counts once."""
    fake = FakeQueue()
    envelopes = [Envelope("1" * 24, "numbers", "test.add", b'{"number":7}'), Envelope("2" * 24, "x", "gone", b"{}")]
    for _ in range(2):
        assert await fake.enqueue(envelopes, delays_ms=[1500, 0], once=True) == ["1" * 24, "2" * 24]
    assert fake.pushed(Add) == [Add(number=7)]
    assert [one.delay for one in fake.jobs] == [1.5, 0]


async def test_the_fake_refuses_what_the_queue_refuses() -> None:
    """A job that cannot be written, or read again, is an error at once; a taken unique key gives the other's id."""
    fake = FakeQueue()
    with pytest.raises(JobEncodeError):
        await fake.push(Bad.model_construct(number=object()))  # type: ignore[arg-type]
    with pytest.raises(JobDecodeError, match="a worker could not read this Bad"):
        await fake.push(Bad.model_construct(number="seven"))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError):
        await fake.push(Unique(), delay=-1)
    assert await fake.push(Unique()) == await fake.push(Unique()) != await fake.push(Unique(number=1))
    fake.assert_pushed(Unique, times=2)


async def test_assertions_that_hold() -> None:
    """They hold for what was pushed."""
    fake = FakeQueue()
    fake.assert_nothing_pushed()
    await fake.push_many([Add(number=1), Add(number=2)])
    fake.assert_pushed(Add)
    fake.assert_pushed(Job)
    fake.assert_pushed(Add, times=2)
    fake.assert_pushed(Add, times=1, where=lambda job: job.number == 2)
    fake.assert_pushed_on("numbers", Add, where=lambda job: job.number < 3, times=2)
    fake.assert_not_pushed(Blocking)
    fake.assert_not_pushed(Add, where=lambda job: job.number == 3)


async def test_assertions_that_do_not_hold() -> None:
    """The message lists what was pushed instead."""
    fake = FakeQueue()
    with pytest.raises(AssertionError, match="expected at least one Add, found none; nothing was pushed"):
        fake.assert_pushed(Add)
    await fake.push_many([Add(number=number) for number in range(7)])
    await fake.push(Blocking())
    with pytest.raises(AssertionError) as caught:
        fake.assert_pushed(Add, times=1, where=lambda job: job.number == 9)
    assert str(caught.value) == (
        "expected 1 Add that fits `where`, found none; pushed were; "
        "\n  7 on queue 'numbers': Add(number=0), Add(number=1), Add(number=2), Add(number=3), Add(number=4) "
        "and 2 more; "
        "\n  1 on queue 'default': Blocking()"
    )
    with pytest.raises(AssertionError, match="expected at least one Add on queue 'default', found none"):
        fake.assert_pushed_on("default", Add)
    with pytest.raises(AssertionError, match="expected no Add, found 7"):
        fake.assert_not_pushed(Add)
    with pytest.raises(AssertionError, match="expected no job, found 8"):
        fake.assert_nothing_pushed()


async def test_the_real_queue_is_a_fake_within_a_block(prefix: str) -> None:
    """Within the block nothing is enqueued; after it everything is as before, also after an exception."""
    async with Queue.connect(f"memory://{prefix}") as queue:
        with queue.fake() as outer:
            await Add(number=1).dispatch(queue)
            with queue.fake() as inner:
                await queue.push_many([Add(number=2)])
            await queue.push(Add(number=3))
        assert [job.number for job in outer.pushed(Add)] == [1, 3]
        assert [job.number for job in inner.pushed(Add)] == [2]
        assert await queue.size("numbers") == 0
        with pytest.raises(ZeroDivisionError), queue.fake():
            raise ZeroDivisionError
        await queue.push(Add(number=4))
        assert await queue.size("numbers") == 1
        await queue.clear("numbers")


# -- one handler -----------------------------------------------------------------------------------------------------


async def test_run_a_handler() -> None:
    """It runs as a worker would run it, and gives what it returns."""
    assert await run_job(Add(number=2)) == 2
    ctx = job_context(job=Add, attempt=3, job_id="x", fence=7, batch=(2, 1), postman="m")
    assert await run_job(Add(number=2), ctx) == 5
    assert [(report.done, report.total, report.note) for report in ctx.reports] == [(2, 10, "adding")]
    assert (ctx.job_id, ctx.job_name, ctx.queue_name, ctx.fence, ctx.batch) == ("x", "test.add", "numbers", 7, (2, 1))
    assert ctx.extensions == {"postman": "m"}
    assert await run_job(Blocking()) != threading.current_thread().name


async def test_run_a_handler_that_fails() -> None:
    """What it raises goes out; a job that no worker could run is refused; a time-out counts."""

    class Slow(Job):
        NAME = "test.slow"
        TIMEOUT = 0.01

        async def handle(self, ctx: JobContext) -> None:
            del ctx
            import asyncio  # noqa: PLC0415

            await asyncio.Event().wait()

    with pytest.raises(LookupError):
        await run_job(Doomed())
    with pytest.raises(Retry):
        await run_job(Stubborn())
    with pytest.raises(TimeoutError):
        await run_job(Slow())
    with pytest.raises(ConfigurationError, match="Bad has no handle"):
        await run_job(Bad())
    with pytest.raises(JobDecodeError):
        await run_job(Add.model_construct(number="seven"))  # type: ignore[arg-type]


async def test_services_of_a_test_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is a fake, the settings are the defaults, and what is missing says how to give it."""
    monkeypatch.setenv("REDIS_PREFIX", "of-the-environment")
    ctx = job_context()
    assert ctx.settings.redis_prefix == "rustforge"
    await Add(number=1).dispatch(ctx.queue)
    assert ctx.queue.pushed(Add) == [Add(number=1)]
    with pytest.raises(ConfigurationError, match=r"ctx\.cache, which this test did not give: job_context\(cache"):
        _ = ctx.cache
    with pytest.raises(ConfigurationError, match=r"ctx\.db"):
        _ = ctx.db
    assert job_context(cache="c", db="d", settings="s", queue="q").cache == "c"


# -- everything that is queued ---------------------------------------------------------------------------------------


async def test_run_until_empty(ctx: BootContext) -> None:
    """All queues that the jobs name are emptied, and the counters tell what happened."""
    await ctx.queue.push_many([Add(number=1), Add(number=2)])
    await Add(number=3).dispatch(ctx.queue, delay=3600)
    counters = await run_until_empty(ctx, [Add])
    assert (DONE, counters.succeeded) == ([1, 2], 2)
    assert (await ctx.queue.stats("numbers")).delayed == 1
    await ctx.queue.clear("numbers")


async def test_what_was_committed_is_run() -> None:
    """Jobs of the outbox run, too, however soon a test asks, and so do those that they push there in turn."""
    async with time_travel(registry=[Add, Counting]) as time:
        async with time.ctx.db.transaction() as session:
            await Counting(down_to_zero=3).dispatch(JobBuffer(session))
        await time.work()
    assert DONE == [2, 1, 0]


async def test_time_is_travelled_through() -> None:
    """With the clock, delays and backoffs pass at once, in order; failures are stored in a database of the test's."""
    async with time_travel(datetime(2026, 3, 1, tzinfo=UTC)) as time:
        for number, delay in ((3, 7200), (1, 60), (2, 3600)):
            await Add(number=number).dispatch(time.ctx.queue, delay=delay)
        await Stubborn().dispatch(time.ctx.queue)
        await Doomed().dispatch(time.ctx.queue)
        counters = await run_until_empty(time.ctx, [Add, Stubborn, Doomed], time.clock)
        assert [one for one in DONE if one != "at last"] == [1, 2, 3]
        assert len(DONE) == 4
        assert (counters.dead, counters.retried) == (1, 7)
        (failed,) = (await FailedJobs(time.ctx.db).list()).items
        assert (failed.job_name, failed.attempts) == ("test.doomed", 6)
        assert time.now - datetime(2026, 3, 1, tzinfo=UTC) < timedelta(hours=3)


async def test_only_so_far() -> None:
    """Nothing beyond `until` is travelled to, and jobs that go on for ever are told."""
    async with time_travel() as time:
        await Add(number=1).dispatch(time.ctx.queue, delay=3600)
        await run_until_empty(time.ctx, [Add], time.clock, until=time.clock.time() + 60)
        assert DONE == []


async def test_jobs_that_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """They end with an error that says so."""
    monkeypatch.setattr("rustforge.testing.work._MANY", 20)
    async with time_travel() as time:
        await Endless().dispatch(time.ctx.queue)
        with pytest.raises(JobError, match="after 20 delays there are still jobs"):
            await run_until_empty(time.ctx, [Endless], time.clock)


async def test_a_scheduler_in_flying_time() -> None:
    """Whatever falls due on the way is fired and run at its instant."""
    begin = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    async with time_travel(begin, registry=[Add]) as time:
        scheduler = Scheduler(time.ctx.queue)
        scheduler.cron("0 8 * * *", lambda instant: Add(number=instant.day))
        scheduler.every(timedelta(hours=12), Add(number=100))
        await time.follow(scheduler)
        await Add(number=55).dispatch(time.ctx.queue, delay=timedelta(hours=13))
        await time.travel(timedelta(days=2))
        assert sorted(DONE) == [2, 3, 55, 100, 100, 100, 100]
        assert DONE[:3] == [100, 55, 2]
        assert time.now == begin + timedelta(days=2)
        await time.travel_to(datetime(2026, 3, 4, 8, tzinfo=UTC))
        assert DONE[-1] == 4
        for wrong in (begin, datetime(2026, 4, 1)):  # noqa: DTZ001
            with pytest.raises(InvalidArgumentError, match="must have a time zone and not lie before 2026-03-04"):
                await time.travel_to(wrong)


async def test_the_cache_flies_too() -> None:
    """What is cached expires by the same clock."""
    async with time_travel(extensions={"a": 1}, settings=Settings(debug=True)) as time:
        await time.ctx.cache.set_ex("a", "1", 60)
        await time.travel(59)
        assert await time.ctx.cache.get("a") == "1"
        await time.travel(1)
        assert await time.ctx.cache.get("a") is None
        assert time.ctx.extensions == {"a": 1}
        assert time.ctx.settings.debug
