"""A job whose name no worker knows waits for one that does."""

import asyncio

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class OldJob(Job):
    NAME = "known.before"

    async def handle(self, ctx: JobContext) -> None: ...


class NewJob(Job):
    NAME = "known.now"

    async def handle(self, ctx: JobContext) -> None:
        print("runs in the new worker")


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:parked]
        await NewJob().dispatch(ctx.queue)

        old_worker = Worker(ctx).register(OldJob)
        await old_worker.run_until_empty()
        print(await ctx.queue.parked())

        new_worker = Worker(ctx).register(OldJob, NewJob)
        # --8<-- [end:parked]
        running = asyncio.create_task(new_worker.run())
        while await ctx.queue.size():
            await asyncio.sleep(0.05)
        new_worker.stop()
        await running


asyncio.run(main())
