"""Cancel a job that waits, and one that runs."""

import asyncio

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class CopyFiles(Job):
    NAME = "files.copy"

    async def handle(self, ctx: JobContext) -> None:
        print("copying")
        try:
            await asyncio.sleep(60)
        finally:
            print("stopped")


async def main() -> None:
    async with boot() as ctx:
        worker = Worker(ctx, lease=1).register(CopyFiles)
        # --8<-- [start:waiting]
        job_id = await CopyFiles().dispatch(ctx.queue)
        print(await ctx.queue.cancel(job_id))  # it has not begun, and never will
        # --8<-- [end:waiting]
        job_id = await CopyFiles().dispatch(ctx.queue)
        running = asyncio.create_task(worker.run())
        while not worker.statistics().running:
            await asyncio.sleep(0.01)
        # --8<-- [start:running]
        print(await ctx.queue.cancel(job_id))  # it runs: its handler is cancelled
        # --8<-- [end:running]
        while not worker.statistics().cancelled:
            await asyncio.sleep(0.01)
        worker.stop()
        await running


asyncio.run(main())
