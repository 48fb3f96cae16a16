"""Cut each queue into parts, which a cluster spreads over its nodes."""

import asyncio

# --8<-- [start:shards]
from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker
from rustforge.settings import Settings


class CheckFeed(Job):
    NAME = "feed.check"

    feed_id: int

    async def handle(self, ctx: JobContext) -> None:
        ctx.logger.info("checking feed %d", self.feed_id)


async def main() -> None:
    async with boot(Settings(queue_shards=4)) as ctx:  # or QUEUE_SHARDS=4
        await ctx.queue.push_many([CheckFeed(feed_id=n) for n in range(100)])
        print(*ctx.queue.bases("default"), sep="\n")

        await Worker(ctx).register(CheckFeed).run_until_empty()


# --8<-- [end:shards]

asyncio.run(main())
