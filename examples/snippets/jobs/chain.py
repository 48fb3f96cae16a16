"""Run jobs one after the other, each when the one before has succeeded."""

import asyncio

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class Encode(Job):
    NAME = "video.encode"

    video_id: int

    async def handle(self, ctx: JobContext) -> None:
        print("encoded", self.video_id)


class Publish(Job):
    NAME = "video.publish"

    video_id: int

    async def handle(self, ctx: JobContext) -> None:
        print("published", self.video_id)


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:chain]
        ids = await ctx.queue.push_chain([Encode(video_id=7), Publish(video_id=7)])
        # --8<-- [end:chain]
        assert len(ids) == 2
        await Worker(ctx).register(Encode, Publish).run_until_empty()


asyncio.run(main())
