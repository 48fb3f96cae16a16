"""Wait for a condition, and never for a while."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_STEP = 0.002


async def wait_until(predicate: Callable[[], Awaitable[Any] | Any], timeout: float = 20.0) -> None:  # noqa: ASYNC109
    """Ask over and over until the predicate, which may be async, holds; fail after `timeout` seconds."""
    async with asyncio.timeout(timeout):
        while True:
            answer = predicate()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(_STEP)
