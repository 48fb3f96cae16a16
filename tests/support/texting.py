"""A channel of an application's own, and a process that sends by it, to be killed between the sending and its record.

The wire is the process's standard output: for each message it says `sent` with the ids that travel with it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from rustforge.db import Database
from rustforge.jobs import Queue, Worker
from rustforge.notify import DeliveryJob, Target
from tests.support.jobs import LEASE, Services

if TYPE_CHECKING:
    from rustforge.jobs import JobContext
    from rustforge.notify import Delivery


class DeliverText(DeliveryJob):
    """Sends text messages by the extension `gateway`, and tells the extension `failures` of those that failed."""

    NAME = "text.deliver"
    CHANNEL = "text"

    async def send(self, delivery: Delivery, ctx: JobContext) -> int | None:
        """Send it."""
        status: int | None = await ctx.extensions["gateway"](delivery, ctx)
        return status

    def max_retries(self) -> int:
        """Try three times in all."""
        return 2

    def backoff(self, attempt: int) -> float:
        """Try again at once."""
        del attempt
        return 0

    async def failed(self, ctx: JobContext, error: str) -> None:
        """Tell."""
        await super().failed(ctx, error)
        ctx.extensions["failures"].append((self.delivery_id, error))


class DeliverNote(DeliverText):
    """Another channel, which sends by the same extension."""

    NAME = "note.deliver"
    CHANNEL = "note"


def text(to: str, words: str = "Thank you!") -> Target:
    """Write a text message."""
    return Target("text", to, {"words": words}, DeliverText)


def note(to: str, words: str = "Thank you!") -> Target:
    """Write a note."""
    return Target("note", to, {"words": words}, DeliverNote)


async def work(order: dict[str, Any]) -> None:
    """Run a worker whose messages go out, and whose gateway then answers nothing."""

    async def gateway(delivery: Delivery, ctx: JobContext) -> None:
        say(word="sent", id=delivery.id, event_id=delivery.event_id, target=delivery.target, job=ctx.job_id)
        await asyncio.Event().wait()

    async with Database(order["database"]) as db, Queue.connect(order["redis"], prefix=order["prefix"]) as queue:
        services = Services(queue, {"gateway": gateway}, db)
        await Worker(services, lease=LEASE).register(DeliverText).run()


def say(**words: Any) -> None:
    """Say it on the standard output."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for line in sys.stdin:
        asyncio.run(work(json.loads(line)))
