"""Tests of jobs, without a server and without waiting."""

import asyncio

# --8<-- [start:import]
from rustforge.boot import BootContext, boot
from rustforge.jobs import Job, JobContext, Worker

# --8<-- [end:import]

receipts: list[int] = []


class SendReceipt(Job):
    NAME = "order.send_receipt"

    order_id: int

    def handle(self, ctx: JobContext) -> None:
        receipts.append(self.order_id)


async def place_order(
    ctx: BootContext, order_id: int
) -> None:
    await SendReceipt(order_id=order_id).dispatch(ctx.queue)


# --8<-- [start:testing]
async def test_an_order_brings_a_receipt() -> None:
    async with boot() as ctx:
        await place_order(ctx, 7)
        worker = Worker(ctx).register(SendReceipt)
        await worker.run_until_empty()
        assert receipts == [7]


# --8<-- [end:testing]

asyncio.run(test_an_order_brings_a_receipt())
print("passed")
