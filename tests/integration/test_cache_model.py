"""The cache is a dictionary: random sequences of operations by two processes against a plain `dict`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from rustforge.cache import Cache, NearCache
from rustforge.errors import CacheError
from tests.support.caches import opened
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tests.support.servers import RedisCluster, RedisServer

KEYS = st.sampled_from(["a", "b", "a:b", "a*", "ab", "é"])
VALUES = st.sampled_from(["", "1", "-7", "x", "{}", "[1]", "9223372036854775807", "ÿ"])
WHO = st.integers(0, 1)
TAGS = st.sampled_from([[], ["t"], ["u"], ["t", "u"]])


class Dictionary(RuleBasedStateMachine):
    """Two caches on one store, and what a dictionary would hold."""

    url = ""
    prefix = ""
    near: NearCache | None = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.caches: list[Cache] = []
        self.model: dict[str, str] = {}
        self.expiring: set[str] = set()
        self.tags: dict[str, list[str]] = {}

    def run(self, work: Awaitable[Any]) -> Any:
        """Run one operation to its end."""

        async def main() -> Any:
            return await work

        return self.runner.run(main())

    def store(self, key: str, value: str, *, expires: bool = False, tags: list[str] | None = None) -> None:
        """Note a write."""
        self.model[key] = value
        self.tags[key] = tags or []
        (self.expiring.add if expires else self.expiring.discard)(key)

    def drop(self, key: str) -> None:
        """Note a removal."""
        self.model.pop(key, None)
        self.tags.pop(key, None)
        self.expiring.discard(key)

    @initialize()
    def connect(self) -> None:
        """Open both caches; one of them may have a near cache, the other compresses."""

        async def main() -> list[Cache]:
            one = await Cache.connect(self.url, prefix=self.prefix, near=self.near)
            other = await Cache.connect(self.url, prefix=self.prefix, compress_above=0)
            await one.flush_all()
            return [one, other]

        self.caches = self.runner.run(main())

    @rule(who=WHO, key=KEYS, value=VALUES, ttl=st.none() | st.just(600))
    def set(self, who: int, key: str, value: str, ttl: int | None) -> None:
        """`set` and `set_ex`."""
        cache = self.caches[who]
        self.run(cache.set(key, value) if ttl is None else cache.set_ex(key, value, ttl))
        self.store(key, value, expires=ttl is not None)

    @rule(who=WHO, key=KEYS, value=st.integers(), tags=TAGS, ttl=st.none() | st.just(600))
    def set_json(self, who: int, key: str, value: int, tags: list[str], ttl: int | None) -> None:
        """`set_json` and `set_json_ex`, with tags."""
        cache = self.caches[who]
        work = cache.set_json(key, value, tags=tags) if ttl is None else cache.set_json_ex(key, value, ttl, tags=tags)
        self.run(work)
        self.store(key, str(value), expires=ttl is not None, tags=tags)

    @rule(who=WHO, mapping=st.dictionaries(KEYS, VALUES, max_size=3), ttl=st.none() | st.just(600))
    def put_many(self, who: int, mapping: dict[str, str], ttl: int | None) -> None:
        """`put_many`."""
        self.run(self.caches[who].put_many(mapping, ttl))
        for key, value in mapping.items():
            self.store(key, value, expires=ttl is not None)

    @rule(who=WHO, key=KEYS)
    def delete(self, who: int, key: str) -> None:
        """`delete` says whether there was one."""
        assert self.run(self.caches[who].delete(key)) == (key in self.model)
        self.drop(key)

    @rule(who=WHO, key=KEYS)
    def pull(self, who: int, key: str) -> None:
        """`pull` gives and removes."""
        assert self.run(self.caches[who].pull(key)) == self.model.get(key)
        self.drop(key)

    @rule(who=WHO, key=KEYS, value=VALUES)
    def add(self, who: int, key: str, value: str) -> None:
        """`add` stores where there is nothing."""
        assert self.run(self.caches[who].add(key, value)) == (key not in self.model)
        if key not in self.model:
            self.store(key, value)

    @rule(who=WHO, key=KEYS, by=st.integers(-5, 5) | st.sampled_from([1 << 62, -(1 << 62)]))
    def increment(self, who: int, key: str, by: int) -> None:
        """`increment` counts in 64 bits, or refuses."""
        before = self.model.get(key, "0")
        plain = not self.tags.get(key) and before == str(_number(before))
        after = (_number(before) or 0) + by
        if plain and -(1 << 63) <= after < 1 << 63:
            assert self.run(self.caches[who].increment(key, by)) == after
            self.store(key, str(after), expires=key in self.expiring)
        else:
            with pytest.raises(CacheError):
                self.run(self.caches[who].increment(key, by))

    @rule(who=WHO, key=KEYS, ttl=st.none() | st.just(600))
    def touch(self, who: int, key: str, ttl: int | None) -> None:
        """`touch` changes the expiry of what is there."""
        assert self.run(self.caches[who].touch(key, ttl)) == (key in self.model)
        if key in self.model:
            self.store(key, self.model[key], expires=ttl is not None, tags=self.tags[key])

    @rule(who=WHO, key=KEYS, value=st.integers(), tags=TAGS)
    def remember(self, who: int, key: str, value: int, tags: list[str]) -> None:
        """`remember` gives what is there if it is a number, and else what is computed."""
        there = self.model.get(key)
        number = None if there is None else _number(there)
        found = self.run(self.caches[who].remember(key, 600, opened(value), int, tags=tags))
        assert found == (value if number is None else number)
        if number is None:
            self.store(key, str(value), expires=True, tags=tags)

    @rule(who=WHO, start=st.sampled_from(["a", "a:", "a*", "b", "é", "z"]))
    def flush_prefix(self, who: int, start: str) -> None:
        """`flush_prefix` removes what starts with it."""
        gone = [key for key in self.model if key.startswith(start)]
        assert self.run(self.caches[who].flush_prefix(start)) == len(gone)
        for key in gone:
            self.drop(key)

    @rule(who=WHO, tag=st.sampled_from(["t", "u"]))
    def invalidate(self, who: int, tag: str) -> None:
        """`invalidate_tags` makes misses; what is left of them in Redis is taken away, for the others' counts."""
        self.run(self.caches[who].invalidate_tags(tag))
        for key in [key for key, tags in self.tags.items() if tag in tags]:
            assert self.run(self.caches[who].get(key)) is None
            self.run(self.caches[who].delete(key))
            self.drop(key)

    @invariant()
    def both_see_the_dictionary(self) -> None:
        """Every kind of read agrees with the model, in both processes."""
        keys = ["a", "b", "a:b", "a*", "ab", "é"]
        for cache in self.caches:
            assert self.run(_settled(cache, keys, [self.model.get(key) for key in keys]))
            expected = [None if key not in self.model else key in self.expiring for key in keys]
            assert self.run(_gather([cache.expires(key) for key in keys])) == expected
            assert self.run(_gather([cache.has(key) for key in keys])) == [key in self.model for key in keys]

    def teardown(self) -> None:
        """Close."""
        for cache in self.caches:
            self.run(cache.flush_all())
            self.run(cache.aclose())
        self.runner.close()


def _number(text: str) -> int | None:
    """Read an integer as JSON has it."""
    with contextlib.suppress(ValueError):
        return int(text)
    return None


async def _gather(work: list[Awaitable[Any]]) -> list[Any]:
    return [await each for each in work]


async def _settled(cache: Cache, keys: list[str], expected: list[str | None]) -> bool:
    """Compare what both ways of reading find; a notice to a near cache may take a moment."""
    assert await cache.many(keys) == expected

    async def agree() -> bool:
        return [await cache.get(key) for key in keys] == expected

    await wait_until(agree, timeout=1)
    return True


@pytest.mark.parametrize("place", ["memory", "redis", "cluster"])
@pytest.mark.parametrize("near", [None, NearCache()], ids=["far", "near"])
def test_the_cache_is_a_dictionary(
    request: pytest.FixtureRequest, prefix: str, place: str, near: NearCache | None
) -> None:
    """Any sequence of operations gives what a dictionary would."""
    server: RedisServer | RedisCluster | None = None
    if place != "memory":
        server = request.getfixturevalue({"redis": "redis_server", "cluster": "redis_cluster"}[place])
    machine = type(
        "Machine", (Dictionary,), {"url": server.url if server else "memory://", "prefix": prefix, "near": near}
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12 if place == "memory" else 6,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
