"""The scripts under random steps: more jobs than the exhaustive model has, and everything that a job can have."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rustforge.clock import ManualClock
from rustforge.jobs.scripts import BATCH, ENQUEUE, MANAGE, WORKER
from rustforge.jobs.source import LeaseLost, Run, Source
from rustforge.redis import RedisUrl
from rustforge.redis.memory import MemoryClient
from tests.acceptance.jobs.model import BASE, Spec, check_places, places_of, written

CHAOS = os.environ.get("RUSTFORGE_CHAOS", "") not in {"", "0"}
pytestmark = pytest.mark.timeout(1800 if CHAOS else 60)
LEASE = 1000
MOST = 2
LIMIT, PERIOD = 2, 1000

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "g": st.sampled_from(["g1", "g2"]),
        "u": st.sampled_from(["u1", "u2"]),
        "c": st.sampled_from([["c1", 1], ["c2", 2]]),
        "r": st.just(["r", LIMIT, PERIOD]),
        "p": st.sampled_from(["h", "l"]),
    },
)
WORKER_NUMBERS = st.integers(0, 1)


class Machine(RuleBasedStateMachine):
    """Two workers and what people do to a queue."""

    def __init__(self) -> None:
        """Start with an empty store and two workers without leases."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.client = MemoryClient(RedisUrl.parse("memory://machine"), self.clock)
        self.loop.run_until_complete(self.client.open())
        self.numbers = itertools.count(1)
        self.specs: dict[str, Spec] = {}
        self.accepted: list[str] = []
        self.over: set[str] = set()
        self.asked: set[str] = set()
        self.due: dict[str, int] = {}
        self.batches: dict[str, tuple[str, set[str]]] = {}
        self.arrival = 0
        self.paused = False
        self.shards = [Source(self.client, "q", BASE, lambda: None) for _ in range(2)]
        for shard in self.shards:
            shard._listening = True

    def teardown(self) -> None:
        """Free the store."""
        for shard in self.shards:
            if shard._timer is not None:
                shard._timer.cancel()
        self.loop.run_until_complete(self.client.aclose())
        self.loop.close()

    # -- what is looked at ---------------------------------------------------------------------------------------

    @property
    def values(self) -> dict[bytes, Any]:
        """Everything in the store."""
        return self.client._database.values

    def names(self, key: str) -> set[str]:
        """Read the members of a container."""
        found = self.values.get(f"{BASE}:{key}".encode()) or ()
        return {one.decode() for one in getattr(found, "scores", found)}

    def run_script(self, script: Any, *args: Any) -> Any:
        """Run a script a moment after the one before."""
        self.clock.advance(2e-6)
        return self.loop.run_until_complete(self._run(script, args))

    async def _run(self, script: Any, args: tuple[Any, ...]) -> Any:
        return await self.client.run(script, [BASE], args)

    def now(self) -> int:
        """Tell the time."""
        return self.client._database.now()

    def alive(self) -> list[str]:
        """List the jobs that are not over."""
        return [one for one in self.accepted if one not in self.over]

    # -- enqueueing ----------------------------------------------------------------------------------------------

    def enqueue(self, specs: list[Spec]) -> None:
        """Enqueue jobs, one of them twice, and the whole batch again."""
        twice = [] if "b" in specs[0].options else specs[:1]  # a batch that is sent again has its mark
        specs = sorted([*specs, *twice], key=lambda spec: not spec.plain)  # as the sender does
        self.specs |= {spec.id: spec for spec in specs}
        before = self.names("jobs")
        found = self.run_script(ENQUEUE, "c", next(self.numbers), "", 0, *written(specs))
        others = {int(found[at]): found[at + 1].decode() for at in range(0, len(found), 2)}
        for place, spec in enumerate(specs):
            if spec in specs[:place]:
                continue
            standing = others.get(place, spec.id)
            if standing == spec.id:
                self.accepted.append(spec.id)
                if spec.wait:
                    self.due[spec.id] = self.now() + spec.wait
                elif "r" in spec.options and "g" not in spec.options:
                    self.due[spec.id] = self.take_pace()
            else:
                assert standing in before | {one.id for one in specs}, "I6: kept out by nobody"
                self.count_off(spec)
        self.client._database.values.drop(f"{BASE}:client:c".encode())
        self.client._database.expires.pop(f"{BASE}:client:c".encode())

    def take_pace(self) -> int:
        """Give the time before which a job of the rate may not start: what others took since only makes it later."""
        self.arrival = max(self.arrival, self.now()) + PERIOD // LIMIT
        return self.arrival - PERIOD

    def spec(self, options: dict[str, Any], wait: int = 0) -> Spec:
        """Make a job."""
        return Spec(f"j{next(self.numbers)}", options, wait=wait)

    @rule(many=st.lists(OPTIONS, min_size=1, max_size=3), wait=st.sampled_from([0, 0, 0, 500]))
    def push(self, many: list[dict[str, Any]], wait: int) -> None:
        """Enqueue some jobs."""
        self.enqueue([self.spec(options, wait) for options in many])

    @rule(many=st.lists(OPTIONS, min_size=1, max_size=3))
    def push_batch(self, many: list[dict[str, Any]]) -> None:
        """Enqueue a batch."""
        batch, last = f"b{next(self.numbers)}", self.spec({})
        members = [self.spec({**options, "b": batch}) for options in many]
        self.specs[last.id] = last
        self.batches[batch] = (last.id, {one.id for one in members})
        self.run_script(BATCH, batch, len(members), last.id, last.body)
        self.enqueue(members)

    # -- working -------------------------------------------------------------------------------------------------

    @rule(number=WORKER_NUMBERS)
    def register(self, number: int) -> None:
        """Take a lease, where there is none; a worker that has one crashes first."""
        shard = self.shards[number]
        shard.forfeit()
        self.loop.run_until_complete(shard.register(LEASE))

    @rule(
        number=WORKER_NUMBERS,
        want=st.integers(0, 3),
        ends=st.lists(
            st.sampled_from(["done", "retry", "snooze", "release", "dead", "park", "quarantine"]), max_size=3
        ),
    )
    def exchange(self, number: int, want: int, ends: list[str]) -> None:
        """Settle some runs, and claim."""
        shard = self.shards[number]
        if shard.epoch is None:
            return
        running = [run for run in shard.runs.values() if not run.over]
        owned = self.names(f"flight:{shard.epoch}") if shard.epoch in self.names("workers") else set()
        for run, end in zip(running, ends, strict=False):
            shard.settle(run, end, *self.detail(end))  # type: ignore[arg-type]
            if run.job.id in owned:
                self.settled(run.job.id, end)
        self.clock.advance(2e-6)
        with contextlib.suppress(LeaseLost):
            found = self.loop.run_until_complete(shard.exchange(want))
            self.notice()  # those that were ready and cancelled went first, and may have brought the end of a batch
            for claimed in found:
                shard.runs[claimed.id] = Run(shard, claimed)
                self.claimed(claimed.id)
            return
        shard.forfeit()

    @staticmethod
    def detail(end: str) -> tuple[Any, ...]:
        """Give the arguments of an outcome."""
        return {"retry": (500, "x"), "snooze": (500, ""), "dead": ("x",), "park": ("name",), "quarantine": ("y",)}.get(
            end, ()
        )

    def settled(self, one: str, end: str) -> None:
        """Note what an outcome means."""
        if end == "done":
            self.over.add(one)
        if end in {"retry", "snooze"}:
            self.due[one] = self.now() + 500
        if end in {"done", "dead", "quarantine"}:
            self.count_off(self.specs[one])

    def count_off(self, spec: Spec) -> None:
        """Take a job off its batch; with the last one the job at the end is accepted."""
        batch = spec.options.get("b")
        if batch in self.batches:
            last, left = self.batches[batch]
            left.discard(spec.id)
            if not left:
                del self.batches[batch]
                self.accepted.append(last)

    def claimed(self, one: str) -> None:
        """Check that a job may start."""
        assert one in self.accepted and one not in self.over, f"I1: {one} is over, and was claimed"  # noqa: PT018
        assert not self.paused, f"{one} was claimed while the queue is paused"
        assert self.due.pop(one, 0) <= self.now(), f"I4: {one} was claimed before it is due"

    @rule(number=WORKER_NUMBERS)
    def beat(self, number: int) -> None:
        """Extend the lease, and take over from others."""
        shard = self.shards[number]
        if shard.epoch is None:
            return
        before = {one for one in self.names("jobs") if one in self.asked}
        answer = self.run_script(WORKER, "beat", shard.epoch, LEASE, MOST, "0")
        if answer[0] == 0:
            shard.forfeit()
        for one in self.names("quarantine") - self.quarantined:
            self.count_off(self.specs[one])
        self.notice(before)

    @rule(number=WORKER_NUMBERS)
    def leave(self, number: int) -> None:
        """Stop in order."""
        shard = self.shards[number]
        self.loop.run_until_complete(shard.leave())
        shard.forfeit()
        self.notice()

    @rule(number=WORKER_NUMBERS)
    def adopt(self, number: int) -> None:
        """Take what was parked."""
        shard = self.shards[number]
        if shard.epoch is None or self.paused or not self.names("parked"):
            return
        for claimed in self.loop.run_until_complete(shard.adopt("name", 2)):
            shard.runs[claimed.id] = Run(shard, claimed)

    @rule(number=WORKER_NUMBERS)
    def lose_an_answer(self, number: int) -> None:
        """Find out after a lost answer what this worker has."""
        shard = self.shards[number]
        if shard.epoch is None:
            return
        shard._in_doubt = True
        self.clock.advance(2e-6)
        try:
            claimed = self.loop.run_until_complete(shard.exchange(0))
        except LeaseLost:
            shard.forfeit()
        else:
            assert claimed == []

    @rule(milliseconds=st.sampled_from([100, 500, 1100]))
    def wait(self, milliseconds: int) -> None:
        """Let time pass."""
        self.clock.advance(milliseconds / 1000)

    # -- what people do ------------------------------------------------------------------------------------------

    @precondition(lambda self: self.alive())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel a job."""
        one = data.draw(st.sampled_from(self.alive()))
        if self.run_script(MANAGE, "cancel", one):
            self.asked.add(one)
        self.notice()

    @rule()
    def clear(self) -> None:
        """Remove what does not run."""
        running = {one for shard in self.shards for one in self.names(f"flight:{shard.epoch}")}
        while self.run_script(MANAGE, "clear", 2):
            pass
        gone = set(self.alive()) - self.names("jobs")
        assert not gone & running, "clear took a job that runs"
        for one in gone:
            self.over.add(one)
            self.count_off(self.specs[one])
        self.over |= {last for last in self.specs if last in self.accepted and last not in self.names("jobs")}

    @rule()
    def pause_or_resume(self) -> None:
        """Pause, or go on."""
        self.run_script(MANAGE, "resume" if self.paused else "pause")
        self.paused = not self.paused

    @rule()
    def bury(self) -> None:
        """Write the dead to SQL."""
        dead = self.names("dead")
        if dead:
            died = self.values[f"{BASE}:dead".encode()].scores
            self.run_script(MANAGE, "bury", *[part for one in dead for part in (one, died[one.encode()])])
            self.over |= dead

    @precondition(lambda self: self.names("quarantine"))
    @rule(data=st.data(), action=st.sampled_from(["requeue", "discard"]))
    def decide(self, data: st.DataObject, action: str) -> None:
        """Enqueue a job in quarantine anew, or throw it away."""
        self.decide_about(data.draw(st.sampled_from(sorted(self.names("quarantine")))), action)

    def decide_about(self, one: str, action: str) -> None:
        """Enqueue that one, or throw it away."""
        if self.run_script(MANAGE, action, one) and action == "discard":
            self.over.add(one)

    def notice(self, before: set[str] | None = None) -> None:
        """Note which jobs are gone because they were cancelled; nothing else may go so."""
        for one in [one for one in self.alive() if one in self.asked]:
            if one not in self.names("jobs"):
                self.over.add(one)
                self.count_off(self.specs[one])

    quarantined: frozenset[str] = frozenset()

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def each_job_has_its_place(self) -> None:
        """I1, I3, I6."""
        check_places(self.values, self.specs, self.accepted, self.over)
        self.quarantined = frozenset(self.names("quarantine"))

    @invariant()
    def slots_are_held_by_jobs_that_need_them(self) -> None:
        """No more than the limit, and nobody waits for a slot that is free."""
        places = places_of(self.values)
        for key, limit in (("c1", 1), ("c2", 2)):
            holders = self.names(f"slots:{key}")
            assert len(holders) <= limit
            assert holders <= set(self.alive()), "a slot is held by a job that is over"
            out = [
                one
                for one in self.alive()
                if self.specs[one].options.get("c", [""])[0] == key
                and places[one][0].partition(":")[0] in {"ready", "flight"}
            ]
            assert set(out) <= holders, "a job runs without its slot"
            assert len(holders) == limit or not self.names(f"lane:{key}"), "a job waits for a slot that is free"

    @invariant()
    def batches_are_open_while_a_job_is_not_over(self) -> None:
        """What is left of each batch is what was not counted off."""
        for batch, (last, left) in self.batches.items():
            found = self.values[f"{BASE}:batch:{batch}".encode()]
            assert int(found[b"left"]) == len(left)
            assert last not in self.names("jobs")

    @invariant()
    def nothing_is_left_of_what_is_over(self) -> None:
        """I9: no key speaks of a job that is over."""
        alive = set(self.alive())
        for key in ("state", "progress", "cancel"):
            assert self.names(key) <= alive, f"I9: {key} speaks of jobs that are over"
        if not alive:
            kinds: dict[str, list[str]] = defaultdict(list)
            for full in self.values:
                name = full[len(BASE) + 1 :].decode()
                kinds[name.partition(":")[0]].append(name)
            assert set(kinds) <= {"workers", "epoch", "paused", "rate"}, f"I9: {dict(kinds)} are left"


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=2_000 if CHAOS else 150,
    stateful_step_count=60 if CHAOS else 40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_quarantined_job_stays_while_another_has_its_key() -> None:
    """Enqueueing it anew is refused, and nothing of it is lost; once the other is over it is let in."""
    machine = Machine()
    try:
        machine.register(0)
        machine.push([{"u": "u1"}], 0)
        machine.exchange(0, 1, [])
        machine.exchange(0, 0, ["quarantine"])
        machine.push([{"u": "u1"}], 0)
        first, second = machine.accepted
        machine.decide_about(first, "requeue")
        machine.each_job_has_its_place()
        assert machine.names("quarantine") == {first}
        machine.exchange(0, 1, [])
        machine.exchange(0, 0, ["done"])
        assert machine.over == {second}
        machine.decide_about(first, "requeue")
        machine.each_job_has_its_place()
        assert machine.names("ready:normal") == {first}
    finally:
        machine.teardown()


def test_a_rate_lets_so_many_start() -> None:
    """Of three jobs of a rate of two, the third waits for its time, and starts then."""
    machine = Machine()
    try:
        machine.register(0)
        machine.push([{"r": ["r", LIMIT, PERIOD]}] * 3, 0)
        machine.exchange(0, 3, [])
        assert set(machine.shards[0].runs) == set(machine.accepted[:LIMIT])
        machine.wait(500)
        machine.exchange(0, 3, [])
        assert set(machine.shards[0].runs) == set(machine.accepted)
    finally:
        machine.teardown()
