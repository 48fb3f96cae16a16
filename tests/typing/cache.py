"""The types of the cache's methods, as callers see them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, assert_type

from pydantic import BaseModel

from rustforge.boot import BootContext, boot
from rustforge.cache import Cache, CachedFunction, Lock, NearCache, RateLimit, cached

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import timedelta

    from rustforge.settings import Settings


class Article(BaseModel):
    """A model."""

    id: int


class Row(TypedDict):
    """A typed dictionary."""

    id: int


async def load() -> Article:
    """Load in an async function."""
    raise NotImplementedError


def load_now() -> Article:
    """Load in a plain function."""
    raise NotImplementedError


def load_later() -> Awaitable[list[Article]]:
    """Load in a function that returns an awaitable."""
    raise NotImplementedError


async def find(number: int, *, draft: bool = False) -> Article | None:
    """Load with arguments."""
    raise NotImplementedError


class Repository:
    """Loads in methods."""

    cache: Cache

    async def load(self) -> Article:
        """Load."""
        raise NotImplementedError

    def __call__(self) -> Article:
        """Load."""
        raise NotImplementedError


async def text(cache: Cache, ttl: timedelta) -> None:
    """Text goes in and comes out."""
    assert_type(await cache.get("a"), str | None)
    assert_type(await cache.pull("a"), str | None)
    assert_type(await cache.many(["a"]), list[str | None])
    assert_type(await cache.has("a"), bool)
    assert_type(await cache.delete("a"), bool)
    assert_type(await cache.forget("a"), bool)
    assert_type(await cache.add("a", "1", ttl), bool)
    assert_type(await cache.touch("a", None), bool)
    assert_type(await cache.ttl("a"), int | None)
    assert_type(await cache.expires("a"), bool | None)
    assert_type(await cache.increment("a"), int)
    assert_type(await cache.decrement("a", 2, ttl=1.5), int)
    assert_type(await cache.flush_prefix("a"), int)
    assert_type(await cache.flush_all(), int)
    await cache.set("a", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await cache.set_ex("a", "1", "60")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def json(cache: Cache) -> None:
    """A type gives its values, or `None`; without one, whatever JSON holds."""
    assert_type(await cache.get_json("a", Article), Article | None)
    assert_type(await cache.get_json("a", Row), Row | None)
    assert_type(await cache.get_json("a", int), int | None)
    assert_type(await cache.get_json("a", list[Article]), list[Article] | None)
    assert_type(await cache.get_json("a", dict[str, int]), dict[str, int] | None)
    assert_type(await cache.get_json("a"), Any)
    assert_type(await cache.many_json(["a"], Article), list[Article | None])
    assert_type(await cache.many_json(["a"], list[int]), list[list[int] | None])
    assert_type(await cache.many_json(["a"]), list[Any])
    await cache.set_json("a", Article(id=1), tags=("t",))
    await cache.put_many_json({"a": Article(id=1), "b": None}, 60)


async def remember(cache: Cache) -> None:
    """What the factory returns, or what it returns when it is awaited."""
    assert_type(await cache.remember("a", 60, load), Article)
    assert_type(await cache.remember("a", 60, load_now), Article)
    assert_type(await cache.remember("a", 60, load_later), list[Article])
    assert_type(await cache.remember("a", 60, partial(find, 1)), Article | None)
    assert_type(await cache.remember("a", 60, Repository().load), Article)
    assert_type(await cache.remember("a", 60, Repository()), Article)
    assert_type(await cache.remember("a", 60, lambda: find(1)), Article | None)
    assert_type(await cache.remember("a", 60, lambda: 1), int)
    assert_type(await cache.remember("a", 60, load, Article, stale=60, patience=None, tags=["t"]), Article)
    assert_type(await cache.remember_forever("a", load), Article)
    assert_type(await cache.remember_forever("a", load_now, tags=["t"]), Article)
    await cache.remember("a", 60, find)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await cache.remember("a", 60, 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def decorator(cache: Cache) -> None:
    """The decorated function keeps its parameters and its result."""

    @cached("article:{number}", ttl=60, cache=cache)
    async def remembered(number: int, *, draft: bool = False) -> Article | None:
        return await find(number, draft=draft)

    assert_type(await remembered(1), Article | None)
    assert_type(await remembered(number=1, draft=True), Article | None)
    assert_type(await remembered.forget(1), bool)
    assert_type(remembered.key(1, draft=True), str)
    await remembered("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await remembered.forget()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    kept: CachedFunction[..., Article | None] = remembered
    assert_type(await kept(), Article | None)

    @cached("article:{number}", ttl=60, cache=lambda: cache)
    def plain(number: int) -> Awaitable[int]:
        raise NotImplementedError

    assert_type(await plain(1), int)


async def the_rest(settings: Settings) -> None:
    """Connecting in both ways, locks, limits, and the application's context."""
    cache = await Cache.connect("memory://", prefix="a", near=NearCache(ttl=1), when_unavailable="compute")
    assert_type(cache, Cache)
    async with Cache.connect("memory://") as inside:
        assert_type(inside, Cache)
    assert_type(cache.lock("a", lease=1, wait=0), Lock)
    async with cache.lock("a") as lock:
        assert_type(lock, Lock)
        assert_type(lock.held, bool)
    assert_type(await cache.rate_limit("a", 1, 60), RateLimit)
    async with boot(settings) as ctx:
        assert_type(ctx, BootContext)
        assert_type(ctx.cache, Cache)
    await Cache.connect("memory://", when_unavailable="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
