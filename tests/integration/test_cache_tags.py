"""Tags: one command makes any number of values a miss."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.caches import opened

if TYPE_CHECKING:
    from rustforge.cache import Cache
    from tests.support.caches import Backend


async def test_invalidation(backend: Backend) -> None:
    """Every value with the tag is a miss for everybody and every method; the others stay."""
    one, other = await backend.connect(), await backend.connect()
    await one.set_json("a", 1, tags=["x"])
    await one.set_json_ex("b", 2, 60, tags=["x", "y"])
    await one.remember("c", 60, opened(3), tags=["y"])
    await one.set_json("d", 4, tags=["z"])
    await other.invalidate_tags("x")
    for cache in (one, other):
        assert await cache.many_json(list("abcd")) == [None, None, 3, 4]
        assert [await cache.has(key) for key in "abcd"] == [False, False, True, True]
        assert [await cache.expires(key) for key in "abcd"] == [None, None, True, False]
        assert (await cache.get("a"), await cache.get_json("b"), await cache.ttl("b")) == (None, None, None)
    assert await one.remember("b", 60, opened(5), tags=["x"]) == 5
    await other.invalidate_tags("y", "z")
    assert await one.many_json(list("abcd")) == [None, 5, None, None]


async def test_it_takes_one_command_for_a_tag(cache: Cache) -> None:
    """Invalidating two hundred values costs as many commands as there are tags."""
    await asyncio.gather(*[cache.set_json(f"a{number}", number, tags=["t"]) for number in range(200)])
    before = cache.client.statistics()["commands"]
    await cache.invalidate_tags("t", "u", "t")
    assert cache.client.statistics()["commands"] - before <= 2
    assert await cache.many([f"a{number}" for number in range(200)]) == [None] * 200


async def test_a_value_takes_the_tags_of_its_last_write(cache: Cache) -> None:
    """A write without tags, or with others, is not touched by the old ones."""
    await cache.set_json("a", 1, tags=["x"])
    await cache.set_json("a", 2, tags=["y"])
    await cache.invalidate_tags("x")
    assert await cache.get_json("a") == 2
    await cache.set_json("a", 3)
    await cache.invalidate_tags("y")
    assert await cache.get_json("a") == 3


async def test_values_after_an_invalidation_stay(cache: Cache) -> None:
    """An invalidation is for what was there before, however often it is repeated."""
    for number in range(5):
        await cache.invalidate_tags("t")
        await cache.set_json("a", number, tags=["t"])
        assert await cache.get_json("a") == number
        assert await cache.remember("a", 60, opened("x"), tags=["t"]) == number


async def test_tags_of_nothing(cache: Cache) -> None:
    """A tag that no value has, and no tag at all, do nothing and leave nothing."""
    await cache.invalidate_tags("t")
    await cache.invalidate_tags()
    assert await cache.client.call("EXISTS", f"{cache.prefix}~tag:t") == 0
    await cache.set_json("a", 1, tags=[])
    assert await cache.client.call("GET", f"{cache.prefix}:a") == b"1"


async def test_tags_end_with_their_values(cache: Cache) -> None:
    """A tag's key lives a little longer than the longest-lived value that has it, for ever if need be."""
    key = f"{cache.prefix}~tag:t"
    await cache.set_json_ex("a", 1, 10, tags=["t"])
    assert 10_000 < await cache.client.call("PTTL", key) <= 11_000
    await cache.set_json_ex("b", 1, 100, tags=["t"])
    await cache.set_json_ex("c", 1, 10, tags=["t"])
    await cache.invalidate_tags("t")
    assert 100_000 < await cache.client.call("PTTL", key) <= 101_000
    await cache.set_json("d", 1, tags=["t"])
    assert await cache.client.call("PTTL", key) == -1
    await cache.set_json_ex("e", 1, 10, tags=["t"])
    assert await cache.client.call("PTTL", key) == -1


async def test_a_tag_that_was_evicted(cache: Cache) -> None:
    """When Redis evicts a tag's key, its values are misses: never the other way round."""
    await cache.set_json("a", 1, tags=["t"])
    await cache.client.call("UNLINK", f"{cache.prefix}~tag:t")
    assert (await cache.get_json("a"), await cache.has("a")) == (None, False)
    await cache.set_json("b", 2, tags=["t"])
    assert await cache.many_json(["a", "b"]) == [None, 2]


@pytest.mark.parametrize("tag", ["a b", "ä", "*", "a:b", "~lock:x", "{x}", '"', "\\", "\x00", "\xff", "x" * 1024])
async def test_odd_tags(cache: Cache, tag: str) -> None:
    """Any text is a tag, and no tag is another."""
    await cache.set_json("a", 1, tags=[tag, "other"])
    assert await cache.get_json("a") == 1
    await cache.invalidate_tags("nobody's")
    assert await cache.get_json("a") == 1
    await cache.invalidate_tags(tag)
    assert await cache.get_json("a") is None


async def test_many_tags(cache: Cache) -> None:
    """A value with two hundred tags works, and any one of them invalidates it."""
    names = [f"t{number}" for number in range(200)]
    assert await cache.remember("a", 60, opened(1), tags=names) == 1
    assert await cache.remember("a", 60, opened(2), tags=iter(names)) == 1
    await cache.invalidate_tags("t137")
    assert await cache.remember("a", 60, opened(2), tags=names) == 2


async def test_callers_with_different_tags(cache: Cache) -> None:
    """What decides is the tags that the value was stored with, whatever a later caller asks with."""
    assert await cache.remember("a", 60, opened(1), tags=["x"]) == 1
    for tags in ((), ("y",), ("x", "y")):
        assert await cache.remember("a", 60, opened(2), tags=tags) == 1
    await cache.invalidate_tags("y")
    assert await cache.remember("a", 60, opened(2)) == 1
    await cache.invalidate_tags("x")
    assert await cache.remember("a", 60, opened(3)) == 3
    await cache.invalidate_tags("x")
    assert await cache.remember("a", 60, opened(4), tags=["x"]) == 3
