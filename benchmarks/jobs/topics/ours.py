"""What only Rustforge is asked: more workers, deep queues, memory over a long time, and a worker that is killed."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.bench import summarise
from benchmarks.jobs.peers import OURS
from benchmarks.jobs.running import Contender, Crew, Maker, Ran, held, server

if TYPE_CHECKING:
    from benchmarks.jobs.bench import JobBench

PLAIN = Contender("Rustforge", OURS, share=40)
WORKERS = (1, 2, 4)
SAMPLES = 10
"""How often the memory of the worker is looked at, at least."""
START_SECONDS = 1.5
"""How long a second worker has to begin before the first one is killed."""


async def measure_workers(bench: JobBench) -> dict[str, list[dict[str, Any]]]:
    """Empty one queue with several worker processes."""
    speeds: dict[int, list[float]] = {number: [] for number in WORKERS}
    if PLAIN not in bench.take([PLAIN]):
        return {"workers": []}
    for _ in bench.rounds("Several workers", 180):
        for number, found in speeds.items():
            found.append(await _drain_with(bench, number))
    return {"workers": [{"workers": number, "speed": summarise(found)} for number, found in speeds.items()]}


async def _drain_with(bench: JobBench, number: int) -> float:
    count = round(bench.scale.jobs * PLAIN.share)
    async with server() as started, AsyncExitStack() as stack:
        await _fill(started.url, count)
        crews = [await stack.enter_async_context(Crew(PLAIN, started.url)) for _ in range(number)]
        ran = await _all_of(crews, count)
    busy = [one for one in ran if one.count]
    took = max(one.last for one in busy) - min(one.first for one in busy)
    return (count - 1) / max(1e-9, took / 1e9)


async def _all_of(crews: list[Crew], count: int) -> list[Ran]:
    """Wait until all workers together have run so many jobs."""

    async def follow(crew: Crew) -> None:
        while True:
            await crew.news()
            if sum(one.ran.count for one in crews) >= count:
                return

    followers = [asyncio.create_task(follow(crew)) for crew in crews]
    await asyncio.wait(followers, return_when=asyncio.FIRST_COMPLETED)
    for follower in followers:
        follower.cancel()
    for ended in await asyncio.gather(*followers, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
    return [crew.ran for crew in crews]


async def _fill(url: str, count: int) -> None:
    async with Maker(PLAIN, url, count, bulk=True) as maker:
        await maker.ready()
        await maker.enqueue()


async def measure_depth(bench: JobBench) -> dict[str, list[dict[str, Any]]]:
    """Enqueue and run jobs while so many others wait."""
    rows: list[dict[str, Any]] = []
    if PLAIN not in bench.take([PLAIN]):
        return {"depth": rows}
    probes = bench.scale.probes
    for depth in bench.scale.depths:
        async with server() as started:
            empty = held(started)
            await _fill(started.url, depth)
            full = held(started)
            async with Maker(PLAIN, started.url, probes) as maker:
                await maker.ready()
                seconds = await maker.enqueue()
            async with Crew(PLAIN, started.url) as worker:
                ran = await worker.until(probes)
        rows.append(
            {
                "depth": depth,
                "enqueued": round(probes / seconds),
                "processed": round(ran.speed),
                "bytes": round((full - empty) / depth, 1),
            }
        )
    return {"depth": rows}


async def measure_memory(bench: JobBench) -> dict[str, list[dict[str, Any]]]:
    """Let one worker run many jobs, and look at the memory of its process as it goes."""
    if PLAIN not in bench.take([PLAIN]):
        return {"memory": []}
    count = bench.scale.lasting
    samples: list[dict[str, Any]] = []
    async with server() as started:
        await _fill(started.url, count)
        async with Crew(PLAIN, started.url) as worker:
            while worker.ran.count < count:
                ran = await worker.news()
                if ran.count >= len(samples) * count / SAMPLES or ran.count >= count:
                    samples.append({"jobs": ran.count, "bytes": ran.memory})
    return {"memory": samples}


async def measure_recovery(bench: JobBench) -> dict[str, list[dict[str, Any]]]:
    """Kill a worker in the middle of a job, while another one has nothing to do, and wait until the job runs again."""
    stuck = Contender("Rustforge", OURS, bench.scale.recovery)
    if stuck not in bench.take([stuck]):
        return {"recovery": []}
    found = []
    for _ in bench.rounds("Killed worker", 75):
        async with server() as started, Crew(stuck, started.url) as holder:
            async with Maker(stuck, started.url, 1, tasks=1) as maker:
                await maker.ready()
                await maker.enqueue()
            await holder.until(1)
            async with Crew(stuck, started.url) as other:
                await asyncio.sleep(START_SECONDS)
                holder.kill()
                killed = time.time_ns()
                ran = await other.until(1)
                found.append((ran.first - killed) / 1e9)
    return {"recovery": [{"client": stuck.label, "key": stuck.key, "seconds": summarise(found, 2)}]}
