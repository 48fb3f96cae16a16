"""The processes that enqueue and that work, each in the environment of its queue.

python -m benchmarks.jobs.child '{"role": "work", "module": "arq", ...}'
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from benchmarks.jobs.adapter import TALLY, run

if TYPE_CHECKING:
    from benchmarks.jobs.adapter import Producer

RESULT = "result "
READY = "ready"
BULK = 1_000
"""How many jobs one bulk call adds."""
PROGRESS_SECONDS = 5.0
"""How often a long fill says that it goes on."""


def say(word: str) -> None:
    """Tell the parent something now."""
    print(word, flush=True)


def work(*, module: str, variant: str, url: str, concurrency: int, delays: bool) -> None:
    """Run a worker until SIGTERM."""
    adapter = import_module(f"benchmarks.jobs.peers.{module}")
    TALLY.start(delays=delays)
    adapter.work(url, variant, concurrency)


def produce(*, module: str, variant: str, url: str, **plan: Any) -> dict[str, float]:
    """Connect, wait to be told, and do what the plan says."""
    adapter = import_module(f"benchmarks.jobs.peers.{module}")

    async def connect_and_go() -> dict[str, float]:
        async with adapter.produce(url, variant) as producer:
            say(READY)
            await asyncio.to_thread(sys.stdin.readline)
            return await _follow(producer, **plan)

    found: dict[str, float] = run(connect_and_go())
    return found


async def _follow(
    producer: Producer, *, warm_up: int, count: int, tasks: int, bulk: bool, pause: float
) -> dict[str, float]:
    """Enqueue a few and then so many jobs, and time the latter.

    Returns:
        The seconds that it took; -1 where the queue cannot do it.
    """
    if bulk and producer.bulk is None:
        return {"seconds": -1.0}
    way = _paced if pause else _bulk if bulk else _blocking if producer.blocking else _concurrent
    await way(producer, warm_up, tasks, pause)
    began = time.perf_counter()
    await way(producer, count, tasks, pause)
    return {"seconds": time.perf_counter() - began}


async def _concurrent(producer: Producer, count: int, tasks: int, pause: float) -> None:
    """Enqueue from many tasks, each of which waits for the acknowledgement of one job before it adds the next."""
    del pause
    numbers = iter(range(count))

    async def one() -> None:
        for _ in numbers:
            await producer.enqueue(time.time_ns())

    await asyncio.gather(*[one() for _ in range(tasks)])


async def _blocking(producer: Producer, count: int, tasks: int, pause: float) -> None:
    """Enqueue one job after the other, as the queue knows no asyncio."""
    del tasks, pause
    for _ in range(count):
        producer.enqueue(time.time_ns())


async def _bulk(producer: Producer, count: int, tasks: int, pause: float) -> None:
    """Enqueue many jobs by each call."""
    del tasks, pause
    assert producer.bulk is not None
    told = time.monotonic()
    for start in range(0, count, BULK):
        added = producer.bulk([time.time_ns() for _ in range(min(BULK, count - start))])
        if not producer.blocking:
            await added
        if time.monotonic() > told + PROGRESS_SECONDS:
            told = time.monotonic()
            say(f"filled {start}")


async def _paced(producer: Producer, count: int, tasks: int, pause: float) -> None:
    """Enqueue a job, wait a little, and so on."""
    del tasks
    for _ in range(count):
        added = producer.enqueue(time.time_ns())
        if not producer.blocking:
            await added
        await asyncio.sleep(pause)


def main() -> None:
    """Be the child: do what the role asks."""
    logging.basicConfig(level=logging.WARNING)
    options = json.loads(sys.argv[1])
    role = options.pop("role")
    if role == "work":
        work(**options)
    else:
        say(RESULT + json.dumps(produce(**options)))


if __name__ == "__main__":
    main()
