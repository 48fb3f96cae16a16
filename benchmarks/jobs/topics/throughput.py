"""How many jobs a second are enqueued and run, and what that costs the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.bench import summarise
from benchmarks.children import ChildError
from benchmarks.jobs.bench import JobBench, rows_of
from benchmarks.jobs.peers import BY_HAND, OURS
from benchmarks.jobs.running import Contender, Crew, Maker, commands, held, keys, server

if TYPE_CHECKING:
    from benchmarks.jobs.scale import JobScale

PROCESSED = "Run by one worker process"
ENQUEUED = "Enqueued by 100 tasks"
BULK = "Enqueued in bulk"
SECONDS = 900
BULK_SECONDS = 200
WARM_UP = 200
CONTENDERS = (
    Contender("Rustforge", OURS, share=40),
    Contender("Rustforge, middleware and tracing", OURS, "traced", share=20),
    Contender("Rustforge, the same, 1 trace of 10 kept", OURS, "sampled", share=20),
    Contender("Rustforge, 10,000 groups", OURS, "grouped", share=20),
    Contender("dramatiq", "dramatiq", "eager", share=4),
    Contender("taskiq, streams", "taskiq", "stream", share=2),
    Contender("taskiq, lists", "taskiq", "list", share=2),
    Contender("SAQ", "saq"),
    Contender("arq", "arq", "eager"),
    Contender("docket", "docket", "eager"),
    Contender("streaq", "streaq"),
    Contender("Celery", "celery", "solo", share=0.5),
    Contender("RQ", "rq", share=0.2),
    Contender("redis-py, by hand", BY_HAND, share=10),
)
IN_BULK = (
    Contender("Rustforge", OURS, share=40),
    Contender("docket", "docket", share=4),
    Contender("streaq", "streaq", share=4),
    Contender("RQ", "rq", share=2),
    Contender("redis-py, by hand", BY_HAND, share=40),
)
"""Those that take many jobs in one call."""


async def measure(bench: JobBench) -> dict[str, list[dict[str, Any]]]:
    """Let each queue take jobs and run them: round after round, one queue after the other, each with a new server."""
    contenders = bench.take(CONTENDERS)
    found: dict[Contender, list[dict[str, float]]] = {contender: [] for contender in contenders}
    for _ in bench.rounds(PROCESSED, SECONDS):
        for contender in tuple(contenders):
            try:
                found[contender].append(await _fill_and_drain(bench.scale, contender))
            except ChildError as error:
                bench.drop(contenders, contender, error)
    bulk = await _measure_bulk(bench)
    return {
        "rows": [
            *rows_of(PROCESSED, _all(found, contenders, "processed")),
            *rows_of(ENQUEUED, _all(found, contenders, "enqueued")),
            *rows_of(BULK, bulk),
        ],
        "costs": [
            {
                "client": contender.label,
                "key": contender.key,
                "jobs": round(bench.scale.jobs * contender.share),
                **{
                    name: summarise([one[name] for one in found[contender]], 2)
                    for name in ("cpu", "commands", "bytes", "keys", "left")
                },
            }
            for contender in contenders
        ],
    }


def _all(
    found: dict[Contender, list[dict[str, float]]], contenders: list[Contender], name: str
) -> dict[Contender, list[float]]:
    return {contender: [one[name] for one in found[contender]] for contender in contenders}


async def _fill_and_drain(scale: JobScale, contender: Contender) -> dict[str, float]:
    """Enqueue all jobs, weigh them, then start a worker and wait until all have run."""
    count = round(scale.jobs * contender.share)
    warm_up = min(WARM_UP, count)
    total = count + warm_up
    async with server() as started:
        async with Maker(contender, started.url, count, warm_up=warm_up) as maker:
            await maker.ready()
            empty = held(started)
            commands(started)
            seconds = await maker.enqueue()
        full = held(started)
        async with Crew(contender, started.url) as worker:
            ran = await worker.until(total)
            await worker.settle_and_stop()
        return {
            "enqueued": count / seconds,
            "processed": ran.speed,
            "cpu": ran.cpu_a_job,
            "commands": commands(started) / total,
            "bytes": (full - empty) / total,
            "keys": keys(started),
            "left": max(0.0, (held(started) - empty) / total),
        }


async def _measure_bulk(bench: JobBench) -> dict[Contender, list[float]]:
    contenders = bench.take(IN_BULK)
    found: dict[Contender, list[float]] = {contender: [] for contender in contenders}
    for _ in bench.rounds(BULK, BULK_SECONDS):
        for contender in tuple(contenders):
            count = round(bench.scale.jobs * contender.share)
            try:
                async with (
                    server() as started,
                    Maker(contender, started.url, count, warm_up=min(WARM_UP, count), bulk=True) as maker,
                ):
                    await maker.ready()
                    found[contender].append(count / await maker.enqueue())
            except ChildError as error:
                bench.drop(contenders, contender, error)
    return {contender: found[contender] for contender in contenders}
