"""How much of the notifications is measured: all of it, a quick look, or just enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NotifyScale:
    """The sizes of one run.

    Attributes:
        name: Kept with the results.
        rounds: How often everything is measured.
        endpoints: To how many endpoints of webhooks an event goes.
        events: How many events are delivered in one round, after one that warms up.
        concurrency: How many requests are under way at the same time.
        clients: How many clients listen to server-sent events.
        messages: How many messages each of them gets.
    """

    name: str
    rounds: int
    endpoints: int
    events: int
    concurrency: int
    clients: int
    messages: int


FULL = NotifyScale(name="full", rounds=5, endpoints=1_000, events=5, concurrency=100, clients=2_000, messages=40)
QUICK = NotifyScale(name="quick", rounds=3, endpoints=1_000, events=2, concurrency=100, clients=2_000, messages=20)
TINY = NotifyScale(name="tiny", rounds=1, endpoints=20, events=1, concurrency=10, clients=20, messages=5)
SCALES = {scale.name: scale for scale in (FULL, QUICK, TINY)}
