"""The scheduler: each instant of each entry once, whatever the number of schedulers, their clocks and their deaths."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustforge.clock import SYSTEM_CLOCK, ManualClock
from rustforge.errors import InvalidArgumentError, InvalidTypeError, JobEncodeError, RedisClosedError, RedisError
from rustforge.jobs import Abort, Job, JobContext, Queue, Retry, Worker
from rustforge.jobs import scheduler as module
from rustforge.jobs.cron import Every
from rustforge.jobs.scheduler import Entry, Scheduler
from rustforge.redis import RedisUrl, connect, escape_glob
from rustforge.redis.memory import MemoryClient
from tests.support.caches import Backend
from tests.support.proxy import Plan, Proxy
from tests.support.servers import RedisServer, talk
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ROOT = Path(__file__).parents[2]
HOUR = 3_600_000


class Report(Job):
    """A job with a field."""

    NAME: ClassVar[str] = "test.report"
    number: int = 0


class Fill(Job):
    """A job of any size."""

    NAME: ClassVar[str] = "test.fill"
    text: str


class Special(Job):
    """A job with everything that must be kept."""

    NAME: ClassVar[str] = "test.special"
    QUEUE: ClassVar[str] = "reports"
    PRIORITY: ClassVar[Any] = "high"
    tenant: int = 7

    def group_id(self) -> str:
        """Run in order."""
        return f"special:{self.tenant}"

    def unique_key(self) -> str:
        """Be there once."""
        return f"special:{self.tenant}"


class Flaky(Job):
    """A job that says how each of its runs ends."""

    NAME: ClassVar[str] = "test.flaky"
    outcomes: list[str]

    async def handle(self, ctx: JobContext) -> None:
        """End as it was told."""
        outcome = self.outcomes[ctx.attempt]
        if outcome == "retry":
            raise Retry(90)
        if outcome == "dead":
            msg = "no use"
            raise Abort(msg)


class Place:
    """A backend with queues on connections of their own."""

    def __init__(self, backend: Backend, clock: ManualClock | None = None) -> None:
        """Connect nothing yet."""
        self.backend = backend
        self.clock = clock
        self.queues: list[Queue] = []

    async def queue(self, **options: Any) -> Queue:
        """Open one more."""
        url = self.backend.url
        client = connect(url) if self.clock is None else MemoryClient(RedisUrl.parse(url), self.clock)
        await client.open()
        queue = Queue(client, prefix=self.backend.prefix, **options)
        queue.owns_client = True
        self.queues.append(queue)
        return queue

    async def close(self) -> None:
        """Remove all keys and close all connections."""
        for queue in self.queues[:1]:
            async for keys in queue.client.scan(f"{escape_glob(self.backend.prefix)}~*".encode()):
                await queue.client.unlink(keys)
        for queue in self.queues:
            await queue.aclose()


@pytest.fixture
async def place(backend: Backend) -> AsyncIterator[Place]:
    """Give each backend in turn."""
    found = Place(backend)
    yield found
    await found.close()


class Travel(Place):
    """A store in this process whose clock the test moves."""

    clock: ManualClock

    async def scheduler(self, **options: Any) -> Scheduler:
        """Make a scheduler of its own connection."""
        return Scheduler(await self.queue(), **options)

    def go(self, text: str) -> None:
        """Move the clock to an instant with its offset."""
        self.clock.advance(datetime.fromisoformat(text).timestamp() - self.clock.time())


@pytest.fixture
async def travel(prefix: str) -> AsyncIterator[Travel]:
    """Give a store whose clock stands at the beginning of 2026."""
    backend = Backend("memory", f"memory://{prefix}", prefix)
    found = Travel(backend, ManualClock(datetime(2026, 1, 1, tzinfo=UTC).timestamp()))
    yield found
    await found.close()


def instant_of(job_id: str) -> int:
    """Read the instant out of the id of a scheduled job."""
    return int(job_id[:11], 16)


def shown(ids: list[str], zone: str = "UTC") -> list[str]:
    """Write the instants of jobs as the clock of a zone shows them."""
    return [datetime.fromtimestamp(instant_of(one) / 1000, ZoneInfo(zone)).isoformat() for one in ids]


async def queued(queue: Queue, name: str = "default") -> list[str]:
    """List the ids of the jobs that are ready, in order."""
    return [job.id for job in await queue.peek(name, 100_000)]


async def rewind(queue: Queue, entry: Entry, milliseconds: int) -> int:
    """Let an entry look as if no scheduler had been there for so long; return its last instant."""
    last = int(await queue.client.call("HGET", f"{entry.home}:cron", entry.name)) - milliseconds
    await queue.client.call("HSET", f"{entry.home}:cron", entry.name, last)
    entry.last = None
    return last


async def work(queue: Queue) -> None:
    """Run what is ready, as a worker does."""
    services = SimpleNamespace(settings=None, cache=None, queue=queue, db=None, extensions={})
    await Worker(services).register(Flaky).run_until_empty()


async def off_hour(queue: Queue) -> str:
    """Write an hourly expression whose minute is half an hour away, so that none of its instants is on time now."""
    now, _ = await queue.client.call("TIME") if queue.client.url.topology != "cluster" else (None, None)
    minute = datetime.fromtimestamp(int(now), UTC).minute if now else datetime.now(UTC).minute
    return f"{(minute + 30) % 60} * * * *"


# Each instant once ---------------------------------------------------------------------------------------------------


async def test_many_schedulers_fire_each_instant_once(place: Place) -> None:
    """Twenty schedulers that come at once make one job of each instant, in order, and one of them says it was it."""
    queues = [await place.queue() for _ in range(20)]
    schedulers = [Scheduler(queue) for queue in queues]
    entries = [scheduler.every(3600, Report()).catch_up("all") for scheduler in schedulers]
    await schedulers[0].tick()
    last = await rewind(queues[0], entries[0], 5 * HOUR)
    fired = await asyncio.gather(*[scheduler.tick() for scheduler in schedulers])
    ids = await queued(queues[0])
    first = Every(3600).next(last)
    assert len(ids) in {5, 6}  # six where an hour has just begun
    assert [instant_of(one) for one in ids] == [first + index * HOUR for index in range(len(ids))]
    assert sorted(one for some in fired for one in some) == ids


async def test_schedulers_that_run_fire_each_instant_once(place: Place) -> None:
    """Four schedulers keep time together; one that stops leaves no hole."""
    queues = [await place.queue() for _ in range(4)]
    schedulers = [Scheduler(queue) for queue in queues]
    for scheduler in schedulers:
        scheduler.every(0.1, Report())
    tasks = [asyncio.create_task(scheduler.run()) for scheduler in schedulers]
    for count in (3, 6, 9, 12):
        await wait_until(lambda count=count: _reached(queues[0], count))  # type: ignore[misc]
        schedulers.pop().stop()
    await asyncio.gather(*tasks)
    instants = [instant_of(one) for one in await queued(queues[0])]
    assert instants == list(range(instants[0], instants[-1] + 1, 100))


async def _reached(queue: Queue, count: int) -> bool:
    return await queue.size() >= count


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
async def test_only_the_clock_of_redis_counts(place: Place, monkeypatch: pytest.MonkeyPatch, skew: float) -> None:
    """A scheduler whose clock is an hour off fires the same instants at the same time."""
    queue, other = await place.queue(), await place.queue()
    right, wrong = Scheduler(queue), Scheduler(other)
    entry = right.every(0.1, Report())
    wrong.every(0.1, Report())
    await right.tick()
    clock = ManualClock(SYSTEM_CLOCK.time() + skew)
    await wait_until(lambda: _past(queue, entry, 100))
    assert await right.tick() != []
    monkeypatch.setattr(module, "SYSTEM_CLOCK", clock)
    await wait_until(lambda: _past(other, entry, 100))
    assert await wrong.tick() != []
    instants = [instant_of(one) for one in await queued(queue)]
    assert instants == list(range(instants[0], instants[-1] + 1, 100))


async def _past(queue: Queue, entry: Entry, milliseconds: int) -> bool:
    """Tell whether the server's clock is so far after the last instant of an entry."""
    now, last, _ = await queue.client.run(module._CRON, [entry.home], [entry.name, "", "", "", "", ""])
    return bool(now - last > milliseconds)


async def test_a_scheduler_that_stood_still_does_nothing_twice(travel: Travel) -> None:
    """One that is stopped between two steps, and goes on later, finds that others went ahead."""
    gate = asyncio.Event()
    slow, fast = await travel.scheduler(), await travel.scheduler()
    slow.every(60, Report()).when(gate.wait)
    fast.every(60, Report())
    await fast.tick()
    travel.clock.advance(30)
    await slow.tick()
    travel.clock.advance(31)
    late = asyncio.create_task(slow.tick())
    await asyncio.sleep(0)
    travel.clock.advance(59)
    fired = await fast.tick()
    gate.set()
    assert await late == []
    assert await queued(travel.queues[0]) == fired
    assert shown(fired) == ["2026-01-01T00:01:00+00:00", "2026-01-01T00:02:00+00:00"]


async def test_nobody_fires_too_late_after_standing_still(travel: Travel) -> None:
    """An instant that was on time when it was looked at is passed over if the grace ends before it is fired."""
    scheduler = await travel.scheduler()

    def slow() -> bool:
        travel.clock.advance(90)
        return True

    scheduler.cron("0 * * * *", Report()).when(slow)
    await scheduler.tick()
    travel.go("2026-01-01T01:00+00:00")
    assert await scheduler.tick() == []
    assert await queued(travel.queues[0]) == []


async def test_a_new_entry_begins_now(place: Place) -> None:
    """What was due before anybody knew the entry is not made up for."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    scheduler.every(1000, Report()).catch_up("all")
    assert await scheduler.tick() == []
    assert await queued(queue) == []


async def test_a_repeated_instant_is_one_job(place: Place) -> None:
    """Even where Redis has forgotten the last instant, the same instant has the same id, so it is one job."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    entry = scheduler.cron(await off_hour(queue), Report()).catch_up("once")
    await scheduler.tick()
    for _ in range(2):
        await rewind(queue, entry, HOUR)
        await scheduler.tick()
    assert len(await queued(queue)) == 1


async def test_a_server_that_forgot_is_told(travel: Travel) -> None:
    """A scheduler that runs goes on where it was when the server has lost its memory."""
    scheduler = await travel.scheduler()
    entry = scheduler.every(60, Report())
    await scheduler.tick()
    await travel.queues[0].client.unlink([f"{entry.home}:cron"])
    travel.clock.advance(60)
    assert shown(await scheduler.tick()) == ["2026-01-01T00:01:00+00:00"]


async def test_a_clock_that_went_back_is_reported(travel: Travel, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing fires a second time when the clock of Redis is set back, and the log says why nothing fires."""
    scheduler = await travel.scheduler()
    entry = scheduler.every(60, Report())
    await scheduler.tick()
    await rewind(travel.queues[0], entry, -HOUR)
    travel.clock.advance(HOUR / 1000 - 1)
    assert await scheduler.tick() == []
    assert caplog.text == ""
    await rewind(travel.queues[0], entry, -HOUR)
    assert await scheduler.tick() == []
    assert "waits until 2026-01-01 02:00:00+00:00" in caplog.text
    travel.clock.advance(HOUR / 1000 + 61)
    assert shown(await scheduler.tick()) == ["2026-01-01T02:01:00+00:00"]


async def test_what_is_remembered_goes_by_itself(place: Place) -> None:
    """The one key that a scheduler keeps expires a year after the last scheduler."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    entry = scheduler.every(60, Report())
    await scheduler.tick()
    left = await queue.client.call("PTTL", f"{entry.home}:cron")
    assert 399 < left / 86_400_000 <= 400


async def test_a_flush_of_scripts_changes_nothing(place: Place) -> None:
    """A server that does not know the script any more is given it again."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    entry = scheduler.cron(await off_hour(queue), Report()).catch_up("once")
    await scheduler.tick()
    await rewind(queue, entry, HOUR)
    for port in place.backend.ports:
        assert talk(port, "SCRIPT", "FLUSH").startswith("+OK")
    assert len(await scheduler.tick()) == 1


@pytest.mark.parametrize("overlapping", [True, False])
async def test_shards_are_no_way_around(place: Place, overlapping: bool) -> None:
    """In a queue of several shards, an entry's memory and its jobs are in one, so each instant is one job there too."""
    queues = [await place.queue(shards=5) for _ in range(3)]
    schedulers = [Scheduler(queue) for queue in queues]
    for scheduler in schedulers:
        for number in range(6):
            entry = scheduler.cron(await off_hour(queues[0]), Report(number=number)).catch_up("all")
            if not overlapping:
                entry.without_overlapping(60)
    await schedulers[0].tick()
    for entry in schedulers[0]._entries:
        await rewind(queues[0], entry, 3 * HOUR)
    fired = await asyncio.gather(*[scheduler.tick() for scheduler in schedulers])
    ids = [one for some in fired for one in some]
    assert len(ids) == len(set(ids)) == (18 if overlapping else 6)
    assert sorted(ids) == sorted(await queued(queues[0]))


async def test_a_lost_connection_loses_and_doubles_nothing(redis_server: RedisServer, prefix: str) -> None:
    """Wherever the connection is cut, also where only the answer is lost, each instant is one job in the end."""
    async with connect(redis_server.url) as client:
        queue = Queue(client, prefix=prefix)
        expression = await off_hour(queue)

        async def fire(name: str, *plans: Plan) -> tuple[int, int]:
            scheduler = Scheduler(queue)
            entry = scheduler.cron(expression, Report()).named(name)
            await scheduler.tick()
            await rewind(queue, entry, 3 * HOUR)
            async with Proxy(redis_server.port, *plans) as proxy:
                async with aclosing(connect(f"redis://127.0.0.1:{proxy.port}/0")) as far:
                    scheduler = Scheduler(Queue(far, prefix=prefix))
                    scheduler.cron(expression, Report()).named(name).catch_up("all")
                    await wait_until(lambda: _ticked(scheduler))
                return sum(proxy.up), len(proxy.down)

        up, down = await fire("all")
        cuts = [Plan(cut_up=cut) for cut in range(0, up, 29)]
        cuts += [Plan(cut_down=cut, reset=cut % 2 == 0) for cut in range(0, down, 13)]
        for number, plan in enumerate(cuts):
            await fire(f"{number:03}", plan)
            assert await queue.size() == 3 * (number + 2), plan
        await queue.clear()
        await client.unlink([f"{base}:cron" for base in queue.bases("default")])
        await queue.aclose()


async def _ticked(scheduler: Scheduler) -> bool:
    try:
        await scheduler.tick()
    except RedisError:
        return False
    return True


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 500_000)),
        st.tuples(st.just("tick"), st.integers(0, 2)),
        st.tuples(st.just("restart"), st.integers(0, 2)),
        st.tuples(st.just("storm"), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(("skip", "once", "all")), STEPS)
def test_any_history_fires_what_the_policy_says(
    policy: Literal["skip", "once", "all"], steps: list[tuple[str, int]]
) -> None:
    """Schedulers that come, go and take turns fire increasing instants: all, or of the late ones none or the last."""
    expression, zone, begin = "*/2 * * * *", "Europe/Berlin", datetime(2026, 3, 29, 0, 30, tzinfo=UTC).timestamp()

    async def live() -> None:
        clock = ManualClock(begin)
        async with MemoryClient(RedisUrl.parse("memory://history"), clock) as client:
            queue = Queue(client, prefix="history")

            def start() -> Scheduler:
                scheduler = Scheduler(queue, timezone=zone)
                scheduler.cron(expression, Report()).catch_up(policy, limit=10_000).named("one")
                return scheduler

            schedulers = [start() for _ in range(3)]
            await schedulers[0].tick()
            last, expected = round(begin * 1000), list[int]()
            for word, value in [*steps, ("storm", 0)]:
                if word == "pass":
                    clock.advance(value / 1000)
                    continue
                if word == "restart":
                    schedulers[value] = start()
                    continue
                now = int(clock.time() * 1000)
                due = list(range(last // 120_000 * 120_000 + 120_000, now + 1, 120_000))
                on_time = [one for one in due if now - one <= 60_000]
                expected += due if policy == "all" else on_time or (due[-1:] if policy == "once" else [])
                last = max([last, *due])
                if word == "tick":
                    await schedulers[value].tick()
                else:
                    await asyncio.gather(*[scheduler.tick() for scheduler in schedulers])
            assert [instant_of(one) for one in await queued(queue)] == expected
            await queue.aclose()

    asyncio.run(live())


# Time zones ----------------------------------------------------------------------------------------------------------


async def test_the_seconds_field(travel: Travel) -> None:
    """An entry may fire at any second of a minute."""
    scheduler = await travel.scheduler()
    scheduler.cron("*/20 * * * * *", Report())
    await scheduler.tick()
    travel.clock.advance(60)
    assert [one[14:19] for one in shown(await scheduler.tick())] == ["00:20", "00:40", "01:00"]


async def test_the_clocks_go_forward(travel: Travel) -> None:
    """A job of a time that is skipped runs once, right after the gap."""
    scheduler = await travel.scheduler(timezone="Europe/Berlin")
    scheduler.cron("30 2 * * *", Report())
    travel.go("2026-03-29T00:00+01:00")
    fired = await scheduler.tick()
    for text in (
        "2026-03-29T01:59:59+01:00",
        "2026-03-29T03:00+02:00",
        "2026-03-29T03:00:30+02:00",
        "2026-03-30T02:30+02:00",
    ):
        travel.go(text)
        fired += await scheduler.tick()
    assert shown(fired, "Europe/Berlin") == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]


async def test_the_clocks_go_back(travel: Travel) -> None:
    """A job of a time that comes twice runs once, the first time; one of every hour runs in both."""
    scheduler = await travel.scheduler()
    scheduler.cron("30 2 * * *", Report(), timezone="Europe/Berlin")
    scheduler.cron("30 * * * *", Report(number=1), timezone="Europe/Berlin").named("hourly")
    travel.go("2026-10-25T02:00+02:00")
    fired = await scheduler.tick()
    for text in ("2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00", "2026-10-25T03:30+01:00"):
        travel.go(text)
        fired += await scheduler.tick()
    assert shown(sorted(fired), "Europe/Berlin") == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:30:00+01:00",
    ]


# Catching up ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "expected"), [("skip", 0), ("once", 1), ("all", 6)])
async def test_catching_up_after_a_downtime(place: Place, policy: Any, expected: int) -> None:
    """After six missed hours, each policy does what it says, once."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    entry = scheduler.cron(await off_hour(queue), Report()).catch_up(policy)
    await scheduler.tick()
    last = await rewind(queue, entry, 6 * HOUR)
    fired = await scheduler.tick()
    assert await scheduler.tick() == []
    missed = [instant := entry.schedule.next(last)]
    missed += [instant := entry.schedule.next(instant) for _ in range(5)]
    assert [instant_of(one) for one in fired] == missed[6 - expected :]
    assert await queued(queue) == fired
    assert int(await queue.client.call("HGET", f"{entry.home}:cron", entry.name)) == missed[-1]


async def test_late_within_the_grace_is_on_time(travel: Travel) -> None:
    """By default an instant fires up to a minute late, and not later."""
    scheduler = await travel.scheduler()
    scheduler.cron("0 * * * *", Report())
    await scheduler.tick()
    travel.go("2026-01-01T01:01:00+00:00")
    assert shown(await scheduler.tick()) == ["2026-01-01T01:00:00+00:00"]
    travel.go("2026-01-01T02:01:00.100000+00:00")
    assert await scheduler.tick() == []


async def test_once_is_not_needed_where_a_later_one_is_on_time(travel: Travel) -> None:
    """`once` makes up for everything by the instant that is due anyway."""
    scheduler = await travel.scheduler()
    scheduler.cron("0 * * * *", Report()).catch_up("once", grace=120)
    await scheduler.tick()
    travel.go("2026-01-01T05:02+00:00")
    assert shown(await scheduler.tick()) == ["2026-01-01T05:00:00+00:00"]
    assert await scheduler.tick() == []


async def test_all_has_a_limit(travel: Travel, caplog: pytest.LogCaptureFixture) -> None:
    """The newest of the missed instants are made up for, and it is said that there were more; also in a long time."""
    scheduler = await travel.scheduler()
    scheduler.cron("* * * * * *", Report()).catch_up("all", limit=3, grace=0)
    await scheduler.tick()
    travel.go("2026-12-01T00:00:05+00:00")
    assert [one[14:19] for one in shown(await scheduler.tick())] == ["00:02", "00:03", "00:04", "00:05"]
    assert "missed more instants than 3" in caplog.text
    assert await scheduler.tick() == []


async def test_many_instants_on_time_come_in_parts(travel: Travel) -> None:
    """More instants than are fired at once are fired by the next calls, none left out."""
    scheduler = await travel.scheduler()
    scheduler.every(0.1, Report()).catch_up("skip", grace=300)
    await scheduler.tick()
    travel.clock.advance(250)
    counts = [len(await scheduler.tick()) for _ in range(4)]
    assert counts == [1000, 1000, 500, 0]


# Overlapping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["done", "dead"])
async def test_without_overlapping_is_released_by_the_end_of_the_job(
    travel: Travel, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No job comes while the earlier one is there, also while it waits for a retry; its end lets the next one in."""
    caplog.set_level(logging.INFO)
    scheduler = await travel.scheduler()
    queue = travel.queues[0]
    scheduler.every(60, Flaky(outcomes=["retry", outcome])).without_overlapping(3600)
    await scheduler.tick()
    travel.clock.advance(60)
    fired = await scheduler.tick()
    await work(queue)
    assert (await queue.stats()).delayed == 1
    travel.clock.advance(60)
    assert await scheduler.tick() == []
    assert f"job {fired[0]} is not finished" in caplog.text
    travel.clock.advance(60)
    await work(queue)
    stats = await queue.stats()
    assert (stats.size, stats.dead) == (0, outcome == "dead")
    assert shown(await scheduler.tick()) == ["2026-01-01T00:03:00+00:00"]


async def test_without_overlapping_gives_an_old_job_up(travel: Travel) -> None:
    """After the ttl the earlier job is no longer waited for."""
    scheduler = await travel.scheduler()
    scheduler.every(60, Report()).without_overlapping(timedelta(seconds=100))
    await scheduler.tick()
    counts = []
    for _ in range(4):
        travel.clock.advance(60)
        counts.append(len(await scheduler.tick()))
    assert counts == [1, 0, 1, 0]


async def test_overlapping_is_a_matter_of_one_entry(place: Place) -> None:
    """Two entries of the same job do not hold each other up, and many schedulers hold to it."""
    queues = [await place.queue() for _ in range(5)]
    schedulers = [Scheduler(queue) for queue in queues]
    expression = await off_hour(queues[0])
    for scheduler in schedulers:
        for name in ("left", "right"):
            scheduler.cron(expression, Report()).named(name).without_overlapping(60).catch_up("all")
    await schedulers[0].tick()
    for entry in schedulers[0]._entries:
        await rewind(queues[0], entry, 4 * HOUR)
    await asyncio.gather(*[scheduler.tick() for scheduler in schedulers])
    options = [job.options["u"] for job in await queues[0].peek()]
    assert sorted(options) == ["cron:left", "cron:right"]


# Conditions ----------------------------------------------------------------------------------------------------------


async def test_conditions(travel: Travel, caplog: pytest.LogCaptureFixture) -> None:
    """An instant is fired where all conditions agree; one that says no or fails passes it over for good."""
    scheduler = await travel.scheduler()
    answers: list[Any] = [True, True]

    def plain() -> bool:
        if isinstance(answers[0], Exception):
            raise answers[0]
        return bool(answers[0])

    async def later() -> bool:
        await asyncio.sleep(0)
        return bool(answers[1])

    scheduler.every(60, Report()).when(plain).when(later)
    scheduler.every(60, Report(number=1))
    await scheduler.tick()
    counts = []
    for one in ([True, True], [False, True], [True, False], [ValueError("boom"), True], [True, True]):
        answers = one
        travel.clock.advance(60)
        counts.append(len(await scheduler.tick()))
        answers = [True, True]
        assert await scheduler.tick() == []
    assert counts == [2, 1, 1, 1, 2]
    assert "condition of entry 'test.report every 60 s" in caplog.text
    assert "boom" in caplog.text


# Jobs and names ------------------------------------------------------------------------------------------------------


async def test_entries_of_one_job_are_told_apart(travel: Travel) -> None:
    """Times, zone and fields make an entry; two that are the same need names."""
    scheduler = await travel.scheduler()
    scheduler.cron("0 * * * *", Report())
    scheduler.cron("0 * * * *", Report(number=1))
    scheduler.cron("0 * * * *", Report(), timezone="Europe/Berlin")
    scheduler.cron("0,30 * * * *", Report())
    scheduler.every(3600, Report())
    scheduler.every(3600, Special())
    await scheduler.tick()
    travel.clock.advance(3600)
    assert len(await scheduler.tick()) == 6
    twin = scheduler.every(3600, Report())
    for call in (scheduler.tick, scheduler.run, scheduler.entries):
        with pytest.raises(InvalidArgumentError, match=r"so only one would fire; name one of them with \.named\(\)"):
            await call()
    twin.named("twin")
    await scheduler.tick()
    travel.clock.advance(3600)
    assert len(await scheduler.tick()) == 6  # the special one is not finished


async def test_what_a_job_says_of_itself_is_kept(place: Place) -> None:
    """Queue, group, priority and unique key are the job's; without_overlapping leaves the key to it."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    entry = scheduler.cron(await off_hour(queue), Special()).catch_up("all").without_overlapping(60)
    await scheduler.tick()
    await rewind(queue, entry, 3 * HOUR)
    fired = await scheduler.tick()
    view = await queue.show(fired[0], "reports")
    assert view is not None
    assert (view.name, view.payload) == ("test.special", {"tenant": 7})
    assert view.options == {"p": "h", "g": "special:7", "u": "special:7", "ul": 60_000}
    assert len(fired) == 1
    assert len(await queued(queue, "reports")) == 1


def _for_reports(instant: datetime) -> Special:
    return Special(tenant=instant.hour)


def _untold(instant: datetime) -> Any:
    return Special(tenant=instant.hour)


async def _coroutine(instant: datetime) -> Report:
    await asyncio.sleep(0)
    return Report(number=instant.hour)


@pytest.mark.parametrize("shards", [1, 7])
@pytest.mark.parametrize("make", [_for_reports, _untold, _coroutine])
async def test_a_function_makes_the_job_of_the_instant(
    place: Place, make: Callable[[datetime], Any], shards: int
) -> None:
    """It gets the instant in the entry's zone; whatever the queue and shard of its jobs, each instant is one."""
    queues = [await place.queue(shards=shards) for _ in range(3)]
    schedulers = [Scheduler(queue, timezone="Asia/Kathmandu") for queue in queues]
    expression = await off_hour(queues[0])
    minute = (int(expression.split()[0]) + 45) % 60
    entries = [
        scheduler.cron(f"{minute} * * * *", make).catch_up("all").without_overlapping(60) for scheduler in schedulers
    ]
    await schedulers[0].tick()
    await rewind(queues[0], entries[0], 3 * HOUR)
    fired = await asyncio.gather(*[scheduler.tick() for scheduler in schedulers])
    ids = [one for some in fired for one in some]
    if make is _coroutine:
        assert len(ids) == 1  # the others would overlap
        found = [await queues[0].show(one) for one in ids]
        key = "number"
    else:
        assert len(ids) == len(set(ids)) == 3  # each has a unique key of its own
        found = [await queues[0].show(one, "reports") for one in ids]
        key = "tenant"
    hours = [view.payload[key] for view in found if view is not None]
    assert hours == [datetime.fromtimestamp(instant_of(one) / 1000, ZoneInfo("Asia/Kathmandu")).hour for one in ids]


async def test_a_class_without_required_fields_is_a_job(travel: Travel) -> None:
    """It may be given as it is."""
    scheduler = await travel.scheduler()
    scheduler.every(60, Report)
    await scheduler.tick()
    travel.clock.advance(60)
    assert len(await scheduler.tick()) == 1


async def test_a_function_that_fails_passes_the_instant_over(travel: Travel, caplog: pytest.LogCaptureFixture) -> None:
    """What it raises, or a job that is none, is logged and ends nothing."""
    scheduler = await travel.scheduler()
    results: list[Any] = [ValueError("boom"), "no job", Report()]

    def make(instant: datetime) -> Any:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    scheduler.every(60, make)
    await scheduler.tick()
    counts = []
    for _ in range(3):
        travel.clock.advance(60)
        counts.append(len(await scheduler.tick()))
    assert counts == [0, 0, 1]
    assert caplog.text.count("could not make its job") == 2


async def test_a_job_that_is_too_large(travel: Travel, caplog: pytest.LogCaptureFixture) -> None:
    """It is refused with its entry; one that a function makes is logged, and the entry goes on."""
    scheduler = Scheduler(await travel.queue(max_payload_bytes=200))
    big = Fill(text="x" * 200)
    with pytest.raises(JobEncodeError, match=r"test\.fill of 2\d\d bytes is over the queue's bound of 200"):
        scheduler.every(60, big)
    jobs = [big, Fill(text="")]
    scheduler.every(60, lambda _: jobs.pop(0)).without_overlapping(60)
    await scheduler.tick()
    counts = []
    for _ in range(2):
        travel.clock.advance(60)
        counts.append(len(await scheduler.tick()))
    assert counts == [0, 1]
    assert "over the queue's bound of 200" in caplog.text


async def test_what_an_entry_adds_counts(travel: Travel, caplog: pytest.LogCaptureFixture) -> None:
    """A job that is too large only with the key of its entry is no way around the bound."""
    scheduler = Scheduler(await travel.queue(max_payload_bytes=200))
    scheduler.every(60, Fill(text="x" * 160)).named("n" * 40).without_overlapping(60)
    await scheduler.tick()
    travel.clock.advance(60)
    assert await scheduler.tick() == []
    assert "over the queue's bound of 200" in caplog.text


async def test_wrong_arguments_are_refused(travel: Travel) -> None:
    """The message says what is allowed."""
    scheduler = await travel.scheduler()
    with pytest.raises(InvalidTypeError, match="job must be a Job, or a function"):
        scheduler.every(60, 5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="unknown time zone"):
        scheduler.cron("0 * * * *", Report(), timezone="Nowhere")
    with pytest.raises(InvalidArgumentError, match="the minute of"):
        scheduler.cron("61 * * * *", Report())
    entry = scheduler.every(60, Report())
    with pytest.raises(InvalidArgumentError, match="'skip', 'once' or 'all', not 'none'"):
        entry.catch_up("none")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="limit must be an int of at least 1"):
        entry.catch_up("all", limit=0)
    with pytest.raises(InvalidArgumentError, match="1 to 200 characters"):
        entry.named("")
    with pytest.raises(InvalidTypeError, match="must be a str"):
        entry.named(7)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="ttl must be"):
        entry.without_overlapping(0)


async def test_entries_are_listed(travel: Travel) -> None:
    """The list says when each entry was last due and when it is next, in its zone."""
    scheduler = await travel.scheduler()
    scheduler.cron("0 8 * * *", Report(), timezone="Asia/Kathmandu").named("morning")
    scheduler.every(60, _coroutine)
    morning, every = await scheduler.entries()
    assert (morning.name, morning.schedule, morning.job) == ("morning", "0 8 * * * (Asia/Kathmandu)", "test.report")
    assert morning.next.isoformat() == "2026-01-01T08:00:00+05:45"
    assert morning.last.isoformat() == "2026-01-01T05:45:00+05:45"
    assert (every.schedule, every.job) == ("every 60 s", f"{__name__}._coroutine")
    assert every.next.isoformat() == "2026-01-01T00:01:00+00:00"


# Running -------------------------------------------------------------------------------------------------------------


async def test_running_and_stopping(place: Place) -> None:
    """It fires with seconds, takes entries while it runs, stops at once, and can run again."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    for _ in range(2):
        task = asyncio.create_task(scheduler.run())
        await asyncio.sleep(0)
        if not scheduler._entries:
            scheduler.cron("* * * * * *", Report())
            scheduler.cron("0 0 29 2 *", Report())
        size = await queue.size()
        await wait_until(lambda size=size: _reached(queue, size + 1))  # type: ignore[misc]
        with pytest.raises(InvalidArgumentError, match="runs already"):
            await scheduler.run()
        scheduler.stop()
        async with asyncio.timeout(1):
            await task


async def test_a_cancelled_scheduler_ends(place: Place) -> None:
    """Cancelling the task ends all that it does."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    scheduler.every(0.1, Report())
    task = asyncio.create_task(scheduler.run())
    await wait_until(lambda: _reached(queue, 1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    size = await queue.size()
    scheduler.every(3600, Report())
    assert await queue.size() == size


async def test_a_closed_queue_ends_it(place: Place) -> None:
    """Where the connection was closed by its owner, nothing can be waited for."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    scheduler.every(0.1, Report())
    task = asyncio.create_task(scheduler.run())
    await wait_until(lambda: _reached(queue, 1))
    other = await place.queue()
    place.queues.reverse()
    await queue.aclose()
    async with asyncio.timeout(5):
        with pytest.raises(RedisClosedError):
            await task
    assert await _reached(other, 1)


async def test_an_entry_that_stands_still_holds_up_no_other(place: Place) -> None:
    """A condition that never answers is the matter of its entry."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    scheduler.every(0.1, Report()).when(asyncio.Event().wait)
    scheduler.every(0.1, Report(number=1))
    task = asyncio.create_task(scheduler.run())
    await wait_until(lambda: _reached(queue, 3))
    scheduler.stop()
    await task


async def test_it_asks_again_within_a_minute(travel: Travel, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits for a distant instant it asks for the time once a minute, all entries together once."""
    scheduler = await travel.scheduler()
    for number in range(5):
        scheduler.every(86_400, Report(number=number))
    monkeypatch.setattr(module, "_RESYNC_SECONDS", 0.05)
    before = travel.queues[0].client.statistics()["commands"]
    task = asyncio.create_task(scheduler.run())
    await wait_until(lambda: travel.queues[0].client.statistics()["commands"] >= before + 8)
    travel.clock.advance(86_400)
    await wait_until(lambda: _reached(travel.queues[0], 5))
    scheduler.stop()
    await task


async def test_an_outage_of_redis_is_waited_out(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    """A server that goes and comes back without its memory costs no instant, and is complained of once."""
    with RedisServer() as server:
        queue = Queue(connect(server.url), prefix=prefix)
        queue.owns_client = True
        async with queue:
            scheduler = Scheduler(queue)
            scheduler.every(0.1, Report())
            scheduler.every(0.1, Report(number=1)).named("other")
            task = asyncio.create_task(scheduler.run())
            await wait_until(lambda: _reached(queue, 4))
            last = instant_of((await queued(queue))[-1])
            server.kill()
            await wait_until(lambda: "cannot reach Redis" in caplog.text, timeout=20)
            server.start()
            await wait_until(lambda: _answers(queue, 20), timeout=20)
            scheduler.stop()
            await task
            jobs = await queue.peek(limit=1000)
    # What was enqueued before the crash is gone with the server's memory; all that was due since then is there.
    for number in (0, 1):
        instants = [instant_of(job.id) for job in jobs if job.payload["number"] == number]
        assert instants == list(range(instants[0], instants[-1] + 1, 100))
        assert instants[0] - last <= 1000
    assert caplog.text.count("cannot reach Redis") == 1


async def test_a_tick_says_that_redis_is_away(prefix: str) -> None:
    """Who keeps time himself hears of the outage."""
    with RedisServer() as server:
        async with Queue(connect(server.url), prefix=prefix) as queue:
            scheduler = Scheduler(queue)
            scheduler.every(60, Report())
            server.kill()
            with pytest.raises(RedisError):
                await scheduler.tick()
            await queue.client.aclose()


async def test_an_unforeseen_error_ends_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong with an entry is logged, and the entry is tried again."""
    queue = await place.queue()
    scheduler = Scheduler(queue)
    entry = scheduler.every(0.1, Report())
    due = entry.due
    failures = [KeyError("boom")]

    def fail_once(last: int, now: int) -> tuple[int | None, list[int]]:
        if failures:
            raise failures.pop()
        return due(last, now)

    monkeypatch.setattr(entry, "due", fail_once)
    task = asyncio.create_task(scheduler.run())
    await wait_until(lambda: _reached(queue, 1))
    scheduler.stop()
    await task
    assert "failed and is tried again" in caplog.text


async def test_a_signal_stops_all_of_a_process(place: Place) -> None:
    """A worker and two schedulers of one process all end with SIGTERM."""
    queue = await place.queue()
    services = SimpleNamespace(settings=None, cache=None, queue=queue, db=None, extensions={})
    worker = Worker(services).register(Flaky)
    tasks = [asyncio.create_task(run()) for run in (Scheduler(queue).run, worker.run, Scheduler(queue).run)]
    await wait_until(lambda: _workers(queue))
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)


async def _workers(queue: Queue) -> bool:
    return (await queue.stats()).workers == 1


async def _answers(queue: Queue, count: int) -> bool:
    try:
        return await queue.size() >= count
    except RedisError:
        return False


@pytest.mark.parametrize("backend", ["redis", "cluster"], indirect=True)
async def test_schedulers_that_are_killed_leave_no_hole(place: Place) -> None:
    """Processes that are killed at any time and started again make one job of each instant; SIGTERM ends one well."""
    queue = await place.queue()
    command = [
        sys.executable,
        "-m",
        "tests.acceptance.workers.scheduler",
        place.backend.url,
        place.backend.prefix,
        "0.1",
    ]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    process = start()
    for _ in range(3):
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        size = await queue.size()
        await wait_until(lambda size=size: _reached(queue, size + 3), timeout=20)  # type: ignore[misc]
        process.kill()
        process.communicate()
        process = start()
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
    size = await queue.size()
    await wait_until(lambda: _reached(queue, size + 2), timeout=20)
    os.kill(process.pid, signal.SIGTERM)
    output, _ = await asyncio.to_thread(process.communicate, timeout=20)
    assert (process.returncode, output) == (0, "stopped\n")
    instants = [instant_of(one) for one in await queued(queue)]
    assert instants == list(range(instants[0], instants[-1] + 1, 100))
