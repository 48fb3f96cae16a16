"""How much of the job queues is measured: all of it, a quick look, or just enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobScale:
    """The sizes of one run.

    Attributes:
        name: Kept with the results.
        rounds: How often everything is measured; the figures are medians over the rounds.
        jobs: How many jobs are enqueued and run in a round; each contender has a multiple of it.
        delays: Jobs of the light load.
        pause: Seconds between two of them.
        idle_seconds: How long an idle worker is watched.
        depths: How many jobs wait in the queue already.
        probes: How many jobs are enqueued, and at least how many are run, at each depth.
        lasting: How many jobs one worker runs while its memory is watched.
        recovery: The way in which a job is run whose worker is killed.
    """

    name: str
    rounds: int
    jobs: int
    delays: int
    pause: float
    idle_seconds: float
    depths: tuple[int, ...]
    probes: int
    lasting: int
    recovery: str


FULL = JobScale(
    name="full",
    rounds=5,
    jobs=5_000,
    delays=250,
    pause=0.02,
    idle_seconds=20,
    depths=(1, 1_000, 100_000, 1_000_000, 10_000_000),
    probes=20_000,
    lasting=1_000_000,
    recovery="stuck",
)
QUICK = JobScale(
    name="quick",
    rounds=2,
    jobs=1_000,
    delays=100,
    pause=0.02,
    idle_seconds=6,
    depths=(1, 1_000, 100_000),
    probes=10_000,
    lasting=200_000,
    recovery="stuck",
)
TINY = JobScale(
    name="tiny",
    rounds=1,
    jobs=20,
    delays=5,
    pause=0.005,
    idle_seconds=0.2,
    depths=(1, 200),
    probes=50,
    lasting=500,
    recovery="stuck-soon",
)
SCALES = {scale.name: scale for scale in (FULL, QUICK, TINY)}
