"""A part of the benchmarks that has topics: they are measured one after the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks import machine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping


async def measure_topics(
    topics: Mapping[str, Callable[[], Awaitable[list[dict[str, Any]]]]],
    wanted: Collection[str],
    meta: dict[str, Any],
    skipped: dict[str, str],
) -> dict[str, Any]:
    """Measure topics.

    Args:
        topics: What measures each, by its name; its rows stand in the results under what follows the name's hyphen.
        wanted: The names of those that are measured; the others have no rows.
        meta: What the results say of the run.
        skipped: Where the topics note what they left out.
    """
    results: dict[str, Any] = {"meta": meta | {"load_before": machine.load()}}
    began = time.monotonic()
    for name, topic in topics.items():
        rows: list[dict[str, Any]] = []
        if name in wanted:
            topic_began = time.monotonic()
            print(f"{name} ...", end=" ", flush=True)
            rows = await topic()
            print(f"{time.monotonic() - topic_began:.0f} s", flush=True)
        results[name.partition("-")[2]] = rows
    took = {"took_seconds": round(time.monotonic() - began, 1), "load_after": machine.load(), "skipped": skipped}
    results["meta"] |= took
    return results
