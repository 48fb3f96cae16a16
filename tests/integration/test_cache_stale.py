"""Values that outlive their time: served while new ones are computed, and instead of failures; and early refresh."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.cache import entry as entries
from rustforge.cache.entry import Entry
from rustforge.cache.store import Look
from rustforge.errors import CacheEncodeError
from tests.support.caches import Gate, opened, waiting
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from rustforge.cache import Cache
    from tests.support.caches import Backend

WINDOW = 60


async def make_stale(cache: Cache, value: Any = "old", *, window: float = WINDOW, tags: tuple[str, ...] = ()) -> None:
    """Store a value under `a` whose time to live is over, and which is kept for the window."""
    await cache.remember("a", 0.001, opened(value), stale=window, tags=tags)
    await wait_until(lambda: _is_over(cache))


async def _is_over(cache: Cache) -> bool:
    return await cache.ttl("a") == 0


async def left(cache: Cache) -> int:
    """Return what is left of the key in Redis, in milliseconds."""
    milliseconds: int = await cache.client.call("PTTL", f"{cache.prefix}:a")
    return milliseconds


async def test_within_its_time_a_value_is_fresh(cache: Cache) -> None:
    """The window comes on top of the time to live, and neither `ttl` nor anybody else counts it."""
    factory = opened("new")
    assert await cache.remember("a", 30, factory, stale=WINDOW) == "new"
    assert await cache.remember("a", 30, factory, stale=WINDOW) == "new"
    assert (await cache.ttl("a"), factory.calls, cache.statistics().stale) == (30, 1, 0)
    assert 89_000 < await left(cache) <= 90_000


async def test_a_stale_value_is_served_at_once_and_refreshed(cache: Cache) -> None:
    """While one new value is computed in the background, everybody gets the old one at once; then the new one."""
    await make_stale(cache)
    gate = Gate("new")
    for _ in range(5):
        assert await cache.remember("a", 30, gate, stale=WINDOW) == "old"
    await gate.started.wait()
    assert (await cache.get_json("a"), await cache.has("a"), await cache.ttl("a")) == ("old", True, 0)
    gate.open()
    await wait_until(lambda: not cache._flights._tasks)
    assert await cache.remember("a", 30, gate, stale=WINDOW) == "new"
    assert (gate.calls, cache.statistics().stale, await cache.ttl("a")) == (1, 5, 30)


async def test_one_process_refreshes(backend: Backend) -> None:
    """Of several processes one refreshes; the others serve the old value and do not wait for the lease."""
    caches = [await backend.connect() for _ in range(3)]
    await make_stale(caches[0])
    gate = Gate("new")
    assert {await cache.remember("a", 30, gate, stale=WINDOW) for cache in caches for _ in range(3)} == {"old"}
    await gate.started.wait()
    await wait_until(lambda: not caches[1]._flights._tasks and not caches[2]._flights._tasks)
    assert {await cache.remember("a", 30, gate, stale=WINDOW) for cache in caches} == {"old"}
    gate.open()
    await wait_until(lambda: not caches[0]._flights._tasks)
    assert {await cache.remember("a", 30, gate, stale=WINDOW) for cache in caches} == {"new"}
    assert gate.calls == 1


async def test_when_the_window_is_over_the_value_is_gone(cache: Cache) -> None:
    """After time to live and window the next call computes and waits."""
    await cache.remember("a", 0.001, opened("old"), stale=0.03)
    await wait_until(lambda: _is_gone(cache))
    assert await cache.remember("a", 30, opened("new"), stale=WINDOW) == "new"


async def _is_gone(cache: Cache) -> bool:
    return not await cache.has("a")


async def test_patience_waits_for_the_new_value(cache: Cache) -> None:
    """With patience, a caller waits that long: in time it gets the new value, else the old one."""
    await make_stale(cache)
    assert await cache.remember("a", 0.001, opened("new"), stale=WINDOW, patience=5) == "new"
    await wait_until(lambda: _is_over(cache))
    gate = Gate("newer")
    assert await cache.remember("a", 30, gate, stale=WINDOW, patience=0.02) == "new"
    gate.open()
    await wait_until(lambda: not cache._flights._tasks)
    assert await cache.remember("a", 30, gate, stale=WINDOW, patience=0.02) == "newer"
    assert gate.calls == 1


async def test_patience_without_end(backend: Backend) -> None:
    """`patience=None` waits for as long as the factory takes, in the process that computes and in the others."""
    one, other = await backend.connect(), await backend.connect()
    await make_stale(one)
    gate = Gate("new")
    callers = [
        asyncio.create_task(cache.remember("a", 30, gate, stale=WINDOW, patience=None))
        for cache in (one, other)
        for _ in range(3)
    ]
    await gate.started.wait()
    await waiting(one, 3)
    await waiting(other, 3)
    gate.open()
    assert set(await asyncio.gather(*callers)) == {"new"}
    assert gate.calls == 1


async def test_the_stale_value_stands_in_for_a_failure(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """When the factory fails, callers get the old value; the failure is logged once and nobody tries for a second."""
    one, other = await backend.connect(), await backend.connect()
    await make_stale(one)
    failing = opened(LookupError("hunter"))
    with caplog.at_level(logging.WARNING, "rustforge"):
        for _ in range(3):
            async with asyncio.timeout(0.9):  # and nobody waits for the pause to end
                assert await one.remember("a", 30, failing, stale=WINDOW, patience=None) == "old"
                assert await other.remember("a", 30, failing, stale=WINDOW) == "old"
                assert await other.remember("a", 30, failing, stale=WINDOW, patience=5) == "old"
    assert failing.calls == 1
    assert [record.message for record in caplog.records] == ["refreshing 'a' failed: LookupError: hunter"]
    recovered = opened("new")
    await wait_until(lambda: _refreshed(one, recovered))
    assert recovered.calls == 1


async def _refreshed(cache: Cache, factory: Gate) -> bool:
    found: str = await cache.remember("a", 30, factory, stale=WINDOW)
    return found == "new"


async def test_a_failure_without_a_servable_value_is_a_failure(backend: Backend) -> None:
    """After an invalidation there is nothing to fall back to: the exception comes, and comes without the pause."""
    cache = await backend.connect()
    await make_stale(cache, tags=("t",))
    await cache.invalidate_tags("t")
    failing = opened(LookupError())
    async with asyncio.timeout(0.9):
        for calls in (1, 2, 3):
            with pytest.raises(LookupError):
                await cache.remember("a", 30, failing, stale=WINDOW, tags=["t"])
            assert failing.calls == calls
    assert await cache.remember("a", 30, opened("new"), stale=WINDOW, tags=["t"]) == "new"


async def test_what_cannot_be_stored_does_not_replace_the_stale_value(cache: Cache) -> None:
    """A factory whose value is no JSON fails like one that raises."""
    await make_stale(cache)
    assert await cache.remember("a", 30, opened(object()), stale=WINDOW, patience=None) == "old"
    await cache.delete("a")
    with pytest.raises(CacheEncodeError):
        await cache.remember("a", 30, opened(object()), stale=WINDOW)


@pytest.mark.parametrize("write", ["delete", "set_json", "invalidate_tags"])
async def test_a_write_during_a_refresh_wins(backend: Backend, write: str) -> None:
    """A refresh that was overtaken by a write, here or elsewhere, changes nothing."""
    one, other = await backend.connect(), await backend.connect()
    for writer in (one, other):
        await make_stale(one, tags=("t",))
        gate = Gate("outdated")
        assert await one.remember("a", 30, gate, stale=WINDOW, tags=["t"]) == "old"
        await gate.started.wait()
        arguments = {"delete": ("a",), "set_json": ("a", "written"), "invalidate_tags": ("t",)}[write]
        await getattr(writer, write)(*arguments)
        expected = "written" if write == "set_json" else "new"
        gate.value = "new"
        late = [asyncio.create_task(cache.remember("a", 30, gate, stale=WINDOW, tags=["t"])) for cache in (one, other)]
        gate.open()
        assert await asyncio.gather(*late) == [expected] * 2
        await wait_until(lambda: not one._flights._tasks)
        assert await other.get_json("a") == expected
        await one.delete("a")


async def test_the_holder_of_a_refresh_is_lost(backend: Backend) -> None:
    """A refresh whose process stands still is taken over after its lease; its late result is not stored."""
    one, other = await backend.connect(), await backend.connect()
    await make_stale(one)
    gate = Gate("late")
    assert await one.remember("a", 30, gate, stale=WINDOW, lease=60) == "old"
    await gate.started.wait()
    # What happens to the lease of a process that stands still: its end passes.
    await one.client.call("SETRANGE", f"{one.prefix}:a", 18, b"0" * 13)
    assert await other.remember("a", 30, opened("taken over"), stale=WINDOW, lease=60, patience=None) == "taken over"
    gate.open()
    await wait_until(lambda: not one._flights._tasks)
    assert await one.get_json("a") == "taken over"


async def test_a_refresh_near_the_end_of_the_window(backend: Backend) -> None:
    """The old value ends while the new one is computed: the lease lives on, so that nobody computes a second time."""
    one, other = await backend.connect(), await backend.connect()
    await make_stale(one, window=0.6)
    gate, elsewhere = Gate("new"), opened("second")
    assert await one.remember("a", 30, gate, stale=WINDOW, lease=60) == "old"
    await gate.started.wait()
    await wait_until(lambda: _is_gone(one))
    waiter = asyncio.create_task(other.remember("a", 30, elsewhere, stale=WINDOW, lease=60))
    await waiting(other, 1)
    gate.open()
    assert await waiter == "new"
    assert elsewhere.calls == 0


async def test_a_refresh_that_begins_at_the_very_end(backend: Backend) -> None:
    """A value about to end makes room for the lease at once, and others wait for the new one."""
    one, other = await backend.connect(), await backend.connect()
    await make_stale(one, window=0.4)
    gate, elsewhere = Gate("new"), opened("second")
    assert await one.remember("a", 30, gate, stale=WINDOW, lease=60) == "old"
    await gate.started.wait()
    assert await one.has("a") is False
    waiter = asyncio.create_task(other.remember("a", 30, elsewhere, stale=WINDOW, lease=60))
    await waiting(other, 1)
    gate.open()
    assert await waiter == "new"
    assert elsewhere.calls == 0


async def test_closing_ends_refreshes(backend: Backend) -> None:
    """Closing a cache cancels its refreshes and gives their leases back, for others to refresh at once."""
    one, other = await backend.connect(), await backend.connect()
    await make_stale(one)
    gate = Gate("never")
    assert await one.remember("a", 30, gate, stale=WINDOW, lease=60) == "old"
    await gate.started.wait()
    await one.aclose()
    async with asyncio.timeout(0.9):
        assert await other.remember("a", 30, opened("new"), stale=WINDOW, patience=None, lease=60) == "new"


async def test_touch_keeps_the_window(cache: Cache) -> None:
    """A new time to live makes a stale value fresh again, and the window stays on top."""
    await make_stale(cache)
    assert await cache.touch("a", 30) is True
    assert await cache.remember("a", 30, opened("new"), stale=WINDOW) == "old"
    assert (await cache.ttl("a"), cache.statistics().stale) == (30, 0)
    assert 89_000 < await left(cache) <= 90_000


async def test_the_factory_may_not_ask_for_its_own_key_while_refreshing(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    """A refresh that asks for its own key fails, and the stale value stays."""
    await make_stale(cache)

    async def again() -> Any:
        return await cache.remember("a", 30, again, stale=WINDOW)

    assert await cache.remember("a", 30, again, stale=WINDOW, patience=None) == "old"
    assert "asked for 'a' itself" in caplog.text


# -- early refresh -----------------------------------------------------------------------------------------------------


async def store_with_cost(cache: Cache, cost: int, ttl: int) -> None:
    """Store a value that took so many milliseconds to compute and has so many left."""
    raw = Entry(b'"old"', cost=cost, soft=True).pack(None)
    await cache.client.call("SET", f"{cache.prefix}:a", raw, "PX", ttl)


async def test_early_refresh_follows_its_rule(memory_cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hit refreshes when -cost * beta * ln(1 - random) reaches what is left: with p = exp(-left / (cost * beta))."""
    cache = memory_cache
    refreshed = 0
    monkeypatch.setattr(random, "random", random.Random(7).random)
    monkeypatch.setattr(cache._flights, "_start", lambda *_: _Counted())

    class _Counted:
        def __init__(self) -> None:
            nonlocal refreshed
            refreshed += 1
            self.background = False

    for cost, left_ms, beta in ((1_000, 1_000, 1.0), (1_000, 3_000, 1.0), (500, 2_000, 2.0), (1_000, 500, 0.5)):
        refreshed = 0
        trials = 2_000
        monkeypatch.setattr(cache._store, "look", _look(cost, left_ms))
        for _ in range(trials):
            assert await cache.remember("a", 60, opened(), early=beta) == "old"
        expected = math.exp(-left_ms / (cost * beta))
        deviation = math.sqrt(trials * expected * (1 - expected))
        assert abs(refreshed - trials * expected) < 4 * deviation


def _look(cost: int, left_ms: int) -> Any:
    raw = Entry(b'"old"', cost=cost, soft=True).pack(None)

    async def look(*_: object) -> Look:
        return Look(raw, left_ms, {})

    return look


async def test_early_refresh_in_the_background(backend: Backend) -> None:
    """Near its end a value is refreshed before it expires, once, and callers get the old one meanwhile."""
    one, other = await backend.connect(), await backend.connect()
    await store_with_cost(one, 999_999_999, 50_000)
    gate = Gate("new")
    for cache in (one, other):
        for _ in range(3):
            assert await cache.remember("a", 60, gate, early=1) == "old"
    await gate.started.wait()
    gate.open()
    await wait_until(lambda: not one._flights._tasks)
    assert await other.get_json("a") == "new"
    assert (gate.calls, one.statistics().stale, await one.ttl("a")) == (1, 0, 60)


async def test_no_early_refresh_unless_asked_for(cache: Cache) -> None:
    """Without `early`, or far from the end, nothing is computed."""
    await store_with_cost(cache, 999_999_999, 50_000)
    factory = opened("new")
    for options in ({}, {"stale": 60}, {"tags": ["t"]}):
        assert await cache.remember("a", 60, factory, **options) == "old"
    await store_with_cost(cache, 1, 50_000)
    assert await cache.remember("a", 60, factory, early=1) == "old"
    assert factory.calls == 0
    assert cache._flights._tasks == set()


async def test_an_early_refresh_that_fails(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    """The value stays until its end, and the next try has to wait a second."""
    await store_with_cost(cache, 999_999_999, 50_000)
    failing = opened(LookupError("no"))
    for _ in range(10):
        assert await cache.remember("a", 60, failing, early=1) == "old"
        await wait_until(lambda: not cache._flights._tasks and not cache._flights._releases)
    assert failing.calls == 1
    assert "refreshing 'a' failed: LookupError: no" in caplog.text


async def test_the_cost_is_measured(cache: Cache) -> None:
    """What the factory took is stored with the value, for the rule of early refresh."""
    gate = Gate()
    call = asyncio.create_task(cache.remember("a", 60, gate, early=1))
    await gate.started.wait()
    await asyncio.sleep(0.05)  # the time that the factory takes
    gate.open()
    await call
    found = Entry.parse(await cache.client.call("GET", f"{cache.prefix}:a"))
    assert found is not None
    assert 50 <= found.cost < 5_000


# -- jitter ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jitter", [0.0, 0.1, 0.5, 1.0])
async def test_jitter(cache: Cache, jitter: float) -> None:
    """Up to the share is cut off the time to live, at random, and nothing is ever added."""
    for number in range(60):
        await cache.remember(f"a{number}", 1000, opened(), jitter=jitter)
    lives = await asyncio.gather(*[cache.client.call("PTTL", f"{cache.prefix}:a{number}") for number in range(60)])
    assert all(1_000_000 * (1 - jitter) - 2_000 <= life <= 1_000_000 for life in lives)
    spread = max(lives) - min(lives)
    assert spread > 400_000 * jitter if jitter else spread < 2_000


async def test_jitter_leaves_the_window_alone(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window is not cut, and even with everything cut off a value lives for a millisecond."""
    monkeypatch.setattr(random, "random", lambda: 1.0 - 2**-53)
    await cache.remember("a", 1000, opened(), stale=WINDOW, jitter=1)
    assert 59_000 < await left(cache) <= 60_001
    assert await cache.remember("b", 1000, opened(3), jitter=1) == 3


def test_lengths_of_the_header() -> None:
    """The scripts rely on these places."""
    assert (entries.HEADER_BYTES, len(entries.NO_OWNER)) == (61, 16)
