"""Cut each queue into parts, which a cluster spreads over its nodes."""

import asyncio

# --8<-- [start:shards]
from dataclasses import replace

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Queue, Worker


class CheckFeed(Job):
    NAME = "feed.check"

    feed_id: int

    async def handle(self, ctx: JobContext) -> None:
        ctx.logger.info("checking feed %d", self.feed_id)


async def main() -> None:
    async with boot() as ctx:
        prefix = ctx.settings.redis_prefix
        async with Queue(ctx.cache.client, prefix=prefix, shards=4) as queue:
            await queue.push_many([CheckFeed(feed_id=n) for n in range(100)])
            print(*queue.bases("default"), sep="\n")

            worker = Worker(replace(ctx, queue=queue)).register(CheckFeed)
            await worker.run_until_empty()


# --8<-- [end:shards]

asyncio.run(main())
