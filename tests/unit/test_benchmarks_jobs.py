"""The benchmarks of job queues still run, and say what they should; how fast anything is, no test asks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.__main__ import AREAS, parse
from benchmarks.children import ChildError
from benchmarks.goals import judge
from benchmarks.jobs import report as jobs_report
from benchmarks.jobs.bench import JobBench, rows_of
from benchmarks.jobs.goals import GOALS
from benchmarks.jobs.peers import BY_HAND, OURS, PEERS
from benchmarks.jobs.run import PARTS, TOPICS, measure, versions
from benchmarks.jobs.running import Contender, Crew, Maker, commands, held, interpreter, keys, server, watch
from benchmarks.jobs.scale import SCALES, TINY
from benchmarks.jobs.topics.throughput import BULK, CONTENDERS, ENQUEUED, IN_BULK, PROCESSED
from benchmarks.server import ask


async def run(topic: str, modules: tuple[str, ...] = (OURS, BY_HAND)) -> dict[str, Any]:
    """Measure as little as possible of one topic, of ours and of what needs no environment of its own."""
    return await measure(TINY, [topic], modules)


async def test_throughput() -> None:
    """Jobs are enqueued and run in every way of ours, the server is asked what it cost, and nothing is left."""
    results = await run("jobs-throughput")
    groups = {row["group"] for row in results["rows"]}
    assert groups == {PROCESSED, ENQUEUED, BULK}
    ours = {row["key"] for row in results["rows"] if row["group"] == PROCESSED}
    assert ours == {OURS, f"{OURS}.traced", f"{OURS}.sampled", f"{OURS}.grouped", BY_HAND}
    assert all(row["ops_per_second"] > 0 for row in results["rows"])
    assert all(row["commands"]["median"] > 0 for row in results["costs"])
    assert [row["keys"]["median"] for row in results["costs"]] == [0] * 5
    assert results["meta"]["skipped"] == {}


async def test_delays() -> None:
    """One job after the other is timed from the call to the handler."""
    results = await run("jobs-delays")
    assert [row["key"] for row in results["delays"]] == [OURS, BY_HAND]
    assert all(0 < row["p50_ms"]["median"] <= row["p99_ms"]["median"] for row in results["delays"])


async def test_idle() -> None:
    """The commands of a worker without jobs are counted."""
    results = await run("jobs-idle")
    assert [row["key"] for row in results["idle"]] == [OURS, BY_HAND]
    assert all(row["commands_per_second"] >= row["sent_per_second"] >= 0 for row in results["idle"])


async def test_ours_alone() -> None:
    """Several workers share a queue, deep queues work, memory is watched, and a killed worker's job runs again."""
    workers = await run("jobs-workers", (OURS,))
    assert [row["workers"] for row in workers["workers"]] == [1, 2, 4]
    depth = await run("jobs-depth", (OURS,))
    assert [row["depth"] for row in depth["depth"]] == list(TINY.depths)
    memory = await run("jobs-memory", (OURS,))
    assert memory["memory"][-1]["jobs"] == TINY.lasting
    assert all(row["bytes"] > 0 for row in memory["memory"])


async def test_recovery() -> None:
    """The time from the kill to the next run is taken."""
    results = await run("jobs-recovery", (OURS,))
    [row] = results["recovery"]
    assert 0 < row["seconds"]["median"] < 10


async def test_the_server_keeps_an_append_only_file_and_is_counted() -> None:
    """What is measured against persists every second; its commands, keys and memory are counted."""
    hand = Contender("by hand", BY_HAND)
    async with server() as started:
        empty = held(started)
        async with Maker(hand, started.url, 50, bulk=True) as maker:
            await maker.ready()
            commands(started)
            assert await maker.enqueue() > 0
        assert commands(started) == 1
        watching = asyncio.create_task(watch(started, 0.3))
        await asyncio.sleep(0.1)
        ask(started.port, ("EVAL", "return redis.call('PING')", 0), ("PING",))
        assert await watching == (2, 1)
        assert keys(started) == 1
        assert held(started) > empty
        assert list((started.folder / "appendonlydir").iterdir())
        async with Crew(hand, started.url) as worker:
            ran = await worker.until(50)
            await worker.settle_and_stop()
        assert ran.count == 50
        assert ran.speed > 0
        assert keys(started) == 0


async def test_a_worker_that_fails_is_told_of() -> None:
    """A peer that fails is left out with the reason; ours must not fail."""
    bench = JobBench(TINY)
    wrong = Contender("Wrong", BY_HAND)
    async with Crew(wrong, "redis://127.0.0.1:1/0") as worker:
        with pytest.raises(ChildError) as caught:
            await worker.until(1)
    contenders = [wrong]
    bench.drop(contenders, wrong, caught.value)
    assert (contenders, list(bench.skipped)) == ([], ["Wrong"])
    with pytest.raises(ChildError):
        bench.drop(contenders, Contender("Ours", OURS), caught.value)


def test_peers_without_their_environment_are_left_out() -> None:
    """Who has no environment does not take part, and the results say so."""
    bench = JobBench(TINY)
    taken = {contender.module for contender in bench.take((*CONTENDERS, *IN_BULK))}
    assert taken >= {OURS, BY_HAND}
    missing = {contender.label for contender in CONTENDERS if not interpreter(contender.module).exists()}
    assert bench.skipped.keys() >= missing
    assert versions(BY_HAND)["redis"]
    assert {peer.module for peer in PEERS} == {contender.module for contender in CONTENDERS}


def test_ratios_are_to_the_fastest_peer() -> None:
    """Neither ours nor what is made by hand is the measure of the others."""
    ours, slow, fast, hand = (
        Contender(label, module)
        for label, module in (("Ours", OURS), ("Slow", "rq"), ("Fast", "dramatiq"), ("Hand", BY_HAND))
    )
    rows = rows_of("g", {ours: [10, 30, 20], slow: [1, 1, 1], fast: [2, 2, 2], hand: [90, 90, 90]})
    assert {row["client"]: row["ratio"] for row in rows} == {"Ours": 10, "Slow": 0.5, "Fast": 1, "Hand": 45}
    results: dict[str, Any] = {part: [] for part in PARTS} | {"rows": [{**row, "group": PROCESSED} for row in rows]}
    assert [(outcome.figure, outcome.reached) for outcome in judge(results, GOALS)] == [(10, False)]


def test_parts_that_were_not_measured() -> None:
    """Tables and goals come out of results that have none of the parts."""
    names = ("date", "cpu", "cores", "system", "python", "server", "command", "rounds", "jobs", "concurrency", "delays")
    meta: dict[str, Any] = dict.fromkeys((*names, "pause", "idle_seconds", "took_seconds", "load_before"), 1)
    meta |= {"load_after": 1, "skipped": {}, "versions": {"uvloop": None}, "scale": "tiny", "peers": {OURS: {}}}
    results: dict[str, Any] = {"meta": meta, **{part: [] for part in PARTS}}
    assert list(judge(results, GOALS)) == []
    assert "quick look" in jobs_report.make_tables(results)["jobs-summary"]
    assert sorted(SCALES) == ["full", "quick", "tiny"]


def test_each_area_can_be_chosen() -> None:
    """All areas are measured unless one of them, or some of their topics, are asked for."""
    assert parse([]).topics == {name: list(area.topics) for name, area in AREAS.items()}
    nothing: dict[str, list[str]] = {name: [] for name in AREAS}
    assert parse(["--only", "jobs"]).topics == {**nothing, "jobs": list(TOPICS)}
    assert parse(["--only", "cache"]).topics["jobs"] == []
    chosen = parse(["--only", "flush", "jobs-idle", "http"]).topics
    some = {"cache": ["flush"], "jobs": ["jobs-idle"], "http": list(AREAS["http"].topics)}
    assert chosen == {**nothing, **some}
    assert [area.kept.stem for area in AREAS.values()] == [*AREAS]
    with pytest.raises(SystemExit):
        parse(["--only", "http", "storage", "--output", "both.json"])
