"""Groups, slots and rates: order holds across retries, crashes and cancellations, and no bound is exceeded.

Handlers write a history into Redis, so what is checked is what happened there, over all workers.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from rustforge.jobs import Abort, Retry, Snooze
from rustforge.jobs.scripts import WORKER
from rustforge.jobs.source import Source
from tests.support.jobs import Gate, Play, Stage, once
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rustforge.jobs import JobContext


class Holding(Play):
    """A job that holds its group when it is dead."""

    NAME: ClassVar[str] = "holding"
    HOLD_GROUP: ClassVar[bool] = True


class History:
    """A part for `Stage.script` that writes to a list in Redis when a run begins and when it ends."""

    def __init__(self, stage: Stage, part: Callable[[Play, JobContext], Awaitable[Any]] | None = None) -> None:
        """Take what happens between the two."""
        self.stage = stage
        self._part = part
        self._key = f"{stage.prefix}:history"

    async def __call__(self, job: Play, ctx: JobContext) -> Any:
        """Run it."""
        await self._write("begin", job)
        try:
            return await self._part(job, ctx) if self._part is not None else None
        finally:
            await self._write("end", job)

    async def _write(self, word: str, job: Play) -> None:
        seconds, micro = await self.stage.queue.client.call("TIME")
        line = f"{word} {job.name} {int(seconds) * 1_000_000 + int(micro)}"
        await self.stage.queue.client.call("RPUSH", self._key, line)

    async def read(self) -> list[tuple[str, str, int]]:
        """Return what happened: begin or end, the job's name, and when, in microseconds by the server's clock."""
        lines = await self.stage.queue.client.call("LRANGE", self._key, 0, -1)
        await self.stage.queue.client.call("DEL", self._key)
        parts = [line.decode().split() for line in lines]
        return [(word, name, int(when)) for word, name, when in parts]


def most_at_once(history: list[tuple[str, str, int]], *, of: str = "") -> int:
    """Count how many ran at the same time at most, of the names that start with a text."""
    inside = most = 0
    for word, name, _ in history:
        if name.startswith(of):
            inside += 1 if word == "begin" else -1
            most = max(most, inside)
    return most


async def bury(stage: Stage) -> None:
    """Take the dead jobs away."""
    await stage.queue.bury("default", await stage.queue.dead())


def first_starts(names: list[str]) -> list[str]:
    """Drop the repetitions."""
    return list(dict.fromkeys(names))


# -- order ---------------------------------------------------------------------------------------------------------


async def test_a_group_runs_one_after_the_other(stage: Stage) -> None:
    """In the order of pushing, however many workers there are, and beside other groups."""

    async def work(job: Play, ctx: JobContext) -> None:
        await asyncio.sleep(0.001)

    history = History(stage, work)
    stage.script[""] = history
    jobs = [Play(name=f"{group}{number:02}", group=group) for number in range(12) for group in "abcd"]
    async with stage.working(concurrency=7), stage.working(concurrency=7):
        await stage.queue.push_many(jobs)
        await stage.until_empty()
    happened = await history.read()
    for group in "abcd":
        assert most_at_once(happened, of=group) == 1
        begun = [name for word, name, _ in happened if word == "begin" and name[0] == group]
        assert begun == [f"{group}{number:02}" for number in range(12)]
    assert most_at_once(happened) > 1


async def test_order_holds_across_everything_that_can_happen(stage: Stage) -> None:
    """Retries, snoozes, aborts, failures for good, time-outs: no later job starts before the earlier one is over."""
    dice = random.Random(7)
    ends: dict[str, list[Any]] = {}
    for group, number in itertools.product("abc", range(10)):
        what = [ValueError("no"), Retry(0.002), Snooze(0.002), Abort("enough"), None, None]
        ends[f"{group}{number}"] = [dice.choice(what) for _ in range(4)]
    over: dict[str, int] = {}

    async def work(job: Play, ctx: JobContext) -> None:
        group, number = job.name[0], int(job.name[1:])
        assert over.get(group, 0) == number, f"{job.name} began while {group}{over.get(group, 0)} was not over"
        await asyncio.sleep(0)
        end = ends[job.name].pop(0) if ends[job.name] else None
        if isinstance(end, BaseException):
            last = isinstance(end, Abort) or (ctx.attempt >= job.retries and not isinstance(end, Snooze))
            over[group] = number + last
            raise end
        over[group] = number + 1

    stage.script[""] = work
    jobs = [Play(name=f"{group}{n}", group=group, retries=2, waits=0.001) for n in range(10) for group in "abc"]
    async with stage.working(), stage.working():
        await stage.queue.push_many(jobs)
        await stage.until_empty()
    assert over == {"a": 10, "b": 10, "c": 10}
    assert all("not over" not in error for _, error in stage.failures)
    for group in "abc":
        mine = [name for name in stage.ran if name[0] == group]
        assert first_starts(mine) == [f"{group}{number}" for number in range(10)]
        assert mine == sorted(mine, key=lambda name: int(name[1:]))
    await bury(stage)


async def test_a_backoff_holds_the_group(memory_stage: Stage) -> None:
    """Pushing more does not bring the retry forward, nor lets another one pass."""
    stage = memory_stage
    assert stage.clock is not None
    stage.script["a"] = once(ValueError("no"), None)
    await stage.queue.push_many([Play(name="a", group="g", waits=30), Play(name="b", group="g")])
    await stage.work()
    for _ in range(3):
        await stage.queue.push(Play(name="c", group="g"))
        stage.clock.advance(9.9)
        await stage.work()
        assert stage.ran == ["a"]
    stage.clock.advance(0.3)
    await stage.work()
    assert stage.ran == ["a", "a", "b", "c", "c", "c"]


async def test_order_holds_across_crashes(memory_stage: Stage) -> None:
    """Workers that are lost with the head of a group: it runs again, and then the others."""
    stage = memory_stage
    assert stage.clock is not None
    base = stage.queue.bases("default")[0]
    await stage.queue.push_many([Play(name=f"{group}{number}", group=group) for number in range(3) for group in "ab"])
    for _ in range(2):
        source = Source(stage.queue.client, "default", base, lambda: None)
        await source.register(1000)
        assert len(await source.exchange(100)) == 2
        stage.clock.advance(1.1)
        epoch = await stage.queue.client.run(WORKER, [base], ["register", 60_000])
        await stage.queue.client.run(WORKER, [base], ["beat", epoch, 60_000, 3, "0"])
        await stage.queue.client.run(WORKER, [base], ["leave", epoch])
    await stage.work()
    for group in "ab":
        assert [name for name in stage.ran if name[0] == group] == [f"{group}{number}" for number in range(3)]


async def test_a_job_of_a_group_joins_it_when_its_delay_is_over(memory_stage: Stage) -> None:
    """It does not hold up those that came later."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push(Play(name="late", group="g"), delay=10)
    await stage.queue.push(Play(name="now", group="g"))
    await stage.work()
    assert stage.ran == ["now"]
    stage.clock.advance(10)
    await stage.work()
    assert stage.ran == ["now", "late"]


async def test_cancelling_in_a_group(stage: Stage) -> None:
    """The head, one that waits, one that runs, a retry: the next one always has its turn."""
    gate = Gate()
    stage.script |= {"c": gate, "e": ValueError("no")}
    ids = dict(
        zip("abcdefg", await stage.queue.push_many([Play(name=n, group="g", waits=60) for n in "abcdefg"]), strict=True)
    )
    assert await stage.queue.cancel(ids["a"]) is True  # ready, at the head
    assert await stage.queue.cancel(ids["d"]) is True  # it waits
    async with stage.working(lease=0.4):
        await gate.wait()
        assert await stage.queue.cancel(ids["c"]) is True  # it runs
        await wait_until(lambda: "e" in stage.ran)
        await wait_until(lambda: _delayed(stage, 1))
        assert await stage.queue.cancel(ids["e"]) is True  # it waits for its retry
        await stage.until_empty()
    assert stage.ran == ["b", "c", "e", "f", "g"]


async def _delayed(stage: Stage, count: int) -> bool:
    return (await stage.queue.stats()).delayed == count


async def test_a_quarantined_head_lets_the_group_go_on(stage: Stage) -> None:
    """What cannot be read cannot hold others up."""
    ids = await stage.queue.push_many([Play(name=name, group="g") for name in "abc"])
    body = await stage.call("default", "HGET", "jobs", ids[0])
    await stage.call("default", "HSET", "jobs", ids[0], body.partition(b"\n")[0] + b"\n{")
    await stage.work()
    assert stage.ran == ["b", "c"]
    await stage.queue.discard_quarantined(ids[0])


@pytest.mark.parametrize(
    "group", ["meta", "lock:x", "scheduler", "heads", "jobs", "{x}", "a:b", "\N{SNOWMAN}", "~", " "]
)
async def test_any_name_is_a_group(memory_stage: Stage, group: str) -> None:
    """No name collides with what the queue keeps for itself."""
    stage = memory_stage
    await stage.queue.push_many([Play(name=str(number), group=group) for number in range(5)])
    await stage.work()
    assert stage.ran == ["0", "1", "2", "3", "4"]


async def test_groups_of_different_queues_are_different(stage: Stage) -> None:
    """A group is one of its queue."""

    class Other(Play):
        NAME: ClassVar[str] = "other"
        QUEUE: ClassVar[str] = "other"

    gate = Gate()
    stage.script[""] = gate
    await stage.queue.push_many([Play(group="g"), Other(group="g")])
    async with stage.working(Other, queues=["default", "other"]):
        await gate.wait(2)
        gate.open()
        await stage.until_empty()
        await stage.until_empty("other")


async def test_ten_thousand_jobs_of_many_groups(stage: Stage) -> None:
    """Nothing is lost, repeated or out of order, and nothing stays behind."""
    many = 2_000 if stage.name == "memory" else 4_000
    jobs = [Play(name=f"{number % 101}.{number // 101}", group=str(number % 101)) for number in range(many)]
    await stage.queue.push_many(jobs)
    await stage.work()
    assert len(stage.ran) == many
    found: dict[str, list[int]] = {}
    for name in stage.ran:
        group, _, number = name.partition(".")
        found.setdefault(group, []).append(int(number))
    assert all(numbers == list(range(len(numbers))) for numbers in found.values())


# -- held groups ---------------------------------------------------------------------------------------------------


async def test_a_dead_job_may_hold_its_group(stage: Stage) -> None:
    """With HOLD_GROUP the others wait, until it is retried with success or let go."""
    stage.script["a"] = once(ValueError("no"), None)
    (first, *_) = await stage.queue.push_many([Holding(name=name, group="g", retries=0) for name in "abc"])
    await stage.work(Holding)
    assert stage.ran == ["a"]
    await stage.queue.push(Play(name="d", group="g"))
    await stage.work(Holding)
    assert stage.ran == ["a"]
    (dead,) = await stage.queue.dead()
    await stage.queue.bury("default", [dead])
    await stage.work(Holding)
    assert stage.ran == ["a"]
    assert await stage.queue.enqueue([dead.envelope]) == [first]
    await stage.work(Holding)
    assert stage.ran == ["a", "a", "b", "c", "d"]


async def test_letting_a_group_go(stage: Stage) -> None:
    """Only where a dead job holds it: one that runs, waits or does not exist is not passed over."""
    gate = Gate()
    stage.script |= {"a": ValueError("no"), "x": gate}
    await stage.queue.push_many([Holding(name=name, group="g", retries=0) for name in "ab"])
    await stage.queue.push(Play(name="x", group="other"))
    async with stage.working(Holding):
        await gate.wait()
        await wait_until(lambda: _dead(stage, 1))
        assert await stage.queue.let_go("other") is False
        assert await stage.queue.let_go("nobody") is False
        assert stage.ran.count("b") == 0
        assert await stage.queue.let_go("g") is True
        await wait_until(lambda: "b" in stage.ran)
        gate.open()
        await stage.until_empty()
        assert await stage.queue.let_go("g") is False
    assert await stage.queue.bury("default", await stage.queue.dead()) == 1


async def _dead(stage: Stage, count: int) -> bool:
    return (await stage.queue.stats()).dead == count


async def test_held_groups_are_listed(stage: Stage) -> None:
    """With the job that holds each: a dead one, one in SQL, one in quarantine, one of a chain; not one that goes on."""
    gate = Gate()
    stage.script |= {"bad": ValueError("no"), "x": gate}
    heads = [part for number in range(1200) for part in (f"sql {number}", f"{number:024}")]
    await stage.call("default", "HSET", "heads", *heads)
    ids = await stage.queue.push_many(
        [
            Holding(name="bad", group="dead", retries=0),
            Holding(name="what", group="wrong"),
            Holding(name="x", group="runs"),
            Holding(name="y", group="wrong"),
            Play(name="bad", group="free", retries=0),
        ]
    )
    (chain, _) = await stage.queue.push_chain([Play(name="bad", retries=0), Play(name="z")])
    body = await stage.call("default", "HGET", "jobs", ids[1])
    await stage.call("default", "HSET", "jobs", ids[1], body.replace(b'"what"', b"7"))
    async with stage.working(Holding):
        await gate.wait()
        await wait_until(lambda: _dead(stage, 3))
        held = {one.group: one.job_id for one in await stage.queue.held_groups()}
        assert {f"sql {number}" for number in range(1200)} == {one for one in held if one.startswith("sql")}
        assert {one: held[one] for one in held if not one.startswith("sql")} == {
            "dead": ids[0],
            "wrong": ids[1],
            chain: chain,
        }
        gate.open()
        await wait_until(lambda: "x" in stage.ran)
    assert await stage.queue.let_go("dead", job_id=chain) is False
    assert await stage.queue.let_go("dead", job_id=ids[0]) is True
    assert await stage.queue.discard_quarantined(ids[1]) is True
    for group in {*held} - {"dead", "wrong"}:
        assert await stage.queue.let_go(group) is True
    assert await stage.queue.held_groups() == []
    await stage.work(Holding)
    assert sorted(stage.ran[-2:]) == ["y", "z"]
    await bury(stage)


async def test_a_group_that_quarantine_holds_can_be_let_go(stage: Stage) -> None:
    """The job may still be enqueued anew, behind those that waited."""
    ids = await stage.queue.push_many([Holding(name=name, group="g") for name in ("what", "b")])
    body = await stage.call("default", "HGET", "jobs", ids[0])
    await stage.call("default", "HSET", "jobs", ids[0], body.replace(b'"what"', b"7"))
    await stage.work(Holding)
    assert stage.ran == []
    assert await stage.queue.let_go("g") is True
    await stage.call("default", "HSET", "jobs", ids[0], body)
    assert await stage.queue.requeue_quarantined(ids[0]) is True
    await stage.work(Holding)
    assert stage.ran == ["b", "what"]


async def test_a_retried_job_that_let_go_of_its_group_is_last(stage: Stage) -> None:
    """A dead job without HOLD_GROUP that is enqueued anew takes its place behind those that wait."""
    stage.script["a"] = once(ValueError("no"), None)
    gate = Gate()
    stage.script["b"] = gate
    await stage.queue.push_many([Play(name=name, group="g", retries=0) for name in "abc"])
    async with stage.working():
        await gate.wait()
        (dead,) = await stage.queue.dead()
        await stage.queue.bury("default", [dead])
        await stage.queue.enqueue([dead.envelope])
        gate.open()
        await stage.until_empty()
    assert stage.ran == ["a", "b", "c", "a"]


# -- slots ---------------------------------------------------------------------------------------------------------


async def test_slots_are_never_exceeded(stage: Stage) -> None:
    """Over two workers, with retries, snoozes, failures and cancellations; and all slots are used."""
    gate = asyncio.Event()

    async def work(job: Play, ctx: JobContext) -> None:
        await asyncio.sleep(0.002)
        turn = Counter(stage.ran)[job.name]
        if job.name.endswith("3") and turn == 1:
            raise Retry(0.001)
        if job.name.endswith("5") and turn == 1:
            raise Snooze(0.001)
        if job.name.endswith("7"):
            msg = "enough"
            raise Abort(msg)

    history = History(stage, work)
    stage.script[""] = history
    ids = await stage.queue.push_many([Play(name=f"{key}{n}", slots=(key, 3)) for n in range(25) for key in "ab"])
    async with stage.working(concurrency=20), stage.working(concurrency=20):
        await stage.queue.cancel(ids[40])
        await stage.queue.cancel(ids[41])
        gate.set()
        await stage.until_empty()
    happened = await history.read()
    assert [most_at_once(happened, of=key) for key in "ab"] == [3, 3]
    assert {name for _, name, _ in happened} >= {f"{key}{number}" for number in range(20) for key in "ab"}
    await bury(stage)


async def test_a_slot_is_free_while_its_job_waits_for_a_retry(memory_stage: Stage) -> None:
    """Others use it meanwhile."""
    stage = memory_stage
    assert stage.clock is not None
    stage.script["a"] = once(ValueError("no"), None)
    await stage.queue.push_many([Play(name=name, slots=("s", 1), waits=10) for name in "ab"])
    await stage.work()
    assert stage.ran == ["a", "b"]
    stage.clock.advance(10)
    await stage.work()
    assert stage.ran == ["a", "b", "a"]


async def test_slots_survive_a_crash(memory_stage: Stage) -> None:
    """A slot of a lost worker's job is that job's, and free when it has run again."""
    stage = memory_stage
    assert stage.clock is not None
    base = stage.queue.bases("default")[0]
    await stage.queue.push_many([Play(name=name, slots=("s", 2)) for name in "abcd"])
    source = Source(stage.queue.client, "default", base, lambda: None)
    await source.register(100)
    assert len(await source.exchange(100)) == 2
    stage.clock.advance(1)
    gate = Gate()
    stage.script[""] = gate
    async with stage.working():
        await gate.wait(2)
        await asyncio.sleep(0.02)
        assert gate.inside == 2
        gate.open()
        await stage.until_empty()
    assert (gate.most, sorted(stage.ran)) == (2, list("abcd"))


async def test_a_group_and_slots_together(stage: Stage) -> None:
    """Both hold."""

    async def work(job: Play, ctx: JobContext) -> None:
        await asyncio.sleep(0.001)

    history = History(stage, work)
    stage.script[""] = history
    jobs = [Play(name=f"{group}{n}", group=group, slots=("s", 2)) for n in range(6) for group in "abcd"]
    async with stage.working():
        await stage.queue.push_many(jobs)
        await stage.until_empty()
    happened = await history.read()
    assert most_at_once(happened) == 2
    for group in "abcd":
        begun = [name for word, name, _ in happened if word == "begin" and name[0] == group]
        assert begun == [f"{group}{number}" for number in range(6)]


# -- rates ---------------------------------------------------------------------------------------------------------


async def test_a_rate_is_kept(memory_stage: Stage) -> None:
    """A burst of the limit at once, then one each `per / limit`, to the millisecond."""
    stage = memory_stage
    await stage.queue.push_many([Play(name=str(number), pace=("r", 5, 1)) for number in range(20)])
    await stage.work()
    assert len(stage.ran) == 5
    for count in range(15):
        await stage.at(0.2 * (count + 1) - 0.0015)
        assert len(stage.ran) == 5 + count
        await stage.at(0.2 * (count + 1) + 0.0005)
        assert len(stage.ran) == 6 + count
    await stage.at(10)
    await stage.queue.push_many([Play(name="x", pace=("r", 5, 1)) for number in range(7)])
    await stage.work()
    assert stage.ran[20:] == ["x"] * 5
    assert await stage.queue.clear() == 2


async def test_a_rate_is_kept_when_nobody_was_there(memory_stage: Stage) -> None:
    """Jobs whose times have passed without a worker take new ones: they do not start together."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push_many([Play(name=str(number), pace=("r", 1, 1)) for number in range(20)])
    stage.clock.advance(3600)
    await stage.work()
    assert len(stage.ran) <= 2
    for count in range(20):
        before = len(stage.ran)
        stage.clock.advance(1.001)
        await stage.work()
        assert len(stage.ran) <= before + 2, count
    assert len(stage.ran) == 20


async def test_a_parked_job_holds_no_slot(stage: Stage) -> None:
    """A job that nobody knows keeps no other of its key from running, and waits for a slot when somebody does."""

    class Stranger(Play):
        NAME: ClassVar[str] = "stranger"

    await stage.queue.push(Stranger(name="stranger", slots=("s", 1)))
    await stage.queue.push(Play(name="known", slots=("s", 1)))
    await stage.work()
    assert stage.ran == ["known"]
    assert await stage.queue.parked() == {"stranger": 1}
    gate = Gate()
    stage.script |= {"first": gate, "stranger": gate}
    await stage.queue.push(Play(name="first", slots=("s", 1)))
    async with stage.working(Stranger, lease=0.3):
        await gate.wait(1)
        gate.open()
        await stage.until_empty()
    assert (gate.most, sorted(stage.ran)) == (1, ["first", "known", "stranger"])


async def test_a_rate_is_kept_over_two_workers(stage: Stage) -> None:
    """By the server's clock, none starts before its time; keys do not disturb each other."""
    history = History(stage)
    stage.script[""] = history
    async with stage.working(), stage.working():
        seconds, micro = await stage.queue.client.call("TIME")
        began = int(seconds) * 1_000_000 + int(micro)
        await stage.queue.push_many([Play(name=f"{key}{n}", pace=(key, 4, 0.2)) for n in range(12) for key in "ab"])
        await stage.until_empty()
    happened = await history.read()
    for key in "ab":
        starts = [when - began for word, name, when in happened if word == "begin" and name[0] == key]
        assert len(starts) == 12
        assert all(start >= (number - 3) * 50_000 - 2_000 for number, start in enumerate(starts))
    assert await stage.keys() == [key for key in await stage.keys() if "rate" not in key]


async def test_a_retry_takes_a_new_place(memory_stage: Stage) -> None:
    """A job that fails over and over does not exceed its rate."""
    stage = memory_stage
    stage.script[""] = once(ValueError("no"), ValueError("no"), None)
    await stage.queue.push(Play(name="a", pace=("r", 1, 10), waits=0))
    await stage.work()
    assert stage.ran == ["a"]
    for count in (1, 2):
        await stage.at(10 * count - 0.0015)
        assert len(stage.ran) == count
        await stage.at(10 * count + 0.0005)
        assert len(stage.ran) == count + 1


async def test_a_group_that_waits_for_its_rate_keeps_its_order(memory_stage: Stage) -> None:
    """The rate is taken when the turn comes."""
    stage = memory_stage
    assert stage.clock is not None
    await stage.queue.push_many([Play(name=str(number), group="g", pace=("r", 1, 1)) for number in range(4)])
    for count in range(1, 5):
        await stage.work()
        assert stage.ran == [str(number) for number in range(count)]
        stage.clock.advance(1)
