"""What the notifications want to reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.goals import Goal, Results, find_row

if TYPE_CHECKING:
    from collections.abc import Callable


def _webhooks(way: str) -> Callable[[Results], float]:
    return lambda results: 100 * float(find_row(results["webhooks"], key=way)["ratio"]["median"])


GOALS = tuple(
    Goal(f"Webhooks with records in {place}, to httpx2 by hand", 80, " %", _webhooks(way))
    for way, place in (("sqlite", "SQLite"), ("postgres", "PostgreSQL"))
)
