"""A worker program, which ends on SIGTERM."""

# --8<-- [start:worker]
import asyncio
import os
import signal

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, JobRegistry, Worker


class CheckFeeds(Job):
    NAME = "feeds.check"
    QUEUE = "feeds"

    async def handle(self, ctx: JobContext) -> None:
        print("checking feeds")
        os.kill(os.getpid(), signal.SIGTERM)  # as a deploy does
        await asyncio.sleep(0.1)
        print("checked")  # a running job may finish


registry = JobRegistry(CheckFeeds)


async def main() -> None:
    async with boot() as ctx:
        await CheckFeeds().dispatch(ctx.queue)
        worker = Worker(
            ctx,
            queues=["default", "feeds"],
            concurrency=50,
            shutdown_timeout=20,
            registry=registry,
        )
        await worker.run()  # until SIGTERM or SIGINT
        print(worker.statistics().succeeded, "succeeded")


asyncio.run(main())
# --8<-- [end:worker]
