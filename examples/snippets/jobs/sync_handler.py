"""A plain handler runs in a thread."""

import asyncio
import threading
import time

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


# --8<-- [start:sync]
class ResizeImage(Job):
    NAME = "image.resize"

    path: str

    def handle(self, ctx: JobContext) -> None:  # no async: it runs in a thread
        time.sleep(0.1)  # stands for a library that blocks
        print("resized", self.path, "in", threading.current_thread().name[:13])


# --8<-- [end:sync]


async def main() -> None:
    async with boot() as ctx:
        await ResizeImage(path="cover.png").dispatch(ctx.queue)
        await Worker(ctx).register(ResizeImage).run_until_empty()


asyncio.run(main())
