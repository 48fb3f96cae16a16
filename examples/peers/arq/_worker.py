"""A worker in this process, until nothing is left to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from arq.worker import create_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def work(
    first: Callable[[], Awaitable[None]],
    settings: type[Any],
) -> None:
    """Enqueue, then run what was enqueued."""

    async def main() -> None:
        await first()
        worker = create_worker(
            settings, burst=True, handle_signals=False
        )
        await worker.async_run()
        await worker.close()

    asyncio.run(main())
