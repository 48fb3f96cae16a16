"""Tests that are to fail, or to go wrong, each with a message that helps."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    import pytest

    from rustforge.boot import BootContext
    from rustforge.testing import OutboundHttp, TimeTraveler


async def test_swallowed(rustforge_http: OutboundHttp) -> None:
    """An application that catches everything does not hide that it has left the test."""
    async with httpx2.AsyncClient() as client:
        with suppress(BaseException):
            await client.get("https://example.com/swallowed")


async def test_raised(rustforge_http: OutboundHttp) -> None:
    """One that fails has said so already."""
    async with httpx2.AsyncClient() as client:
        await client.get("https://example.com/raised")


async def test_without_an_application(rustforge_client: httpx2.AsyncClient) -> None:
    """A project that has not said what its application is."""


async def test_time_of_a_server(request: pytest.FixtureRequest, rustforge_ctx: BootContext) -> None:
    """A server has its own clock, and it is too late to do without."""
    request.getfixturevalue("rustforge_time")


async def test_time(rustforge_time: TimeTraveler) -> None:
    """Asked for in time, the context does without the server."""
    await rustforge_time.travel(60)
