"""The faults of the Rust edition's cache, which must not come back."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
import redis
from pydantic import BaseModel

from rustforge.cache import Cache
from rustforge.errors import InvalidArgumentError
from tests.support.caches import Gate, waiting
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from tests.support.caches import Backend


class Article(BaseModel):
    """The shape that values have today."""

    id: int
    slug: str


async def test_flushing_does_not_use_keys(prefix: str) -> None:
    """KEYS stops the whole server; SCAN and UNLINK do not."""
    with RedisServer() as server, redis.Redis(port=server.port) as raw:
        async with Cache.connect(server.url, prefix=prefix) as cache:
            await cache.put_many({f"article:{number}": "1" for number in range(2_000)})
            assert await cache.flush_prefix("article:") == 2_000
            await cache.flush_all()
        used = raw.info("commandstats")
        assert {"cmdstat_keys", "cmdstat_del", "cmdstat_flushdb", "cmdstat_flushall"}.isdisjoint(used)
        assert {"cmdstat_scan", "cmdstat_unlink"} <= set(used)


async def test_flush_prefix_takes_the_view_counters_with_it(cache: Cache) -> None:
    """`flush_prefix("article:")` removes what counts views under the same prefix: that is what it says it does.

    The remedy is a prefix of its own for what must stay, or tags for what must go.
    """
    await cache.set_json("article:7", {"id": 7})
    await cache.increment("article:views:7", 41)
    assert await cache.flush_prefix("article:") == 2
    assert await cache.get("article:views:7") is None

    await cache.set_json("article:7", {"id": 7})
    await cache.increment("article-views:7", 41)
    assert await cache.flush_prefix("article:") == 1
    assert await cache.get("article-views:7") == "41"

    await cache.set_json("article:7", {"id": 7}, tags=["article"])
    await cache.increment("article:views:7", 41)
    await cache.invalidate_tags("article")
    assert (await cache.get_json("article:7"), await cache.get("article:views:7")) == (None, "41")


async def test_flushing_everything_by_accident(cache: Cache) -> None:
    """An empty prefix, as of an unset variable, is refused."""
    await cache.set("a", "1")
    with pytest.raises(InvalidArgumentError):
        await cache.flush_prefix("")
    assert await cache.has("a") is True


async def test_a_prefix_is_not_a_pattern(cache: Cache) -> None:
    """A prefix with glob characters removed other keys, or none."""
    await cache.put_many({"user:[1]:a": "1", "user:1:a": "1", "user:*": "1"})
    assert await cache.flush_prefix("user:[1]") == 1
    assert await cache.flush_prefix("user:*") == 1
    assert await cache.has("user:1:a") is True


async def test_put_many_takes_a_time_to_live(cache: Cache) -> None:
    """Bulk values could only be stored for ever."""
    await cache.put_many({"a": "1", "b": "2"}, 60)
    assert [await cache.ttl(key) for key in ("a", "b")] == [60, 60]


async def test_times_to_live_are_not_cut_to_seconds(cache: Cache) -> None:
    """Less than a second was no time at all, and half a second more was lost."""
    await cache.set_ex("a", "1", 0.5)
    assert await cache.ttl("a") == 1
    await cache.set_ex("b", "1", 1.9)
    assert await cache.client.call("PTTL", f"{cache.prefix}:b") > 1_500
    with pytest.raises(InvalidArgumentError):
        await cache.set_ex("a", "1", 0)


async def test_ttl_tells_no_expiry_from_no_value(cache: Cache) -> None:
    """Both were `None`; `expires` tells them apart."""
    await cache.set("a", "1")
    assert (await cache.ttl("a"), await cache.ttl("b")) == (None, None)
    assert (await cache.expires("a"), await cache.expires("b")) == (False, None)


async def test_remember_is_protected_from_stampedes(backend: Backend) -> None:
    """Every caller that missed computed."""
    one, other = await backend.connect(), await backend.connect()
    gate = Gate("value")
    callers = [asyncio.create_task(cache.remember("a", 60, gate)) for cache in (one, other) for _ in range(50)]
    await gate.started.wait()
    await waiting(one, 50)
    await waiting(other, 50)
    gate.open()
    assert set(await asyncio.gather(*callers)) == {"value"}
    assert gate.calls == 1


async def test_remember_survives_a_change_of_the_type(cache: Cache) -> None:
    """A value of yesterday's shape was an error at every call until it expired."""
    await cache.set_json("a", {"id": 7})

    async def load() -> Article:
        return Article(id=7, slug="s")

    assert await cache.remember("a", 60, load) == Article(id=7, slug="s")


async def test_commands_do_not_wait_for_each_other(cache: Cache) -> None:
    """A mutex around the connection let one command through at a time; now those of one tick leave together."""
    await cache.set("a", "1")
    before = cache.client.statistics()
    assert await asyncio.gather(*[cache.get("a") for _ in range(500)]) == ["1"] * 500
    after = cache.client.statistics()
    assert after["commands"] - before["commands"] == 500
    if "memory" not in str(cache.client.url):
        assert after["writes"] - before["writes"] <= 3


async def test_a_slow_value_does_not_hold_up_the_others(cache: Cache) -> None:
    """Nothing that waits (a factory, a lock) keeps other tasks from the connection."""
    gate = Gate()
    slow = asyncio.create_task(cache.remember("slow", 60, gate))
    await gate.started.wait()
    async with cache.lock("l"):
        held = asyncio.create_task(cache.lock("l").acquire())
        started = time.monotonic()
        for _ in range(50):
            await cache.set("a", "1")
            assert await cache.get("a") == "1"
        assert time.monotonic() - started < 5
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
    gate.open()
    assert await slow == 1


async def test_delete_says_whether_there_was_something(cache: Cache) -> None:
    """It returned nothing."""
    await cache.set("a", "1")
    assert [await cache.delete("a"), await cache.forget("a")] == [True, False]
