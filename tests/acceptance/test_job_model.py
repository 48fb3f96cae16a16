"""The scripts of the queues in every state that three jobs, two workers and two groups can be in.

`RUSTFORGE_CHAOS=1` (`make chaos`) explores further: with a fault, a cancellation and an orderly stop on every way.
"""

from __future__ import annotations

import os

import pytest

from rustforge.jobs import scripts
from rustforge.jobs.source import Claimed, Source
from rustforge.redis import Script
from tests.acceptance.jobs.model import STEP, Model, Spec, ViolationError

CHAOS = os.environ.get("RUSTFORGE_CHAOS", "") not in {"", "0"}

GROUPS = [Spec("a", {"g": "g1"}, backoff=0), Spec("b", {"g": "g1"}, retries=0), Spec("c", {"g": "g2"})]
"""Two jobs of a group, one of another; the first is due again at once, the second has one attempt only."""

UNIQUE = [
    Spec("a", {"g": "g1"}, backoff=0),
    Spec("b", {"g": "g1", "u": "k"}, retries=0),
    Spec("c", {"g": "g2", "u": "k"}, retries=0),
]
"""The same, with one unique key for two of them."""

HELD = [Spec("a", {"g": "g1", "gh": 1}, retries=0), Spec("b", {"g": "g1"}, wait=STEP), Spec("c", retries=0)]
"""A job that holds its group when it is dead, one that is delayed, and one without options."""


@pytest.mark.timeout(900 if CHAOS else 60)
async def test_every_state_of_three_jobs_two_workers_and_two_groups() -> None:
    """All states without faults, to the end: claims, outcomes, backoffs, beats, ends of leases, takeovers."""
    counts = await Model(GROUPS if CHAOS else UNIQUE, faults=0, cancels=0, leaves=0).explore()

    print(f"\n{counts}")  # noqa: T201 - how much was proven
    assert counts.states > (10_000 if CHAOS else 4_500)
    assert {"enqueue", "register", "tick", "beat", "exchange", "bury"} <= set(counts.actions)


@pytest.mark.timeout(3600 if CHAOS else 120)
@pytest.mark.parametrize("jobs", [GROUPS, UNIQUE, HELD], ids=["groups", "unique", "held"])
async def test_every_state_near_the_start_with_faults(jobs: list[Spec]) -> None:
    """All states within the first actions, with crashes, lost and late messages, cancellations and orderly stops."""
    counts = await Model(jobs, faults=2, cancels=1, leaves=1).explore(200_000 if CHAOS else 3_500)

    print(f"\n{counts}")  # noqa: T201 - how much was proven
    assert counts.states > (150_000 if CHAOS else 3_000)
    assert counts.transitions > 2 * counts.states
    assert {"crash", "cancel", "leave", "arrive"} <= set(counts.actions)


ALONE = [Spec("a")]
"""One job, whose second attempt waits."""

MUTANTS = {
    "a retry is forgotten": ("settle", "delay('1', id, now() + wait)", "local _ = wait", ALONE, "I1"),
    "a claim is not noted": ("settle", "call('SADD', flight, unpack(ids))", "local _ = ids", ALONE, "I1"),
    "a job is taken in twice": (
        "enqueue",
        "if not fresh and call('HEXISTS', jobs, id) == 1 then",
        "if false then",
        UNIQUE,
        "I",
    ),
    "a lease need not be alive": (
        "settle",
        "if #mine + #mine_grouped == 0 and not call('ZSCORE', workers, epoch) then",
        "if false then",
        UNIQUE,
        "I2",
    ),
    "a group is not waited for": ("enqueue", "call('RPUSH', base .. 'group:' .. o.g, id)", "pace(id, o)", UNIQUE, "I3"),
    "a delayed job does not wait": ("settle", "call('RPUSH', base .. 'group:' .. o.g, id)", "pace(id, o)", HELD, "I3"),
    "the head of a group stays": ("settle", "call('HSET', heads, o.g, following)", "local _ = 1", UNIQUE, "I3"),
    "the next of a group stays": ("settle", "pace(following, options_of(following))", "local _ = 1", UNIQUE, "I1"),
    "a backoff is skipped": ("settle", "delayed, '-inf', now(),", "delayed, '-inf', '+inf',", ALONE, "I4"),
    "recoveries have no end": ("worker", "found.r > most", "false", ALONE, "I5"),
    "a unique key stays": ("settle", "call('HDEL', unique, o.u)", "local _ = holder", UNIQUE, "I6"),
    "a unique key is not kept": ("enqueue", "return holder", "local _ = holder", UNIQUE, "I6"),
    "a lost claim is not told": ("worker", "unknown[#unknown + 1] = id", "local _ = id", ALONE, "I8"),
    "a new epoch takes nothing over": ("worker", "call('RENAME', base .. part", "tostring(base .. part", ALONE, "I8"),
    "the state of a job stays": ("settle", "call('HDEL', state, unpack(ids))", "local _ = ids", ALONE, "I9"),
    "the state of a dead job stays": ("manage", "call('HDEL', state, id)", "local _ = id", ALONE, "I9"),
}


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_broken_script_is_found(name: str) -> None:
    """Each invariant can fail: a script with one fault is found, and the message names what is violated."""
    script, right, wrong, jobs, invariant = MUTANTS[name]
    real = scripts.load(script)
    assert right in real.source
    broken = Script(script, real.source.replace(right, wrong))

    with pytest.raises(ViolationError, match=invariant):
        await Model(jobs, faults=1, cancels=0, leaves=0, scripts={script: broken}).explore(30_000)


async def test_a_worker_that_goes_on_under_its_epoch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that arrives after its worker gave it up would claim a job that nobody knows of."""

    async def find_out(shard: Source) -> list[Claimed]:
        shard._in_doubt = False
        return []

    monkeypatch.setattr(Source, "_find_out", find_out)
    with pytest.raises(ViolationError, match="I8"):
        await Model(ALONE, faults=1, cancels=0, leaves=0).explore(30_000)
