"""Strike at every Redis command that has to do with jobs: cut before it, cut before its answer, deliver it late, kill.

What is struck at is found by recording the traffic, so a new command is a new case. `RUSTFORGE_CHAOS=1` (`make chaos`)
runs all of them; else each kind of command is struck at once in all of these ways, or in two of them where it does not
come in every run.
"""

from __future__ import annotations

import itertools
import logging
import os
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.jobs.cutter import Point
from tests.acceptance.jobs.sweep import Case, Nursery, Sweep
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections import Counter

    from tests.acceptance.jobs.cutter import Side

CHAOS = os.environ.get("RUSTFORGE_CHAOS", "") not in {"", "0"}
MOST = 30
"""How many of the commands of one name are struck at."""

WAYS: list[tuple[Side, bool]] = [
    ("before", True),
    ("after", False),
    ("late", False),
    ("after", True),
    ("before", False),
]

REQUIRED = {
    "enqueue", "enqueue once", "batch", "cron ask", "cron fire", "worker register", "worker beat", "worker adopt",
    "worker leave", "settle claim", "manage bury", "SREM sent",
}  # fmt: skip
"""What must be among the commands; the kinds of settles differ from run to run."""


def cases_of(seen: Counter[str]) -> list[Case]:
    """List every case."""
    points = [Point(name, number) for name in sorted(seen) for number in range(1, min(seen[name], MOST) + 1)]
    return [Case(point, side, kill) for point in points for side, kill in WAYS]


def spread(cases: list[Case]) -> list[Case]:
    """Choose every way of the commands that are always there, and two of each other one, in turns."""
    ways = itertools.cycle(WAYS)
    chosen: list[Case] = []
    for _, group in itertools.groupby(cases, key=lambda case: case.point.name):
        first = list(itertools.islice(group, len(WAYS)))
        every = first[0].point.name in REQUIRED
        for way in WAYS if every else (next(ways), next(ways)):
            chosen += [case for case in first if (case.side, case.kill) == way]
    return chosen


@pytest.mark.timeout(3600 if CHAOS else 180)
async def test_nothing_is_lost_wherever_it_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """At every cut point: nothing lost, doubled, out of order, stuck or left behind."""
    caplog.set_level(logging.CRITICAL)  # hundreds of planned failures
    with RedisServer() as server, Nursery() as nursery:
        sweep = Sweep(server, nursery)
        seen = await sweep.record()
        assert seen.keys() >= REQUIRED
        cases = cases_of(seen)
        chosen = cases if CHAOS else spread(cases)
        problems = await sweep.run(chosen, at_once=6)

    print(  # noqa: T201 - how much was proven
        f"\n{len(seen)} kinds of commands, {len(cases)} cases, {len(chosen)} run, "
        f"{len(sweep.missed)} of them not reached as the commands came otherwise, "
        f"{sweep.disturbed} on a machine that was too busy for a lease"
    )
    assert problems == [], "\n".join(problems)
    assert len(sweep.missed) < len(chosen) / 4
    assert sweep.disturbed < max(4, len(chosen) / 10)
