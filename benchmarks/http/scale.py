"""How much of the responses is measured: all of it, a quick look, or just enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HttpScale:
    """The sizes of one run.

    Attributes:
        name: Kept with the results.
        processes: How many servers are started one after the other, as each has an address space of its own.
        rounds: How often each application takes its turn in one of them.
        requests: Requests of one turn.
        connections: How many of them are under way at a time.
    """

    name: str
    processes: int
    rounds: int
    requests: int
    connections: int


FULL = HttpScale(name="full", processes=6, rounds=40, requests=1_000, connections=8)
QUICK = HttpScale(name="quick", processes=3, rounds=30, requests=500, connections=8)
TINY = HttpScale(name="tiny", processes=1, rounds=2, requests=20, connections=2)
SCALES = {scale.name: scale for scale in (FULL, QUICK, TINY)}
