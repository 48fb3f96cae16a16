"""Measure the responses: many short turns of applications that differ in one thing, and the ratios of neighbours."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import machine
from benchmarks.bench import centre, count_rounds
from benchmarks.children import READY, Child, ChildError
from benchmarks.part import measure_topics

if TYPE_CHECKING:
    from collections.abc import Collection

    from benchmarks.http.scale import HttpScale

LIBRARIES = ("fastapi", "starlette", "uvicorn", "httptools", "uvloop", "pydantic")
SECONDS = 150.0
"""How long all rounds of one question may take."""


class Question(NamedTuple):
    """Applications that are asked the same.

    Attributes:
        what: What is asked for.
        path: Where.
        labels: The applications; the first one is what the others are compared with, and the second is the same one
            again, which shows how much of a difference is noise.
    """

    what: str
    path: str
    labels: dict[str, str]


INSTALL = {"plain": "FastAPI", "plain_again": "The same again", "installed": "FastAPI with Rustforge's `install`"}
RESPONSES = {
    "model": "FastAPI with a `response_model`",
    "model_again": "The same again",
    "envelope": "FastAPI with Rustforge's `ApiResponse`",
}
SMALL = "15 bytes"
ARTICLE = "A model of 1 KB"
QUESTIONS = {
    "http-install": (Question(SMALL, "/health", INSTALL), Question(ARTICLE, "/articles/7", INSTALL)),
    "http-responses": (Question(ARTICLE, "/articles/7", RESPONSES),),
}
TOPICS = tuple(QUESTIONS)


async def measure(scale: HttpScale, topics: Collection[str] = TOPICS) -> dict[str, Any]:
    """Measure topics one after the other.

    Args:
        scale: How much.
        topics: The names of the topics.
    """
    skipped: dict[str, str] = {}
    versions = machine.versions_of(*LIBRARIES)
    parser = f"httptools {versions['httptools']}" if versions["httptools"] else "h11"
    meta = machine.describe() | {
        "versions": versions,
        "server": f"uvicorn {versions['uvicorn']} with {parser}",
        "scale": scale.name,
        "rounds": scale.processes * scale.rounds,
        "processes": scale.processes,
        "requests": scale.requests,
        "connections": scale.connections,
    }
    measured = {name: partial(_measure_topic, scale, name, skipped) for name in QUESTIONS}
    return await measure_topics(measured, topics, meta, skipped)


async def _measure_topic(scale: HttpScale, name: str, skipped: dict[str, str]) -> list[dict[str, Any]]:
    return [row for question in QUESTIONS[name] for row in await _ask(scale, question, skipped)]


async def _ask(scale: HttpScale, question: Question, skipped: dict[str, str]) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in question.labels}
    for number in count_rounds(f"Servers for {question.what}", SECONDS, scale.processes, skipped):
        await _ask_one_server(scale, question, found, turned=number % 2 == 0)
    first, again = [*found.values()][:2]
    return [
        {
            "what": question.what,
            "client": question.labels[name],
            "key": name,
            **{kind: centre([one[kind] for one in turns], digits) for kind, digits in (("speed", 0), ("cpu", 1))},
            "ratio": centre(_ratios("speed", turns, first, again), 4),
            "cpu_ratio": centre(_ratios("cpu", turns, first, again), 4),
        }
        for name, turns in found.items()
    ]


def _ratios(
    kind: str, turns: list[dict[str, Any]], first: list[dict[str, Any]], again: list[dict[str, Any]]
) -> list[float]:
    """Compare each turn with those of the baseline in the same round, and the baseline's second turn with its first."""
    if turns is first or turns is again:
        return [own[kind] / one[kind] for own, one in zip(turns, first, strict=True)]
    return [2 * own[kind] / (one[kind] + other[kind]) for own, one, other in zip(turns, first, again, strict=True)]


async def _ask_one_server(
    scale: HttpScale, question: Question, found: dict[str, list[dict[str, Any]]], *, turned: bool
) -> None:
    """Let the applications take turns, forwards and backwards by turns; the first round warms up, uncounted."""
    names = [*found][::-1] if turned else [*found]
    options = {"path": question.path, "requests": scale.requests, "connections": scale.connections}
    async with (
        Child("benchmarks.http.serve", names=names) as server,
        Child("benchmarks.http.load") as load,
    ):
        *ports, clock = await server.answer()
        await load.wait_for(READY)
        for number in range(scale.rounds + 1):
            turns: dict[str, dict[str, Any]] = {}
            for name, port in [*zip(names, ports, strict=True)][:: -1 if number % 2 else 1]:
                load.send(json.dumps({"port": port, "clock": clock, **options}))
                turns[name] = await load.answer()
            if len(bodies := {turn.pop("body") for turn in turns.values()}) > 1:
                msg = f"the answers differ: {bodies}"
                raise ChildError(msg)
            if number:
                for name, turn in turns.items():
                    found[name].append(turn)
