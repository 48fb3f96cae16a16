"""The benchmarks of responses still run, and say what they should; how fast anything is, no test asks."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.bench import centre
from benchmarks.children import READY, Child, ChildError
from benchmarks.goals import judge
from benchmarks.http import run as http
from benchmarks.http.goals import GOALS
from benchmarks.http.report import make_tables
from benchmarks.http.run import ARTICLE, SMALL, TOPICS, Question, measure
from benchmarks.http.scale import SCALES, TINY


async def test_install() -> None:
    """Both answers are asked for from all applications, which are compared with the first one."""
    results = await measure(TINY, ["http-install"])
    assert [(row["what"], row["key"]) for row in results["install"]] == [
        (what, key) for what in (SMALL, ARTICLE) for key in ("plain", "plain_again", "installed")
    ]
    assert all(row[kind]["median"] > 0 for row in results["install"] for kind in ("speed", "cpu", "ratio", "cpu_ratio"))
    assert [row["ratio"]["median"] for row in results["install"] if row["key"] == "plain"] == [1, 1]
    assert results["install"][0]["speed"]["rounds"] == TINY.processes * TINY.rounds
    assert [outcome.goal.unit for outcome in judge(results, GOALS)] == [" %"] * 4
    assert results["meta"]["skipped"] == {}


async def test_responses() -> None:
    """The envelope is measured beside a model of the same bytes."""
    results = await measure(TINY, ["http-responses"])
    assert [row["key"] for row in results["responses"]] == ["model", "model_again", "envelope"]
    assert len([*judge(results, GOALS)]) == 2
    results["meta"]["command"] = "make bench"
    assert "ApiResponse" in make_tables(results)["http-responses"]


async def test_answers_that_differ_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers in other bytes does other work."""
    question = Question(ARTICLE, "/articles/7", {"plain": "", "envelope": ""})
    monkeypatch.setitem(http.QUESTIONS, "http-responses", (question,))
    with pytest.raises(ChildError) as caught:
        await measure(TINY, ["http-responses"])
    assert "differ" in str(caught.value)


async def test_an_answer_that_is_no_success_ends_the_run() -> None:
    """Errors are not counted as requests."""
    async with Child("benchmarks.http.serve", names=["plain"]) as server, Child("benchmarks.http.load") as load:
        port, clock = await server.answer()
        await load.wait_for(READY)
        load.send(f'{{"port": {port}, "clock": {clock}, "path": "/none", "requests": 3, "connections": 1}}')
        with pytest.raises(ChildError) as caught:
            await load.answer()
    assert "404" in str(caught.value)


def test_the_middle_half() -> None:
    """Many rounds are summed up by their median and quartiles."""
    assert centre([4, 1, 2, 3, 5], 1) == {"median": 3, "lowest": 1.5, "highest": 4.5, "rounds": 5}
    assert centre([2.0]) == {"median": 2, "lowest": 2, "highest": 2, "rounds": 1}


def test_parts_that_were_not_measured() -> None:
    """Tables and goals come out of results that have none of the parts."""
    names = ("date", "cpu", "cores", "system", "python", "server", "command", "rounds", "processes", "requests")
    meta: dict[str, Any] = dict.fromkeys((*names, "connections", "took_seconds", "load_before", "load_after"), 1)
    meta |= {"skipped": {}, "versions": dict.fromkeys(http.LIBRARIES), "scale": "tiny"}
    results: dict[str, Any] = {"meta": meta, "install": [], "responses": []}
    assert list(judge(results, GOALS)) == []
    assert "quick look" in make_tables(results)["http-summary"]
    assert sorted(SCALES) == ["full", "quick", "tiny"]
    assert {name.partition("-")[2] for name in TOPICS} == {"install", "responses"}
