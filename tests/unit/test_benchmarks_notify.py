"""The benchmarks of the notifications still run, and say what they should; how fast anything is, no test asks."""

from __future__ import annotations

from typing import Any

from benchmarks.goals import judge
from benchmarks.notify import run as notify
from benchmarks.notify import sse
from benchmarks.notify.goals import GOALS
from benchmarks.notify.report import make_tables
from benchmarks.notify.run import TOPICS, measure
from benchmarks.notify.scale import SCALES, TINY
from benchmarks.notify.webhooks import WAYS


async def test_webhooks() -> None:
    """Each event comes to each endpoint once, in every way, and each is compared with httpx2."""
    results = await measure(TINY, ["notify-webhooks"])
    assert [row["key"] for row in results["webhooks"]] == [*WAYS]
    assert all(row["speed"]["median"] > 0 and row["cpu"]["median"] > 0 for row in results["webhooks"])
    assert results["webhooks"][0]["ratio"]["median"] == 1
    assert [outcome.goal.unit for outcome in judge(results, GOALS)] == [" %"] * 2
    results["meta"]["command"] = "make bench"
    assert "httpx2, by hand" in make_tables(results)["notify-webhooks"]


async def test_streams() -> None:
    """Every client gets every message once, over a replay and a restart of Redis, and memory and delay are told."""
    results = await measure(TINY, ["notify-sse"])
    assert [row["key"] for row in results["sse"]] == [*sse.WAYS]
    assert all(row["wrong"] == 0 and row["p99_ms"]["median"] > 0 for row in results["sse"])
    assert [outcome.goal.unit for outcome in judge(results, GOALS)] == [" KiB", " ms"]
    results["meta"]["command"] = "make bench"
    assert "Pub/Sub" in make_tables(results)["notify-sse"]


def test_parts_that_were_not_measured() -> None:
    """Tables and goals come out of results that have none of the parts."""
    names = ("date", "cpu", "cores", "system", "python", "server", "command", "rounds")
    sizes = ("endpoints", "events", "concurrency", "clients", "messages")
    meta: dict[str, Any] = dict.fromkeys((*names, *sizes, "took_seconds", "load_before", "load_after"), 1)
    meta |= {"skipped": {}, "versions": dict.fromkeys(notify.LIBRARIES), "scale": "tiny"}
    results: dict[str, Any] = {"meta": meta, "webhooks": [], "sse": []}
    assert list(judge(results, GOALS)) == []
    assert "quick look" in make_tables(results)["notify-summary"]
    assert sorted(SCALES) == ["full", "quick", "tiny"]
    assert {name.partition("-")[2] for name in TOPICS} == {"sse", "webhooks"}
