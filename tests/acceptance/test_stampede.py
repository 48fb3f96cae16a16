"""Stampedes across real processes, some of which are killed or stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.cache import Cache
from tests.acceptance.workers.stampede import LEASE, SHAPES
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.servers import RedisCluster, RedisServer

PROCESSES = 4
CALLERS = 1_000
ROOT = Path(__file__).parents[2]


@dataclass
class Worker:
    """One process of the stampede."""

    process: asyncio.subprocess.Process

    async def hear(self, word: str) -> dict[str, Any]:
        """Read lines until one has the word."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while True:
                line = await self.process.stdout.readline()
                assert line, f"the process ended before it said {word!r}"
                said: dict[str, Any] = json.loads(line)
                if said["word"] == word:
                    return said

    def start(self) -> None:
        """Let the process ask."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")


@dataclass
class Stampede:
    """Several processes that are about to ask for the same key."""

    workers: list[Worker]
    cache: Cache
    prefix: str

    async def holder(self) -> Worker:
        """Return the worker whose factory runs; the others go on listening for what they say later."""
        hearing = {asyncio.create_task(worker.hear("holding")): worker for worker in self.workers}
        done, pending = await asyncio.wait(hearing, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        (task,) = done
        return hearing[task]

    async def let_go(self) -> None:
        """Let the factories return."""
        await self.cache.client.call("SET", f"{self.prefix}:go", 1)

    async def calls(self) -> int:
        """Return how often a factory was called in all processes."""
        return int(await self.cache.client.call("GET", f"{self.prefix}:calls") or 0)

    async def results(self, workers: list[Worker]) -> list[dict[str, Any]]:
        """Wait until these workers are done."""
        return await asyncio.gather(*[worker.hear("done") for worker in workers])


@contextlib.asynccontextmanager
async def gather(url: str, prefix: str, shape: str, *, hang: int | None = None) -> AsyncIterator[Stampede]:
    """Start the processes and wait until each is ready to ask."""
    arguments = ["-m", "tests.acceptance.workers.stampede", url, prefix, str(CALLERS), shape]
    async with Cache.connect(url, prefix=prefix) as cache:
        if hang is not None:
            await cache.client.call("SET", f"{prefix}:hang", hang)
        workers = [
            Worker(
                await asyncio.create_subprocess_exec(
                    sys.executable, *arguments, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
                )
            )
            for _ in range(PROCESSES)
        ]
        try:
            for worker in workers:
                await worker.hear("ready")
            yield Stampede(workers, cache, prefix)
        finally:
            for worker in workers:
                if worker.process.returncode is None:
                    worker.process.kill()
                await worker.process.communicate()


def url_of(request: pytest.FixtureRequest, name: str) -> str:
    """Return the URL of a session's server or cluster."""
    place: RedisServer | RedisCluster = request.getfixturevalue(name)
    return place.url


@pytest.mark.parametrize("place", ["redis_server", "redis_cluster"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_many_processes_compute_once(request: pytest.FixtureRequest, prefix: str, place: str, shape: str) -> None:
    """1,000 callers in each of four processes miss at once: one factory runs, and everybody gets its value."""
    async with gather(url_of(request, place), prefix, shape) as stampede:
        for worker in stampede.workers:
            worker.start()
        await stampede.holder()
        await stampede.let_go()
        results = await stampede.results(stampede.workers)

        assert [(result["values"], result["count"]) for result in results] == [([1], CALLERS)] * PROCESSES
        assert await stampede.calls() == 1


@pytest.mark.parametrize("shape", SHAPES)
async def test_killed_holder_is_replaced_once(redis_server: RedisServer, prefix: str, shape: str) -> None:
    """The process whose factory runs is killed: exactly one more factory runs, within the lease and a second."""
    async with gather(redis_server.url, prefix, shape, hang=1) as stampede:
        for worker in stampede.workers:
            worker.start()
        holder = await stampede.holder()
        await stampede.let_go()
        killed = time.monotonic()
        holder.process.kill()
        others = [worker for worker in stampede.workers if worker is not holder]
        results = await stampede.results(others)

        assert time.monotonic() - killed < LEASE + 1
        assert [(result["values"], result["count"]) for result in results] == [([2], CALLERS)] * (PROCESSES - 1)
        assert await stampede.calls() == 2


@pytest.mark.parametrize("shape", SHAPES)
async def test_late_result_of_a_stopped_holder_is_not_stored(
    redis_server: RedisServer, prefix: str, shape: str
) -> None:
    """A holder that stood still for longer than its lease cannot store what it computed, and takes the newer value."""
    async with gather(redis_server.url, prefix, shape) as stampede:
        for worker in stampede.workers:
            worker.start()
        holder = await stampede.holder()
        holder.process.send_signal(signal.SIGSTOP)
        others = [worker for worker in stampede.workers if worker is not holder]
        await wait_until(lambda: _two_calls(stampede), timeout=LEASE + 5)
        await stampede.let_go()
        results = await stampede.results(others)
        stored = await stampede.cache.get_json("key", int)
        holder.process.send_signal(signal.SIGCONT)
        late = (await stampede.results([holder]))[0]

        assert [result["values"] for result in results] == [[2]] * (PROCESSES - 1)
        assert stored == 2
        assert await stampede.cache.get_json("key", int) == 2
        assert late["count"] == CALLERS
        assert set(late["values"]) <= {1, 2}
        assert await stampede.calls() == 2


async def test_scripts_may_be_flushed_during_the_computation(redis_server: RedisServer, prefix: str) -> None:
    """SCRIPT FLUSH while the factory runs changes nothing: one factory runs, and its value is stored."""
    async with gather(redis_server.url, prefix, "plain") as stampede:
        for worker in stampede.workers:
            worker.start()
        await stampede.holder()
        await stampede.cache.client.call("SCRIPT", "FLUSH")
        await stampede.let_go()
        results = await stampede.results(stampede.workers)

        assert [result["values"] for result in results] == [[1]] * PROCESSES
        assert await stampede.cache.get_json("key", int) == 1
        assert await stampede.calls() == 1


async def test_removal_during_the_computation_wins_across_processes(redis_server: RedisServer, prefix: str) -> None:
    """A value removed by another process while it is computed is not stored; callers that come later get a new one."""
    async with gather(redis_server.url, prefix, "plain") as stampede:
        first = stampede.workers[0]
        first.start()
        await first.hear("holding")
        await stampede.cache.forget("key")
        later = stampede.workers[1]
        later.start()
        await later.hear("holding")
        await stampede.let_go()
        await stampede.results([first])

        assert (await stampede.results([later]))[0]["values"] == [2]
        assert await stampede.cache.get_json("key", int) == 2


async def _two_calls(stampede: Stampede) -> bool:
    return await stampede.calls() == 2
