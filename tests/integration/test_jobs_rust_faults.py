"""The faults of the Rust edition's jobs, which must not come back.

Each has a test that is named after what it prevents, here or where its part is tested:

     1 a job that was taken is lost with its worker              a_taken_job_is_not_lost
     2 bad JSON is dropped                                       bad_json_is_not_dropped
     3 an unknown name is dropped                                an_unknown_name_is_not_dropped
     4 a failing head blocks its group until somebody pushes     a_failing_head_does_not_block_its_group
     5 errors of Redis are swallowed                             an_error_of_redis_is_not_swallowed
     6 equal jobs collapse into one retry                        equal_jobs_do_not_collapse
     7 a database error loses the failure                        test_failed_jobs: the_database_away_loses_no_dead_job
     8 a panic costs a slot for good                             a_panic_costs_no_slot
     9 a long job runs beside its successor                      a_long_job_does_not_run_beside_its_successor
    10 a late owner frees another one's group                    a_late_owner_does_not_free_the_group
    10 the same, by a worker that has its lease                  nobody_settles_what_another_one_has
    11 a wake-up is lost between two holders                     no_wake_up_is_lost
    12 an error counts as an empty queue                         a_taken_job_is_not_lost
    13 a push bypasses the backoff                               test_groups: a_backoff_holds_the_group
    14 a busy queue starves groups                               a_busy_queue_does_not_starve_groups
    15 a hot group owns a slot                                   a_hot_group_does_not_own_a_slot
    16 names collide with keys                                   names_do_not_collide
    17 delayed jobs are pushed by every process                  delayed_jobs_are_promoted_once
    18 delays go by local clocks, all due ones at once           delays_go_by_the_clock_of_redis
    19 no graceful stop                                          test_worker: stop_gives_back_what_does_not_end
    19 no time-out                                               test_worker: a_run_has_a_time
    20 an error within the failure path loses the job            test_worker: methods_of_the_job_that_fail
    20 an error within the failure path loses the job            test_worker: failed_that_raises
    21 an item without its signal                                no_item_is_without_its_signal
    22 an ambiguous push is two jobs                             an_ambiguous_push_is_one_job
    22 also after the first one has run                          a_push_whose_answer_was_lost_is_one_job
    23 a connection for each push                                pushes_share_a_connection
    24 the outbox forgets the group                              test_outbox: options_go_with_the_job
    25 the outbox pushes twice                                   test_outbox: a_crash_at_any_step_enqueues_once
    26 the outbox loses the order                                test_outbox: order_within_and_across_transactions
    26 several flushers interleave                               test_outbox: many_flushers_enqueue_once_and_in_order
    27 a bad row stops the outbox                                test_outbox: rows_that_are_no_jobs_are_moved_aside
    28 a late tick skips a minute                                test_scheduler: late_within_the_grace_is_on_time
    28 no catching up                                            test_scheduler: catching_up_after_a_downtime
    29 seconds never fire                                        test_scheduler: the_seconds_field
    30 only UTC                                                  test_scheduler: the_clocks_go_forward
    30 only UTC                                                  test_scheduler: the_clocks_go_back
    31 a crash between lock and push loses the run            test_scheduler: schedulers_that_are_killed_leave_no_hole
    31 an error ends the scheduler for ever                      test_scheduler: an_outage_of_redis_is_waited_out
    32 overlapping is checked, then set                          test_scheduler: shards_are_no_way_around
    32 the lock outlives the job                 test_scheduler: without_overlapping_is_released_by_the_end_of_the_job
    33 two entries of one job drop one                           test_scheduler: entries_of_one_job_are_told_apart
    34 the scheduler forgets the group                           test_scheduler: what_a_job_says_of_itself_is_kept
    35 clocks that differ fire twice                             test_scheduler: only_the_clock_of_redis_counts
    36 a double click retries twice                              test_failed_jobs: many_clicks_are_one_run
    37 a retried job is at its last attempt                      test_failed_jobs: a_retry_starts_anew
    38 a retried job forgets its group                           a_retried_job_keeps_its_group
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import InvalidArgumentError, RedisError, RedisReplyError
from rustforge.jobs import FailedJobs, JobContext, Queue
from rustforge.jobs.scripts import ENQUEUE, WORKER
from rustforge.jobs.source import Run, Source
from tests.support.jobs import LEASE, Gate, Play, Services, Stage, once
from tests.support.proxy import Plan, Proxy
from tests.support.servers import RedisServer


class Stranger(Play):
    """A job that not every worker knows."""

    NAME: ClassVar[str] = "stranger"


def test_every_fault_has_its_test() -> None:
    """The table above names tests that exist, and leaves no fault out."""
    rows = re.findall(r"^ +(\d+) .* {2,}(?:(test_\w+): )?(\w+)$", __doc__ or "", re.MULTILINE)
    assert {int(number) for number, _, _ in rows} == set(range(1, 39))
    here = Path(__file__)
    for _, module, name in rows:
        text = here.with_name(f"{module or here.stem}.py").read_text()
        assert f"def test_{name}(" in text, name


async def settled_by(stage: Stage, lease_ms: int = 100, want: int = 100) -> Source:
    """Claim jobs as a worker does that then says nothing more, and return its side."""
    source = Source(stage.queue.client, "default", stage.queue.bases("default")[0], lambda: None)
    await source.register(lease_ms)
    for job in await source.exchange(want):
        source.runs[job.id] = Run(source, job)
    return source


async def test_a_taken_job_is_not_lost(redis_server: RedisServer, prefix: str) -> None:
    """Connections are cut again and again while a worker claims and settles: each job runs, and none is left."""
    async with Proxy(redis_server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        stage = await Stage("redis", redis_server.url, prefix, [redis_server.port]).open()
        through = Stage("redis", url, prefix, [])
        queue = await through.connect()
        services = Services(queue, stage.services.extensions)
        jobs = [Play(name=f"{number}", group="g" if number % 3 else None) for number in range(300)]
        await stage.work(services=services)  # now the server knows the scripts
        await stage.queue.push_many(jobs)
        next_cut, cuts = proxy.passed + 3_000, 0

        def cut(passed: int) -> None:
            nonlocal next_cut, cuts
            if passed > next_cut and cuts < 7:
                next_cut, cuts = passed + 1_500 + 97 * cuts, cuts + 1
                for connection in tuple(proxy._connections):
                    connection.cancel()

        proxy.on_pass = cut
        async with stage.working(services=services, concurrency=6, lease=2):
            await stage.until_empty(seconds=20)
            proxy.on_pass = lambda _: None
        assert cuts == 7
        assert set(stage.ran) == {job.name for job in jobs}
        grouped = [name for name in dict.fromkeys(stage.ran) if int(name) % 3]
        assert grouped == sorted(grouped, key=int)
        await queue.aclose()
        stage.may_leave = (":workers", ":epoch")  # epochs that were asked for as their answers got lost
        await stage.close()


@pytest.mark.parametrize("group", [None, "g"])
async def test_bad_json_is_not_dropped(stage: Stage, group: str | None) -> None:
    """It is kept with the reason, in a group as well, and what comes after it runs."""
    ids = await stage.queue.push_many([Play(name=name, group=group) for name in "ab"])
    body = await stage.call("default", "HGET", "jobs", ids[0])
    await stage.call("default", "HSET", "jobs", ids[0], body[:-2])
    await stage.work()
    assert stage.ran == ["b"]
    (found,) = await stage.queue.quarantined()
    assert (found.id, found.body) == (ids[0], body[:-2])
    assert "payload" in found.reason
    await stage.queue.discard_quarantined(ids[0])


async def test_an_unknown_name_is_not_dropped(stage: Stage) -> None:
    """It waits, visible, until a worker comes that knows it."""
    await stage.queue.push(Stranger(name="a"))
    await stage.work()
    assert await stage.queue.parked() == {"stranger": 1}
    await stage.work(Stranger)
    assert stage.ran == ["a"]


async def test_a_failing_head_does_not_block_its_group(stage: Stage) -> None:
    """The same error again and again: after its last attempt the others run, without another push."""
    stage.script["a"] = ValueError("no")
    await stage.queue.push_many([Play(name=name, group="g", retries=3, waits=0) for name in "abc"])
    async with stage.working():
        await stage.until_empty()
    assert stage.ran == ["a"] * 4 + ["b", "c"]
    await stage.queue.bury("default", await stage.queue.dead())


async def test_an_error_of_redis_is_not_swallowed(prefix: str) -> None:
    """Who pushes hears of it; a worker tries again, and runs the job when Redis can."""
    with RedisServer() as server:
        stage = await Stage("redis", server.url, prefix, [server.port]).open()
        key = f"{stage.queue.bases('default')[0]}:jobs"
        await stage.queue.client.call("SET", key, "7")
        with pytest.raises(RedisReplyError):
            await stage.queue.push(Play(name="lost"))
        await stage.queue.client.call("DEL", key)
        paused = f"{stage.queue.bases('default')[0]}:delayed"
        await stage.queue.push(Play(name="a"))
        await stage.queue.client.call("SET", paused, "7")
        async with stage.working():
            await asyncio.sleep(0.05)
            await stage.queue.client.call("DEL", paused)
            await stage.until_ran(1)
            await stage.until_empty()
        assert stage.ran == ["a"]
        await stage.close()


async def test_equal_jobs_do_not_collapse(stage: Stage) -> None:
    """Each has an id of its own, so each is retried."""
    stage.script["a"] = once(*[ValueError("no")] * 5, None)
    await stage.queue.push_many([Play(name="a", waits=0.01) for _ in range(5)])
    async with stage.working():
        await stage.until_empty()
    assert len(stage.ran) == 10


async def test_a_panic_costs_no_slot(stage: Stage) -> None:
    """After any number of them as many jobs run at once as before."""

    async def panic(job: Play, ctx: JobContext) -> None:
        raise (SystemExit, KeyboardInterrupt, RecursionError)[len(stage.ran) % 3]

    gate = Gate()
    stage.script |= {"bad": panic, "good": gate}
    async with stage.working(concurrency=3):
        await stage.queue.push_many([Play(name="bad", retries=0, group=f"g{number % 2}") for number in range(12)])
        await stage.until_empty()
        await stage.queue.push_many([Play(name="good") for _ in range(3)])
        await gate.wait(3)
        gate.open()
        await stage.until_empty()
    await stage.queue.bury("default", await stage.queue.dead())


async def test_a_long_job_does_not_run_beside_its_successor(stage: Stage) -> None:
    """However many leases it takes: its worker lives, so it keeps its turn."""
    stage.script["a"] = lambda job, ctx: asyncio.sleep(1.5)
    await stage.queue.push_many([Play(name=name, group="g") for name in "ab"])
    async with stage.working(lease=LEASE), stage.working(lease=LEASE):
        await stage.until_ran(1)
        await asyncio.sleep(1.3)
        assert stage.ran == ["a"]
        await stage.until_empty()
    assert stage.ran == ["a", "b"]


async def test_a_late_owner_does_not_free_the_group(memory_stage: Stage) -> None:
    """It was away for longer than its lease: what it says counts for nothing, and the group is its new owner's."""
    stage = memory_stage
    assert stage.clock is not None
    base = stage.queue.bases("default")[0]
    await stage.queue.push_many([Play(name=name, group="g") for name in "ab"])
    late = await settled_by(stage)
    (run,) = late.runs.values()
    stage.clock.advance(1)
    epoch = await stage.queue.client.run(WORKER, [base], ["register", 60_000])
    await stage.queue.client.run(WORKER, [base], ["beat", epoch, 60_000, 3, "0"])
    gate = Gate()
    stage.script["a"] = gate
    async with stage.working():
        await gate.wait()
        late.settle_grouped(run, "g")
        with contextlib.suppress(Exception):
            await late.exchange(0)
        await asyncio.sleep(0.02)
        assert (stage.ran, (await stage.queue.stats()).waiting) == (["a"], 1)
        gate.open()
        await stage.until_empty()
    assert stage.ran == ["a", "b"]
    await stage.queue.client.run(WORKER, [base], ["leave", epoch])


@pytest.mark.parametrize(
    "outcome", ["plain", "grouped", "done", "retry", "snooze", "release", "dead", "cancelled", "park"]
)
async def test_nobody_settles_what_another_one_has(memory_stage: Stage, outcome: Any) -> None:
    """Also a worker with a lease: a word about a job that it does not have, as one that is said twice, is fenced."""
    stage = memory_stage
    await stage.queue.push_many([Play(name=name, group="g") for name in "ab"])
    owner = await settled_by(stage, lease_ms=60_000)
    other = await settled_by(stage, lease_ms=60_000)
    (run,) = owner.runs.values()
    if outcome == "plain":
        other.settle_plain(run)
    elif outcome == "grouped":
        other.settle_grouped(run, "g")
    else:
        other.settle(run, outcome, 0, 0)
    assert await other.exchange(1) == []
    assert other.fenced == 1
    stats = await stage.queue.stats()
    assert (stats.running, stats.waiting, stats.size) == (1, 1, 2)
    await other.leave()
    await owner.leave()
    await stage.work()
    assert stage.ran == ["a", "b"]


async def test_no_wake_up_is_lost(stage: Stage) -> None:
    """A job that is pushed into a group just as its last one ends is run, without a further push or a beat."""
    other = await stage.connect()

    async def follow(job: Play, ctx: JobContext) -> None:
        if len(stage.ran) < 60:
            push = asyncio.create_task(other.push(Play(name="a", group="g")))
            if len(stage.ran) % 2:
                await push
            else:
                pushes.append(push)

    pushes: list[asyncio.Task[str]] = []
    stage.script[""] = follow
    async with stage.working(lease=600):
        await stage.queue.push(Play(name="a", group="g"))
        await stage.until_ran(60, seconds=10)
        await stage.until_empty()
    await asyncio.gather(*pushes)


async def test_a_busy_queue_does_not_starve_groups(stage: Stage) -> None:
    """While plain jobs come without end, those of a group have their turns."""
    groups = 0

    async def work(job: Play, ctx: JobContext) -> None:
        nonlocal groups
        if job.group is not None:
            groups += 1
        elif groups < 10 and len(stage.ran) < 5_000:
            await ctx.queue.push(Play())

    stage.script[""] = work
    async with stage.working(concurrency=4):
        await stage.queue.push_many([Play() for _ in range(20)])
        await stage.queue.push_many([Play(group="g") for _ in range(10)])
        await stage.until_empty()
    assert groups == 10
    assert len(stage.ran) < 5_000


async def test_a_hot_group_does_not_own_a_slot(stage: Stage) -> None:
    """Its jobs take turns with the others, and nothing grows with each of them."""
    await stage.queue.push_many([Play(name="hot", group="g") for _ in range(100)])
    await stage.queue.push_many([Play(name="other") for _ in range(3)])
    assert len(await stage.keys()) <= 5
    await stage.work(concurrency=1)
    assert stage.ran.index("other") <= 2
    assert len(stage.ran) == 103


async def test_names_do_not_collide(stage: Stage) -> None:
    """Groups and queues have whatever names; a queue's name cannot reach into another one's keys."""

    def of(queue: str) -> type[Play]:
        return type("Named", (Play,), {"NAME": "named", "QUEUE": queue, "__module__": __name__})

    for queue in ("scheduler", "meta", "lock.x"):
        for group in ("meta", "lock:x", "scheduler", "heads", "jobs}:jobs", "g}:ready:normal"):
            await stage.queue.push_many([of(queue)(name=f"{queue} {group} {n}", group=group) for n in range(2)])
        await stage.work(of(queue), queues=[queue])
    assert len(set(stage.ran)) == len(stage.ran) == 36
    for wrong in ("a:meta", "a/0", "a}"):
        with pytest.raises(InvalidArgumentError):
            await stage.queue.push(of(wrong)())


async def test_delayed_jobs_are_promoted_once(stage: Stage) -> None:
    """However many workers look."""
    async with stage.working(), stage.working(), stage.working(), stage.working():
        await stage.queue.push_many([Play(name=str(number)) for number in range(300)], delay=0.1)
        await stage.until_empty()
    assert sorted(stage.ran, key=int) == [str(number) for number in range(300)]


@pytest.mark.parametrize("skew", [-3600, 3600])
async def test_delays_go_by_the_clock_of_redis(stage: Stage, skew: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of who pushes may be wrong by an hour."""
    real = SYSTEM_CLOCK.time
    if stage.name != "memory":  # whose clock is that of the process
        monkeypatch.setattr(type(SYSTEM_CLOCK), "time", lambda _: real() + skew)
    await stage.queue.push(Play(name="late"), delay=0.3)
    await stage.queue.push(Play(name="now"))
    async with stage.working():
        await stage.until_ran(1)
        assert stage.ran == ["now"]
        await stage.until_ran(2)


async def test_no_item_is_without_its_signal(stage: Stage) -> None:
    """Every push wakes an idle worker; no beat helps it here."""
    async with stage.working(lease=600):
        for count in range(1, 60):
            await stage.queue.push(Play(group="g" if count % 2 else None))
            await stage.until_ran(count, seconds=1)
            if count % 3 == 0:
                await stage.until_empty()


async def test_an_ambiguous_push_is_one_job(redis_server: RedisServer, prefix: str) -> None:
    """The connection is lost at any byte of the answer; the push is repeated, and counts once."""
    stage = await Stage("redis", redis_server.url, prefix, [redis_server.port]).open()
    async with Proxy(redis_server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with Queue.connect(url, prefix=prefix) as queue:
            await queue.push(Play())
            greeting = len(proxy.down)
        pushed = 1
        for beyond in range(-6, 6):
            proxy.plans.append(Plan(cut_down=greeting + beyond, reset=True))
            with contextlib.suppress(RedisError):
                queue = await Queue.connect(url, prefix=prefix)
                await queue.push_many([Play(), Play(group="g"), Play(unique=f"u{pushed}")])
                pushed += 3
                await queue.push(Play(name="after"))
                pushed += 1
            await queue.aclose()
        assert pushed > 30
        assert await stage.queue.clear() == pushed
    await stage.close()


async def test_a_push_whose_answer_was_lost_is_one_job(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the jobs have run before the request is repeated, so that nothing else remembers them."""
    first = await stage.queue.push(Play(name="u", unique="u"), delay=0.2)
    queue = await stage.connect()
    run = queue.client.run

    async def run_twice(script: Any, *args: Any, **options: Any) -> Any:
        answer = await run(script, *args, **options)
        if script is not ENQUEUE:
            return answer
        await stage.work()
        assert await run(script, *args, **options) == answer
        return answer

    monkeypatch.setattr(queue.client, "run", run_twice)
    jobs = [Play(name="a"), Play(name="b", group="g"), Play(name="u", unique="u"), Play(name="v", unique="v")]
    ids = await queue.push_many(jobs)
    assert ids[2] == first
    assert len(set(ids)) == 4
    await stage.work()
    assert sorted(stage.ran) in (["a", "b", "v"], ["a", "b", "u", "v"])
    await stage.queue.clear()


async def test_pushes_share_a_connection(redis_stage: Stage) -> None:
    """A thousand of them, one by one and together; those of one tick are one request."""
    queue = await redis_stage.connect()
    for _ in range(50):
        await queue.push(Play())
    before = queue.client.statistics()
    await asyncio.gather(*[queue.push(Play()) for _ in range(400)])
    after = queue.client.statistics()
    assert after["connects"] == 1
    assert after["commands"] - before["commands"] <= 2
    assert await queue.clear() == 450


async def test_a_retried_job_keeps_its_group(memory_stage: Stage, tmp_path: Any) -> None:
    """It runs in its turn, and not beside the others."""
    from rustforge.db import Database  # noqa: PLC0415 - an extra

    stage = memory_stage
    async with Database(f"sqlite:///{tmp_path}/jobs.db", migrate=True) as db:
        stage.services.db = db
        stage.script["a"] = once(ValueError("no"), None)
        failed_id = await stage.queue.push(Play(name="a", group="g", retries=0))
        await stage.work()
        gate = Gate()
        stage.script["b"] = gate
        async with stage.working():
            await stage.queue.push(Play(name="b", group="g"))
            await gate.wait()
            assert await FailedJobs(db).retry(failed_id, stage.queue) is True
            await asyncio.sleep(0.02)
            assert stage.ran == ["a", "b"]
            gate.open()
            await stage.until_empty()
        assert stage.ran == ["a", "b", "a"]
