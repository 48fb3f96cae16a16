"""Batches: everybody gets the own answer, many go together, and no error or cancellation reaches the wrong task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.notify.batching import Batcher

if TYPE_CHECKING:
    from collections.abc import Sequence


class Doubling:
    """Doubles numbers, when it may.

    Attributes:
        batches: What was asked for, batch by batch.
        open: Whether it may.
    """

    def __init__(self) -> None:
        """Let it work at once."""
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        """Double them; there is no double of 13."""
        self.batches.append([*numbers])
        await self.open.wait()
        if 13 in numbers:
            msg = "13"
            raise LookupError(msg)
        return [2 * number for number in numbers]


async def test_those_of_one_moment_go_together() -> None:
    """Tasks that ask in the same turn of the event loop share a batch, and each gets its own answer."""
    work = Doubling()
    batcher = Batcher(work)
    assert await asyncio.gather(*[batcher.ask(number) for number in range(5)]) == [0, 2, 4, 6, 8]
    assert work.batches == [[0, 1, 2, 3, 4]]


async def test_those_who_come_meanwhile_go_with_the_next() -> None:
    """Who asks while a batch is under way waits for it, and goes with all others who did."""
    work = Doubling()
    work.open.clear()
    batcher = Batcher(work)
    first = asyncio.create_task(batcher.ask(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(batcher.ask(number)) for number in (2, 3, 2)]
    await asyncio.sleep(0)
    assert work.batches == [[1]]
    work.open.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 4]
    assert work.batches == [[1], [2, 3, 2]]


async def test_a_batch_has_a_size() -> None:
    """More than so many do not go together, and nobody is forgotten."""
    work = Doubling()
    batcher = Batcher(work, most=2)
    assert await asyncio.gather(*[batcher.ask(number) for number in range(5)]) == [0, 2, 4, 6, 8]
    assert work.batches == [[0, 1], [2, 3], [4]]


async def test_an_error_reaches_all_of_the_batch() -> None:
    """All get it, with where it was raised; those of the next batch do not."""
    batcher = Batcher(Doubling())
    found = await asyncio.gather(*[batcher.ask(number) for number in (1, 13, 2)], return_exceptions=True)
    assert [type(one) for one in found] == [LookupError] * 3
    depths = {len([*_frames(one)]) for one in found if isinstance(one, LookupError)}
    assert max(depths) <= 6
    assert await batcher.ask(3) == 6


def _frames(error: BaseException) -> list[object]:
    trace, found = error.__traceback__, list[object]()
    while trace is not None:
        found.append(trace)
        trace = trace.tb_next
    return found


async def test_who_is_cancelled_waits_for_the_end() -> None:
    """What was asked for is done; the task ends when it is, as cancelled, and the others get their answers."""
    work = Doubling()
    work.open.clear()
    batcher = Batcher(work)
    one, other = (asyncio.create_task(batcher.ask(number)) for number in (1, 2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.sleep(0)
    assert not one.done()
    work.open.set()
    assert await other == 4
    with pytest.raises(asyncio.CancelledError):
        await one
    assert work.batches == [[1, 2]]


async def test_who_is_cancelled_with_the_answer_at_hand() -> None:
    """It does not wait for what is over."""

    async def work(numbers: Sequence[int]) -> Sequence[int]:
        asyncio.get_running_loop().call_soon(one.cancel)  # after the answer, and before the task goes on
        return numbers

    one = asyncio.create_task(Batcher(work).ask(1))
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(2):
            await one


async def test_the_end_of_the_event_loop() -> None:
    """Where the batch itself is cancelled, nobody waits for ever."""
    work = Doubling()
    work.open.clear()
    batcher = Batcher(work)
    asking = [asyncio.create_task(batcher.ask(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.append(asyncio.create_task(batcher.ask(3)))
    await asyncio.sleep(0)
    assert batcher._task is not None
    batcher._task.cancel()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in found] == [asyncio.CancelledError] * 3
    work.open.set()
    assert await batcher.ask(4) == 8


@given(st.lists(st.integers(0, 12), max_size=30), st.integers(1, 5))
async def test_everybody_gets_the_own_answer(numbers: list[int], most: int) -> None:
    """Whatever is asked for, in whatever batches, each answer goes to the one who asked."""
    work = Doubling()
    batcher = Batcher(work, most=most, pause=0)

    async def ask(place: int, number: int) -> int:
        for _ in range(place % 4):
            await asyncio.sleep(0)
        return await batcher.ask(number)

    asked = [ask(place, number) for place, number in enumerate(numbers)]
    assert await asyncio.gather(*asked) == [2 * number for number in numbers]
    assert sorted(number for batch in work.batches for number in batch) == sorted(numbers)
    assert all(len(batch) <= most for batch in work.batches)
