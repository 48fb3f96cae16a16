"""What went wrong in production with other job queues, one test for each kind of incident.

Their issue trackers tell of jobs that got lost, ran twice, got stuck, filled the memory, or took all workers down.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import redis

from rustforge.jobs import Abort, Queue
from rustforge.jobs.scripts import WORKER
from rustforge.jobs.source import Run, Source
from tests.support.jobs import Gate, Play, Services, Stage, once
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from rustforge.jobs import JobContext


class Stranger(Play):
    """A job that not every worker knows."""

    NAME: ClassVar[str] = "stranger"


async def lost_worker(stage: Stage, lease_ms: int = 100, want: int = 100) -> Source:
    """Claim jobs as a worker does that is then not heard of for a while."""
    source = Source(stage.queue.client, "default", stage.queue.bases("default")[0], lambda: None)
    await source.register(lease_ms)
    for job in await source.exchange(want):
        source.runs[job.id] = Run(source, job)
    return source


async def reap(stage: Stage, most: int = 3) -> None:
    """Let somebody look for lost workers."""
    base = stage.queue.bases("default")[0]
    epoch = await stage.queue.client.run(WORKER, [base], ["register", 60_000])
    await stage.queue.client.run(WORKER, [base], ["beat", epoch, 60_000, most, "0"])
    await stage.queue.client.run(WORKER, [base], ["leave", epoch])


# -- lost ----------------------------------------------------------------------------------------------------------


async def test_what_was_fetched_ahead_is_not_lost_at_a_stop(stage: Stage) -> None:
    """A warm shutdown drops nothing: neither what runs nor what was claimed and had not begun."""
    gate = Gate()
    stage.script[""] = gate
    names = [str(number) for number in range(40)]
    await stage.queue.push_many([Play(name=name, group="g" if int(name) % 4 == 0 else None) for name in names])
    for _ in range(3):
        before = gate.entered
        async with stage.working(concurrency=7):
            await gate.wait(before + 7)
        assert await stage.queue.size() == 40
    gate.open()
    await stage.work()
    assert set(stage.ran) == set(names)


async def test_a_worker_lost_between_claim_and_start_loses_nothing(memory_stage: Stage) -> None:
    """There is no moment at which a job is in no place."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push_many([Play(name=str(number)) for number in range(20)])
    await lost_worker(stage, want=13)
    assert (await stage.queue.stats()).running == 13
    stage.clock.advance(1)
    await reap(stage)
    await stage.work()
    assert sorted(stage.ran, key=int) == [str(number) for number in range(20)]


async def test_everybody_crashes_and_one_comes_back(memory_stage: Stage) -> None:
    """A worker that starts after all others were lost takes over at once, not after minutes or hours."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push_many([Play(name=str(number)) for number in range(9)])
    for _ in range(3):
        await lost_worker(stage, want=3)
    stage.clock.advance(3600)
    async with stage.working(lease=60):
        await stage.until_empty()
    assert sorted(stage.ran) == [str(number) for number in range(9)]


async def test_what_rescues_jobs_cannot_get_stuck_itself(memory_stage: Stage) -> None:
    """A worker that is lost while it rescues is rescued like any other."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push_many([Play(name=name) for name in "ab"])
    await lost_worker(stage)
    stage.clock.advance(1)
    rescuer = await lost_worker(stage, want=1)
    answer = [WORKER, [rescuer.base], ["beat", rescuer.epoch, 100, 3, "0"]]
    await stage.queue.client.run(*answer)  # type: ignore[arg-type]
    await rescuer.exchange(10)
    stage.clock.advance(1)
    async with stage.working(lease=60):
        await stage.until_empty()
    assert sorted(stage.ran) == ["a", "b"]


# -- twice ---------------------------------------------------------------------------------------------------------


async def test_a_long_delay_is_no_second_run(memory_stage: Stage) -> None:
    """A job of next week is not redelivered because nobody acknowledged it meanwhile."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push(Play(name="a"), delay=timedelta(days=7))
    for _ in range(6):
        await stage.work(lease=1)
        stage.clock.advance(86_400)
        await reap(stage)
    assert stage.ran == []
    stage.clock.advance(86_400)
    async with stage.working(), stage.working(), stage.working():
        await stage.until_empty()
    assert stage.ran == ["a"]


async def test_a_retry_does_not_race_its_redelivery(memory_stage: Stage) -> None:
    """A lost worker's last word, a retry, arrives when another one has the job: it is not there twice."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push(Play(name="a"))
    late = await lost_worker(stage)
    (run,) = late.runs.values()
    stage.clock.advance(1)
    await reap(stage)
    gate = Gate()
    stage.script["a"] = gate
    async with stage.working():
        await gate.wait()
        late.settle(run, "retry", 0, "late")
        with contextlib.suppress(Exception):
            await late.exchange(1)
        stats = await stage.queue.stats()
        assert (stats.running, stats.ready, stats.delayed) == (1, 0, 0)
        gate.open()
        await stage.until_empty()
    assert stage.ran == ["a"]


async def test_a_rescue_does_not_overwrite_what_is_done(memory_stage: Stage) -> None:
    """A job that its worker has finished stays finished, though that worker is lost just then."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push_many([Play(name="a", group="g"), Play(name="b")])
    source = await lost_worker(stage)
    for run in list(source.runs.values()):
        if run.job.body.startswith(b"play {"):
            source.settle_grouped(run, "g")
    await source.exchange(0)
    stage.clock.advance(1)
    await reap(stage)
    await stage.work()
    assert stage.ran == ["b"]


async def test_a_loop_that_stood_still_reaps_nobody(memory_stage: Stage) -> None:
    """Where workers share an event loop, one that was held up is no reason to take another one's jobs."""
    stage = memory_stage
    gate = Gate()
    stage.script["a"] = gate
    async with stage.working(lease=0.2), stage.working(lease=0.2):
        await stage.queue.push(Play(name="a"))
        await gate.wait()
        import time  # noqa: PLC0415 - to hold the loop, only here

        time.sleep(0.5)  # noqa: ASYNC251 - that is the point
        await asyncio.sleep(0.2)
        gate.open()
        await stage.until_empty()
    assert stage.ran == ["a"]


async def test_a_retried_job_frees_no_key_that_is_not_its_own(stage: Stage) -> None:
    """It died, another one with its unique key came, and it is retried: there is one job of the key, not two."""
    stage.script["a"] = once(ValueError("no"), None)
    await stage.queue.push(Play(name="a", unique="u", retries=0))
    await stage.work()
    (dead,) = await stage.queue.dead()
    gate = Gate()
    stage.script["b"] = gate
    second = await stage.queue.push(Play(name="b", unique="u"))
    async with stage.working():
        await gate.wait()
        assert await stage.queue.enqueue([dead.envelope]) == [second]
        assert await stage.queue.push(Play(name="c", unique="u")) == second
        gate.open()
        await stage.until_empty()
    assert stage.ran == ["a", "b"]


# -- stuck ---------------------------------------------------------------------------------------------------------


async def test_work_goes_on_after_a_reconnect(redis_server: RedisServer, prefix: str) -> None:
    """An idle worker whose connection was cut, or swallowed, hears of the next job all the same."""
    async with Proxy(redis_server.port) as proxy:
        stage = await Stage("redis", redis_server.url, prefix, [redis_server.port]).open()
        async with Queue.connect(f"redis://127.0.0.1:{proxy.port}/0", prefix=prefix) as queue:
            services = Services(queue, stage.services.extensions)
            async with stage.working(services=services, lease=60):
                for count in range(1, 4):
                    await proxy.cut()
                    await stage.queue.push(Play())
                    await stage.until_ran(count)
                proxy.refuse()
                await proxy.cut()
                await stage.queue.push(Play())
                await asyncio.sleep(0.2)
                await proxy.accept()
                await stage.until_ran(4)
                await stage.until_empty()
        stage.may_leave = (":workers", ":epoch")
        await stage.close()


async def test_a_lost_worker_leaves_no_phantom_in_a_limit(memory_stage: Stage) -> None:
    """Slots and groups of jobs whose workers were lost are not taken for ever, not even by way of quarantine."""
    stage = memory_stage
    assert stage.clock is not None
    jobs = [Play(name=name, slots=("s", 2)) for name in "abcd"]
    ids = await stage.queue.push_many([*jobs, Play(name="x", group="g"), Play(name="y", group="g")])
    for _ in range(2):
        await lost_worker(stage)
        stage.clock.advance(1)
        await reap(stage, most=1)
    lost = {one.id for one in await stage.queue.quarantined()}
    assert lost == {ids[0], ids[1], ids[4]}
    await stage.work()
    assert sorted(stage.ran) == ["c", "d", "y"]
    for one in lost:
        await stage.queue.discard_quarantined(one)


async def test_no_job_runs_for_days_in_the_statistics(memory_stage: Stage) -> None:
    """Nothing is `running` that no worker has: what a lost one had is ready again."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push_many([Play(), Play()])
    await lost_worker(stage)
    stage.clock.advance(1)
    await reap(stage)
    stats = await stage.queue.stats()
    assert (stats.running, stats.ready, stats.workers) == (0, 2, 0)
    await stage.queue.clear()


async def test_no_worker_takes_the_place_of_another(stage: Stage) -> None:
    """Every start has a number of its own, so a new worker on an old host does not keep a dead one alive."""
    base = stage.queue.bases("default")[0]
    epochs = [int(await stage.queue.client.run(WORKER, [base], ["register", 1_000])) for _ in range(50)]
    assert epochs == sorted(set(epochs))
    for epoch in epochs:
        await stage.queue.client.run(WORKER, [base], ["leave", epoch])


async def test_a_unique_key_is_never_left_behind(stage: Stage) -> None:
    """Whatever way its job leaves the queue."""
    queue = stage.queue
    gate = Gate()

    async def done() -> None:
        await stage.work()

    async def dead() -> None:
        stage.script["a"] = ValueError("no")
        await stage.work()
        await queue.bury("default", await queue.dead())

    async def aborted() -> None:
        stage.script["a"] = Abort("enough")
        await dead()

    async def cancelled() -> None:
        await queue.cancel(first)
        await stage.work()

    async def cancelled_while_it_runs() -> None:
        stage.script["a"] = gate
        async with stage.working(lease=0.4):
            await gate.wait()
            await queue.cancel(first)
            await stage.until_empty()

    async def cleared() -> None:
        await queue.clear()

    async def quarantined() -> None:
        body = await stage.call("default", "HGET", "jobs", first)
        await stage.call("default", "HSET", "jobs", first, body[:-1])
        await stage.work()
        await queue.discard_quarantined(first)

    async def parked_and_cancelled() -> None:
        body = await stage.call("default", "HGET", "jobs", first)
        await stage.call("default", "HSET", "jobs", first, body.replace(b"play", b"stranger"))
        await stage.work()
        await queue.cancel(first)

    ways = (done, dead, aborted, cancelled, cancelled_while_it_runs, cleared, quarantined, parked_and_cancelled)
    for leave in ways:
        stage.script.clear()
        first = await queue.push(Play(name="a", unique="u", retries=0))
        await leave()
        assert await stage.call("default", "EXISTS", "unique") == 0, leave.__name__


async def test_a_time_out_within_a_time_out_does_not_wedge_a_worker(stage: Stage) -> None:
    """Handlers use `asyncio.timeout` themselves, also in the moment in which their own time is over."""

    async def work(job: Play, ctx: JobContext) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.03):
                await asyncio.sleep(10)
        async with asyncio.timeout(0.03):
            await asyncio.sleep(10)

    stage.script["a"] = work
    await stage.queue.push_many([Play(name="a", retries=0) for _ in range(20)])
    await stage.work(timeout=0.03)
    assert len(stage.failures) == 20
    await stage.queue.push(Play(name="b"))
    await stage.work()
    assert stage.ran[-1] == "b"
    await stage.queue.bury("default", await stage.queue.dead())


# -- memory --------------------------------------------------------------------------------------------------------


async def test_what_is_done_takes_no_memory(prefix: str) -> None:
    """After thousands of jobs of every kind the server is as empty as before."""
    with RedisServer() as server, redis.Redis(port=server.port) as raw:
        stage = await Stage("redis", server.url, prefix, [server.port]).open()
        stage.script |= {"retry": once(*[ValueError("no")] * 50, None), "die": ValueError("no")}

        def jobs(count: int) -> list[Play]:
            made: list[Play] = [Play(name="x") for _ in range(count)]
            made += [Play(name="g", group=f"g{number}") for number in range(count)]
            made += [Play(name="u", unique=f"u{number}") for number in range(count)]
            made += [Play(name="s", slots=(f"s{number % 7}", 3)) for number in range(count)]
            return [*made, *[Play(name="retry", waits=0) for _ in range(50)]]

        async with stage.working(concurrency=200) as worker:
            await stage.queue.push_many(jobs(100))
            await stage.until_empty()
            memory = int(raw.info("memory")["used_memory"])
            for _ in range(3):
                await stage.queue.push_many(jobs(400))
                await stage.queue.push_many([Play(name="d") for _ in range(200)], delay=0.01)
                await stage.until_empty(seconds=20)
            assert int(raw.info("memory")["used_memory"]) - memory < 300_000
            assert len(await stage.keys()) <= 3
            assert worker._tasks == set()
            assert all(not source.runs for source in worker._sources)
        await asyncio.sleep(0.1)
        await wait_until(lambda: raw.dbsize() == 0)
        await stage.close()


# -- poison --------------------------------------------------------------------------------------------------------


async def test_poison_is_set_aside(memory_stage: Stage) -> None:
    """What kills its worker each time ends in quarantine after a few of them, and is not handed on for ever."""
    stage = memory_stage
    assert stage.clock is not None
    job_id = await stage.queue.push(Play(name="poison"))
    crashes = 0
    while not await stage.queue.quarantined():
        assert len((await lost_worker(stage)).runs) == 1
        crashes += 1
        stage.clock.advance(1)
        await reap(stage)
        assert crashes <= 4
    assert crashes == 4
    await stage.queue.discard_quarantined(job_id)


async def test_a_worker_that_stops_often_is_no_poison(stage: Stage) -> None:
    """A long job that many deploys interrupt is handed on as often as it takes."""
    gate = Gate()
    stage.script["a"] = gate
    await stage.queue.push(Play(name="a", retries=0))
    for count in range(1, 8):
        async with stage.working():
            await gate.wait(count)
    gate.open()
    await stage.work()
    assert len(stage.ran) == 8
    assert stage.failures == []


# -- deploys -------------------------------------------------------------------------------------------------------


async def test_old_and_new_workers_share_a_queue(stage: Stage) -> None:
    """During a deploy nothing that only the new ones know is failed, discarded, or run by an old one."""
    async with stage.working(lease=0.4), stage.working(Stranger, lease=0.4):
        await stage.queue.push_many([Stranger(name=f"s{number}", retries=0) for number in range(20)])
        await stage.queue.push_many([Play(name=f"p{number}") for number in range(20)])
        await stage.until_empty()
    assert len(stage.ran) == 40
    assert stage.failures == []


# -- what people asked for in vain ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [1, 4])
async def test_one_at_a_time_for_each_key(stage: Stage, shards: int) -> None:
    """Serial jobs of a key, in order, over several workers, on a single server and a cluster."""
    queue = await stage.connect(shards=shards)
    services = Services(queue, stage.services.extensions)
    inside: dict[str | None, int] = {}

    async def work(job: Play, ctx: JobContext) -> None:
        inside[job.group] = inside.get(job.group, 0) + 1
        assert inside[job.group] == 1
        await asyncio.sleep(0.001)
        inside[job.group] -= 1

    stage.script[""] = work
    jobs: list[Any] = [Play(name=f"{key}{number}", group=key) for number in range(8) for key in "abcde"]
    async with stage.working(services=services), stage.working(services=services):
        await queue.push_many(jobs)

        async def empty() -> bool:
            return await queue.size() == 0

        await wait_until(empty, timeout=10)
    assert stage.failures == []
    for key in "abcde":
        assert [name for name in stage.ran if name[0] == key] == [f"{key}{number}" for number in range(8)]
