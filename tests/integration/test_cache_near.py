"""The near cache: values in the process, coherent with what others write."""

from __future__ import annotations

import asyncio
import functools
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rustforge.cache import Cache, NearCache
from tests.support.caches import Gate, opened, waiting
from tests.support.proxy import Plan, Proxy
from tests.support.servers import RedisServer, talk
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.caches import Backend


@pytest.fixture
async def near(backend: Backend) -> Cache:
    """Connect a cache with a near cache."""
    return await backend.connect(near=NearCache())


@pytest.fixture
async def other(backend: Backend) -> Cache:
    """Connect what stands for another process."""
    return await backend.connect()


def commands(cache: Cache) -> int:
    """Count what a cache sent to Redis."""
    return cache.client.statistics()["commands"]


async def test_repeated_reads_send_nothing(near: Cache) -> None:
    """After one read, every kind of read is answered by the process."""
    await near.set_json("a", {"x": 1})
    await near.remember("b", 60, opened(2), tags=["t"], stale=60)
    await near.get("a")
    await near.remember("b", 60, opened(3), tags=["t"], stale=60)
    before = commands(near)
    for _ in range(10):
        assert await near.get_json("a") == {"x": 1}
        assert await near.get("a") == '{"x":1}'
        assert await near.remember("a", 60, opened(3)) == {"x": 1}
        assert await near.remember("b", 60, opened(3), tags=["t"], stale=60, early=1) == 2
    assert commands(near) == before
    counted = near.statistics()
    assert (counted.hits, counted.near_hits) == (42, 40)


async def test_what_is_missing_is_asked_for_again(near: Cache, other: Cache) -> None:
    """A miss is not remembered."""
    assert await near.get("a") is None
    await other.set("a", "1")
    assert await near.get("a") == "1"


WRITES: dict[str, Callable[[Cache], Awaitable[object]]] = {
    "set": lambda cache: cache.set("a", "2"),
    "set_ex": lambda cache: cache.set_ex("a", "2", 60),
    "set_json with tags": lambda cache: cache.set_json("a", 2, tags=["u"]),
    "put_many": lambda cache: cache.put_many({"a": "2"}),
    "increment": lambda cache: cache.increment("a"),
    "delete": lambda cache: cache.delete("a"),
    "pull": lambda cache: cache.pull("a"),
    "flush_prefix": lambda cache: cache.flush_prefix("a"),
    "invalidate_tags": lambda cache: cache.invalidate_tags("t"),
    "touch": lambda cache: cache.touch("a", 60),
}

WRITTEN = dict.fromkeys(["set", "set_ex", "set_json with tags", "put_many", "increment"], "2") | {"touch": "1"}


@pytest.mark.parametrize("write", WRITES)
async def test_writes_of_this_process_are_seen_at_once(near: Cache, write: str) -> None:
    """Who writes reads what was written, without waiting for anything."""
    for _ in range(20):
        await near.set_json("a", 1, tags=["t"]) if write == "invalidate_tags" else await near.set("a", "1")
        assert await near.get("a") == "1"
        await WRITES[write](near)
        assert await near.get("a") == WRITTEN.get(write)
        assert await near.ttl("a") == (60 if write in {"touch", "set_ex"} else None)


@pytest.mark.parametrize("write", WRITES)
async def test_writes_of_other_processes_are_seen(near: Cache, other: Cache, write: str) -> None:
    """A write elsewhere throws the value out as fast as the server's notice travels, without any read between."""
    await near.set_json("a", 1, tags=["t"]) if write == "invalidate_tags" else await near.set("a", "1")
    assert await near.get("a") == "1"
    assert near._store.near is not None
    held = set(near._store.near._entries)
    await WRITES[write](other)
    await wait_until(lambda: near._store.near is not None and set(near._store.near._entries) != held, timeout=1)
    assert await near.get("a") == await other.get("a")


async def test_expiry_is_seen(near: Cache, other: Cache) -> None:
    """What expires in Redis is not served from the process."""
    await other.set_ex("a", "1", 0.05)
    assert await near.get("a") == "1"
    await wait_until(lambda: _reads(near, None), timeout=1)
    assert await other.get("a") is None


async def _reads(cache: Cache, expected: str | None) -> bool:
    return await cache.get("a") == expected


async def test_a_refresh_elsewhere_is_seen(near: Cache, other: Cache) -> None:
    """While a stale value is held near, another process's refresh replaces it."""
    await other.remember("a", 0.001, opened("old"), stale=60)
    await wait_until(lambda: _is_over(other))
    gate = Gate("new")
    assert await near.remember("a", 60, gate, stale=60) == "old"
    await gate.started.wait()
    assert await other.remember("a", 60, gate, stale=60) == "old"
    gate.open()
    await wait_until(lambda: _remembers(near, "new"))
    await wait_until(lambda: _remembers(other, "new"))
    assert gate.calls == 1


async def _is_over(cache: Cache) -> bool:
    return await cache.ttl("a") == 0


async def _remembers(cache: Cache, expected: str) -> bool:
    found: str = await cache.remember("a", 60, opened("unexpected"), stale=60)
    return found == expected


async def test_stampedes_with_a_near_cache(backend: Backend) -> None:
    """Leases are not mistaken for values: many callers in three processes, one computation, then no more commands."""
    caches = [await backend.connect(near=NearCache()) for _ in range(3)]
    gate = Gate({"x": 1})
    callers = [asyncio.create_task(cache.remember("a", 60, gate)) for cache in caches for _ in range(100)]
    await gate.started.wait()
    for cache in caches:
        await waiting(cache, 100)
        assert await cache.get("a") is None
    gate.open()
    assert all(value == {"x": 1} for value in await asyncio.gather(*callers))
    assert gate.calls == 1
    for cache in caches:
        await cache.get("a")
        before = commands(cache)
        assert await cache.remember("a", 60, gate) == {"x": 1}
        assert commands(cache) == before


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
async def test_no_older_value_comes_back(backend: Backend, seed: int) -> None:
    """Readers and writers in three processes, interleaved at random: no reader ever sees a value go backwards.

    And once the writers are done, everybody sees the last value.
    """
    chance = random.Random(seed)
    caches = [await backend.connect(near=NearCache(max_entries=2)) for _ in range(3)]
    await caches[0].flush_all()
    written = {"a": 0, "b": 0, "c": 0}
    stop = False

    async def pause() -> None:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)

    async def write(key: str) -> None:
        for _ in range(15):
            written[key] += 1
            await chance.choice(caches).set(key, str(written[key]))
            await pause()

    async def read(cache: Cache, key: str) -> None:
        newest = 0
        while not stop:
            # A notice may still be on its way, so it may be old; but not older than what this process saw before.
            found = int(await cache.get(key) or 0)
            assert found >= newest
            newest = found
            await pause()
            await asyncio.sleep(0)

    readers = [asyncio.create_task(read(cache, key)) for cache in caches for key in written]
    async with asyncio.timeout(20):
        await asyncio.gather(*[write(key) for key in written])
        for cache in caches:
            for key, value in written.items():
                await wait_until(functools.partial(_gets, cache, key, value), timeout=1)
    stop = True
    await asyncio.gather(*readers)
    for cache in caches:
        assert cache._store.near is not None
        assert cache._store.near._reading == {}
        await cache.aclose()


async def _gets(cache: Cache, key: str, value: int) -> bool:
    return await cache.get(key) == str(value)


async def test_who_writes_never_reads_what_was_before(backend: Backend) -> None:
    """A process that waits for its own write reads at least that one, whatever others read at the same time."""
    near = await backend.connect(near=NearCache())
    stop = False

    async def read() -> None:
        while not stop:
            await near.get("a")
            await asyncio.sleep(0)

    readers = [asyncio.create_task(read()) for _ in range(5)]
    for number in range(150):
        await near.set_json("a", number, tags=["t"] if number % 2 else [])
        assert await near.get_json("a") == number
    stop = True
    await asyncio.gather(*readers)


async def test_notices_that_come_after_the_answers(redis_server: RedisServer, prefix: str) -> None:
    """When the network brings the answer to a write before the server's notice, the writer reads its own value.

    That is so for every kind of write, also when others read the old value in between.
    """
    async with (
        Proxy(redis_server.port) as proxy,
        Cache.connect(f"redis://127.0.0.1:{proxy.port}", prefix=prefix, near=NearCache()) as near,
    ):
        for write in WRITES.values():  # the server knows the scripts
            await near.set("a", "1")
            await write(near)
        proxy.default = Plan(piece=1)
        await proxy.cut()
        stop = False

        async def read() -> None:
            while not stop:
                await near.get("a")
                await asyncio.sleep(0)

        readers = [asyncio.create_task(read()) for _ in range(3)]
        for name, write in WRITES.items():
            for _ in range(5):
                await near.set_json("a", 1, tags=["t"]) if name == "invalidate_tags" else await near.set("a", "1")
                assert await near.get("a") == "1"
                await write(near)
                assert await near.get("a") == WRITTEN.get(name)
        for number in range(5):
            await near.delete("a")
            assert await near.remember("a", 60, opened(number)) == number
            assert await near.get_json("a") == number
            gate = Gate("computed")
            call = asyncio.create_task(near.remember("b", 60, gate))
            await gate.started.wait()
            await wait_until(lambda: _holds(near, "b"))
            gate.open()
            assert await call == "computed"
            assert await near.get_json("b") == "computed"
            await near.delete("b")
        stop = True
        await asyncio.gather(*readers)


async def _holds(cache: Cache, key: str) -> bool:
    assert cache._store.near is not None
    assert await cache.get(key) is None
    return f"{cache.prefix}:{key}" in cache._store.near._entries


async def test_bounds(backend: Backend) -> None:
    """Neither more values nor more bytes than allowed are held, and values beyond the bound work all the same."""
    near = await backend.connect(near=NearCache(max_entries=10, max_bytes=5_000))
    for number in range(50):
        await near.set(f"a{number}", "x" * 100)
        assert await near.get(f"a{number}") == "x" * 100
    await near.set("big", "x" * 10_000)
    assert await near.get("big") == "x" * 10_000
    store = near._store.near
    assert store is not None
    assert (len(store), store.bytes <= 5_000) == (10, True)
    assert await near.get("a49") == "x" * 100


async def test_the_longest_time(backend: Backend) -> None:
    """However long a value lives in Redis, the process asks again after the near cache's own time."""
    near = await backend.connect(near=NearCache(ttl=0.05))
    await near.set("a", "1")
    await near.get("a")
    before = commands(near)
    await wait_until(lambda: _asked(near, before))


async def _asked(cache: Cache, before: int) -> bool:
    await cache.get("a")
    return commands(cache) > before


async def test_reads_that_are_cancelled_leave_no_marks(backend: Backend) -> None:
    """A caller that gives up does not fill the memory, nor keep others from holding the value."""
    near = await backend.connect(near=NearCache())
    await near.set("a", "1")
    for ticks in range(6):
        reader = asyncio.create_task(near.get("a"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        assert near._store.near is not None
        assert near._store.near._reading == {}
    assert await near.get("a") == "1"


async def test_a_lost_connection_clears_everything(redis_server: RedisServer, prefix: str) -> None:
    """While the connection was away, notices may have been missed: nothing from before is served."""
    async with (
        Proxy(redis_server.port) as proxy,
        Cache.connect(f"redis://127.0.0.1:{proxy.port}", prefix=prefix, near=NearCache()) as near,
        Cache.connect(redis_server.url, prefix=prefix) as other,
    ):
        await near.set("a", "1")
        assert await near.get("a") == "1"
        await proxy.cut()
        await other.set("a", "2")
        await wait_until(lambda: near._store.near is not None and len(near._store.near) == 0)
        assert await near.get("a") == "2"
        await near.get("a")
        await other.set("a", "3")  # and notices come over the new connection
        await wait_until(lambda: _reads(near, "3"), timeout=1)


async def test_a_flushed_server_clears_everything(prefix: str) -> None:
    """FLUSHALL by somebody else is heard as well."""
    with RedisServer() as server:
        async with Cache.connect(server.url, prefix=prefix, near=NearCache()) as near:
            await near.set("a", "1")
            await near.get("a")
            talk(server.port, "FLUSHALL")
            await wait_until(lambda: _reads(near, None), timeout=1)


async def test_without_permission_there_is_no_near_cache(prefix: str) -> None:
    """A user who may not use CLIENT TRACKING reads from Redis each time; locks and leases work, by asking again."""
    with RedisServer() as server:
        talk(
            server.port,
            "ACL",
            "SETUSER",
            "app",
            "on",
            ">pw",
            "~*",
            "&*",
            "+@all",
            "-client|tracking",
            "-client|caching",
        )
        url = f"redis://app:pw@127.0.0.1:{server.port}"
        async with (
            Cache.connect(url, prefix=prefix, near=NearCache()) as near,
            Cache.connect(server.url, prefix=prefix) as other,
        ):
            assert near.client.tracking is False
            await near.set("a", "1")
            assert await near.get("a") == "1"
            await other.set("a", "2")
            assert await near.get("a") == "2"
            store = near._store.near
            assert store is not None
            assert (len(store), store._reading, near.statistics().near_hits) == (0, {}, 0)
            gate = Gate("value")
            first = asyncio.create_task(other.remember("b", 60, gate))
            await gate.started.wait()
            second = asyncio.create_task(near.remember("b", 60, gate))
            await waiting(near, 1)
            gate.open()
            async with asyncio.timeout(0.9):
                assert [await first, await second] == ["value", "value"]
            assert gate.calls == 1


async def test_two_caches_on_one_connection(backend: Backend) -> None:
    """Each near cache hears of what the other writes, though it comes over the same connection."""
    owner = await backend.connect(near=NearCache())
    async with Cache(owner.client, prefix=backend.prefix, near=NearCache()) as second:
        await owner.set("a", "1")
        assert [await owner.get("a"), await second.get("a")] == ["1", "1"]
        await second.set("a", "2")
        await wait_until(lambda: _reads(owner, "2"), timeout=1)
        found: list[Any] = [await owner.get("a"), await second.get("a")]
        assert found == ["2", "2"]
