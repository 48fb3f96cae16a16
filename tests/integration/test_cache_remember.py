"""`remember`: computed once, typed, fresh, and honest about failures."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import itertools
import logging
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, Field

from rustforge.errors import CacheEncodeError, CacheError, InvalidTypeError
from tests.support.caches import Gate, opened, waiting
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from rustforge.cache import Cache
    from tests.support.caches import Backend

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stale": {"stale": 60},
    "tagged": {"tags": ["t"]},
    "early": {"early": 1},
}
with_options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


class Article(BaseModel):
    """A model with an alias, so that going through JSON shows."""

    id: int = Field(alias="articleId")
    title: str = "T"


# -- values and types --------------------------------------------------------------------------------------------------


@with_options
async def test_a_miss_computes_and_a_hit_does_not(cache: Cache, options: dict[str, Any]) -> None:
    """The factory runs for the first call only, and the value lives for its time to live."""
    factory = opened({"a": [1, None]})
    for _ in range(3):
        assert await cache.remember("a", 60, factory, **options) == {"a": [1, None]}
    assert factory.calls == 1
    assert await cache.ttl("a") == 60
    assert await cache.get_json("a") == {"a": [1, None]}


@with_options
async def test_none_is_a_hit(cache: Cache, options: dict[str, Any]) -> None:
    """`None` is cached like any other value."""
    factory = opened(None)
    for _ in range(3):
        assert await cache.remember("a", 60, factory, **options) is None
    assert factory.calls == 1
    assert await cache.has("a") is True


async def test_remember_forever(cache: Cache) -> None:
    """Without expiry, with tags or not; an existing value is taken as it is."""
    factory = opened(1)
    assert await cache.remember_forever("a", factory) == 1
    assert await cache.remember_forever("b", factory, tags=["t"]) == 1
    assert await cache.remember_forever("a", factory, int) == 1
    assert (await cache.expires("a"), await cache.expires("b"), factory.calls) == (False, False, 2)
    await cache.set_json_ex("c", 5, 60)
    assert await cache.remember_forever("c", factory) == 5
    assert await cache.ttl("c") == 60
    await cache.invalidate_tags("t")
    assert await cache.remember_forever("b", factory) == 1
    assert factory.calls == 3


async def test_after_its_time_a_value_is_computed_anew(cache: Cache) -> None:
    """Once the time to live is over, the next call computes."""
    numbers = iter(range(10))
    assert await cache.remember("a", timedelta(milliseconds=30), lambda: next(numbers)) == 0
    await wait_until(lambda: _is_gone(cache, "a"))
    assert await cache.remember("a", 60, lambda: next(numbers)) == 1


async def _is_gone(cache: Cache, key: str) -> bool:
    return not await cache.has(key)


async def load() -> Article:
    """Load as an async function."""
    return Article(articleId=1)


def load_now() -> Article:
    """Load as a plain function."""
    return Article(articleId=1)


def load_by(number: int, unused: Fraction | None = None) -> Article:
    """Load by an argument; another annotation exists for type checkers only."""
    return Article(articleId=number)


class Loader:
    """Loads as a method, and when it is called."""

    async def load(self) -> Article:
        """Load."""
        return Article(articleId=1)

    async def __call__(self) -> Article:
        """Load."""
        return Article(articleId=1)


FACTORIES: dict[str, Callable[[], Any]] = {
    "async def": load,
    "def": load_now,
    "partial": functools.partial(load_by, 1),
    "method": Loader().load,
    "callable object": Loader(),
}


@pytest.mark.parametrize("name", FACTORIES)
async def test_the_return_annotation_is_the_type(cache: Cache, name: str) -> None:
    """Without `type`, the value is what the factory says that it returns; on the miss and on the hit."""
    for _ in range(2):
        assert await cache.remember("a", 60, FACTORIES[name]) == Article(articleId=1)


async def test_without_any_annotation_it_is_plain_json(cache: Cache) -> None:
    """A lambda says nothing, so the value is JSON, for the first caller too; `type` says it."""
    cases: list[tuple[Any, Any, Any]] = [
        (Article(articleId=1), None, {"id": 1, "title": "T"}),
        (Article(articleId=1), Article, Article(articleId=1)),
        ((1, 2), None, [1, 2]),
        ((1, 2), tuple[int, int], (1, 2)),
        ({"1": 2}, dict[int, float], {1: 2.0}),
    ]
    for number, (value, kind, expected) in enumerate(cases * 2):
        found: Any = await cache.remember(f"a{number % len(cases)}", 60, opened(value), kind)
        assert found == expected
        assert type(found) is type(expected)


async def test_a_local_type(cache: Cache) -> None:
    """A type that a function defines is the one of this call, though the function ran before."""

    async def handle() -> None:
        class Local(BaseModel):
            x: int

        async def factory() -> Local:
            return Local(x=1)

        assert type(await cache.remember("a", 60, factory)) is Local

    await handle()
    await handle()


async def test_a_type_that_does_not_exist(cache: Cache) -> None:
    """An annotation that cannot be resolved is an error before anything is computed; `type` replaces it."""

    def factory() -> Fraction:
        raise NotImplementedError

    with pytest.raises(InvalidTypeError, match="return annotation 'Fraction'"):
        await cache.remember("a", 60, factory)
    await cache.set_json("a", 3)
    assert await cache.remember("a", 60, factory, int) == 3


async def test_every_caller_has_a_copy_of_its_own(cache: Cache) -> None:
    """What one caller does to its value, no other sees."""
    first, second = await asyncio.gather(*[cache.remember("a", 60, lambda: [1]) for _ in range(2)])
    first.append(2)
    assert second == [1]
    assert await cache.remember("a", 60, lambda: [9]) == [1]


@with_options
async def test_a_value_that_no_longer_fits_is_computed_again(
    cache: Cache, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """An outdated shape is a miss, with a line in the log that does not show the value."""
    await cache.set_json("a", {"secret": "hunter2"}, tags=options.get("tags", ()))
    factory = opened(7)
    with caplog.at_level(logging.WARNING):
        assert await cache.remember("a", 60, factory, int, **options) == 7
    assert "cached value of 'a' is computed again: it does not fit int" in caplog.text
    assert "hunter2" not in caplog.text
    assert await cache.remember("a", 60, factory, int, **options) == 7
    assert (factory.calls, cache.statistics().undecodable >= 1) == (1, True)


async def test_two_callers_with_different_types_at_once(cache: Cache) -> None:
    """Each gets its own type, whoever computes first; nobody gets an error for the other's."""
    gate = Gate(1)
    number = asyncio.create_task(cache.remember("a", 60, gate, int))
    await gate.started.wait()
    text = asyncio.create_task(cache.remember("a", 60, lambda: "x", str))
    await waiting(cache, 2)
    gate.open()
    assert await number == 1
    assert await text == "x"


@pytest.mark.parametrize(
    ("value", "kind"), [(object(), None), (None, int), ({"x": 1}, Article)], ids=["json", "none", "shape"]
)
async def test_a_value_that_cannot_be_stored(cache: Cache, value: object, kind: Any) -> None:
    """What is not JSON, or not of its own type, is the factory's mistake: an error, and nothing is stored."""
    with pytest.raises(
        CacheEncodeError, match=r"the factory of 'a' returned (what cannot be stored: )?a value of type"
    ):
        await cache.remember("a", 60, lambda: value, kind)
    assert await cache.flush_all() == 0


# -- once --------------------------------------------------------------------------------------------------------------


@with_options
async def test_many_misses_compute_once(backend: Backend, options: dict[str, Any]) -> None:
    """Two thousand callers in two processes' worth of caches: one computation."""
    one, other = await backend.connect(), await backend.connect()
    gate = Gate("value")
    callers = [
        asyncio.create_task(cache.remember("a", 60, gate, **options)) for cache in (one, other) for _ in range(1000)
    ]
    await gate.started.wait()
    await waiting(one, 1000)
    await waiting(other, 1000)
    gate.open()
    assert set(await asyncio.gather(*callers)) == {"value"}
    assert gate.calls == 1
    counted = [cache.statistics() for cache in (one, other)]
    assert sum(statistics.computed for statistics in counted) == 1
    assert sum(statistics.misses for statistics in counted) == 2000


async def test_different_keys_do_not_wait_for_each_other(cache: Cache) -> None:
    """A computation holds up its own key only."""
    gate = Gate()
    held = asyncio.create_task(cache.remember("a", 60, gate))
    await gate.started.wait()
    assert await cache.remember("b", 60, opened(2)) == 2
    await cache.set("c", "1")
    gate.open()
    assert await held == 1


async def test_the_factory_sees_the_context_of_its_caller(cache: Cache) -> None:
    """Context variables of the first caller are there; what the factory sets stays inside."""
    request = contextvars.ContextVar("request", default="none")

    def factory() -> str:
        seen = request.get()
        request.set("changed")
        return seen

    request.set("mine")
    assert await cache.remember("a", 60, factory) == "mine"
    assert request.get() == "mine"


@with_options
async def test_a_failure_reaches_all_who_wait_and_nothing_is_stored(backend: Backend, options: dict[str, Any]) -> None:
    """Every waiter of the process gets the exception itself; another process tries by itself; the next call too."""
    one, other = await backend.connect(), await backend.connect()
    gate, elsewhere = Gate(LookupError("no such article")), opened("elsewhere")
    callers = [asyncio.create_task(one.remember("a", 60, gate, **options)) for _ in range(20)]
    await gate.started.wait()
    await waiting(one, 20)
    stranger = asyncio.create_task(other.remember("a", 60, elsewhere, **options))
    await waiting(other, 1)
    gate.open()
    found = await asyncio.gather(*callers, return_exceptions=True)
    assert {repr(error) for error in found} == {"LookupError('no such article')"}
    assert await stranger == "elsewhere"
    assert (gate.calls, elsewhere.calls) == (1, 1)
    await one.delete("a")
    with pytest.raises(LookupError):
        await one.remember("a", 60, gate, **options)
    assert await one.flush_all() == 0
    assert one.statistics().compute_errors == 2


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError("x"), KeyError("x"), RuntimeError("x")], ids=repr)
async def test_any_exception_goes_through_as_it_is(cache: Cache, error: Exception) -> None:
    """The factory's exception is not dressed up as one of the cache."""
    with pytest.raises(type(error)) as caught:
        await cache.remember("a", 60, opened(error))
    assert caught.value is error


async def test_a_plain_function_that_raises(cache: Cache) -> None:
    """A factory that is no coroutine fails the same way."""
    with pytest.raises(ZeroDivisionError):
        await cache.remember("a", 60, lambda: 1 / 0)
    assert await cache.flush_all() == 0


@with_options
async def test_one_of_the_waiters_is_cancelled(cache: Cache, options: dict[str, Any]) -> None:
    """The caller that started the computation may leave; the others get their value from the same computation."""
    gate = Gate()
    callers = [asyncio.create_task(cache.remember("a", 60, gate, **options)) for _ in range(3)]
    await gate.started.wait()
    await waiting(cache, 3)
    callers[0].cancel()
    await waiting(cache, 2)
    gate.open()
    assert await asyncio.gather(*callers[1:]) == [1, 1]
    assert gate.calls == 1
    with pytest.raises(asyncio.CancelledError):
        await callers[0]


@with_options
async def test_all_waiters_are_cancelled(backend: Backend, options: dict[str, Any]) -> None:
    """With the last waiter the computation ends and gives its lease back, so another process goes on at once."""
    one, other = await backend.connect(), await backend.connect()
    gate, elsewhere = Gate(), opened(2)
    callers = [asyncio.create_task(one.remember("a", 60, gate, lease=60, **options)) for _ in range(3)]
    await gate.started.wait()
    stranger = asyncio.create_task(other.remember("a", 60, elsewhere, lease=60, **options))
    await waiting(other, 1)
    for caller in callers:
        caller.cancel()
    async with asyncio.timeout(5):
        assert await stranger == 2
    assert (gate.calls, elsewhere.calls) == (1, 1)
    await asyncio.gather(*callers, return_exceptions=True)


@with_options
async def test_cancelled_at_any_moment(backend: Backend, options: dict[str, Any]) -> None:
    """However far a call has come when it is cancelled, no lease stays behind for others to wait for."""
    one, other = await backend.connect(), await backend.connect()
    for ticks in range(16):
        key = f"a{ticks}"
        caller = asyncio.create_task(one.remember(key, 60, Gate(), lease=60, **options))
        for _ in range(ticks):
            await asyncio.sleep(0)
        caller.cancel()
        async with asyncio.timeout(5):
            assert await other.remember(key, 60, opened(2), lease=60, **options) == 2
        assert caller.done()


async def test_a_factory_that_is_cancelled_inside(cache: Cache) -> None:
    """When the computation itself is cancelled, its waiters get an error and are not cancelled."""

    async def factory() -> int:
        raise asyncio.CancelledError

    with pytest.raises(CacheError, match="the computation of 'a' was cancelled"):
        await cache.remember("a", 60, factory)
    assert await cache.remember("a", 60, opened(1)) == 1


async def test_a_time_out_of_the_caller(cache: Cache) -> None:
    """A caller's own time-out ends its wait, and the computation with it when nobody else waits."""
    gate = Gate()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await cache.remember("a", 60, gate)
    await wait_until(lambda: not cache._flights._tasks)
    assert await cache.flush_all() == 0


async def test_a_factory_that_asks_for_its_own_key(cache: Cache) -> None:
    """It would wait for ever, directly or by way of another key, so it is an error; so are siblings free to ask."""

    async def again() -> Any:
        return await cache.remember("a", 60, again)

    async def one() -> Any:
        return await cache.remember("other", 60, other)

    async def other() -> Any:
        return await cache.remember("one", 60, one)

    for key, factory in (("a", again), ("one", one)):
        with pytest.raises(CacheError, match=r"asked for .* itself"):
            await cache.remember(key, 60, factory)

    async def both() -> list[Any]:
        return await asyncio.gather(*[cache.remember("inner", 60, opened(1)) for _ in range(2)])

    assert await cache.remember("outer", 60, both) == [1, 1]


@with_options
async def test_a_lease_is_no_value(backend: Backend, options: dict[str, Any]) -> None:
    """While a missing value is computed, every method finds nothing under its key."""
    one, other = await backend.connect(), await backend.connect(compress_above=0)
    gate = Gate(7)
    call = asyncio.create_task(one.remember("a", 60, gate, **options))
    await gate.started.wait()
    for cache in (one, other):
        assert (await cache.get("a"), await cache.get_json("a"), await cache.has("a")) == (None, None, False)
        assert (await cache.ttl("a"), await cache.expires("a"), await cache.touch("a", 5)) == (None, None, False)
        assert (await cache.many(["a"]), await cache.many_json(["a"])) == ([None], [None])
    assert (await one.delete("a"), await other.pull("a")) == (False, None)
    gate.open()
    assert await call == 7
    for write in ("add", "increment"):
        again = Gate(8)
        call = asyncio.create_task(one.remember("b", 60, again, **options))
        await again.started.wait()
        assert await (other.add("b", "9", 60) if write == "add" else other.increment("b", 9, ttl=60)) in {True, 9}
        assert (await one.get("b"), await one.ttl("b")) == ("9", 60)
        again.open()
        assert await call in {8, 9}
        assert await one.get("b") == "9"
        assert await one.delete("b") is True


async def test_the_lease_is_renewed(backend: Backend) -> None:
    """A factory that takes many times its lease keeps it for as long as its process answers."""
    one, other = await backend.connect(), await backend.connect()

    async def check(key: str, options: dict[str, Any]) -> None:
        gate, elsewhere = Gate(), opened(2)
        first = asyncio.create_task(one.remember(key, 60, gate, lease=0.15, **options))
        await gate.started.wait()
        second = asyncio.create_task(other.remember(key, 60, elsewhere, lease=0.15, **options))
        await asyncio.sleep(0.5)  # three leases and more
        gate.open()
        assert [await first, await second, elsewhere.calls] == [1, 1, 0]

    await asyncio.gather(*[check(*case) for case in OPTIONS.items()])


async def test_tags_live_as_long_as_a_slow_computation_needs(backend: Backend) -> None:
    """While the factory runs, its tags are kept alive: the value is a hit afterwards, however short its own life is."""
    cache = await backend.connect()
    gate = Gate()
    call = asyncio.create_task(cache.remember("a", 0.01, gate, tags=["t"], lease=0.1))
    await gate.started.wait()
    lives: list[int] = []

    async def was_renewed() -> bool:
        lives.append(await cache.client.call("PTTL", f"{cache.prefix}~tag:t"))
        return any(later > sooner for sooner, later in itertools.pairwise(lives))

    await wait_until(was_renewed)
    gate.open()
    assert await call == 1


# -- freshness ---------------------------------------------------------------------------------------------------------

WRITES: dict[str, Callable[[Cache], Any]] = {
    "delete": lambda cache: cache.delete("a"),
    "forget": lambda cache: cache.forget("a"),
    "pull": lambda cache: cache.pull("a"),
    "flush_prefix": lambda cache: cache.flush_prefix("a"),
    "flush_all": lambda cache: cache.flush_all(),
    "invalidate_tags": lambda cache: cache.invalidate_tags("t"),
    "set": lambda cache: cache.set("a", '"written"'),
    "set_ex": lambda cache: cache.set_ex("a", '"written"', 60),
    "set_json": lambda cache: cache.set_json("a", "written"),
    "set_json with tags": lambda cache: cache.set_json_ex("a", "written", 60, tags=["t"]),
    "put_many": lambda cache: cache.put_many({"a": '"written"'}),
    "put_many_json": lambda cache: cache.put_many_json({"a": "written"}, 60),
    "add": lambda cache: cache.add("a", '"written"'),
}
STORING = ("set", "put", "add")


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_during_a_computation_wins(backend: Backend, write: str) -> None:
    """What was computed from before a write is neither stored nor given to those who came after the write.

    The write may come from this process or from another; whoever came before it may get the old value.
    """
    one, other = await backend.connect(), await backend.connect()
    cases = [options for options in OPTIONS.values() if write != "invalidate_tags" or "tags" in options]
    for options, writer in itertools.product(cases, (one, other)):
        gate = Gate("old")
        early = asyncio.create_task(one.remember("a", 60, gate, **options))
        await gate.started.wait()
        await WRITES[write](writer)
        gate.value = "new"
        stores = write.startswith(STORING)
        late = [
            asyncio.create_task(cache.remember("a", 60, gate, **options)) for cache in (one, other) for _ in range(3)
        ]
        if not stores:
            await waiting(one, 3)
            await waiting(other, 3)
        gate.open()
        assert await early in {"old", "new", "written"}
        expected = "written" if stores else "new"
        assert set(await asyncio.gather(*late)) == {expected}
        assert await one.get_json("a") == expected
        assert await other.remember("a", 60, gate, **options) == expected
        assert gate.calls <= 2
        await one.delete("a")


@pytest.mark.parametrize("write", ["delete", "flush_prefix", "flush_all", "pull"])
async def test_after_a_removal_nobody_waits_for_the_old_computation(cache: Cache, write: str) -> None:
    """Callers that come after a removal in their own process compute at once, beside the outdated computation."""
    old, new = Gate("old"), opened("new")
    early = asyncio.create_task(cache.remember("a", 60, old))
    await old.started.wait()
    await WRITES[write](cache)
    assert await cache.remember("a", 60, new) == "new"
    old.open()
    assert await early in {"old", "new"}
    assert await cache.get_json("a") == "new"


@with_options
async def test_an_increment_during_a_computation_wins(backend: Backend, options: dict[str, Any]) -> None:
    """A counter starts over a computation that is under way, and stays."""
    one, other = await backend.connect(), await backend.connect()
    gate = Gate(100)
    early = asyncio.create_task(one.remember("a", 60, gate, **options))
    await gate.started.wait()
    assert await other.increment("a") == 1
    gate.open()
    assert await early in {100, 1}
    assert await one.get("a") == "1"


async def test_a_write_between_every_two_computations(backend: Backend) -> None:
    """A key that is deleted faster than it can be computed: everybody gets a value from after their call, in time."""
    one, other = await backend.connect(), await backend.connect()
    version = 0
    calls = 0

    async def factory() -> int:
        nonlocal version, calls
        calls += 1
        seen = version
        version += 1
        await other.delete("a")  # during every computation
        return seen

    async def ask(cache: Cache) -> None:
        before = version
        assert await cache.remember("a", 60, factory) >= before

    async with asyncio.timeout(10):
        for _ in range(5):
            await asyncio.gather(*[ask(cache) for cache in (one, other) for _ in range(20)])
    assert calls <= 5 * 2 * 3


async def test_a_late_result_does_not_replace_the_one_that_took_over(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """A holder whose lease ended, as that of a stopped process does, cannot store what it computed."""
    one, other = await backend.connect(), await backend.connect()
    for options in OPTIONS.values():
        gate = Gate("late")
        stopped = asyncio.create_task(one.remember("a", 60, gate, lease=60, **options))
        await gate.started.wait()
        # What a server does with a lease that nobody renews.
        if options and await one.client.call("STRLEN", f"{one.prefix}:a") > 31:
            pytest.fail("there was no value, so the lease stands alone")
        await one.client.call("PEXPIRE", f"{one.prefix}:a", 1)
        async with asyncio.timeout(5):
            assert await other.remember("a", 60, opened("taken over"), lease=60, **options) == "taken over"
        gate.open()
        assert await stopped == "taken over"
        assert await one.get_json("a") == "taken over"
        await one.delete("a")


async def test_a_factory_that_blocks_for_longer_than_its_lease(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """A plain function that blocks the event loop loses its lease: it runs once for a call, and the log says why."""
    cache = await backend.connect()
    calls = 0

    def block() -> int:
        nonlocal calls
        calls += 1
        threading.Event().wait(0.25)
        return calls

    with caplog.at_level(logging.WARNING):
        assert await cache.remember("a", 60, block, lease=0.1) == 1
    assert calls == 1
    assert "the value of 'a', which took 0.3 s, was not stored: its lease of 0.1 s was lost" in caplog.text
    assert await cache.has("a") is False


async def test_closing_while_computing(backend: Backend) -> None:
    """Closing the cache ends what it computes, frees the lease for others and gives the callers an error."""
    one, other = await backend.connect(), await backend.connect()
    gate = Gate()
    calls = [asyncio.create_task(one.remember("a", 60, gate, lease=60)) for _ in range(3)]
    await gate.started.wait()
    await one.aclose()
    for error in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(error, CacheError)
    async with asyncio.timeout(5):
        assert await other.remember("a", 60, opened(2), lease=60) == 2
