"""Values in the cache: text, JSON, counters, bulk, time to live and flushing, the same on every backend."""

from __future__ import annotations

import asyncio
import math
import traceback
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from rustforge.cache import Cache
from rustforge.errors import (
    CacheDecodeError,
    CacheEncodeError,
    CacheError,
    InvalidArgumentError,
    InvalidTypeError,
    RedisClosedError,
    RedisReplyError,
)
from tests.support.caches import opened
from tests.support.servers import RedisServer
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.caches import Backend

SECRET = "hunter2"


class Article(BaseModel):
    """A model to store."""

    id: int
    title: str
    published: date | None = None


# -- text --------------------------------------------------------------------------------------------------------------


async def test_text(cache: Cache) -> None:
    """What was set is read, by its exact text, until it is deleted."""
    assert await cache.get("a") is None
    for value in ("1", "", "ä\x00\n", "x" * 100_000):
        await cache.set("a", value)
        assert await cache.get("a") == value
    assert await cache.delete("a") is True
    assert await cache.get("a") is None
    assert await cache.delete("a") is False


async def test_forget_is_delete(cache: Cache) -> None:
    """The other name does the same."""
    await cache.set("a", "1")
    assert await cache.forget("a") is True
    assert await cache.forget("a") is False
    assert await cache.has("a") is False


async def test_has(cache: Cache) -> None:
    """An empty text is a value too; nothing is none."""
    assert await cache.has("a") is False
    await cache.set("a", "")
    assert await cache.has("a") is True


@pytest.mark.parametrize("key", [" ", "a b", "ä", "a\x00\r\nb", "*", "[a]?", "x" * 1024, "{tag}a", "a:b:c", "~tag:a"])
async def test_odd_keys(cache: Cache, key: str) -> None:
    """Any text of up to 1,024 bytes is a key, and no key is another."""
    await cache.set(key, "1")
    assert await cache.get(key) == "1"
    assert await cache.get("other") is None
    assert await cache.many([key, "other"]) == ["1", None]
    assert await cache.remember(key, 60, lambda: 2) == 1
    assert await cache.delete(key) is True


METHODS: dict[str, Callable[[Cache, Any], Awaitable[object]]] = {
    "get": lambda cache, key: cache.get(key),
    "set": lambda cache, key: cache.set(key, "1"),
    "delete": lambda cache, key: cache.delete(key),
    "forget": lambda cache, key: cache.forget(key),
    "has": lambda cache, key: cache.has(key),
    "set_ex": lambda cache, key: cache.set_ex(key, "1", 1),
    "ttl": lambda cache, key: cache.ttl(key),
    "expires": lambda cache, key: cache.expires(key),
    "touch": lambda cache, key: cache.touch(key, 1),
    "get_json": lambda cache, key: cache.get_json(key),
    "set_json": lambda cache, key: cache.set_json(key, 1),
    "set_json_ex": lambda cache, key: cache.set_json_ex(key, 1, 1),
    "remember": lambda cache, key: cache.remember(key, 1, lambda: 1),
    "remember_forever": lambda cache, key: cache.remember_forever(key, lambda: 1),
    "increment": lambda cache, key: cache.increment(key),
    "decrement": lambda cache, key: cache.decrement(key),
    "many": lambda cache, key: cache.many(["a", key]),
    "put_many": lambda cache, key: cache.put_many({"a": "1", key: "1"}),
    "many_json": lambda cache, key: cache.many_json([key]),
    "put_many_json": lambda cache, key: cache.put_many_json({key: 1}),
    "add": lambda cache, key: cache.add(key, "1"),
    "pull": lambda cache, key: cache.pull(key),
    "flush_prefix": lambda cache, key: cache.flush_prefix(key),
    "lock": lambda cache, key: cache.lock(key).acquire(),
    "rate_limit": lambda cache, key: cache.rate_limit(key, 1, 1),
    "invalidate_tags": lambda cache, key: cache.invalidate_tags(key),
    "tags": lambda cache, key: cache.set_json("a", 1, tags=[key]),
    "tags of remember": lambda cache, key: cache.remember("a", 1, lambda: 1, tags=[key]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("key", ["", "x" * 1025, "\ud800", 1, None, b"a"], ids=repr)
async def test_unusable_keys(memory_cache: Cache, method: str, key: Any) -> None:
    """Every method refuses a key that cannot be one, with a ValueError, and does nothing."""
    with pytest.raises(ValueError):
        await METHODS[method](memory_cache, key)
    assert await memory_cache.flush_all() == 0


async def test_values_must_be_text(cache: Cache) -> None:
    """Another type is refused and the error says what to call."""
    for value in (1, None, b"a", ["a"]):
        for call in (cache.set("a", value), cache.set_ex("a", value, 1), cache.add("a", value)):  # type: ignore[arg-type]
            with pytest.raises(InvalidTypeError, match="use set_json for other types"):
                await call
        with pytest.raises(InvalidTypeError):
            await cache.put_many({"b": "1", "a": value})  # type: ignore[dict-item]
    with pytest.raises(CacheEncodeError, match="UTF-8"):
        await cache.set("a", "\ud800")
    assert await cache.flush_all() == 0


async def test_bytes_of_others(cache: Cache) -> None:
    """What something else wrote is no text and no JSON: an error, and for `remember` a miss."""
    for raw in (b"\x80", b"\xff\xfea\x00", b"\xff" * 100, b"\xff\x04" + b"x" * 80):
        await cache.client.call("SET", f"{cache.prefix}:a", raw)
        with pytest.raises(CacheDecodeError, match="not UTF-8 text"):
            await cache.get("a")
        with pytest.raises(CacheDecodeError, match="is not JSON"):
            await cache.get_json("a")
        assert await cache.has("a") is True
        assert await cache.remember("a", 60, lambda: 1) == 1
        assert await cache.get("a") == "1"


async def test_keys_of_another_kind(cache: Cache) -> None:
    """A list under a key of the cache is an error where it is read, and can be deleted."""
    await cache.client.call("RPUSH", f"{cache.prefix}:a", "1")
    for method in ("get", "get_json", "has", "increment", "remember"):
        with pytest.raises(RedisReplyError, match="WRONGTYPE"):
            await METHODS[method](cache, "a")
    assert await cache.delete("a") is True
    assert await cache.delete("a") is False


async def test_without_a_prefix(backend: Backend, prefix: str) -> None:
    """Keys then stand as they are, and so they do for others."""
    cache = await backend.connect(prefix=None)
    key = f"{prefix}:a"
    await cache.set(key, "1")
    assert (cache.prefix, await cache.client.call("GET", key)) == (None, b"1")
    with pytest.raises(ValueError, match="tilde"):
        await cache.set("~a", "1")


async def test_prefixes_are_apart(backend: Backend, prefix: str) -> None:
    """Two prefixes on one server do not see each other's values, locks, tags or limits."""
    one, other = await backend.connect(prefix=f"{prefix}:one"), await backend.connect(prefix=f"{prefix}:other")
    await one.set_json("a", 1, tags=["t"])
    await other.set_json("a", 2, tags=["t"])
    await one.invalidate_tags("t")
    async with one.lock("l"), other.lock("l", wait=0):
        assert (await one.get_json("a"), await other.get_json("a")) == (None, 2)
    assert await one.rate_limit("r", 1, 60)
    assert await other.rate_limit("r", 1, 60)
    assert await one.flush_all() == 1
    assert await other.has("a")


# -- time to live ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ttl", [0, 0.0, -1, -0.5, math.nan, math.inf, -math.inf, True, False, "1", timedelta(0), [1]])
async def test_unusable_ttls(memory_cache: Cache, ttl: Any) -> None:
    """Zero, negative, not finite, bool and text are a ValueError everywhere, and nothing is stored."""
    cache = memory_cache
    calls: list[Awaitable[object]] = [
        cache.set_ex("a", "1", ttl),
        cache.set_json_ex("a", 1, ttl),
        cache.remember("a", ttl, lambda: 1),
        cache.remember("a", 1, lambda: 1, stale=ttl),
        cache.remember("a", 1, lambda: 1, lease=ttl),
        cache.put_many({"a": "1"}, ttl),
        cache.put_many_json({"a": 1}, ttl),
        cache.add("a", "1", ttl),
        cache.touch("a", ttl),
        cache.increment("a", ttl=ttl),
        cache.decrement("a", ttl=ttl),
        cache.rate_limit("a", 1, ttl),
    ]
    for call in calls:
        with pytest.raises(ValueError):
            await call
    with pytest.raises(ValueError):
        cache.lock("a", lease=ttl)
    assert await cache.flush_all() == 0


async def test_options_are_checked_on_a_hit_too(cache: Cache) -> None:
    """A wrong option does not wait for the day when the value is missing."""
    await cache.set_json("a", 1)
    wrong: list[dict[str, Any]] = [{"lease": 0}, {"stale": -1}, {"patience": -1}, {"early": -1}, {"jitter": 2}]
    wrong += [{"jitter": True}, {"early": math.nan}, {"tags": "t"}, {"tags": [1]}]
    for options in wrong:
        with pytest.raises(ValueError):
            await cache.remember("a", 60, opened(), **options)
    not_a_function: Any = 1
    with pytest.raises(InvalidTypeError, match="factory must be a function"):
        await cache.remember("a", 60, not_a_function)


@pytest.mark.parametrize("ttl", [0.05, timedelta(milliseconds=50)], ids=["number", "timedelta"])
async def test_values_expire(cache: Cache, ttl: float | timedelta) -> None:
    """After its time to live a value is gone, whatever stored it."""
    await asyncio.gather(
        cache.set_ex("a", "1", ttl),
        cache.set_json_ex("b", 1, ttl),
        cache.put_many({"c": "1"}, ttl),
        cache.put_many_json({"d": 1}, ttl),
        cache.add("e", "1", ttl),
        cache.increment("f", ttl=ttl),
        cache.remember("g", ttl, lambda: 1),
        cache.set_json("h", 1),
    )
    assert await cache.touch("h", ttl) is True
    keys = list("abcdefgh")
    assert await cache.many(keys) == ["1"] * 8
    assert [await cache.ttl(key) for key in keys] == [1] * 8
    await wait_until(lambda: _all_gone(cache, keys))
    assert [await cache.expires(key) for key in keys] == [None] * 8


async def _all_gone(cache: Cache, keys: list[str]) -> bool:
    return await cache.many(keys) == [None] * len(keys)


async def test_ttl_and_expires(cache: Cache) -> None:
    """The time left is rounded up; `None` is for none and for ever, and `expires` tells them apart."""
    await cache.set("forever", "1")
    await cache.set_ex("minute", "1", 60)
    await cache.set_ex("second", "1", 0.9)
    found = {key: (await cache.ttl(key), await cache.expires(key)) for key in ("forever", "minute", "second", "none")}
    assert found == {"forever": (None, False), "minute": (60, True), "second": (1, True), "none": (None, None)}


async def test_set_takes_the_expiry_away(cache: Cache) -> None:
    """A plain set is without expiry, whatever was there."""
    await cache.set_ex("a", "1", 60)
    await cache.set("a", "2")
    assert await cache.expires("a") is False


async def test_touch(cache: Cache) -> None:
    """It sets a new time to live, takes it away with `None`, and does not make values."""
    assert await cache.touch("a", 60) is False
    await cache.set("a", "1")
    assert await cache.touch("a", 60) is True
    assert await cache.ttl("a") == 60
    assert await cache.touch("a", None) is True
    assert await cache.expires("a") is False
    assert await cache.touch("a", None) is True
    assert await cache.get("a") == "1"


async def test_touch_outlives_tags(cache: Cache) -> None:
    """A longer time to live holds for the value's tags too, and an invalidated value is none."""
    await cache.set_json_ex("a", 1, 0.05, tags=["t", "u"])
    assert await cache.touch("a", 100) is True
    for tag in ("t", "u"):
        assert await cache.client.call("PTTL", f"{cache.prefix}~tag:{tag}") > 100_000
    assert await cache.touch("a", None) is True
    assert await cache.client.call("PTTL", f"{cache.prefix}~tag:t") == -1
    await cache.invalidate_tags("u")
    assert await cache.touch("a", 100) is False


# -- JSON --------------------------------------------------------------------------------------------------------------


async def test_json(cache: Cache) -> None:
    """Typed values come back as their type; without a type, as plain JSON; as text, as their JSON."""
    article = Article(id=1, title="T", published=date(2026, 1, 2))
    await cache.set_json("a", article)
    assert await cache.get_json("a", Article) == article
    assert await cache.get_json("a") == {"id": 1, "title": "T", "published": "2026-01-02"}
    assert await cache.get("a") == '{"id":1,"title":"T","published":"2026-01-02"}'
    await cache.set_json_ex("b", [article, None], 60)
    assert await cache.get_json("b", list[Article | None]) == [article, None]
    assert await cache.ttl("b") == 60


async def test_null_is_a_value_of_its_own(cache: Cache) -> None:
    """A stored `None` and nothing read the same, and `has` tells them apart."""
    await cache.set_json("a", None)
    assert (await cache.get_json("a"), await cache.has("a")) == (None, True)
    assert (await cache.get_json("b"), await cache.has("b")) == (None, False)


async def test_a_value_of_another_type(cache: Cache) -> None:
    """The error names the key and what does not fit; the value is nowhere in it."""
    await cache.set_json("a", {"id": SECRET, SECRET: 1})
    for call in (
        cache.get_json("a", Article),
        cache.many_json(["b", "a"], Article),
        cache.get_json("a", dict[int, int]),
    ):
        with pytest.raises(CacheDecodeError, match="the value of 'a' does not fit") as caught:
            await call
        assert caught.value.key == "a"
        error: BaseException | None = caught.value
        while error is not None:
            assert SECRET not in "".join(traceback.format_exception_only(error))
            error = error.__cause__ or error.__context__
    await cache.set("t", SECRET)
    with pytest.raises(CacheDecodeError, match="the value of 't' is not JSON") as caught:
        await cache.get_json("t")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_what_cannot_be_json(cache: Cache) -> None:
    """A value that JSON cannot hold is refused by key, and what was there stays."""
    await cache.set_json("a", 1)
    for value in (object(), math.nan, {"x": {1, object()}}):
        for call in (
            cache.set_json("a", value),
            cache.put_many_json({"b": 1, "a": value}),
            cache.set_json_ex("a", value, 1),
        ):
            with pytest.raises(CacheEncodeError, match="the value of 'a' cannot be stored") as caught:
                await call
            assert caught.value.key == "a"
    assert (await cache.get_json("a"), await cache.has("b")) == (1, False)


# -- add, pull, counters -----------------------------------------------------------------------------------------------


async def test_add(cache: Cache) -> None:
    """Only the first of many at once stores; a later one changes neither value nor time to live."""
    added = await asyncio.gather(*[cache.add("a", str(number), 60) for number in range(50)])
    assert sum(added) == 1
    assert await cache.get("a") == str(added.index(True))
    assert await cache.add("a", "x") is False
    assert await cache.ttl("a") == 60
    assert await cache.add("b", "") is True
    assert await cache.add("b", "x") is False
    assert await cache.expires("b") is False


async def test_add_where_tags_were_invalidated(cache: Cache) -> None:
    """An invalidated value is none, so something can be added; once."""
    await cache.set_json("a", 1, tags=["t"])
    assert await cache.add("a", "2") is False
    await cache.invalidate_tags("t")
    assert sorted(await asyncio.gather(*[cache.add("a", "2") for _ in range(5)])) == [False] * 4 + [True]
    assert await cache.get("a") == "2"


async def test_pull(cache: Cache) -> None:
    """One of many at once gets the value, and then it is gone."""
    await cache.set("a", "1")
    assert sorted(await asyncio.gather(*[cache.pull("a") for _ in range(20)]), key=str) == ["1"] + [None] * 19
    assert await cache.has("a") is False
    await cache.set_json("a", 1, tags=["t"])
    assert await cache.pull("a") == "1"
    await cache.set_json("a", 1, tags=["t"])
    await cache.invalidate_tags("t")
    assert await cache.pull("a") is None


async def test_counters(cache: Cache) -> None:
    """Counting starts at 0, goes both ways, and loses nothing among many at once."""
    assert await cache.increment("a") == 1
    assert await cache.increment("a", 41) == 42
    assert await cache.decrement("a") == 41
    assert await cache.decrement("b", 5) == -5
    assert await cache.increment("a", 0) == 41
    assert await cache.increment("a", -1) == 40
    assert sorted(await asyncio.gather(*[cache.increment("c") for _ in range(200)])) == list(range(1, 201))
    assert (await cache.get("c"), await cache.get_json("c", int)) == ("200", 200)


async def test_counters_with_a_time_to_live(cache: Cache) -> None:
    """The time to live is for the counter that the call creates, and stays as it is after."""
    assert await cache.increment("a", ttl=60) == 1
    assert await cache.increment("a", ttl=1000) == 2
    assert await cache.ttl("a") == 60
    await cache.set("b", "5")
    assert await cache.increment("b", ttl=60) == 6
    assert await cache.expires("b") is False
    assert await cache.increment("a", 9_007_199_254_740_993) == 9_007_199_254_740_995


async def test_counters_at_their_ends(cache: Cache) -> None:
    """64 bits and not one more; what is no counter stays what it is."""
    top = (1 << 63) - 1
    assert await cache.increment("a", top) == top
    for call in (cache.increment("a"), cache.increment("a", ttl=60), cache.decrement("a", -1)):
        with pytest.raises(CacheError, match="'a' cannot be incremented by 1"):
            await call
    assert await cache.decrement("a", top) == 0
    assert await cache.decrement("a", top) == -top
    assert await cache.decrement("a", 1) == -top - 1
    await cache.set("t", "x1")
    await cache.set_json("j", 1, tags=["t"])
    for key in ("t", "j"):
        for ttl in (None, 60):
            with pytest.raises(CacheError, match="cannot be incremented by 1"):
                await cache.increment(key, ttl=ttl)
    assert await cache.get("t") == "x1"


@pytest.mark.parametrize("by", [1.5, "1", None, True, 1 << 64, -(1 << 64)])
async def test_unusable_steps(memory_cache: Cache, by: Any) -> None:
    """A step is an int of 64 bits."""
    for count in (memory_cache.increment, memory_cache.decrement):
        with pytest.raises(ValueError):
            await count("a", by)
    assert await memory_cache.has("a") is False


# -- bulk --------------------------------------------------------------------------------------------------------------


async def test_many(cache: Cache) -> None:
    """Values come in the order of the keys, with `None` between; keys may repeat, and may be any iterable."""
    await cache.put_many({"a": "1", "b": "", "ä": "3"})
    assert await cache.many(["ä", "x", "a", "b", "a"]) == ["3", None, "1", "", "1"]
    assert await cache.many(key for key in "ab") == ["1", ""]
    assert await cache.many([]) == []
    await cache.put_many({})
    with pytest.raises(InvalidTypeError, match=r"such as \['ab'\]"):
        await cache.many("ab")


async def test_many_json(cache: Cache) -> None:
    """Typed bulk: each value as its type."""
    articles = {f"a{number}": Article(id=number, title="T") for number in range(3)}
    await cache.put_many_json({**articles, "n": None}, 60)
    assert await cache.many_json([*articles, "x"], Article) == [*articles.values(), None]
    assert await cache.many_json(["a0", "n"], dict[str, Any] | None) == [
        {"id": 0, "title": "T", "published": None},
        None,
    ]
    assert await cache.ttl("a1") == 60
    with pytest.raises(InvalidTypeError):
        await cache.many_json("ab")


async def test_bulk_beyond_one_slice(cache: Cache) -> None:
    """Thousands of values work as well as three, and without more than a few round trips."""
    mapping = {f"k{number}": str(number) for number in range(2_500)}
    await cache.put_many(mapping, timedelta(minutes=1))
    assert await cache.many(mapping) == list(mapping.values())
    assert await cache.ttl("k2499") == 60
    assert await cache.flush_prefix("k") == 2_500


async def test_many_values_with_tags_take_few_round_trips(cache: Cache) -> None:
    """Reading many tagged values reads their tags together, and finds which are invalid."""
    for number in range(20):
        await cache.set_json(f"k{number}", number, tags=[f"t{number}", "all"])
    await cache.invalidate_tags("t3")
    before = cache.client.statistics()["writes"]
    assert await cache.many_json([f"k{number}" for number in range(20)]) == [
        None if number == 3 else number for number in range(20)
    ]
    assert cache.client.statistics()["writes"] - before <= 2 * 3  # at most three nodes
    await cache.invalidate_tags("all")
    assert await cache.many([f"k{number}" for number in range(20)]) == [None] * 20


# -- flushing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["a*", "a?", "[ab]", "a[b-c]", "a\\", "^a", "a-b", "{x}", "ä*", "*", "?"])
async def test_glob_characters_are_literal(cache: Cache, start: str) -> None:
    """A prefix matches what starts with exactly it."""
    others = ["a", "ab", "abc", "b", "bb", "axb", "a-", "xx", "\\a", "ax*"]
    others = [key for key in others if not key.startswith(start)]
    await cache.put_many(dict.fromkeys([*others, start, f"{start}x", f"{start}*?["], "1"))
    assert await cache.flush_prefix(start) == 3
    assert await cache.many(others) == ["1"] * len(others)
    assert await cache.flush_prefix(start) == 0


async def test_an_empty_prefix_is_refused(cache: Cache) -> None:
    """`flush_prefix("")` is a mistake; `flush_all` says what it does, and keeps to its prefix."""
    await cache.set("a", "1")
    with pytest.raises(InvalidArgumentError):
        await cache.flush_prefix("")
    await cache.client.call("SET", f"{cache.prefix}~tag:other", "1")
    assert await cache.flush_all() == 1
    assert await cache.client.call("GET", f"{cache.prefix}~tag:other") == b"1"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.sets(st.text(st.sampled_from("ab*?[]\\-^é"), min_size=1, max_size=4), max_size=12),
    start=st.text(st.sampled_from("ab*?[]\\-^é"), min_size=1, max_size=2),
)
async def test_flushing_is_like_startswith(memory_cache: Cache, keys: set[str], start: str) -> None:
    """Whatever the characters, exactly the keys with that start go, and the number is theirs."""
    await memory_cache.put_many(dict.fromkeys(keys, "1"))
    assert await memory_cache.flush_prefix(start) == sum(key.startswith(start) for key in keys)
    kept = [key for key in keys if not key.startswith(start)]
    assert await memory_cache.many(kept) == ["1"] * len(kept)
    assert await memory_cache.flush_all() == len(kept)


async def test_flushing_among_many(prefix: str) -> None:
    """Among 30,000 keys exactly the matching ones go, by SCAN and UNLINK in small slices."""
    with RedisServer() as server, redis.Redis(port=server.port) as raw:
        raw.execute_command("DEBUG", "POPULATE", "20000", "other")
        raw.config_resetstat()
        async with Cache.connect(server.url, prefix=prefix) as cache:
            await cache.put_many({f"article:{number}": "1" for number in range(10_000)})
            await cache.put_many({f"author:{number}": "1" for number in range(50)})
            assert await cache.flush_prefix("article:") == 10_000
            assert raw.dbsize() == 20_050
            commands = raw.info("commandstats")
            assert "cmdstat_keys" not in commands
            assert "cmdstat_del" not in commands
            assert 50 <= commands["cmdstat_scan"]["calls"] <= 200
            assert 50 <= commands["cmdstat_unlink"]["calls"] <= commands["cmdstat_scan"]["calls"]
            assert await cache.flush_all() == 50


# -- compression -------------------------------------------------------------------------------------------------------


async def test_compression(backend: Backend) -> None:
    """Above the bound values are small in Redis, and every method reads them, with and without the option."""
    small, plain = await backend.connect(compress_above=100), await backend.connect()
    text = "a" * 10_000
    await small.set("a", text)
    await small.set_ex("b", text, 60)
    await small.set_json("c", text)
    await small.put_many({"d": text}, 60)
    assert await small.add("e", text) is True
    await small.remember("f", 60, lambda: text)
    await small.remember("g", 60, lambda: text, tags=["t"], stale=60)
    await small.set("short", "a" * 100)
    for key in "abcdefg":
        assert await small.client.call("STRLEN", f"{small.prefix}:{key}") < 250
    assert await small.client.call("STRLEN", f"{small.prefix}:short") == 100
    for cache in (small, plain):
        assert await cache.many(["a", "b", "d", "e"]) == [text] * 4
        assert await cache.many_json(["c", "f", "g"]) == [text] * 3
        assert await cache.remember("f", 60, opened(ZeroDivisionError())) == text
        assert [await cache.has(key) for key in "abcdefgx"] == [True] * 7 + [False]
        assert (await cache.ttl("b"), await cache.ttl("a"), await cache.ttl("f"), await cache.ttl("g")) == (
            60,
            None,
            60,
            60,
        )
        assert await cache.add("a", "x") is False
    assert await plain.touch("a", 60) is True
    assert await plain.pull("a") == text
    with pytest.raises(ValueError, match="compress_above"):
        await backend.connect(compress_above=-1)


# -- life cycle --------------------------------------------------------------------------------------------------------


async def test_connect_in_both_ways(backend: Backend) -> None:
    """`await` gives a cache to close, `async with` closes it; closing twice does nothing."""
    cache = await Cache.connect(backend.url, prefix=backend.prefix)
    await cache.set("a", "1")
    await cache.aclose()
    await cache.aclose()
    with pytest.raises(RedisClosedError):
        await cache.get("a")
    async with Cache.connect(backend.url, prefix=backend.prefix) as inside:
        await inside.set("a", "1")
    with pytest.raises(RedisClosedError):
        await inside.get("a")


async def test_a_cache_on_a_connection_of_somebody_else(backend: Backend) -> None:
    """A cache that did not open the connection does not close it, and stops listening to it."""
    owner = await backend.connect()
    listeners = len(owner.client._listeners)
    async with Cache(owner.client, prefix=backend.prefix) as cache:
        await cache.set("a", "1")
    assert await owner.get("a") == "1"
    assert len(owner.client._listeners) == listeners


async def test_wrong_options(backend: Backend) -> None:
    """A word that is no policy is refused."""
    with pytest.raises(InvalidArgumentError, match="'raise' or 'compute', not 'ignore'"):
        await backend.connect(when_unavailable="ignore")


async def test_statistics(cache: Cache) -> None:
    """Hits and misses are counted for each value that was asked for, and computations with their time."""
    await cache.set("a", "1")
    await cache.get("a")
    await cache.get("x")
    await cache.many(["a", "a", "x"])
    await cache.get_json("a")
    await cache.has("a")
    await cache.remember("a", 60, lambda: 2)
    await cache.remember("b", 60, lambda: 2)
    with pytest.raises(ZeroDivisionError):
        await cache.remember("c", 60, lambda: 1 / 0)
    counted = cache.statistics()
    assert (counted.hits, counted.misses, counted.computed, counted.compute_errors) == (5, 3, 1, 1)
    assert (counted.near_hits, counted.stale, counted.undecodable, counted.unavailable) == (0, 0, 0, 0)
    assert counted.reads > 0
    assert counted.read_seconds > 0
    assert 0 < counted.compute_seconds < 1
