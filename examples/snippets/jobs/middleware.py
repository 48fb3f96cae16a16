"""Stand around every handler."""

# --8<-- [start:middleware]
import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


async def timed(
    ctx: JobContext, job: Job, call_next: Callable[[], Awaitable[Any]]
) -> Any:
    started = time.perf_counter()
    try:
        return await call_next()
    finally:
        took = time.perf_counter() - started
        print(f"{ctx.job_name} took less than a second: {took < 1}")


# --8<-- [end:middleware]


class CheckFeeds(Job):
    NAME = "feeds.check"

    async def handle(self, ctx: JobContext) -> None:
        print("checking")


async def main() -> None:
    async with boot() as ctx:
        await CheckFeeds().dispatch(ctx.queue)
        # --8<-- [start:use]
        worker = Worker(ctx, middleware=[timed]).register(CheckFeeds)
        # --8<-- [end:use]
        await worker.run_until_empty()


asyncio.run(main())
