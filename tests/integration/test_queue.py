"""Queues: what goes in, where it stands, what comes out, and that nothing stays behind, on every backend."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import redis

from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    JobEncodeError,
    RedisConnectionError,
    RedisOutOfMemoryError,
)
from rustforge.jobs import Job, JobContext, JobProgress, Queue, Worker
from rustforge.jobs.envelope import Envelope, new_id
from tests.support.jobs import Gate, Play, Services, Stage, once
from tests.support.servers import RedisServer, free_port, talk
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from rustforge.jobs.queue import QueueStats


class High(Play):
    """A job of high priority."""

    NAME: ClassVar[str] = "high"
    PRIORITY = "high"


class Low(Play):
    """A job of low priority."""

    NAME: ClassVar[str] = "low"
    PRIORITY = "low"


class Kept(Play):
    """A job whose result is kept."""

    NAME: ClassVar[str] = "kept"
    RESULT_TTL: ClassVar[float | None] = 60


class Elsewhere(Play):
    """A job of another queue."""

    NAME: ClassVar[str] = "elsewhere"
    QUEUE: ClassVar[str] = "other"


class Holding(Play):
    """A job that holds its group when it is dead."""

    NAME: ClassVar[str] = "holding"
    HOLD_GROUP: ClassVar[bool] = True


class Stranger(Play):
    """A job that no worker here knows."""

    NAME: ClassVar[str] = "stranger"


def counts(stats: QueueStats) -> dict[str, int]:
    """Say where jobs stand, without the places where none is."""
    places = ("ready", "delayed", "waiting", "running", "parked", "quarantined", "dead")
    return {place: getattr(stats, place) for place in places if getattr(stats, place)}


def plays(*names: str, **fields: Any) -> list[Play]:
    """Make jobs of these names."""
    return [Play(name=name, **fields) for name in names]


# -- in and out ----------------------------------------------------------------------------------------------------


async def test_a_job_is_pushed_and_run(stage: Stage) -> None:
    """Its payload and its facts arrive at the handler."""
    seen: list[JobContext] = []

    async def look(job: Play, ctx: JobContext) -> None:
        seen.append(ctx)
        assert job.waits == 2.5

    stage.script["a"] = look
    before = SYSTEM_CLOCK.time()
    job_id = await stage.queue.push(Play(name="a", waits=2.5))
    assert await stage.queue.size() == 1
    await stage.work()
    assert stage.ran == ["a"]
    (ctx,) = seen
    assert (ctx.job_id, ctx.job_name, ctx.queue_name, ctx.attempt, ctx.fence) == (job_id, "play", "default", 0, 1)
    assert before - 0.01 <= ctx.enqueued_at.timestamp() <= SYSTEM_CLOCK.time()
    assert await stage.queue.size() == 0
    assert await stage.queue.show(job_id) is None


async def test_jobs_run_in_the_order_in_which_they_were_pushed(stage: Stage) -> None:
    """One after the other, in bulk, and those of one tick: with one at a time the order is exact."""
    names = [str(number) for number in range(30)]
    await stage.queue.push(Play(name=names[0]))
    await stage.queue.push_many(plays(*names[1:15]))
    await asyncio.gather(*[stage.queue.push(job) for job in plays(*names[15:])])
    await stage.work(concurrency=1)
    assert stage.ran == names


async def test_bulk_is_more_than_one_batch(stage: Stage) -> None:
    """More than fit into one script call; each has its own id, and each runs once."""
    jobs = [*plays(*[str(number) for number in range(1_100)]), Play(name="x", group="g"), Play(name="y", unique="u")]
    ids = await stage.queue.push_many(jobs)
    assert len(set(ids)) == len(jobs)
    assert await stage.queue.size() == len(jobs)
    await stage.work()
    assert sorted(stage.ran) == sorted(job.name for job in jobs)


async def test_nothing_to_push(stage: Stage) -> None:
    """No job is no error."""
    assert await stage.queue.push_many([]) == []
    assert await stage.queue.enqueue([]) == []


async def test_an_id_counts_once(stage: Stage) -> None:
    """However often it comes while its job is not over, be it plain, delayed or grouped."""
    for options, delay in (({}, 0), ({"g": "g"}, 0), ({}, 60_000)):
        envelope = Envelope(new_id(), "default", "play", b'{"name":"a"}', options)
        for _ in range(2):
            both = [envelope, envelope]
            assert await stage.queue.enqueue(both, delays_ms=[delay, delay]) == [envelope.id, envelope.id]
        assert await stage.queue.size() == 1
        await stage.queue.clear()
    envelopes = [Envelope(new_id(), "default", "play", b'{"name":"a"}') for _ in range(3)]
    await stage.queue.enqueue(envelopes[:2])
    await stage.queue.enqueue(envelopes)
    await stage.work()
    assert stage.ran == ["a"] * 3


async def test_an_id_that_is_remembered_never_counts_again(stage: Stage) -> None:
    """With `once`, also after its job is over, until it is forgotten."""
    envelope = Envelope(new_id(), "default", "play", b'{"name":"a"}')
    await stage.queue.enqueue([envelope], once=True)
    await stage.work()
    assert await stage.queue.enqueue([envelope], once=True) == [envelope.id]
    assert await stage.queue.size() == 0
    assert await stage.queue.sent() == [envelope.id]
    await stage.queue.forget_sent("default", [envelope.id, "other"])
    assert await stage.queue.sent() == []
    await stage.queue.enqueue([envelope])
    await stage.work()
    assert stage.ran == ["a", "a"]


# -- delays --------------------------------------------------------------------------------------------------------


async def test_a_delayed_job_waits(memory_stage: Stage) -> None:
    """Until its time, and not a millisecond less."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push(Play(name="a"), delay=10)
    await stage.queue.push(Play(name="b"), delay=timedelta(seconds=5))
    await stage.queue.push(Play(name="c"), delay=0)
    assert counts(await stage.queue.stats()) == {"ready": 1, "delayed": 2}
    await stage.work()
    assert stage.ran == ["c"]
    stage.clock.advance(4.999)
    await stage.work()
    assert stage.ran == ["c"]
    stage.clock.advance(0.001)
    await stage.work()
    assert stage.ran == ["c", "b"]
    stage.clock.advance(5)
    await stage.work()
    assert stage.ran == ["c", "b", "a"]


async def test_a_worker_wakes_when_a_delay_is_over(stage: Stage) -> None:
    """Nobody has to tell it, also where an earlier one comes while it waits for a later one."""
    async with stage.working():
        started = asyncio.get_running_loop().time()
        await stage.queue.push(Play(name="late"), delay=0.3)
        await stage.queue.push(Play(name="early"), delay=0.1)
        await stage.until_ran(2)
        took = asyncio.get_running_loop().time() - started
    assert stage.ran == ["early", "late"]
    assert 0.3 <= took < 1.5


@pytest.mark.parametrize("delay", [-1, float("inf"), float("nan"), "5", True, timedelta(days=-1)])
async def test_a_delay_is_checked(memory_stage: Stage, delay: Any) -> None:
    """Nothing is enqueued."""
    with pytest.raises(InvalidArgumentError, match="delay"):
        await memory_stage.queue.push(Play(), delay=delay)
    with pytest.raises(InvalidArgumentError, match="delay"):
        await memory_stage.queue.push_many([Play()], delay=delay)
    assert await memory_stage.queue.size() == 0


# -- priorities ----------------------------------------------------------------------------------------------------


async def test_higher_priorities_go_first(stage: Stage) -> None:
    """Whatever the order of pushing."""
    await stage.queue.push_many([Low(name="l"), Play(name="n"), High(name="h"), Low(name="l2"), High(name="h2")])
    assert [view.name for view in await stage.queue.peek()] == ["high", "high", "play", "low", "low"]
    await stage.work(High, Low, concurrency=1)
    assert stage.ran == ["h", "h2", "n", "l", "l2"]


# -- unique jobs ---------------------------------------------------------------------------------------------------


async def test_a_unique_job_is_there_once(stage: Stage) -> None:
    """Another one with its key gets its id, be it ready, delayed, running or retried; afterwards there may be one."""
    gate = Gate(then=ValueError("once more"))
    stage.script["a"] = once(gate, None)
    job = Play(name="a", unique="u", waits=0)
    first = await stage.queue.push(job)
    assert await stage.queue.push(job, delay=5) == first
    assert await stage.queue.push_many([job, Play(name="b", unique="v"), job]) != [first] * 3
    async with stage.working():
        await gate.wait()
        assert await stage.queue.push(job) == first
        gate.open()
        await stage.until_empty()
        second = await stage.queue.push(job)
        assert second != first
        await stage.until_empty()
    assert sorted(stage.ran) == ["a", "a", "a", "b"]


async def test_a_unique_job_that_died_lets_the_next_one_in(stage: Stage) -> None:
    """A key exists only while its job does."""
    stage.script["a"] = once(ValueError("no"), None)
    first = await stage.queue.push(Play(name="a", unique="u", retries=0))
    await stage.work()
    assert await stage.queue.push(Play(name="a", unique="u")) != first
    await stage.work()
    assert await stage.queue.bury("default", await stage.queue.dead()) == 1
    assert stage.ran == ["a", "a"]


async def test_a_unique_key_that_ends_by_itself(memory_stage: Stage) -> None:
    """With a bound (`ul`) a job that hangs does not keep others out for ever, nor frees the key of a later one."""
    stage = memory_stage
    assert stage.clock is not None

    def envelope() -> Envelope:
        return Envelope(new_id(), "default", "play", b'{"name":"a"}', {"u": "k", "ul": 1000})

    first, second, third = envelope(), envelope(), envelope()
    assert await stage.queue.enqueue([first]) == [first.id]
    stage.clock.advance(0.999)
    assert await stage.queue.enqueue([second]) == [first.id]
    stage.clock.advance(0.002)
    assert await stage.queue.enqueue([second]) == [second.id]
    assert await stage.queue.cancel(first.id) is True
    await stage.work()
    assert await stage.queue.enqueue([third]) == [third.id]
    await stage.work()
    assert stage.ran == ["a", "a"]


# -- batches and chains --------------------------------------------------------------------------------------------


async def test_a_batch_ends_with_its_last_job(stage: Stage) -> None:
    """The job at the end runs once, after all others, and knows how many there were and how many failed."""
    found: list[Any] = []

    async def end(job: Play, ctx: JobContext) -> None:
        found.append(ctx.batch)

    stage.script |= {"end": end, "bad": ValueError("no")}
    jobs = [Play(name="a", waits=0), Play(name="bad", retries=0), Play(name="c", group="g"), Play(name="d", group="g")]
    await stage.queue.push_batch(jobs, Play(name="end"))
    await stage.work()
    assert sorted(stage.ran[:4]) == ["a", "bad", "c", "d"]
    assert stage.ran[4:] == ["end"]
    assert found == [(4, 1)]
    await stage.queue.bury("default", await stage.queue.dead())


async def test_a_batch_counts_jobs_that_were_there_already(stage: Stage) -> None:
    """A job whose unique key another one has does not run, and the batch does not wait for it for ever."""
    found: list[Any] = []

    async def end(job: Play, ctx: JobContext) -> None:
        found.append(ctx.batch)

    stage.script["end"] = end
    await stage.queue.push(Play(name="a", unique="u"))
    await stage.queue.push_batch([Play(name="a", unique="u"), Play(name="b")], Play(name="end"))
    await stage.work()
    assert sorted(stage.ran) == ["a", "b", "end"]
    assert found == [(2, 0)]


async def test_a_batch_whose_end_is_there_already(stage: Stage) -> None:
    """The job at the end has a unique key that another one has: nothing of it stays behind."""
    await stage.queue.push(Play(name="end", unique="u"), delay=60)
    await stage.queue.push_batch([Play(name="a")], Play(name="end", unique="u"))
    await stage.work()
    assert stage.ran == ["a"]
    assert await stage.queue.clear() == 1


async def test_a_batch_counts_a_job_from_quarantine_once(stage: Stage) -> None:
    """It failed for the batch; run again by hand, it does not end the batch before the others."""
    gate = Gate()
    stage.script["slow"] = gate
    await stage.queue.pause()
    await stage.queue.push_batch([Play(name="a"), Play(name="slow"), Play(name="last")], Play(name="end"))
    wrong = (await stage.queue.peek())[0].id
    body = await stage.call("default", "HGET", "jobs", wrong)
    await stage.call("default", "HSET", "jobs", wrong, body.partition(b"\n")[0] + b"\n{")
    await stage.queue.resume()
    async with stage.working():
        await stage.until_ran(2)
        await wait_until(stage.queue.quarantined)
        await stage.call("default", "HSET", "jobs", wrong, body)
        await stage.queue.requeue_quarantined(wrong)
        await stage.until_ran(3)
        assert sorted(stage.ran) == ["a", "last", "slow"]
        gate.open()
        await stage.until_empty()
    assert stage.ran[3:] == ["end"]


async def test_batches_are_checked(memory_stage: Stage) -> None:
    """They need jobs, of one queue."""
    for jobs, end in (([], Play()), ([Play()], Elsewhere()), ([Play(), Elsewhere()], Play())):
        with pytest.raises(InvalidArgumentError, match="a batch needs"):
            await memory_stage.queue.push_batch(jobs, end)
    with pytest.raises(InvalidArgumentError, match="a chain needs"):
        await memory_stage.queue.push_chain([])
    with pytest.raises(InvalidArgumentError, match="group of its own"):
        await memory_stage.queue.push_chain([Play(group="g")])


async def test_a_batch_that_cannot_be_pushed_leaves_nothing(memory_stage: Stage) -> None:
    """A job that is too large is found before anything is sent."""
    queue = await memory_stage.connect(max_payload_bytes=300)
    with pytest.raises(JobEncodeError, match="over the queue's bound"):
        await queue.push_batch([Play(), Play(name="x" * 1000)], Play())
    with pytest.raises(JobEncodeError, match="over the queue's bound"):
        await queue.push_batch([Play()], Play(name="x" * 1000))
    assert await queue.size() == 0


async def test_a_chain_runs_one_after_the_other(stage: Stage) -> None:
    """Each begins when the one before has succeeded, however many workers there are."""
    gate = Gate()
    stage.script["b"] = once(ValueError("not yet"), gate)
    async with stage.working(), stage.working():
        ids = await stage.queue.push_chain(plays("a", "b", "c", waits=0))
        assert len(set(ids)) == 3
        await gate.wait()
        assert stage.ran == ["a", "b", "b"]
        gate.open()
        await stage.until_empty()
    assert stage.ran == ["a", "b", "b", "c"]


async def test_a_chain_stops_at_a_failure(stage: Stage) -> None:
    """The others keep waiting until the failed one is let go."""
    stage.script["b"] = ValueError("no")
    ids = await stage.queue.push_chain(plays("a", "b", "c", retries=0))
    await stage.work()
    assert stage.ran == ["a", "b"]
    assert counts(await stage.queue.stats()) == {"waiting": 1, "dead": 1}
    assert await stage.queue.let_go("other") is False
    assert await stage.queue.let_go(ids[0]) is True
    assert await stage.queue.let_go(ids[0]) is False
    await stage.work()
    assert stage.ran == ["a", "b", "c"]
    await stage.queue.bury("default", await stage.queue.dead())


# -- cancel --------------------------------------------------------------------------------------------------------


async def test_cancel_what_is_ready(stage: Stage) -> None:
    """It does not run, and what it held is free."""
    first = await stage.queue.push(Play(name="a", group="g", unique="u", slots=("s", 1)))
    await stage.queue.push_many([Play(name="b", group="g", slots=("s", 1)), Play(name="c", slots=("s", 1))])
    assert await stage.queue.cancel(first) is True
    await stage.work()
    assert sorted(stage.ran) == ["b", "c"]
    assert await stage.queue.cancel(first) is False
    assert await stage.queue.cancel("no such job") is False


async def test_cancel_what_is_delayed(stage: Stage) -> None:
    """Also a retry, whose group goes on, and what waits for its rate."""
    stage.script["b"] = ValueError("again")
    first = await stage.queue.push(Play(name="a"), delay=60)
    second = await stage.queue.push(Play(name="b", group="g", waits=60))
    await stage.queue.push(Play(name="c", group="g"))
    _, third = await stage.queue.push_many(plays("d", "e", pace=("r", 1, 60)))
    await stage.work()
    assert counts(await stage.queue.stats()) == {"delayed": 3, "waiting": 1}
    for one in (first, second, third):
        assert await stage.queue.cancel(one) is True
    await stage.work()
    assert stage.ran.count("c") == 1
    assert sorted(stage.ran) == ["b", "c", "d"]
    await stage.call("default", "DEL", "rate:r")


async def test_cancel_what_waits(stage: Stage) -> None:
    """In a group, or for a slot."""
    ids = await stage.queue.push_many(
        [*plays("a", "b", "c", group="g"), *plays("d", "e", "f", slots=("s", 1))],
    )
    assert await stage.queue.cancel(ids[1]) is True
    assert await stage.queue.cancel(ids[4]) is True
    assert counts(await stage.queue.stats()) == {"ready": 2, "waiting": 2}
    await stage.work()
    assert sorted(stage.ran) == ["a", "c", "d", "f"]


async def test_cancel_what_runs(stage: Stage) -> None:
    """Its handler is cancelled with the next beat; it is not retried, and `failed` is not called."""
    gate = Gate()
    stage.script["a"] = gate
    job_id = await stage.queue.push(Play(name="a", group="g"))
    await stage.queue.push(Play(name="b", group="g"))
    async with stage.working(lease=0.8) as worker:
        await gate.wait()
        assert await stage.queue.cancel(job_id) is True
        await stage.until_empty()
        assert worker.statistics().cancelled == 1
    assert gate.inside == 0
    assert (stage.ran, stage.failures) == (["a", "b"], [])
    assert await stage.queue.show(job_id) is None


async def test_cancel_what_runs_and_fails(stage: Stage) -> None:
    """A handler that fails before it hears of it is not run again."""
    gate = Gate(then=ValueError("no"))
    stage.script["a"] = gate
    job_id = await stage.queue.push(Play(name="a", waits=0))
    async with stage.working():
        await gate.wait()
        assert await stage.queue.cancel(job_id) is True
        gate.open()
        await stage.until_empty()
    assert stage.ran == ["a"]


async def test_cancel_what_is_parked(stage: Stage) -> None:
    """The name goes with its last job."""
    first, second = await stage.queue.push_many([Stranger(name="a"), Stranger(name="b")])
    await stage.work()
    assert await stage.queue.parked() == {"stranger": 2}
    assert await stage.queue.cancel(first) is True
    assert await stage.queue.parked() == {"stranger": 1}
    assert await stage.queue.cancel(second) is True
    assert await stage.queue.parked() == {}


async def test_what_is_over_cannot_be_cancelled(stage: Stage) -> None:
    """The dead and the quarantined have their own ends."""
    stage.script["a"] = ValueError("no")
    dead, wrong = await stage.queue.push_many([Play(name="a", retries=0), Play(name="b")])
    await stage.call("default", "HSET", "jobs", wrong, b"?")
    await stage.work()
    assert counts(await stage.queue.stats()) == {"dead": 1, "quarantined": 1}
    assert await stage.queue.cancel(dead) is False
    assert await stage.queue.cancel(wrong) is False
    assert await stage.queue.discard_quarantined(wrong) is True
    (found,) = await stage.queue.dead()
    nobody = replace(found, envelope=replace(found.envelope, id="no such job"))
    assert await stage.queue.bury("default", [found, nobody]) == 1


# -- clear, pause, resume ------------------------------------------------------------------------------------------


async def test_clear_takes_all_that_does_not_run(stage: Stage) -> None:
    """Wherever it stands: ready, delayed, in a group, behind a slot, parked, and behind one that runs."""
    gate = Gate()
    stage.script["run"] = gate
    await stage.queue.push(Stranger())
    await stage.work()
    async with stage.working():
        await stage.queue.push_many([Play(name="run", group="g"), Play(name="run", slots=("s", 1))])
        await gate.wait(2)
        await stage.queue.pause()
        await stage.queue.push_many([*plays("a", "b", "c"), High(name="h"), Low(name="l")])
        await stage.queue.push_many(plays("d", "e", group="g"))
        await stage.queue.push_many(plays("f", "g", group="other"))
        await stage.queue.push_many(plays("h", "i", slots=("s", 1)))
        await stage.queue.push_many(plays("j", "k", slots=("t", 1)))
        await stage.queue.push(Play(name="l"), delay=60)
        await stage.queue.push_chain(plays("m", "n", "o"))
        await stage.queue.push(Play(name="p", unique="u"))
        await stage.queue.push_batch(plays("q", "r"), Play(name="s"))
        assert await stage.queue.clear() == 5 + 2 + 2 + 2 + 2 + 1 + 3 + 1 + 3 + 1
        assert counts(await stage.queue.stats()) == {"running": 2}
        assert await stage.queue.clear() == 0
        await stage.queue.resume()
        gate.open()
        await stage.until_empty()
    assert stage.ran == ["run", "run"]


async def test_clear_leaves_the_dead_and_the_quarantined(stage: Stage) -> None:
    """They are not lost by it."""
    stage.script["a"] = ValueError("no")
    _, wrong = await stage.queue.push_many([Play(name="a", retries=0), Play(name="b")])
    await stage.call("default", "HSET", "jobs", wrong, b"?")
    await stage.work()
    await stage.queue.push(Play(name="c"))
    assert await stage.queue.clear() == 1
    assert counts(await stage.queue.stats()) == {"dead": 1, "quarantined": 1}
    await stage.queue.discard_quarantined(wrong)
    await stage.queue.bury("default", await stage.queue.dead())


async def test_clear_many(stage: Stage) -> None:
    """More than one slice."""
    await stage.queue.push_many(plays(*["a"] * 1_200))
    await stage.queue.push_chain(plays(*["b"] * 600))
    assert await stage.queue.clear() == 1_800
    assert await stage.queue.clear() == 0


async def test_a_paused_queue_gives_nothing(stage: Stage) -> None:
    """What runs goes on, what comes waits, and after `resume` it runs at once."""
    gate = Gate()
    stage.script["a"] = gate
    async with stage.working():
        await stage.queue.push(Play(name="a"))
        await gate.wait()
        await stage.queue.pause()
        assert (await stage.queue.stats()).paused is True
        await stage.queue.push_many([*plays("b"), High(name="c")])
        gate.open()
        await wait_until(lambda: _is(stage, ready=2))
        assert stage.ran == ["a"]
        await stage.queue.resume()
        await stage.until_ran(2)
        assert (await stage.queue.stats()).paused is False
        await stage.queue.clear()


async def test_a_paused_queue_is_left_alone(stage: Stage) -> None:
    """A job whose time comes meanwhile does not make the worker ask over and over."""
    await stage.queue.pause()
    async with stage.working():
        await stage.queue.push(Play(name="a"), delay=0.01)
        await wait_until(lambda: _is(stage, delayed=1))
        await asyncio.sleep(0.05)
        before = stage.queue.client.statistics()["commands"]
        await asyncio.sleep(0.3)
        assert stage.queue.client.statistics()["commands"] - before < 10
        await stage.queue.resume()
        await stage.until_ran(1)


async def _is(stage: Stage, **expected: int) -> bool:
    return counts(await stage.queue.stats()) == expected


# -- looking -------------------------------------------------------------------------------------------------------


async def test_stats_tell_where_jobs_stand(stage: Stage) -> None:
    """Every place, and how old the oldest ready one is."""
    gate = Gate()
    stage.script |= {"run": gate, "die": ValueError("no")}
    wrong = await stage.queue.push(Play(name="wrong"))
    await stage.call("default", "HSET", "jobs", wrong, b"?")
    await stage.queue.push(Play(name="die", retries=0))
    await stage.queue.push(Stranger())
    async with stage.working(concurrency=3):
        await stage.queue.push(Play(name="run"))
        await gate.wait()
        await wait_until(lambda: _is(stage, running=1, dead=1, quarantined=1, parked=1))
        await stage.queue.pause()
        await stage.queue.push(Play(name="a"), delay=60)
        await stage.queue.push_many([*plays("b", "c", group="g"), *plays("d", "e", slots=("s", 1))])
        stats = await stage.queue.stats()
        assert counts(stats) == {
            "ready": 2,
            "delayed": 1,
            "waiting": 2,
            "running": 1,
            "parked": 1,
            "quarantined": 1,
            "dead": 1,
        }
        assert (stats.queue, stats.size, stats.workers, stats.paused) == ("default", 7, 1, True)
        assert await stage.queue.size() == 7
        assert 0 <= stats.oldest_seconds < 5
        await stage.queue.clear()
        old = Envelope(f"{int((SYSTEM_CLOCK.time() - 100) * 1000):011x}{'0' * 13}", "default", "play", b"{}")
        await stage.queue.enqueue([old])
        await stage.queue.push(Play())
        assert 99 < (await stage.queue.stats()).oldest_seconds < 110
        await stage.queue.clear()
        await stage.queue.resume()
        gate.open()
        await stage.until_empty()
    await stage.queue.discard_quarantined(wrong)
    await stage.queue.bury("default", await stage.queue.dead())


async def test_an_empty_queue(stage: Stage) -> None:
    """It is nothing at all."""
    stats = await stage.queue.stats("nobody")
    assert (counts(stats), stats.size, stats.workers, stats.oldest_seconds) == ({}, 0, 0, 0)
    assert await stage.queue.peek("nobody") == []
    assert await stage.queue.dead("nobody") == []
    assert await stage.queue.quarantined("nobody") == []
    assert await stage.queue.parked("nobody") == {}
    assert await stage.queue.clear("nobody") == 0
    assert await stage.queue.result("x", "nobody") is None
    assert await stage.queue.progress("x", "nobody") is None
    assert await stage.queue.requeue_quarantined("x") is False
    assert await stage.queue.discard_quarantined("x") is False


async def test_peek_and_show(stage: Stage) -> None:
    """Jobs are looked at without being taken."""
    ids = await stage.queue.push_many([Play(name=str(number), waits=number) for number in range(12)])
    assert [view.id for view in await stage.queue.peek()] == ids[:10]
    assert [view.id for view in await stage.queue.peek(limit=2)] == ids[:2]
    assert await stage.queue.peek(limit=0) == []
    view = await stage.queue.show(ids[3])
    assert view is not None
    assert (view.id, view.queue, view.name, view.payload["name"], view.options) == (ids[3], "default", "play", "3", {})
    assert (view.attempts, view.error) == (0, None)
    assert abs((view.enqueued_at - datetime.now(UTC)).total_seconds()) < 5
    stage.script["3"] = ValueError("no")
    await stage.queue.push(Play(name="3", waits=60, group="g"))
    await stage.work()
    assert await stage.queue.size() == 2
    view = await stage.queue.show(ids[3])
    assert view is not None
    assert (view.attempts, view.error) == (1, "ValueError: no")
    await stage.queue.clear()


async def test_names_are_found(stage: Stage) -> None:
    """The queues that hold jobs, of this prefix only."""
    other = await stage.connect(prefix=f"{stage.prefix}~x".replace("~", "-"))
    await other.push(Play())
    await stage.queue.push_many([Play(), Elsewhere()])
    assert await stage.queue.names() == ["default", "other"]
    await stage.queue.clear("other")
    assert await stage.queue.names() == ["default"]
    await stage.queue.clear()
    await other.clear()
    assert await stage.queue.names() == []


@pytest.mark.parametrize("name", ["", "a b", "a{b}", "a/b", "a/1", "a:b", "ä", "x" * 129, "a*"])
async def test_wrong_names_of_queues(memory_stage: Stage, name: str) -> None:
    """They are refused, whatever is asked of them."""
    queue = memory_stage.queue
    cls = type("Wrong", (Play,), {"QUEUE": name, "NAME": "wrong", "__module__": __name__})
    with pytest.raises(InvalidArgumentError, match="queue name"):
        await queue.push(cls())
    with pytest.raises(InvalidArgumentError, match="queue name"):
        await queue.push_many([cls()])
    with pytest.raises(InvalidArgumentError, match="queue name"):
        await queue.size(name)
    with pytest.raises(InvalidArgumentError, match="queue name"):
        await memory_stage.worker(queues=[name]).run()


async def test_queues_do_not_see_each_other(stage: Stage) -> None:
    """Neither those of another name nor those of another prefix."""
    other = await stage.connect(prefix=f"{stage.prefix}-2")
    await stage.queue.push(Elsewhere(name="a"))
    await other.push(Play(name="b"))
    await stage.work(Elsewhere)
    assert stage.ran == []
    await stage.work(Elsewhere, queues=["other"])
    await stage.work(services=Services(other, stage.services.extensions))
    assert stage.ran == ["a", "b"]


# -- results and progress ------------------------------------------------------------------------------------------


async def test_a_result_is_kept(stage: Stage) -> None:
    """For its time, and read as JSON."""
    for value in (7, "ü", None, [1, {"a": None}], 1.5, True):
        stage.script["a"] = value
        job_id = await stage.queue.push(Kept(name="a"))
        assert await stage.queue.result(job_id) is None
        assert await stage.queue.result(job_id, default="not yet") == "not yet"
        await stage.work(Kept)
        assert await stage.queue.result(job_id, default="not yet") == value
        assert 0 < await stage.call("default", "PTTL", f"result:{job_id}") <= 60_000
        assert await stage.queue.show(job_id) is None


async def test_a_result_has_a_type(memory_stage: Stage) -> None:
    """And is gone after its time."""
    stage = memory_stage
    assert stage.clock is not None
    stage.script["a"] = Play(name="result")
    job_id = await stage.queue.push(Kept(name="a"))
    await stage.work(Kept)
    assert await stage.queue.result(job_id, type=Play) == Play(name="result")
    stage.clock.advance(60)
    assert await stage.queue.result(job_id) is None


async def test_a_result_that_cannot_be_written(stage: Stage) -> None:
    """The job has succeeded all the same, and is not run again."""
    stage.script["a"] = object()
    job_id = await stage.queue.push(Kept(name="a"))
    worker = await stage.work(Kept)
    assert await stage.queue.result(job_id) is None
    assert (stage.ran, worker.statistics().succeeded) == (["a"], 1)


async def test_progress(stage: Stage) -> None:
    """It is seen while the job runs, and gone with it."""
    gate = Gate()

    async def work(job: Play, ctx: JobContext) -> None:
        await ctx.progress(1)
        await ctx.progress(3, 10, "drei ☃")
        await gate(job, ctx)

    stage.script["a"] = work
    job_id = await stage.queue.push(Play(name="a"))
    assert await stage.queue.progress(job_id) is None
    async with stage.working():
        await gate.wait()
        assert await stage.queue.progress(job_id) == JobProgress(3, 10, "drei ☃")
        gate.open()
        await stage.until_empty()
    assert await stage.queue.progress(job_id) is None


# -- bounds and damage ---------------------------------------------------------------------------------------------


async def test_a_payload_has_a_bound(stage: Stage) -> None:
    """Up to it a job goes in; over it nothing does, not even the others of its bulk."""
    queue = await stage.connect(max_payload_bytes=500)
    overhead = len(Envelope("", "", "play", Play().model_dump_json().encode()).body)
    await queue.push(Play(name="x" * (500 - overhead)))
    assert await queue.clear() == 1
    big = Play(name="x" * (501 - overhead))
    with pytest.raises(JobEncodeError, match="501 bytes is over the queue's bound of 500"):
        await queue.push(big)
    with pytest.raises(JobEncodeError, match="over the queue's bound"):
        await queue.push_many([Play(), big, Play()])
    with pytest.raises(JobEncodeError, match="over the queue's bound"):
        await queue.push_chain([Play(), big])
    assert await queue.size() == 0


async def test_a_job_of_a_megabyte(stage: Stage) -> None:
    """The largest one goes through every path."""
    body = "x" * ((1 << 20) - 1000)
    gate: list[int] = []

    async def look(job: Play, ctx: JobContext) -> None:
        gate.append(len(job.name))

    stage.script[""] = look
    await stage.queue.push_many([Play(name=body), Play(name=body, group="g"), Play(name=body)])
    await stage.work()
    assert gate == [len(body)] * 3


async def test_any_text_goes_through(stage: Stage) -> None:
    """As a payload, and where it may be so also as group, key and slot: what Python writes Lua reads."""
    texts = ["", " ", "\n", "\0", "\u2028", "\x7f", "🚀", '"\\', "a\r\nb", "é", "{}", "%s %b"]
    for text in texts:
        names: dict[str, Any] = {"group": f"g{text}", "unique": f"u{text}", "slots": (f"s{text}", 1)}
        job = Play(name=text, pace=(f"r{text}", 1000, 1), **names)
        first = await stage.queue.push(job)
        assert await stage.queue.push(job) == first
        await stage.queue.push(Play(name=text, group=f"g{text}"))
        assert await stage.queue.push(Play(unique=f"u{text}")) == first
    assert counts(await stage.queue.stats()) == {"ready": len(texts), "waiting": len(texts)}
    await stage.work()
    assert sorted(stage.ran) == sorted(texts * 2)


NO_JOBS = [
    b"",
    b"?",
    b"play",
    b"play\n",
    b"play\n{",
    b'play\n{"waits":"x"}',
    b"play\n\xff",
    b'play {"v":"x"}\n{}',
    b'play {"g":7}\n{}',
    b'play {"g":null}\n{}',
    b'play {"c":5}\n{}',
    b'play {"c":[]}\n{}',
    b'play {"r":5}\n{}',
    b'play {"r":["k"]}\n{}',
    b'play {"u":{}}\n{}',
    b'play {"ul":"x","u":"k"}\n{}',
    b'play {"b":[]}\n{}',
    b'play {"p":7}\n{}',
    b'play {"rs":"x"}\n{}',
    b"play []\n{}",
    b"play 7\n{}",
    b"play {\n{}",
    b"\xff\n{}",
    b"\x80\x04\x95.",
]


async def test_what_is_no_job_goes_to_quarantine(stage: Stage) -> None:
    """Whatever stands in the queue: it is kept, with the reason, and the jobs around it run."""
    ids = await stage.queue.push_many([Play(name="a"), *plays(*["x"] * len(NO_JOBS)), Play(name="b")])
    bodies = dict(zip(ids[1:-1], NO_JOBS, strict=True))
    for job_id, body in bodies.items():
        await stage.call("default", "HSET", "jobs", job_id, body)
    for _ in range(2):
        await stage.work()
        assert stage.ran == ["a", "b"]
        found = await stage.queue.quarantined()
        assert {one.id: one.body for one in found} == bodies
        assert all(one.reason for one in found)
        for job_id in bodies:
            assert await stage.queue.show(job_id) is not None
            assert await stage.queue.requeue_quarantined(job_id) is True
        assert await stage.queue.quarantined() == []
    await stage.work()
    for job_id in bodies:
        assert await stage.queue.discard_quarantined(job_id) is True
        assert await stage.queue.discard_quarantined(job_id) is False
    assert await stage.queue.size() == 0


async def test_an_id_without_a_body(stage: Stage) -> None:
    """As after an unlucky failover: it is set aside, and not run for ever."""
    ids = await stage.queue.push_many(plays("a", "b"))
    await stage.call("default", "HDEL", "jobs", ids[0])
    await stage.work()
    assert stage.ran == ["b"]
    assert [one.id for one in await stage.queue.quarantined()] == [ids[0]]
    await stage.queue.discard_quarantined(ids[0])


async def test_the_payload_is_not_in_the_reason(stage: Stage) -> None:
    """Reasons are shown to more people than payloads are."""
    job_id = await stage.queue.push(Play())
    await stage.call("default", "HSET", "jobs", job_id, b'play\n{"waits":"secret"}')
    await stage.work()
    assert "secret" not in (await stage.queue.quarantined())[0].reason
    await stage.queue.discard_quarantined(job_id)


async def test_a_job_that_cannot_be_written(memory_stage: Stage) -> None:
    """None of its bulk goes in."""

    class Odd(Play):
        NAME: ClassVar[str] = "odd"
        thing: Any = None

    with pytest.raises(JobEncodeError, match="Odd"):
        await memory_stage.queue.push(Odd(thing=object()))
    with pytest.raises(JobEncodeError, match="Odd"):
        await memory_stage.queue.push_many([Play(), Odd(thing=object())])
    assert await memory_stage.queue.size() == 0


# -- shards --------------------------------------------------------------------------------------------------------


async def test_shards(stage: Stage) -> None:
    """A queue in parts is one queue: for counting, looking, groups, keys, cancelling and working."""
    queue = await stage.connect(shards=5)
    services = Services(queue, stage.services.extensions)
    ids = await queue.push_many([Play(name=str(number)) for number in range(40)])
    sizes = [await queue.client.call("LLEN", f"{base}:ready:normal") for base in queue.bases("default")]
    assert sum(sizes) == 40
    assert max(sizes) < 40
    assert await queue.size() == 40
    assert await queue.names() == ["default"]
    assert len(await queue.peek(limit=30)) == 30
    assert await queue.show(ids[7]) is not None
    assert await queue.cancel(ids[7]) is True
    groups = [Play(name=f"{group}{number}", group=group) for number in range(6) for group in "abc"]
    await queue.push_many(groups)
    first = await queue.push(Play(name="u", unique="u"))
    assert await queue.push(Play(name="u", unique="u")) == first
    await queue.push_batch([Play(name="x"), Play(name="y")], Play(name="z"))
    kept = await queue.push(Kept(name="kept"))
    stage.script["kept"] = 7
    await stage.work(Kept, services=services, concurrency=7)
    assert await queue.result(kept) == 7
    assert len(stage.ran) == 39 + 18 + 1 + 3 + 1
    for group in "abc":
        assert [name for name in stage.ran if name[0] == group] == [f"{group}{number}" for number in range(6)]
    assert await queue.clear() == 0
    await queue.pause()
    assert (await queue.stats()).paused is True
    await queue.resume()


async def test_shards_keep_what_they_promise(stage: Stage) -> None:
    """A job that would need to be in two shards at once is refused; under one name all of it holds."""
    queue = await stage.connect(shards=5)
    for job in (Play(name="x", group="g", unique="u"), Play(name="x", group="g", slots=("s", 1))):
        with pytest.raises(InvalidArgumentError, match="only one of them can hold"):
            await queue.push(job)
    for jobs, last in (([Play(name="x", group="g")], Play(name="z")), ([Play(name="x")], Play(name="z", unique="u"))):
        with pytest.raises(InvalidArgumentError, match="a batch, a group"):
            await queue.push_batch(jobs, last)
    await queue.push(Play(name="same", group="g", unique="g"))
    assert await queue.clear() == 1


async def test_a_worker_of_all_shards_counts_once(stage: Stage) -> None:
    """It has a lease on each of them, and is one worker."""
    queue = await stage.connect(shards=5)
    seen: list[int] = []

    async def look(job: Play, ctx: JobContext) -> None:
        seen.append((await queue.stats()).workers)

    stage.script["a"] = look
    await queue.push(Play(name="a"))
    await stage.work(services=Services(queue, stage.services.extensions))
    assert seen == [1]


async def test_shards_are_cleared(stage: Stage) -> None:
    """All of them."""
    queue = await stage.connect(shards=3)
    await queue.push_many([Play(name=str(number), group=str(number % 4)) for number in range(40)])
    assert await queue.clear() == 40


@pytest.mark.parametrize("shards", [0, -1, 1025, True, 1.5, "2", None])
async def test_shards_are_checked(memory_stage: Stage, shards: Any) -> None:
    """As few as one, as many as fit the key."""
    with pytest.raises(InvalidArgumentError, match="shards"):
        Queue(memory_stage.queue.client, shards=shards)


# -- Redis does not do it ------------------------------------------------------------------------------------------


async def test_redis_is_full(prefix: str) -> None:
    """Enqueueing says so and takes nothing in by halves; workers go on, so that the queue gets shorter."""
    with RedisServer("--maxmemory-policy", "noeviction") as server, redis.Redis(port=server.port) as raw:
        stage = await Stage("redis", server.url, prefix, [server.port]).open()
        jobs = [
            *plays("a", "b"),
            *plays("c", "d", group="g"),
            Play(name="retry", waits=0),
            Play(name="die", retries=0),
            Kept(name="kept"),
        ]
        stage.script |= {"retry": once(ValueError("again"), None), "die": ValueError("no"), "kept": 7}
        ids = await stage.queue.push_many(jobs)
        raw.config_set("maxmemory", 1)
        with pytest.raises(RedisOutOfMemoryError):
            await stage.queue.push(Play(name="x"))
        with pytest.raises(RedisOutOfMemoryError):
            await stage.queue.push_many([Play(name="x", group="g"), Play(name="x"), Play(name="x", unique="u")])
        with pytest.raises(RedisOutOfMemoryError):
            await stage.queue.push_batch([Play(name="x")], Play(name="x"))
        async with stage.working(Kept, lease=0.4) as worker:
            await stage.until_empty()
            assert worker.statistics().fenced == 0
            await asyncio.sleep(0.5)  # longer than the lease
            assert (await stage.queue.stats()).workers == 1
        assert sorted(stage.ran) == ["a", "b", "c", "d", "die", "kept", "retry", "retry"]
        assert await stage.queue.result(ids[6]) == 7
        raw.config_set("maxmemory", 0)
        await stage.queue.bury("default", await stage.queue.dead())
        await stage.queue.push(Play(name="x"))
        await stage.work()
        assert stage.ran[-1] == "x"
        await stage.close()


async def test_redis_refuses_connections(prefix: str) -> None:
    """At the start it is an error that says where; nothing hangs."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    with pytest.raises(RedisConnectionError, match=r"127\.0\.0\.1"):
        await Queue.connect(url, prefix=prefix)
    async with Queue.connect(f"memory://{prefix}") as queue:
        assert await queue.size() == 0
    from rustforge.redis import connect  # noqa: PLC0415 - only here without opening it

    async with asyncio.timeout(20):
        queue = Queue(connect(url), prefix=prefix)
        with pytest.raises(RedisConnectionError, match=r"127\.0\.0\.1"):
            await queue.push(Play())
        with pytest.raises(RedisConnectionError, match=r"127\.0\.0\.1"):
            await Worker(Services(queue)).register(Play).run()
        await queue.aclose()
        await queue.client.aclose()


async def test_an_error_reaches_every_caller(prefix: str) -> None:
    """Those whose jobs travelled together each get their own."""
    with RedisServer() as server:
        async with Queue.connect(server.url, prefix=prefix) as queue:
            talk(server.port, "SET", f"{prefix}~{{jobs:default}}:jobs", "7")
            found = await asyncio.gather(*[queue.push(Play()) for _ in range(3)], return_exceptions=True)
            assert [type(one).__name__ for one in found] == ["RedisReplyError"] * 3
            assert len({id(one) for one in found}) == 3


# -- life ----------------------------------------------------------------------------------------------------------


async def test_closing_waits_for_what_is_under_way(stage: Stage) -> None:
    """A queue that is closed in the same tick has enqueued what it was given."""
    queue = await stage.connect()
    tasks = [asyncio.create_task(queue.push(job)) for job in plays("a", "b")]
    await asyncio.sleep(0)
    await queue.aclose()
    await asyncio.gather(*tasks)
    assert await stage.queue.clear() == 2


async def test_a_caller_that_is_cancelled(stage: Stage) -> None:
    """The others of its batch are not."""
    tasks = [asyncio.create_task(stage.queue.push(job)) for job in plays("a", "b")]
    await asyncio.sleep(0)
    tasks[0].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert isinstance(found[1], str)
    assert await stage.queue.clear() in {1, 2}


async def test_connecting(stage: Stage) -> None:
    """With `async with`, or awaited and closed by hand."""
    async with Queue.connect(stage.url, prefix=stage.prefix, shards=1) as queue:
        assert queue.owns_client is True
        assert queue.prefix == stage.prefix
        await queue.push(Play())
    queue = await Queue.connect(stage.url, prefix=stage.prefix)
    assert await queue.clear() == 1
    await queue.aclose()
    with pytest.raises(InvalidArgumentError, match="prefix"):
        await Queue.connect(stage.url, prefix="a b")
    with pytest.raises(InvalidTypeError):
        await Queue.connect(stage.url, prefix=7)  # type: ignore[arg-type]


async def test_a_job_class_without_a_name_is_not_enqueued(memory_stage: Stage) -> None:
    """It would never be found again."""

    class Nameless(Job):
        async def handle(self, ctx: JobContext) -> None:
            """Do nothing."""

    with pytest.raises(ValueError, match="NAME"):
        await memory_stage.queue.push(Nameless())


async def test_marks_end_by_themselves(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What remembers the batches of a client has an end also on a server that came back empty between two of them."""
    monkeypatch.setattr("rustforge.jobs.sender._QUIET_SECONDS", 60)
    queue = await stage.connect()
    marks = f"{queue.bases('default')[0]}:client:{queue._sender._identity}"
    for _ in range(2):
        await queue.push(Play())
        assert 0 < await queue.client.call("PTTL", marks) <= 60_000
        await queue.client.call("DEL", marks)
    await queue.aclose()
    await stage.work()
