"""Bring failed jobs from Redis to SQL. They stay in Redis until their row is written, so a database may be away."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from rustforge.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustforge.jobs.job import WorkerContext

__all__ = ["DeadLetters", "database_of"]

_logger = logging.getLogger(__name__)
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 30.0


def database_of(ctx: WorkerContext) -> Any:
    """Return the context's database; `None` where it has none, or SQLAlchemy is not installed."""
    try:
        return ctx.db
    except DatabaseError as error:
        _logger.info("Working without a database: %s", error)
        return None


class DeadLetters:
    """Writes the dead jobs of some queues to the context's database."""

    def __init__(self, ctx: WorkerContext, queues: Sequence[str]) -> None:
        """Say where they are and where they go."""
        self._ctx = ctx
        self._queues = queues
        self._task: asyncio.Task[None] | None = None

    def record_soon(self) -> None:
        """Write them in the background, trying until it works."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._record_until_done())

    async def record(self) -> bool:
        """Write them now; return whether none is left, or there is no database to write to."""
        database = database_of(self._ctx)
        if database is None:
            return True
        from rustforge.jobs.failed import FailedJobs  # noqa: PLC0415 - it needs SQLAlchemy, an extra

        records = FailedJobs(database)
        queue = self._ctx.queue
        try:
            for name in self._queues:
                while dead := await queue.dead(name):
                    await records.record(dead, queue)
                    await queue.bury(name, dead)
        except Exception as error:  # noqa: BLE001 - the database may be away; the jobs are safe in Redis
            _logger.error("Failed jobs cannot be stored, and stay in Redis: %s: %s", type(error).__name__, error)  # noqa: TRY400
            return False
        return True

    async def aclose(self) -> None:
        """Stop trying."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _record_until_done(self) -> None:
        pause = _FIRST_PAUSE
        await asyncio.sleep(pause)
        while not await self.record():
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
