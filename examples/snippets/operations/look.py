"""Look at the queues of an application."""

import asyncio

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class CheckFeed(Job):
    NAME = "feed.check"
    QUEUE = "feeds"

    async def handle(self, ctx: JobContext) -> None: ...


async def main() -> None:
    async with boot() as ctx:
        await CheckFeed().dispatch(ctx.queue)
        # --8<-- [start:look]
        for name in await ctx.queue.names():
            stats = await ctx.queue.stats(name)
            print(name, stats.size, "unfinished,", stats.dead, "dead")
            print("late:", stats.oldest_seconds > 60, "workers:", stats.workers)
        # --8<-- [end:look]
        worker = Worker(ctx, queues=["feeds"]).register(CheckFeed)
        await worker.run_until_empty()
        # --8<-- [start:worker]
        counts = worker.statistics()
        print(counts.claimed, "claimed,", counts.succeeded, "succeeded")
        print(counts.fenced, "came too late")
        # --8<-- [end:worker]


asyncio.run(main())
