"""The first job of the page for users of arq."""

import asyncio

# --8<-- [start:first]
from rustforge.boot import BootContext, boot
from rustforge.jobs import Job, JobContext, Worker


class SendReceipt(Job):
    NAME = "send_receipt"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        print(f"receipt of order {self.order_id}")


async def place_order(ctx: BootContext) -> None:
    await SendReceipt(order_id=7).dispatch(ctx.queue)


async def work() -> None:  # or: rustforge worker
    async with boot() as ctx:
        worker = Worker(ctx, concurrency=50)
        await worker.register(SendReceipt).run()


# --8<-- [end:first]


async def main() -> None:
    async with boot() as ctx:
        await place_order(ctx)
        worker = Worker(ctx, concurrency=50)
        await worker.register(SendReceipt).run_until_empty()


asyncio.run(main())
