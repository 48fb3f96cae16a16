"""One worker process among several: it works on a queue as it is told to, and says what its handlers do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from rustforge.jobs import Job, JobContext, Queue, Worker
from tests.acceptance.workers.stampede import listen, say
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Act(Job):
    """A job that says that it runs, and then does one of several things."""

    NAME: ClassVar[str] = "act"

    name: str
    group: str | None = None
    seconds: float = 0.0

    def group_id(self) -> str | None:
        """Return the field."""
        return self.group

    async def handle(self, ctx: JobContext) -> None:
        """Say it, and wait for so many seconds."""
        say("started", name=self.name, fence=ctx.fence, attempt=ctx.attempt)
        await ctx.cache.log(f"start {self.name}")
        await asyncio.sleep(self.seconds)
        await ctx.cache.log(f"end {self.name}")
        say("ended", name=self.name)


class Block(Act):
    """A job that holds the event loop."""

    NAME: ClassVar[str] = "block"

    async def handle(self, ctx: JobContext) -> None:
        """Compute, as a handler that does not know better."""
        await ctx.cache.log(f"start {self.name}")
        say("started", name=self.name, fence=ctx.fence)
        time.sleep(self.seconds)  # noqa: ASYNC251 - that is the point
        await ctx.cache.log(f"end {self.name}")


class Threaded(Act):
    """A job that waits in a thread."""

    NAME: ClassVar[str] = "threaded"

    def handle(self, ctx: JobContext) -> None:  # type: ignore[override]
        """Say it, and wait."""
        say("started", name=self.name, fence=ctx.fence)
        time.sleep(self.seconds)


class Crash(Act):
    """A job that takes its process with it."""

    NAME: ClassVar[str] = "crash"

    async def handle(self, ctx: JobContext) -> None:
        """End the process."""
        await ctx.cache.log(f"start {self.name}")
        os._exit(1)


class Log:
    """Where handlers write what they do: a list in Redis that outlives the process."""

    def __init__(self, queue: Queue, key: str) -> None:
        """Name the list."""
        self._client = queue.client
        self._key = key

    async def log(self, line: str) -> None:
        """Add a line."""
        await self._client.call("RPUSH", self._key, line)


async def work(url: str, prefix: str, **options: Any) -> None:
    """Work until a signal comes; say `working` and, at the end, `stopped`."""
    async with Queue.connect(url, prefix=prefix) as queue:
        services = SimpleNamespace(
            settings=None, cache=Log(queue, f"{prefix}:log"), queue=queue, db=None, extensions={}
        )
        worker = Worker(services, **options).register(Act, Block, Threaded, Crash)
        running = asyncio.create_task(worker.run())
        await wait_until(lambda: running.done() or (worker._sources and worker._sources[-1].epoch))
        say("working")
        await running
        say("stopped", fenced=worker.statistics().fenced)


ORDERS: dict[str, Callable[..., Awaitable[None]]] = {"work": work}


async def main() -> None:
    """Carry out orders until the input ends."""
    while order := await listen():
        await ORDERS[order.pop("do")](**order)
        say("idle")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
