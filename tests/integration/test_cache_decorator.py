"""`@cached`: remembered functions and methods."""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from rustforge.cache import Cache, CachedFunction, cached
from rustforge.errors import CacheEncodeError, InvalidArgumentError, InvalidTypeError
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from fractions import Fraction

    from tests.support.caches import Backend


class Article(BaseModel):
    """A model to load."""

    id: int
    title: str = "T"


async def test_results_are_remembered_by_their_arguments(cache: Cache) -> None:
    """The same arguments, however they are passed, are one value, of the annotated type."""
    calls: list[tuple[int, str]] = []

    @cached("article:{article_id}:{language}", ttl=60, cache=cache)
    async def load_article(article_id: int, language: str = "en") -> Article:
        """Load an article."""
        calls.append((article_id, language))
        return Article(id=article_id)

    assert await load_article(1) == Article(id=1)
    assert await load_article(article_id=1) == Article(id=1)
    assert await load_article(1, "en") == Article(id=1)
    assert await load_article(1, language="de") == Article(id=1)
    assert calls == [(1, "en"), (1, "de")]
    assert load_article.key(1) == load_article.key(article_id=1, language="en") == "article:1:en"
    assert await cache.ttl("article:1:en") == 60
    assert await load_article.forget(1) is True
    assert await load_article.forget(1) is False
    assert await load_article(1) == Article(id=1)
    assert calls == [(1, "en"), (1, "de"), (1, "en")]


async def test_every_way_to_pass_an_argument_makes_the_same_key(cache: Cache) -> None:
    """By position, by name, by default; a wrong call is refused as the function itself would."""

    @cached("page:{number}:{size}", ttl=60, cache=cache)
    async def page(number: int, size: int = 10) -> int:
        return number * size

    assert page.key(3, 10) == page.key(3) == page.key(number=3) == page.key(3, size=10) == "page:3:10"
    assert await page(3) == await page(3, 10) == 30
    with pytest.raises(TypeError, match="too many positional arguments"):
        page.key(1, 2, 3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing a required argument"):
        page.key()  # type: ignore[call-arg]

    @cached("rest:{numbers}", ttl=60, cache=cache)
    async def rest(*numbers: int) -> int:
        return sum(numbers)

    assert rest.key(1) == "rest:(1,)"
    assert await rest(1, 2) == 3


async def test_it_looks_like_the_function(cache: Cache) -> None:
    """Name, documentation and signature are the function's."""

    @cached("a:{x}", ttl=1, cache=cache)
    async def load(x: int, *, y: str = "") -> int:
        """Load something."""
        return x

    assert isinstance(load, CachedFunction)
    looks: Any = load
    assert (looks.__name__, looks.__doc__) == ("load", "Load something.")
    assert str(inspect.signature(load)) == "(x: 'int', *, y: 'str' = '') -> 'int'"
    assert await functools.partial(load, 3)() == 3
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        await load()  # type: ignore[call-arg]


async def test_many_calls_at_once_compute_once(cache: Cache) -> None:
    """The decorated function is protected from stampedes as `remember` is."""
    calls = 0

    @cached("a", ttl=60, cache=cache)
    async def load() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return calls

    assert set(await asyncio.gather(*[load() for _ in range(100)])) == {1}


async def test_the_cache_may_come_later(backend: Backend) -> None:
    """A function that returns the cache is asked at each call."""
    current: list[Cache] = []

    @cached("a", ttl=60, cache=lambda: current[0])
    async def load() -> int:
        return 1

    with pytest.raises(IndexError):
        await load()
    current.append(await backend.connect())
    assert await load() == 1
    assert await current[0].get_json("a") == 1


async def test_methods(cache: Cache) -> None:
    """A method is remembered by what the key says about its object; objects do not get into each other's way."""

    class Repository:
        def __init__(self, name: str) -> None:
            self.name = name
            self.calls = 0

        @cached("{self.name}:{number}", ttl=60, cache=cache)
        async def load(self, number: int) -> list[str]:
            self.calls += 1
            return [self.name] * number

    one, other = Repository("one"), Repository("other")
    for _ in range(2):
        assert await one.load(2) == ["one", "one"]
        assert await other.load(number=1) == ["other"]
    assert (one.calls, other.calls) == (1, 1)
    assert one.load.key(2) == "one:2"
    assert await one.load.forget(2) is True
    assert await other.load.forget(2) is False
    assert await one.load(2) == ["one", "one"]
    assert one.calls == 2
    assert isinstance(Repository.load, CachedFunction)


async def test_tags_and_other_options(cache: Cache) -> None:
    """Tags take parameters as the key does; the other options are those of `remember`."""
    numbers = iter(range(10))

    @cached(
        "a:{author.id}", ttl=timedelta(milliseconds=1), cache=cache, tags=iter(["author:{author.id}", "all"]), stale=60
    )
    async def load(author: Article) -> int:
        return next(numbers)

    assert await load(Article(id=7)) == 0
    await wait_until(lambda: _is_stale(cache, "a:7"))
    assert await load(Article(id=7)) == 0
    await wait_until(lambda: not cache._flights._tasks)
    await cache.invalidate_tags("author:8")
    assert await cache.has("a:7") is True
    await cache.invalidate_tags("author:7")
    assert await cache.has("a:7") is False
    assert await load(Article(id=7)) == 2


async def _is_stale(cache: Cache, key: str) -> bool:
    return await cache.ttl(key) == 0


async def test_names_that_are_no_parameters(cache: Cache) -> None:
    """A template that names what the function does not take is refused where it is written."""
    for key, tags in (("{y}", ()), ("{}", ()), ("{0}", ()), ("a", ("{z.id}",)), ("{x}{y[0]}", ())):
        with pytest.raises(InvalidArgumentError, match="has no parameter for"):

            @cached(key, ttl=60, cache=cache, tags=tags)
            async def load(x: int) -> int:
                return x


async def test_wrong_options_show_at_once(cache: Cache) -> None:
    """A time to live that cannot be used, or one text for tags, does not wait for the first call."""
    for ttl in (0, -1, math.nan, True, "60"):
        with pytest.raises(ValueError):
            cached("a", ttl=ttl, cache=cache)  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="several names"):
        cached("a", ttl=60, cache=cache, tags="articles")


async def test_braces_that_mean_themselves(cache: Cache) -> None:
    """Doubled braces are braces, as `str.format` has it."""

    @cached("{{x}}:{x}", ttl=60, cache=cache)
    async def load(x: int) -> int:
        return x

    assert load.key(1) == "{x}:1"
    assert await load(1) == 1


async def test_a_type_that_is_defined_later(cache: Cache) -> None:
    """The annotation is looked up at the first call, when everything exists; what never exists is an error."""

    @cached("a", ttl=60, cache=cache)
    async def load() -> Later:
        return Later(x=1)

    class Later(BaseModel):
        x: int

    assert await load() == Later(x=1)

    @cached("b", ttl=60, cache=cache)
    async def never() -> Fraction:
        raise NotImplementedError

    with pytest.raises(InvalidTypeError, match="Fraction"):
        await never()


async def test_failures_are_those_of_the_function(cache: Cache) -> None:
    """Its exceptions go through, and a value of another type than it says is an error."""

    @cached("a:{x}", ttl=60, cache=cache)
    async def load(x: Any) -> int:
        if x == "raise":
            raise LookupError(x)
        value: int = x
        return value

    with pytest.raises(LookupError):
        await load("raise")
    with pytest.raises(CacheEncodeError, match="does not fit int"):
        await load("text")
    assert await cache.flush_all() == 0
