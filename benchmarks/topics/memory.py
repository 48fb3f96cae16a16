"""What it weighs: a cache with its connection, commands that wait, and values in the near cache."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench, Contender
from benchmarks.children import Child, ChildError, run
from benchmarks.clients import find
from benchmarks.server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENDERS = (Contender("Rustforge", "rustforge", "open_one"), Contender("redis-py", "redis_py", "open_one"))
QUESTIONS = {
    "object": "A client with one open connection",
    "busy": "A client that has served 100 concurrent tasks",
    "queued": "{queued:,} GETs queued, none sent yet",
    "waiting": "{queued:,} tasks that wait in a GET, tasks included",
}
NEAR = {
    "near_entry": "One value of 1,000 bytes in the near cache",
    "near_bound": "A near cache bounded to 8 MiB, after reading more than that",
}
BOUND = 8 << 20
VALUE = "n" * 1000


async def measure(bench: Bench) -> list[dict[str, Any]]:
    """Ask every question about every client, each in a new process; Python's own account of its memory answers."""
    rows = []
    sizes = {"objects": bench.scale.objects, "queued": bench.scale.queued, "entries": bench.scale.entries}
    with RedisServer() as server:
        contenders = bench.take(CONTENDERS)
        questions = [(name, label, contender) for name, label in QUESTIONS.items() for contender in contenders]
        questions += [(name, label, CONTENDERS[0]) for name, label in NEAR.items()]
        for name, label, contender in questions:
            try:
                async with Child("memory", module=contender.module, what=name, url=server.url, **sizes) as child:
                    size = round(await child.result())
            except ChildError as error:
                bench.skipped[f"{contender.label}: {name}"] = str(error)
            else:
                rows.append({"what": name, "label": label.format(**sizes), "client": contender.label, "bytes": size})
    return rows


def work(*, module: str, what: str, url: str, objects: int, queued: int, entries: int) -> float:
    """In a child: answer one question."""

    async def answer() -> float:
        match what:
            case "object":
                return await _weigh_object(module, url, objects)
            case "busy":
                return await _weigh_busy(module, url)
            case "queued":
                return await _weigh_queued(module, url, queued)
            case "waiting":
                return await _weigh_waiting(module, url, queued)
            case "near_entry":
                return await _weigh_near(url, entries, max_entries=entries, max_bytes=1 << 30) / entries
            case _:
                return await _weigh_near(url, max(entries, 2), max_entries=1 << 30, max_bytes=BOUND)

    return run(answer())


def _begin() -> int:
    gc.collect()
    tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def _grown(before: int) -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


async def _weigh_object(module: str, url: str, count: int) -> float:
    open_one: Callable[[str], Any] = find(module, "open_one")
    first = await open_one(url)  # what all of them share is not counted
    before = _begin()
    clients = [await open_one(url) for _ in range(count)]
    weight = _grown(before) / count
    for client in (first, *clients):
        await client.aclose()
    return weight


async def _weigh_busy(module: str, url: str) -> float:
    open_one: Callable[[str], Any] = find(module, "open_one")
    first = await open_one(url)
    before = _begin()
    client = await open_one(url)
    read = find(module, "read_of")(client)
    await asyncio.gather(*[read(f"page:{number}") for number in range(100)])
    weight = _grown(before)
    await first.aclose()
    await client.aclose()
    return weight


async def _weigh_queued(module: str, url: str, count: int) -> float:
    _, finish = await find(module, "queue")(url, 10)
    await finish()
    before = _begin()
    _, finish = await find(module, "queue")(url, count)
    weight = tracemalloc.get_traced_memory()[0] - before
    await finish()
    return weight


async def _weigh_waiting(module: str, url: str, count: int) -> float:
    client = await find(module, "open_one")(url)
    read = find(module, "read_of")(client)
    await asyncio.gather(*[read(f"page:{number}") for number in range(200)])
    before = _begin()
    await asyncio.gather(*[read(f"page:{number}") for number in range(count)])
    weight = tracemalloc.get_traced_memory()[1] - before
    await client.aclose()
    return weight


async def _weigh_near(url: str, entries: int, *, max_entries: int, max_bytes: int) -> float:
    """Weigh what the near cache holds after every value was read; only Rustforge is asked."""
    from rustforge.cache import Cache, NearCache  # noqa: PLC0415 - the other clients' processes do not need it

    keys = [f"page:{number}" for number in range(entries)]
    async with Cache.connect(
        url, prefix="bench", near=NearCache(max_entries=max_entries, max_bytes=max_bytes)
    ) as cache:
        await cache.put_many(dict.fromkeys(keys, VALUE))
        before = _begin()
        for start in range(0, entries, 100):
            await asyncio.gather(*[cache.get(key) for key in keys[start : start + 100]])
        return _grown(before)
