"""The benchmarks still run, and say what they should; how fast anything is, no test asks."""

from __future__ import annotations

import shutil
from importlib import metadata
from typing import Any

import pytest

from benchmarks import report
from benchmarks.__main__ import TOPICS, measure
from benchmarks.bench import Bench, Contender, summarise
from benchmarks.children import Child, ChildError
from benchmarks.clients import BASELINE, CLIENTS, OURS
from benchmarks.goals import judge
from benchmarks.scale import FULL, SCALES, TINY
from benchmarks.topics.limit import LIMIT_LABEL


async def run(topic: str) -> dict[str, Any]:
    """Measure as little as possible of one topic, of our clients and the one that they are compared with."""
    return await measure(TINY, [topic], [OURS, BASELINE])


async def test_throughput() -> None:
    """Every operation of ours is measured in each group, beside redis-py, which is 1."""
    results = await run("throughput")
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in results["rows"]:
        groups.setdefault(row["group"], []).append(row)
    assert len(groups) == 5
    for rows in groups.values():
        assert [row["ratio"] for row in rows if row["key"].startswith(BASELINE)] == [1]
        assert any(row["key"].startswith(OURS) for row in rows)
        assert all(row["ops_per_second"] > 0 for row in rows)
    assert results["meta"]["skipped"] == {}


async def test_limit() -> None:
    """The server's own benchmark gives three numbers, or the results say why not."""
    results = await run("limit")
    found = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    assert len(results["limit"]) == (3 if found else 0)
    assert (LIMIT_LABEL in results["meta"]["skipped"]) == (found is None)


async def test_flush() -> None:
    """Every way to flush removes the keys while the server is asked, and nothing is flushed in the first row."""
    results = await run("flush")
    assert [row["key"] for row in results["flush"]] == [
        "rustforge.nothing",
        "rustforge.flush",
        "redis_py.flush_keys",
        "redis_py.flush_scan",
    ]
    assert all(row["p99_ms"]["median"] > 0 for row in results["flush"])


async def test_stampede() -> None:
    """The value is computed once, and once more where the process that computed it was killed."""
    results = await run("stampede")
    ours = [row for row in results["stampede"] if row["key"] == "rustforge.stampede"]
    assert [row["factory_calls"]["median"] for row in ours] == [1, 2]
    assert [row["errors"]["median"] for row in results["stampede"]] == [0, 0, 0]


async def test_imports_and_memory() -> None:
    """Imports are timed, and everything that is weighed has a weight."""
    imports = await run("imports")
    assert [row["ratio"]["median"] > 0 for row in imports["imports"]] == [True, True]
    memory = await run("memory")
    assert [row["bytes"] > 0 for row in memory["memory"]] == [True] * 10


async def test_a_client_that_fails_is_left_out() -> None:
    """A client that is not installed or fails is named with the reason; ours must not fail."""
    bench = Bench(TINY)
    contenders = bench.take([Contender(client.label, client.module, "get") for client in CLIENTS])
    missing = {client.label for client in CLIENTS if not _installed(client.distribution)}
    assert bench.skipped.keys() == missing
    assert missing.isdisjoint(contender.label for contender in contenders)
    with pytest.raises(ChildError) as caught:
        async with Child("flush", module="rustforge", function="none", url="") as child:
            await child.result()
    assert "none" in str(caught.value)
    peer = Contender("Peer", "fakeredis", "none")
    contenders = [peer]
    bench.drop(contenders, peer, caught.value)
    assert (contenders, bench.skipped["Peer"]) == ([], str(caught.value))
    with pytest.raises(ChildError):
        bench.drop(contenders, Contender("Ours", OURS, "none"), caught.value)


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def test_slow_machines_do_fewer_rounds() -> None:
    """Rounds that would take longer than allowed are left out, and the results say so."""
    bench = Bench(FULL)
    assert list(bench.rounds("all", 60)) == [1, 2, 3, 4, 5]
    assert list(bench.rounds("one", 0)) == [1]
    assert list(bench.skipped) == ["one"]


def test_median_and_range() -> None:
    """Rounds are summed up by their median, and all of them are kept."""
    assert summarise([3, 1, 2.26], 1) == {"median": 2.3, "lowest": 1, "highest": 3, "rounds": [3, 1, 2.3]}


def test_parts_that_were_not_measured() -> None:
    """Tables and goals come out of results that have only some of the parts."""
    meta = dict.fromkeys(("date", "cpu", "cores", "system", "python", "server", "command", "rounds", "seconds"), 1)
    meta |= {"took_seconds": 1, "load_before": 1, "load_after": 1}
    parts: dict[str, Any] = {part: [] for part, _ in TOPICS.values()}
    versions = {client.distribution: None for client in CLIENTS} | {"uvloop": None}
    results = {"meta": {**meta, "skipped": {}, "versions": versions, "scale": "tiny"}, **parts}
    assert list(judge(results)) == []
    assert "quick look" in report.make_tables(results)["summary"]
    assert sorted(SCALES) == ["full", "quick", "tiny"]
