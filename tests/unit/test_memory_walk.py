"""The dict behind SCAN, and the values behind hashes and sorted sets."""

from __future__ import annotations

import asyncio
import time

from hypothesis import given
from hypothesis import strategies as st

from rustforge.redis import connect
from rustforge.redis.embedded.sorted_set import SortedSet
from rustforge.redis.embedded.walkable import Walkable

MEMBERS = [b"%d" % number for number in range(40)]
CHANGES = st.lists(st.tuples(st.sampled_from(MEMBERS), st.booleans()), max_size=12)


@given(
    st.sets(st.sampled_from(MEMBERS)),
    CHANGES,
    st.lists(CHANGES, max_size=50),
    st.integers(1, 9),
    st.booleans(),
)
def test_a_walk_sees_every_member_that_stays(
    start: set[bytes],
    before: list[tuple[bytes, bool]],
    during: list[list[tuple[bytes, bool]]],
    count: int,
    indexed: bool,
) -> None:
    """Whatever comes and goes during a walk, a member that was there all the time is returned, and the walk ends."""
    walkable = Walkable(indexed=indexed)
    for member in start:
        assert walkable.put(member, member)
    _change(walkable, before)
    stayed = set(walkable)
    seen: set[bytes] = set()
    cursor = steps = 0
    while True:
        cursor, members = walkable.walk(cursor, count)
        assert len(members) <= count
        seen.update(members)
        if cursor == 0:
            break
        if steps < len(during):
            stayed -= _change(walkable, during[steps])
        steps += 1
        assert steps <= len(MEMBERS)
    assert stayed <= seen
    assert sorted(walkable._ordered()) == sorted(walkable)
    assert all(walkable._ordered()[place] == member for member, place in walkable._places.items())


def _change(walkable: Walkable, changes: list[tuple[bytes, bool]]) -> set[bytes]:
    """Add and remove members; return what was away, if only for a moment."""
    removed: set[bytes] = set()
    for member, there in changes:
        if there:
            new = member not in walkable
            assert walkable.put(member, b"new") is new
        elif member in walkable:
            walkable.drop(member)
            removed.add(member)
    return removed


def test_a_random_member_can_be_any() -> None:
    """Every member is chosen sooner or later."""
    walkable = Walkable()
    for member in MEMBERS:
        walkable.put(member)
    assert {walkable.choose() for _ in range(2000)} == set(MEMBERS)


@given(st.lists(st.tuples(st.sampled_from(MEMBERS[:8]), st.one_of(st.none(), st.integers(-3, 3))), max_size=60))
def test_a_sorted_set_stays_sorted(changes: list[tuple[bytes, int | None]]) -> None:
    """After any changes the order is that of score and then member, and holds each member once."""
    values = SortedSet()
    model: dict[bytes, float] = {}
    for member, score in changes:
        if score is not None:
            values.put(member, score)
            model[member] = score
        elif member in model:
            values.drop(member)
            del model[member]
        assert values.scores == model
        assert values.order == sorted((score, member) for member, score in model.items())
        assert [values.rank(member) for _, member in values.order] == list(range(len(model)))


async def test_a_large_hash_is_walked_in_slices() -> None:
    """HSCAN looks at COUNT fields a step, and finds all of a hash that changes meanwhile."""
    async with connect("memory://walk") as client:
        fields = {b"stay:%d" % number for number in range(1000)}
        await client.pipeline([["HSET", "h", field, "x"] for field in fields])
        await client.pipeline([["HSET", "h", f"go:{number}", "x"] for number in range(1000)])
        cursor, steps = b"0", 0
        seen: set[bytes] = set()
        while True:
            cursor, flat = await client.call("HSCAN", "h", cursor, "COUNT", 100)
            assert len(flat) <= 200
            seen.update(flat[::2])
            if cursor == b"0":
                break
            await client.call("HDEL", "h", *[f"go:{steps * 50 + number}" for number in range(50)])
            await client.call("HSET", "h", f"new:{steps}", "x")
            steps += 1
        assert fields <= seen
        assert steps >= 10


async def test_a_scan_lets_others_run_between_slices() -> None:
    """A walk over many keys gives way after each slice."""
    async with connect("memory://walk") as client:
        await client.pipeline([["SET", f"key:{number}", "x"] for number in range(5000)])
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticker = asyncio.create_task(tick())
        found = [key async for keys in client.scan(b"key:*", count=500) for key in keys]
        ticker.cancel()
        assert len(set(found)) == 5000
        assert ticks >= 9


async def test_the_slices_of_a_scan_do_not_grow_with_the_store() -> None:
    """A slice of a hundred thousand keys costs no more than one of a thousand, but for the machine's noise."""

    async def slowest(size: int) -> float:
        async with connect("memory://walk") as client:
            await client.pipeline([["SET", f"key:{number}", "x"] for number in range(size)])
            times: list[float] = []
            cursor = b"0"
            for _ in range(10):
                start = time.perf_counter()
                cursor, _ = await client.call("SCAN", cursor, "COUNT", 100)
                times.append(time.perf_counter() - start)
            return sorted(times)[5]

    assert await slowest(100_000) < 10 * await slowest(1000) + 0.001
