"""A quiet service: how long one job now and then is under way, and what a worker without jobs asks of the server."""

from __future__ import annotations

import asyncio
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from benchmarks.bench import summarise
from benchmarks.children import ChildError
from benchmarks.jobs.peers import BY_HAND, OURS
from benchmarks.jobs.running import Contender, Crew, Maker, server, watch

if TYPE_CHECKING:
    from benchmarks.jobs.bench import JobBench

SECONDS = 420
WARM_UP = 10
CALM_SECONDS = 2.0
"""How long a worker that has nothing to do is left alone before it is watched."""
CONTENDERS = (
    Contender("Rustforge", OURS),
    Contender("dramatiq", "dramatiq"),
    Contender("taskiq, streams", "taskiq", "stream"),
    Contender("taskiq, lists", "taskiq", "list"),
    Contender("SAQ", "saq"),
    Contender("arq", "arq"),
    Contender("docket", "docket"),
    Contender("streaq", "streaq"),
    Contender("Celery", "celery"),
    Contender("RQ", "rq"),
    Contender("redis-py, by hand", BY_HAND),
)


async def measure_delays(bench: JobBench) -> dict[str, list[dict[str, Any]]]:
    """Enqueue one job after the other, with a pause between, while a worker waits for them."""
    contenders = bench.take(CONTENDERS)
    found: dict[Contender, list[tuple[float, float]]] = {contender: [] for contender in contenders}
    for _ in bench.rounds("Light load", SECONDS):
        for contender in tuple(contenders):
            try:
                found[contender].append(await _measure_one(bench, contender))
            except ChildError as error:
                bench.drop(contenders, contender, error)
    return {
        "delays": [
            {
                "client": contender.label,
                "key": contender.key,
                "p50_ms": summarise([p50 for p50, _ in found[contender]], 3),
                "p99_ms": summarise([p99 for _, p99 in found[contender]], 3),
            }
            for contender in contenders
        ]
    }


async def _measure_one(bench: JobBench, contender: Contender) -> tuple[float, float]:
    """Return the median, and what 99 % keep to, in milliseconds."""
    scale = bench.scale
    async with server() as started, Crew(contender, started.url, delays=True) as worker:
        await _run_one(contender, started.url, worker)
        async with Maker(contender, started.url, scale.delays, warm_up=WARM_UP, pause=scale.pause) as maker:
            await maker.ready()
            _, ran = await asyncio.gather(maker.enqueue(), worker.until(1 + WARM_UP + scale.delays))
        cuts = quantiles(ran.delays[-scale.delays :], n=100, method="inclusive")
        return cuts[49] / 1e6, cuts[98] / 1e6


async def _run_one(contender: Contender, url: str, worker: Crew) -> None:
    """Let a worker run a job, after which it is known to be ready, or to be well.

    Raises:
        ChildError: It ended, or did not run it.
    """
    async with Maker(contender, url, 1, tasks=1) as maker:
        await maker.ready()
        await asyncio.gather(maker.enqueue(), worker.until(worker.ran.count + 1))


async def measure_idle(bench: JobBench) -> dict[str, list[dict[str, Any]]]:
    """Count the commands of workers that have nothing to do, all at the same time, each with a server of its own."""
    contenders = bench.take(CONTENDERS)

    async def watch_one(contender: Contender) -> tuple[int, int] | ChildError:
        try:
            async with server() as started, Crew(contender, started.url) as worker:
                await _run_one(contender, started.url, worker)
                await asyncio.sleep(min(CALM_SECONDS, bench.scale.idle_seconds))
                found = await watch(started, bench.scale.idle_seconds)
                await _run_one(contender, started.url, worker)  # a worker that died asks for nothing, too
                return found
        except ChildError as error:
            return error

    rows = []
    for contender, found in zip(tuple(contenders), await asyncio.gather(*map(watch_one, contenders)), strict=True):
        if isinstance(found, ChildError):
            bench.drop(contenders, contender, found)
        else:
            sent, inner = (number / bench.scale.idle_seconds for number in found)
            rows.append(
                {
                    "client": contender.label,
                    "key": contender.key,
                    "sent_per_second": round(sent, 2),
                    "commands_per_second": round(sent + inner, 2),
                }
            )
    return {"idle": rows}
