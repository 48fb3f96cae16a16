"""How much is measured: all of it, a quick look, or just enough to see that the programs still work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The sizes of one run.

    Attributes:
        name: Kept with the results.
        rounds: How often everything is measured; the figures are medians over the rounds.
        seconds: How long one client is measured in one round, for each number of tasks.
        warm_up: How long it runs before, uncounted.
        keys: Keys in the server while some of them are flushed.
        flushed: How many of those are flushed.
        callers: Tasks that miss the same key at the same time, in each process.
        processes: In how many processes.
        factory_seconds: How long computing the missing value takes.
        lease_seconds: How long a process that died keeps others from computing.
        imports: Fresh interpreters for each import.
        objects: How many caches, each with its connection, are made to weigh one.
        queued: How many commands wait at the same time to weigh them.
        entries: How many values a near cache holds to weigh one.
        limit_requests: Requests of the server's own benchmark that measures its limit, in thousands.
    """

    name: str
    rounds: int
    seconds: float
    warm_up: float
    keys: int
    flushed: int
    callers: int
    processes: int
    factory_seconds: float
    lease_seconds: int
    imports: int
    objects: int
    queued: int
    entries: int
    limit_requests: int


FULL = Scale(
    name="full",
    rounds=5,
    seconds=0.6,
    warm_up=0.2,
    keys=1_000_000,
    flushed=10_000,
    callers=1_000,
    processes=4,
    factory_seconds=0.2,
    lease_seconds=2,
    imports=15,
    objects=100,
    queued=10_000,
    entries=10_000,
    limit_requests=1_000,
)
QUICK = Scale(
    name="quick",
    rounds=2,
    seconds=0.25,
    warm_up=0.1,
    keys=200_000,
    flushed=10_000,
    callers=1_000,
    processes=4,
    factory_seconds=0.2,
    lease_seconds=1,
    imports=5,
    objects=100,
    queued=10_000,
    entries=10_000,
    limit_requests=200,
)
TINY = Scale(
    name="tiny",
    rounds=1,
    seconds=0.01,
    warm_up=0.0,
    keys=3_000,
    flushed=1_000,
    callers=10,
    processes=2,
    factory_seconds=0.05,
    lease_seconds=1,
    imports=1,
    objects=2,
    queued=100,
    entries=100,
    limit_requests=1,
)
SCALES = {scale.name: scale for scale in (FULL, QUICK, TINY)}
