"""Tell how far a job is, and keep what it returned."""

import asyncio

from pydantic import BaseModel

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


# --8<-- [start:progress]
class Summary(BaseModel):
    rows: int
    file: str


class ExportOrders(Job):
    NAME = "orders.export"
    RESULT_TTL = 3600  # keep what handle() returns for an hour

    async def handle(self, ctx: JobContext) -> Summary:
        for done in range(0, 300, 100):
            await ctx.progress(done, 300, "writing rows")
            await asyncio.sleep(0.2)
        return Summary(rows=300, file="orders.csv")


# --8<-- [end:progress]


async def main() -> None:
    async with boot() as ctx:
        worker = Worker(ctx).register(ExportOrders)
        running = asyncio.create_task(worker.run())
        # --8<-- [start:use]
        job_id = await ExportOrders().dispatch(ctx.queue)

        await asyncio.sleep(0.3)
        found = await ctx.queue.progress(job_id)
        if found:
            print(found.done, "of", found.total, found.note)

        await asyncio.sleep(0.6)
        print(await ctx.queue.result(job_id, type=Summary))
        # --8<-- [end:use]
        worker.stop()
        await running


asyncio.run(main())
