"""What must hold whichever plugin runs the tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from tests.support.suites.notes import WHERE, Note

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from rustforge.boot import BootContext
    from rustforge.testing import OutboundHttp, TimeTraveler


@pytest.mark.parametrize("number", range(2))
async def test_one_loop_for_all(rustforge_ctx: BootContext, rustforge_client: AsyncClient, number: int) -> None:
    """The context, the client and the test are in one event loop, and the database is empty each time."""
    loop = asyncio.get_running_loop()
    assert (await rustforge_client.post("/notes/a")).status_code == 201
    async with rustforge_ctx.db.reading() as session:
        assert (await session.scalars(select(Note.body))).all() == ["a"]
    assert rustforge_ctx.db.engine.sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert loop is asyncio.get_running_loop()
    assert WHERE[-1] == "started"


async def test_the_application_has_ended() -> None:
    """Each client has started and ended its application."""
    assert WHERE == ["started", "ended"] * 2


async def test_errors_are_raised(rustforge_client: AsyncClient) -> None:
    """What the application does not handle comes out of the request."""
    with pytest.raises(ZeroDivisionError):
        await rustforge_client.get("/fail")


async def test_time_and_requests(rustforge_time: TimeTraveler, rustforge_http: OutboundHttp) -> None:
    """The fixtures that are not async work beside those that are."""
    await rustforge_time.travel(60)
    rustforge_http.assert_nothing_sent()
