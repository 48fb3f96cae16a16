"""Stampedes across real processes, some of which are killed or stopped."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.cache import Cache
from rustforge.cache.entry import Entry
from tests.acceptance.workers.stampede import LEASE, SHAPES
from tests.support.servers import RedisServer
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.processes import Crew, Worker
    from tests.support.servers import RedisCluster

PROCESSES = 4
CALLERS = 1_000


@dataclass
class Stampede:
    """Several processes that are about to ask for the same key."""

    workers: list[Worker]
    cache: Cache
    prefix: str

    async def holder(self) -> Worker:
        """Wait for the worker whose factory runs."""
        await wait_until(lambda: any(worker.has_said("holding") for worker in self.workers), timeout=20)
        return next(worker for worker in self.workers if worker.has_said("holding"))

    def others(self, holder: Worker) -> list[Worker]:
        """Return the workers that wait."""
        return [worker for worker in self.workers if worker is not holder]

    def start(self, *, cancels: bool = False) -> None:
        """Let all processes ask."""
        for worker in self.workers:
            worker.tell(cancels=cancels)

    async def let_go(self) -> None:
        """Let the factories return."""
        await self.cache.client.call("SET", f"{self.prefix}:go", 1, retry=True)

    async def calls(self) -> int:
        """Return how often a factory was called in all processes."""
        return int(await self.cache.client.call("GET", f"{self.prefix}:calls") or 0)

    async def results(self, workers: list[Worker]) -> list[dict[str, Any]]:
        """Wait until these workers are done."""
        return await asyncio.gather(*[worker.hear("done") for worker in workers])


@contextlib.asynccontextmanager
async def gather(
    crew: Crew, url: str, prefix: str, shape: str = "plain", *, hang: int | None = None
) -> AsyncIterator[Stampede]:
    """Wait until each process is ready to ask."""
    async with Cache.connect(url, prefix=prefix) as cache:
        if hang is not None:
            await cache.client.call("SET", f"{prefix}:hang", hang)
        if shape == "refresh":
            stale = Entry(b"0", window=60_000, soft=True).pack(None)
            await cache.client.call("SET", f"{prefix}:key", stale, "PX", 30_000)
        workers = crew.gather(PROCESSES)
        for worker in workers:
            worker.order(do="ask", url=url, prefix=prefix, callers=CALLERS, shape=shape)
        for worker in workers:
            await worker.hear("ready")
        yield Stampede(workers, cache, prefix)
        await finish(workers)


async def finish(workers: list[Worker]) -> None:
    """Wait until the workers that are done have closed everything."""
    for worker in workers:
        if worker.has_said("done"):
            await worker.hear("idle")


def url_of(request: pytest.FixtureRequest, name: str) -> str:
    """Return the URL of a session's server or cluster."""
    place: RedisServer | RedisCluster = request.getfixturevalue(name)
    return place.url


@pytest.mark.parametrize("place", ["redis_server", "redis_cluster"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_many_processes_compute_once(
    crew: Crew, request: pytest.FixtureRequest, prefix: str, place: str, shape: str
) -> None:
    """1,000 callers in each of four processes miss at once: one factory runs, and everybody gets its value."""
    async with gather(crew, url_of(request, place), prefix, shape) as stampede:
        stampede.start()
        await stampede.holder()
        await stampede.let_go()
        results = await stampede.results(stampede.workers)

        assert [(result["values"], result["count"]) for result in results] == [([1], CALLERS)] * PROCESSES
        assert await stampede.calls() == 1


@pytest.mark.parametrize("shape", SHAPES)
async def test_killed_holder_is_replaced_once(crew: Crew, redis_server: RedisServer, prefix: str, shape: str) -> None:
    """The process whose factory runs is killed: exactly one more factory runs, within the lease and a second."""
    async with gather(crew, redis_server.url, prefix, shape, hang=1) as stampede:
        stampede.start()
        holder = await stampede.holder()
        others = stampede.others(holder)
        await stampede.let_go()
        killed = time.monotonic()
        holder.kill()
        results = await stampede.results(others)

        assert time.monotonic() - killed < LEASE + 1
        assert [(result["values"], result["count"]) for result in results] == [([2], CALLERS)] * (PROCESSES - 1)
        assert await stampede.calls() == 2


@pytest.mark.parametrize("shape", SHAPES)
async def test_late_result_of_a_stopped_holder_is_not_stored(
    crew: Crew, redis_server: RedisServer, prefix: str, shape: str
) -> None:
    """A holder that stood still for longer than its lease cannot store what it computed, and takes the newer value."""
    async with gather(crew, redis_server.url, prefix, shape) as stampede:
        stampede.start()
        holder = await stampede.holder()
        holder.stop()
        others = stampede.others(holder)
        await wait_until(lambda: _two_calls(stampede), timeout=LEASE + 5)
        await stampede.let_go()
        results = await stampede.results(others)
        stored = await stampede.cache.get_json("key", int)
        holder.resume()
        (late,) = await stampede.results([holder])

        assert [(result["values"], result["count"]) for result in results] == [([2], CALLERS)] * (PROCESSES - 1)
        assert stored == 2
        assert await stampede.cache.get_json("key", int) == 2
        assert (late["values"], late["count"]) == ([2], CALLERS)
        assert await stampede.calls() == 2


@pytest.mark.parametrize("shape", ["plain", "refresh"])
async def test_cancelled_holder_is_replaced_at_once(
    crew: Crew, redis_server: RedisServer, prefix: str, shape: str
) -> None:
    """All callers of the process whose factory runs give up: another one computes, without waiting for the lease."""
    async with gather(crew, redis_server.url, prefix, shape, hang=1) as stampede:
        first, *others = stampede.workers
        first.tell(cancels=True)
        await first.hear("holding")
        for worker in others:
            worker.tell(cancels=False)
        await stampede.let_go()
        first.tell(now="cancel")
        results = await stampede.results(others)

        assert [(result["values"], result["count"]) for result in results] == [([2], CALLERS)] * (PROCESSES - 1)
        assert (await first.hear("done"))["count"] == 0
        assert await stampede.calls() == 2


async def test_scripts_may_be_flushed_during_the_computation(
    crew: Crew, redis_server: RedisServer, prefix: str
) -> None:
    """SCRIPT FLUSH while the factory runs changes nothing: one factory runs, and its value is stored."""
    async with gather(crew, redis_server.url, prefix) as stampede:
        stampede.start()
        await stampede.holder()
        await stampede.cache.client.call("SCRIPT", "FLUSH")
        await stampede.let_go()
        results = await stampede.results(stampede.workers)

        assert [result["values"] for result in results] == [[1]] * PROCESSES
        assert await stampede.cache.get_json("key", int) == 1
        assert await stampede.calls() == 1


@pytest.mark.parametrize("shape", ["plain", "tagged"])
async def test_redis_may_restart_during_the_computation(crew: Crew, prefix: str, shape: str) -> None:
    """A Redis that keeps its data is killed and comes back: the lease is still there, and one factory runs."""
    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as server:
        async with gather(crew, server.url, prefix, shape) as stampede:
            stampede.start()
            await stampede.holder()
            server.restart()
            await stampede.let_go()
            results = await stampede.results(stampede.workers)

            assert [(result["values"], result["count"]) for result in results] == [([1], CALLERS)] * PROCESSES
            assert await stampede.calls() == 1


async def test_removal_during_the_computation_wins_across_processes(
    crew: Crew, redis_server: RedisServer, prefix: str
) -> None:
    """A value removed by another process while it is computed is not stored; callers that come later get a new one."""
    async with gather(crew, redis_server.url, prefix) as stampede:
        first, later, *rest = stampede.workers
        first.tell(cancels=False)
        await first.hear("holding")
        await stampede.cache.forget("key")
        later.tell(cancels=False)
        await later.hear("holding")
        await stampede.let_go()
        await stampede.results([first])

        assert (await later.hear("done"))["values"] == [2]
        assert await stampede.cache.get_json("key", int) == 2
        for worker in rest:
            worker.tell(cancels=False)
        assert [result["values"] for result in await stampede.results(rest)] == [[2]] * len(rest)


async def _two_calls(stampede: Stampede) -> bool:
    return await stampede.calls() == 2
