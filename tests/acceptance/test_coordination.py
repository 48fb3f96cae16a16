"""Locks, limits and near caches across real processes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rustforge.cache import Cache
from tests.acceptance.workers.stampede import LEASE

if TYPE_CHECKING:
    from tests.support.processes import Crew, Worker
    from tests.support.servers import RedisServer

PROCESSES = 3


async def started(crew: Crew, count: int, **order: Any) -> list[Worker]:
    """Give workers an order, and let them start together."""
    workers = crew.gather(count)
    for worker in workers:
        worker.order(**order)
    for worker in workers:
        await worker.hear("ready")
    for worker in workers:
        worker.tell()
    return workers


async def test_a_lock_excludes_other_processes(crew: Crew, redis_server: RedisServer, prefix: str) -> None:
    """What is read and written under a lock loses no update, however many processes do it."""
    workers = await started(crew, PROCESSES, do="lock", url=redis_server.url, prefix=prefix, turns=30, hold=False)
    for worker in workers:
        await worker.hear("idle")
    async with Cache.connect(redis_server.url, prefix=prefix) as cache:
        assert await cache.get("count") == str(PROCESSES * 30)
        assert await cache.lock("l", wait=0).acquire() is True
        await cache.client.call("UNLINK", f"{prefix}~lock:l")


async def test_a_lock_is_free_when_its_owner_is_killed(crew: Crew, redis_server: RedisServer, prefix: str) -> None:
    """The owner's process is killed: the lock stays with it for the rest of its lease, and not longer."""
    (owner,) = await started(crew, 1, do="lock", url=redis_server.url, prefix=prefix, turns=1, hold=True)
    await owner.hear("inside")
    async with Cache.connect(redis_server.url, prefix=prefix) as cache:
        assert await cache.lock("l", wait=LEASE * 1.2).acquire() is False  # it is renewed
        owner.kill()
        killed = time.monotonic()
        async with cache.lock("l"):
            assert time.monotonic() - killed < LEASE + 1


async def test_a_limit_holds_across_processes(crew: Crew, redis_server: RedisServer, prefix: str) -> None:
    """Together the processes are allowed exactly the limit."""
    order = {"do": "limit", "url": redis_server.url, "prefix": prefix, "calls": 500, "allowed": 100, "per": 3600}
    workers = await started(crew, PROCESSES, **order)
    results = [await worker.hear("done") for worker in workers]
    assert sum(result["allowed"] for result in results) == 100
    for worker in workers:
        await worker.hear("idle")


async def test_a_near_cache_hears_of_another_process(crew: Crew, redis_server: RedisServer, prefix: str) -> None:
    """A process that reads from its own memory sees every write of another one soon, and never goes back."""
    writes = 300
    workers = await started(crew, 2, do="read", url=redis_server.url, prefix=prefix, last=writes)
    async with Cache.connect(redis_server.url, prefix=prefix) as cache:
        for number in range(1, writes + 1):
            await cache.set("number", str(number))
        written = time.monotonic()
        results = [await worker.hear("done") for worker in workers]
        assert time.monotonic() - written < 1
        assert [result["backwards"] for result in results] == [0, 0]
        assert min(result["near_hits"] for result in results) > 0
    for worker in workers:
        await worker.hear("idle")
