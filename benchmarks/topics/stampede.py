"""Many callers miss the same key in several processes: how often is it computed, and when has everybody the value?"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench, Contender, summarise
from benchmarks.children import Child, ChildError, run, say
from benchmarks.clients import find
from benchmarks.data import Miss
from benchmarks.server import RedisServer, ask

if TYPE_CHECKING:
    from benchmarks.scale import Scale

COMPUTING = "computing"
PATIENCE = 30.0
"""How long a caller waits for its value."""
VALUE = "v" * 1000
ALL_WELL = (
    Contender("Rustforge remember", "rustforge", "stampede"),
    Contender("cashews @cache(lock=True)", "cashews", "stampede"),
    Contender("aiocache @cached_stampede", "aiocache", "stampede"),
    Contender("redis-py GET, SET", "redis_py", "stampede"),
)
HOLDER_KILLED = ALL_WELL[:3]


async def measure(bench: Bench) -> list[dict[str, Any]]:
    """Let them all miss at once; then again, killing the process that computes in the middle of it."""
    with RedisServer() as server:
        return [
            *await _measure(bench, server, ALL_WELL, kill=False),
            *await _measure(bench, server, HOLDER_KILLED, kill=True),
        ]


async def _measure(
    bench: Bench, server: RedisServer, all_contenders: tuple[Contender, ...], *, kill: bool
) -> list[dict[str, Any]]:
    contenders = bench.take(all_contenders)
    found: dict[Contender, list[dict[str, float]]] = {contender: [] for contender in contenders}
    for _ in bench.rounds("Holder killed" if kill else "Missing key", 65 if kill else 50):
        for contender in tuple(contenders):
            ask(server.port, ("FLUSHALL",))
            try:
                found[contender].append(await _miss_at_once(bench.scale, contender, server.url, kill=kill))
            except ChildError as error:
                bench.drop(contenders, contender, error)
    return [
        {
            "client": contender.label,
            "key": contender.key,
            "holder_killed": kill,
            **{name: summarise([one[name] for one in found[contender]], 3) for name in found[contender][0]},
        }
        for contender in contenders
    ]


async def _miss_at_once(scale: Scale, contender: Contender, url: str, *, kill: bool) -> dict[str, float]:
    """Start the processes, let them begin together, and count."""
    options = {"callers": scale.callers, "factory_seconds": scale.factory_seconds, "lease": scale.lease_seconds}
    if kill:  # there must be time to kill it in
        options["factory_seconds"] = scale.factory_seconds * 2
    async with AsyncExitStack() as stack:
        children = [
            await stack.enter_async_context(
                Child("stampede", url=url, module=contender.module, function=contender.function, **options)
            )
            for _ in range(scale.processes)
        ]
        await asyncio.gather(*[child.wait_for("ready") for child in children])
        began = time.monotonic()
        for child in children:
            child.send("go")
        counted = children
        if kill:
            holder = await _first_to_compute(children)
            await asyncio.sleep(scale.factory_seconds / 2)
            holder.kill()
            while await holder.line() is not None:
                pass
            counted = [child for child in children if child is not holder]
        results = [await child.result() for child in counted]
    return {
        "factory_calls": sum(child.lines.count(COMPUTING) for child in children),
        "errors": sum(result["errors"] for result in results),
        "seconds": max(result["ended"] for result in results) - began,
    }


async def _first_to_compute(children: list[Child]) -> Child:
    """Wait until a process computes the value."""
    waiting = {asyncio.create_task(child.wait_for(COMPUTING)): child for child in children}
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*done)
    return waiting[done.pop()]


def work(*, url: str, module: str, function: str, callers: int, factory_seconds: float, lease: int) -> dict[str, float]:
    """In a child: many tasks ask for the same value."""

    async def factory() -> str:
        say(COMPUTING)
        await asyncio.sleep(factory_seconds)
        return VALUE

    async def miss() -> dict[str, float]:
        async with find(module, function)(url, Miss("page:1", factory, lease)) as read:
            say("ready")
            await asyncio.to_thread(sys.stdin.readline)
            answers = await asyncio.gather(
                *[asyncio.wait_for(read(), PATIENCE) for _ in itertools.repeat(None, callers)], return_exceptions=True
            )
            return {"ended": time.monotonic(), "errors": sum(answer != VALUE for answer in answers)}

    return run(miss())
