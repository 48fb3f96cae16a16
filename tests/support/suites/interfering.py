"""Tests each of which would fail if anything were left of another one, or if another one ran beside it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from rustforge.testing import run_until_empty
from tests.support.suites.notes import Announce, Note

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from rustforge.boot import BootContext
    from rustforge.testing import FakeQueue, FakeStorage


@pytest.mark.parametrize("number", range(8))
async def test_write_everywhere(rustforge_ctx: BootContext, rustforge_client: AsyncClient, number: int) -> None:
    """Begin with nothing, and leave rows, keys, jobs and files."""
    ctx = rustforge_ctx
    async with ctx.db.reading() as session:
        assert (await session.scalars(select(Note))).all() == []
    assert await ctx.cache.get("last") is None
    assert [one async for one in ctx.storage.list()] == []
    assert await ctx.queue.size() == 0

    async with asyncio.TaskGroup() as group:
        for each in range(10):
            group.create_task(rustforge_client.post(f"/notes/{each}"))
    assert (await rustforge_client.post("/notes/0")).status_code == 422  # it is there
    assert await ctx.cache.get("last") is not None
    assert await ctx.queue.size() == 10
    statistics = await run_until_empty(ctx, [Announce])
    assert (statistics.succeeded, statistics.dead) == (10, 0)
    assert await ctx.cache.get("announced") == "10"
    await Announce(body="left").dispatch(ctx.queue)


async def test_fakes(rustforge_client: AsyncClient, rustforge_queue: FakeQueue, rustforge_storage: FakeStorage) -> None:
    """Ask the fakes."""
    rustforge_queue.assert_nothing_pushed()
    await rustforge_client.post("/notes/0")
    rustforge_queue.assert_pushed(Announce, times=1, where=lambda job: job.body == "0")
    await rustforge_storage.assert_missing("notes/0.txt")
