"""Jobs that run one after the other, and one that runs when all others are done."""

import asyncio

# --8<-- [start:workflow]
from rustforge.boot import BootContext, boot
from rustforge.jobs import Job, JobContext, Worker


class Encode(Job):
    NAME = "video.encode"

    video_id: int

    def handle(self, ctx: JobContext) -> None:
        print("encoded", self.video_id)


class Publish(Job):
    NAME = "video.publish"

    video_id: int

    def handle(self, ctx: JobContext) -> None:
        print("published", self.video_id)


class ImportPage(Job):
    NAME = "catalogue.import_page"

    number: int

    def handle(self, ctx: JobContext) -> None: ...


class Finish(Job):
    NAME = "catalogue.finish"

    def handle(self, ctx: JobContext) -> None:
        assert ctx.batch
        total, _ = ctx.batch
        print(f"{total} pages")


async def start(ctx: BootContext) -> None:
    await ctx.queue.push_chain(
        [Encode(video_id=7), Publish(video_id=7)]
    )
    pages = [ImportPage(number=n) for n in range(20)]
    await ctx.queue.push_batch(pages, then=Finish())
    # --8<-- [end:workflow]


async def main() -> None:
    async with boot() as ctx:
        await start(ctx)
        worker = Worker(ctx, concurrency=1)
        worker.register(Encode, Publish, ImportPage, Finish)
        await worker.run_until_empty()


asyncio.run(main())
