"""Jobs of a group run one after another, also when one of them fails."""

import asyncio
import logging

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker

logging.getLogger("rustforge").setLevel(logging.CRITICAL)


# --8<-- [start:group]
class SyncOrder(Job):
    NAME = "order.sync"

    order_id: int
    status: str

    def group_id(self) -> str:
        return f"order:{self.order_id}"

    async def handle(self, ctx: JobContext) -> None:
        print(f"order {self.order_id} is {self.status}, attempt {ctx.attempt}")
        if self.status == "placed" and ctx.attempt == 0:
            raise ConnectionError("the warehouse does not answer")

    def backoff(self, attempt: int) -> float:
        return 0.1


# --8<-- [end:group]


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:use]
        for status in ("placed", "paid", "shipped"):
            await SyncOrder(order_id=7, status=status).dispatch(ctx.queue)
        # --8<-- [end:use]
        worker = Worker(ctx).register(SyncOrder)
        running = asyncio.create_task(worker.run())
        while await ctx.queue.size():
            await asyncio.sleep(0.05)
        worker.stop()
        await running


asyncio.run(main())
