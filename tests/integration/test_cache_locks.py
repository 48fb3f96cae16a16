"""Locks and rate limits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rustforge.cache import Cache, RateLimit
from rustforge.clock import ManualClock
from rustforge.errors import InvalidArgumentError, LockLostError, LockTimeoutError, RedisTimeoutError
from rustforge.redis import RedisUrl
from rustforge.redis.memory import MemoryClient
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from tests.support.caches import Backend


def key_of(cache: Cache, name: str = "l") -> str:
    """Return the key of a lock in Redis."""
    return f"{cache.prefix}~lock:{name}"


def enqueued(cache: Cache, count: int) -> bool:
    """Tell whether so many waiters in this process listen for their lock."""
    return sum(len(events) for events in cache._watcher._events.values()) >= count


# -- locks -------------------------------------------------------------------------------------------------------------


async def test_one_owner_at_a_time(backend: Backend) -> None:
    """Of many tasks in two processes, one at a time is inside, and each gets its turn."""
    caches = [await backend.connect() for _ in range(2)]
    inside = 0
    turns = 0

    async def work(cache: Cache) -> None:
        nonlocal inside, turns
        async with cache.lock("l"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            await cache.set("a", "1")
            inside -= 1
            turns += 1

    await asyncio.gather(*[work(cache) for cache in caches for _ in range(15)])
    assert turns == 30
    assert await caches[0].client.call("EXISTS", key_of(caches[0])) == 0


async def test_names_are_apart(cache: Cache) -> None:
    """Locks of different names, and a value of the same name, have nothing to do with each other."""
    async with cache.lock("a", wait=0), cache.lock("b", wait=0):
        await cache.set("a", "1")
        assert await cache.delete("a") is True
        assert await cache.flush_all() == 0
        assert await cache.lock("a", wait=0).acquire() is False


@pytest.mark.parametrize("wait", [0, 0.05, timedelta(0), timedelta(milliseconds=50)], ids=repr)
async def test_waiting_ends(backend: Backend, wait: float | timedelta) -> None:
    """When the owner keeps the lock, `acquire` says no after the wait, and `async with` raises."""
    one, other = await backend.connect(), await backend.connect()
    async with one.lock("l"):
        lock = other.lock("l", wait=wait)
        assert await lock.acquire() is False
        assert lock.held is False
        with pytest.raises(LockTimeoutError, match="lock 'l' stayed with another owner for 0"):
            async with other.lock("l", wait=wait):
                pytest.fail("it was taken")
        with pytest.raises(TimeoutError):
            await other.lock("l", wait=wait).__aenter__()


async def test_a_release_wakes_who_waits(backend: Backend) -> None:
    """Waiters, in this process and in others, do not poll: they are woken by the release."""
    one, other = await backend.connect(), await backend.connect()
    lock = one.lock("l", lease=60)
    await lock.acquire()
    for cache in (one, other):
        waiter = asyncio.create_task(cache.lock("l").acquire())
        await wait_until(lambda cache=cache: enqueued(cache, 1))  # type: ignore[misc]
        await asyncio.sleep(0.02)  # it has asked, and listens
        before = cache.client.statistics()["commands"]
        await asyncio.sleep(0.1)
        assert cache.client.statistics()["commands"] == before
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)

    async def follow() -> None:
        async with other.lock("l"):
            pass

    follower = asyncio.create_task(follow())
    await wait_until(lambda: enqueued(other, 1))
    await lock.release()
    async with asyncio.timeout(0.9):
        await follower


async def test_the_lease_is_renewed(backend: Backend) -> None:
    """The owner keeps the lock for many times its lease."""
    one, other = await backend.connect(), await backend.connect()
    async with one.lock("l", lease=0.15) as lock:
        assert await other.lock("l", wait=0.5).acquire() is False
        assert lock.held is True
    assert lock.held is False


async def test_a_lease_that_is_lost(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """When the lock was taken away, the owner sees it, and the release says so; the new owner keeps it."""
    one, other = await backend.connect(), await backend.connect()
    lock = one.lock("l", lease=0.15)
    await lock.acquire()
    assert lock.held is True
    await one.client.call("UNLINK", key_of(one))
    async with other.lock("l"):
        await wait_until(lambda: not lock.held)
        with pytest.raises(LockLostError, match="lease of lock 'l' was lost"):
            await lock.release()
        assert await one.lock("l", wait=0).acquire() is False
    assert "the lease of lock 'l' was lost" in caplog.text


async def test_a_lost_lease_at_the_end_of_a_block(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    """The block's own error is not replaced by the lock's; without one, the lost lease is the error."""

    async def work(error: Exception | None) -> None:
        async with cache.lock("l"):
            await cache.client.call("UNLINK", key_of(cache))
            if error is not None:
                raise error

    with pytest.raises(LockLostError):
        await work(None)
    with pytest.raises(ZeroDivisionError), caplog.at_level(logging.ERROR):
        await work(ZeroDivisionError())
    assert "lock 'l' could not be released cleanly" in caplog.text


async def test_an_error_in_the_block_releases(cache: Cache) -> None:
    """Whatever happens inside, the lock is free afterwards."""
    with pytest.raises(ZeroDivisionError):
        async with cache.lock("l"):
            raise ZeroDivisionError
    assert await cache.client.call("EXISTS", key_of(cache)) == 0


async def test_wrong_use(cache: Cache) -> None:
    """A lock is taken once and released once; it can be taken again."""
    lock = cache.lock("l")
    with pytest.raises(InvalidArgumentError, match="is not held"):
        await lock.release()
    for _ in range(2):
        assert await lock.acquire() is True
        with pytest.raises(InvalidArgumentError, match="already held by this object"):
            await lock.acquire()
        await lock.release()
    with pytest.raises(InvalidArgumentError, match="is not held"):
        await lock.release()
    for wait in (-1, math.nan, True, "1"):
        with pytest.raises(ValueError):
            cache.lock("l", wait=wait)  # type: ignore[arg-type]


async def test_cancelled_at_any_moment(backend: Backend) -> None:
    """However far it has come, a cancelled attempt or block leaves nothing for others to wait for."""
    one, other = await backend.connect(), await backend.connect()

    async def work() -> None:
        async with one.lock("l", lease=60):
            await asyncio.sleep(0)

    for ticks in range(16):
        task = asyncio.create_task(work())
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        async with asyncio.timeout(0.9), other.lock("l", lease=60):
            pass


async def test_cancelled_while_waiting(backend: Backend) -> None:
    """A waiter that gives up takes nothing with it; the next one gets the lock."""
    one, other = await backend.connect(), await backend.connect()
    async with one.lock("l"):
        waiter = asyncio.create_task(other.lock("l").acquire())
        await wait_until(lambda: enqueued(other, 1))
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert other._watcher._events == {}
    assert await one.client.call("EXISTS", key_of(one)) == 0


async def test_cancelled_during_the_release(backend: Backend) -> None:
    """A caller that is cancelled while it gives the lock back gives it back all the same."""
    one, other = await backend.connect(), await backend.connect()
    for ticks in range(4):
        lock = one.lock("l", lease=60)
        await lock.acquire()
        task = asyncio.create_task(lock.release())
        for _ in range(ticks + 1):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(0.9), other.lock("l", lease=60):
            pass


async def test_a_lock_does_not_outlive_its_connection(backend: Backend) -> None:
    """A lock that nobody released when the cache was closed stops renewing, and is free after its lease."""
    one, other = await backend.connect(), await backend.connect()
    lock = one.lock("l", lease=0.15)
    await lock.acquire()
    await one.aclose()
    assert lock._renewal is not None
    async with asyncio.timeout(2):
        await asyncio.wait([lock._renewal])
        async with other.lock("l"):
            assert lock.held is False


async def test_the_connection_is_lost_during_the_release(redis_server: RedisServer, prefix: str) -> None:
    """When the answer to the release is lost, the lock was given back: that is no lost lease."""
    async with (
        Proxy(redis_server.port) as proxy,
        Cache.connect(f"redis://127.0.0.1:{proxy.port}", prefix=prefix) as one,
        Cache.connect(redis_server.url, prefix=prefix) as other,
    ):
        async with one.lock("l"):
            pass  # the server knows the scripts now
        lock = one.lock("l", lease=60)
        await lock.acquire()
        proxy.on_pass = lambda _: proxy.stall()  # once the command went through
        release = asyncio.create_task(lock.release())
        async with asyncio.timeout(5), other.lock("l", lease=60):
            await proxy.cut()
            proxy.on_pass = lambda _: None
            proxy.flow()
            await release


async def test_a_time_out_while_acquiring(prefix: str) -> None:
    """When Redis answers too late, the attempt fails, and what it took after all is given back."""
    with RedisServer() as server:
        async with (
            Cache.connect(f"{server.url}?timeout=0.2", prefix=prefix) as slow,
            Cache.connect(server.url, prefix=prefix) as other,
        ):
            server.pause()
            with pytest.raises(RedisTimeoutError):
                await slow.lock("l", lease=60).acquire()
            server.resume()
            async with asyncio.timeout(5), other.lock("l", lease=60):
                pass


async def test_an_answer_that_comes_too_late(redis_server: RedisServer, prefix: str) -> None:
    """When Redis gave the lock and the answer took too long, the attempt fails and the lock is given back."""
    async with (
        Proxy(redis_server.port) as proxy,
        Cache.connect(f"redis://127.0.0.1:{proxy.port}?timeout=0.3", prefix=prefix) as slow,
        Cache.connect(redis_server.url, prefix=prefix) as other,
    ):
        async with slow.lock("l"):
            pass  # the server knows the scripts now
        proxy.on_pass = lambda _: proxy.stall()  # once the command went through
        attempt = asyncio.create_task(slow.lock("l", lease=60).acquire())
        await wait_until(lambda: other.client.call("EXISTS", key_of(other)))
        await wait_until(lambda: slow.client.statistics()["timeouts"] == 1)
        proxy.on_pass = lambda _: None
        proxy.flow()
        with pytest.raises(RedisTimeoutError):
            await attempt
        assert await other.client.call("EXISTS", key_of(other)) == 0


async def test_a_lost_connection_wakes_who_waits(redis_server: RedisServer, prefix: str) -> None:
    """A waiter asks anew over the next connection, as the server would not tell it of the release any more."""
    async with (
        Proxy(redis_server.port) as proxy,
        Cache.connect(f"redis://127.0.0.1:{proxy.port}", prefix=prefix) as one,
        Cache.connect(redis_server.url, prefix=prefix) as other,
    ):
        async with other.lock("l"):
            waiter = asyncio.create_task(one.lock("l", wait=0.9).acquire())
            await wait_until(lambda: enqueued(one, 1))
            await asyncio.sleep(0.02)  # it has asked, and listens
            await proxy.cut()
            await wait_until(lambda: proxy.accepted == 2, timeout=0.8)
        assert await waiter is True
        await one.client.call("UNLINK", key_of(one))


async def test_held_does_not_outlast_the_lease(prefix: str) -> None:
    """While Redis is away the owner cannot renew, so after its lease it does not claim the lock any more."""
    with RedisServer() as server:
        async with Cache.connect(server.url, prefix=prefix) as cache:
            lock = cache.lock("l", lease=0.3)
            await lock.acquire()
            server.kill()
            assert lock.held is True
            await wait_until(lambda: not lock.held, timeout=1)
            server.start()
            with pytest.raises(LockLostError):
                await lock.release()


# -- rate limits -------------------------------------------------------------------------------------------------------


async def test_a_limit(cache: Cache) -> None:
    """Up to the limit at once, then a refusal that says when to come back; other keys are not touched."""
    answers = [await cache.rate_limit("a", 3, 60) for _ in range(4)]
    assert [bool(answer) for answer in answers] == [True, True, True, False]
    assert [answer.remaining for answer in answers] == [2, 1, 0, 0]
    assert [answer.retry_after == 0 for answer in answers] == [True, True, True, False]
    assert 19 < answers[3].retry_after <= 20
    assert 59 < answers[3].reset_after <= 60
    assert {answer.limit for answer in answers} == {3}
    assert await cache.rate_limit("b", 3, timedelta(minutes=1))
    assert await cache.client.call("PTTL", f"{cache.prefix}~rate:a") <= 60_001


async def test_a_cost(cache: Cache) -> None:
    """A call may count for several."""
    first = await cache.rate_limit("a", 10, 60, cost=7)
    assert (first.allowed, first.remaining) == (True, 3)
    second = await cache.rate_limit("a", 10, 60, cost=4)
    assert (second.allowed, second.remaining) == (False, 3)
    assert 5 < second.retry_after <= 6
    assert await cache.rate_limit("a", 10, 60, cost=3)
    assert not await cache.rate_limit("a", 10, 60)


async def test_the_limit_comes_back(cache: Cache) -> None:
    """After `retry_after` the same call is allowed, and the key ends when the whole limit is free."""
    for _ in range(2):
        await cache.rate_limit("a", 2, 0.1)
    refused = await cache.rate_limit("a", 2, 0.1)
    assert (refused.allowed, 0 < refused.retry_after <= 0.05) == (False, True)
    await asyncio.sleep(refused.retry_after)
    assert await cache.rate_limit("a", 2, 0.1)
    await wait_until(lambda: _ended(cache))


async def _ended(cache: Cache) -> bool:
    return not await cache.client.call("EXISTS", f"{cache.prefix}~rate:a")


async def test_many_calls_at_once_from_two_processes(backend: Backend) -> None:
    """Exactly the limit is let through, whoever asks."""
    caches = [await backend.connect() for _ in range(2)]
    answers = await asyncio.gather(*[cache.rate_limit("a", 50, 3600) for cache in caches for _ in range(200)])
    assert sum(answer.allowed for answer in answers) == 50


@pytest.mark.parametrize(
    ("limit", "per", "cost", "words"),
    [
        (0, 1, 1, "limit must be an int of at least 1"),
        (-1, 1, 1, "limit must be"),
        (1.5, 1, 1, "limit must be"),
        (True, 1, 1, "limit must be"),
        ("1", 1, 1, "limit must be"),
        (1, 0, 1, "per must be"),
        (1, math.inf, 1, "per must be"),
        (1, 1, 0, "cost must be"),
        (1, 1, 2, "cost 2 is above the limit 1"),
        (1_000_001, 1, 1, "more than one call a microsecond"),
    ],
)
async def test_unusable_limits(memory_cache: Cache, limit: Any, per: Any, cost: Any, words: str) -> None:
    """A limit that cannot be kept is refused."""
    with pytest.raises(InvalidArgumentError, match=words):
        await memory_cache.rate_limit("a", limit, per, cost=cost)


class Bucket:
    """The exact model: a bucket that holds `limit` and refills evenly, in whole microseconds."""

    def __init__(self, limit: int, period: int) -> None:
        self.limit = limit
        self.period = period
        self.debt = 0.0  # microseconds until everything is free again
        self.at = 0

    def ask(self, now: int, cost: int) -> tuple[bool, float]:
        """Return whether the call is allowed, and how many microseconds are missing."""
        self.debt = max(0.0, self.debt - (now - self.at))
        self.at = now
        missing = self.debt + self.period * cost / self.limit - self.period
        if missing > 1:
            return False, missing
        self.debt += self.period * cost / self.limit
        return True, 0.0


@example(limit=1, period=0.001, steps=[(1.25, 1), (1.375, 1), (0.5, 1)])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 1000),
    period=st.sampled_from([0.001, 0.01, 1, 1.7, 60, 3600, 86_400]),
    steps=st.lists(st.tuples(st.floats(0, 1.5), st.integers(1, 3)), min_size=1, max_size=60),
)
async def test_rate_limits_are_those_of_the_model(
    limit: int, period: float, steps: list[tuple[float, int]], prefix: str
) -> None:
    """Every decision is the model's, to the rounding of a microsecond, and so is `retry_after`.

    The embedded backend runs the same script on a clock that the test moves.
    """
    clock = ManualClock(1_800_000_000.0)
    async with MemoryClient(RedisUrl.parse(f"memory://{prefix}"), clock) as client:
        cache = Cache(client, prefix=prefix)
        bucket = Bucket(limit, round(period * 1e6))
        begin = round(clock.time() * 1e6)
        granted: list[tuple[int, int]] = []
        for share, weight in steps:
            cost = min(weight, limit)
            clock.advance(round(share * share * period * 1e6 / limit * weight) / 1e6)
            now = round(clock.time() * 1e6) - begin
            answer = await cache.rate_limit("a", limit, period, cost=cost)
            allowed, missing = bucket.ask(now, cost)
            assert answer.allowed == allowed or abs(missing) <= 3
            if answer.allowed:
                granted.append((now, cost))
                bucket.debt = answer.reset_after * 1e6  # go on from the same state, but for rounding
            else:
                assert missing <= answer.retry_after * 1e6 + 2
                assert answer.retry_after * 1e6 < missing + 1000
            assert 0 <= answer.remaining <= limit
        for index, (start, _) in enumerate(granted):
            used = 0
            for end, cost in granted[index:]:
                used += cost
                # Never more than the limit and what was refilled since.
                assert used <= limit + (end - start + 3) * limit / (period * 1e6) + 1e-6
        await cache.aclose()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 50), period=st.sampled_from([0.01, 0.7, 1, 60, 3600]), used=st.integers(1, 50))
async def test_retry_after_is_enough_and_not_too_long(limit: int, period: float, used: int, prefix: str) -> None:
    """After exactly `retry_after` the call is allowed; a millisecond less would not have been enough."""
    for slack, expected in ((0.0, True), (-0.001, False)):
        clock = ManualClock(1_800_000_000.0)
        async with MemoryClient(RedisUrl.parse(f"memory://{prefix}"), clock) as client:
            cache = Cache(client, prefix=prefix)
            answer = RateLimit(True, limit, limit, 0.0, 0.0)
            for _ in range(limit + 1):
                answer = await cache.rate_limit("a", limit, period)
            assert not answer
            if answer.retry_after + slack > 0:
                clock.advance(answer.retry_after + slack)
                assert bool(await cache.rate_limit("a", limit, period)) is expected
            await cache.aclose()
