"""What the notifications want to reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.goals import Goal, Results, find_row

if TYPE_CHECKING:
    from collections.abc import Callable


def _webhooks(way: str) -> Callable[[Results], float]:
    return lambda results: 100 * float(find_row(results["webhooks"], key=way)["ratio"]["median"])


def _streams(name: str) -> Callable[[Results], float]:
    return lambda results: float(find_row(results["sse"], key="ours")[name]["median"])


GOALS = (
    *(
        Goal(f"Webhooks with records in {place}, to httpx2 by hand", 80, " %", _webhooks(way))
        for way, place in (("sqlite", "SQLite"), ("postgres", "PostgreSQL"))
    ),
    Goal("Streams: memory of a client", 40, " KiB", _streams("memory_kb"), at_least=False),
    Goal("Streams: 99 % of 2,000 clients hear a message within", 250, " ms", _streams("p99_ms"), at_least=False),
)
