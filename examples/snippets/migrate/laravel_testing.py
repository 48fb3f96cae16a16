"""A test of what was dispatched, for users of Laravel."""

import asyncio

from rustforge.boot import BootContext, boot
from rustforge.jobs import Job, JobContext


class SendReceipt(Job):
    NAME = "order.receipt"

    order_id: int

    async def handle(self, ctx: JobContext) -> None: ...


async def place_order(
    ctx: BootContext, order_id: int
) -> None:
    await SendReceipt(order_id=order_id).dispatch(ctx.queue)


# --8<-- [start:testing]
async def test_an_order_brings_its_receipt() -> None:
    async with boot() as ctx:
        with ctx.queue.fake() as queue:
            await place_order(ctx, 7)

        queue.assert_pushed(
            SendReceipt,
            where=lambda job: job.order_id == 7,
        )


# --8<-- [end:testing]

asyncio.run(test_an_order_brings_its_receipt())
print("passed")
