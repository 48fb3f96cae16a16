"""Do not start another one while the last one is not finished."""

import asyncio

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Scheduler, Worker


class ImportFeed(Job):
    NAME = "feed.import"

    async def handle(self, ctx: JobContext) -> None: ...


async def main() -> None:
    async with boot() as ctx:
        scheduler = Scheduler(ctx.queue)
        # --8<-- [start:overlap]
        scheduler.every(0.2, ImportFeed()).without_overlapping(3600)
        # --8<-- [end:overlap]
        await scheduler.tick()
        for _ in range(3):
            await asyncio.sleep(0.25)
            await scheduler.tick()
        # --8<-- [start:size]
        print(await ctx.queue.size(), "job, though three times have passed")
        # --8<-- [end:size]
        await Worker(ctx).register(ImportFeed).run_until_empty()


asyncio.run(main())
