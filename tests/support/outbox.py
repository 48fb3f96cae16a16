"""Jobs of the tests of outbox and failed jobs, a context without settings, and what a worker makes of a queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rustforge.jobs import ConcurrencyLimit, Job, JobContext, Queue, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustforge.db import Database


@dataclass(frozen=True)
class Context:
    """What flushers and workers need.

    Attributes:
        db: The database.
        queue: The queues.
        place: The addresses, for a process that works there too.
        ran: The numbers of the jobs that ran, in order.
    """

    db: Database
    queue: Queue
    place: dict[str, str] = field(default_factory=dict[str, str])
    ran: list[int] = field(default_factory=list[int])
    settings: Any = None
    storage: Any = None
    cache: Any = None

    @property
    def extensions(self) -> Mapping[str, Any]:
        """The list, for the handlers."""
        return {"ran": self.ran}

    async def work(self) -> list[int]:
        """Run all that is in the queue, and return the numbers of what ran so far."""
        await Worker(self, lease=2).register(Note, Fails).run_until_empty()
        return self.ran


class Note(Job):
    """Notes its number."""

    NAME = "note"
    n: int
    group: str | None = None
    key: str | None = None

    def group_id(self) -> str | None:
        """Return the group."""
        return self.group

    def unique_key(self) -> str | None:
        """Return the key."""
        return self.key

    def concurrency(self) -> ConcurrencyLimit | None:
        """Have none."""
        return None

    async def handle(self, ctx: JobContext) -> None:
        """Note it."""
        ctx.extensions["ran"].append(self.n)


class Fails(Note):
    """Notes its number and fails for good at once."""

    NAME = "fails"

    def max_retries(self) -> int:
        """Retry never."""
        return 0

    async def handle(self, ctx: JobContext) -> None:
        """Fail."""
        await super().handle(ctx)
        msg = f"number {self.n} is wrong"
        raise RuntimeError(msg)
