"""The first task of the page for users of Celery."""

import asyncio

# --8<-- [start:first]
from rustforge.boot import BootContext, boot
from rustforge.jobs import Job, JobContext, Worker


class SendReceipt(Job):
    NAME = "order.send_receipt"

    order_id: int

    def handle(self, ctx: JobContext) -> None:
        print(f"receipt of order {self.order_id}")


async def place_order(ctx: BootContext) -> None:
    await SendReceipt(order_id=7).dispatch(ctx.queue)
    # --8<-- [end:first]


async def main() -> None:
    async with boot() as ctx:
        await place_order(ctx)
        await (
            Worker(ctx)
            .register(SendReceipt)
            .run_until_empty()
        )


asyncio.run(main())
