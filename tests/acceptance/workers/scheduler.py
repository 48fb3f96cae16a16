"""A scheduler as a process of its own, to be killed: `URL PREFIX INTERVAL`; it says `ready` when it runs."""

from __future__ import annotations

import asyncio
import sys
from typing import ClassVar

from rustforge.jobs import Job, Queue
from rustforge.jobs.scheduler import Scheduler


class Beat(Job):
    """What is scheduled; nobody runs it."""

    NAME: ClassVar[str] = "test.beat"


async def main(url: str, prefix: str, interval: str) -> None:
    """Run until SIGTERM."""
    async with Queue.connect(url, prefix=prefix) as queue:
        scheduler = Scheduler(queue)
        scheduler.every(float(interval), Beat()).named("beat")
        await scheduler.tick()
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        await scheduler.run()
    print("stopped", flush=True)  # noqa: T201 - the test waits for it


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
