"""Fire jobs at given times, beside a worker in one program."""

# --8<-- [start:first]
import asyncio
import os
import signal

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Scheduler, Worker


class CheckFeeds(Job):
    NAME = "feeds.check"

    async def handle(self, ctx: JobContext) -> None:
        count = await ctx.cache.increment("checks")
        if count <= 3:
            print("checking feeds")
        if count == 3:
            os.kill(os.getpid(), signal.SIGTERM)  # as a deploy does


class SendDigest(Job):
    NAME = "mail.digest"

    async def handle(self, ctx: JobContext) -> None: ...


async def main() -> None:
    async with boot() as ctx:
        scheduler = Scheduler(ctx.queue, timezone="Europe/Berlin")
        scheduler.cron("0 8 * * mon-fri", SendDigest())
        scheduler.every(0.5, CheckFeeds())

        worker = Worker(ctx).register(CheckFeeds, SendDigest)
        async with asyncio.TaskGroup() as tasks:  # both end on SIGTERM
            tasks.create_task(scheduler.run())
            tasks.create_task(worker.run())


asyncio.run(main())
# --8<-- [end:first]
