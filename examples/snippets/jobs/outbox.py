"""Write an order and its job in one transaction."""

import asyncio

from sqlalchemy import text

from rustforge.boot import BootContext, boot

# --8<-- [start:import]
from rustforge.jobs import Job, JobBuffer, JobContext, OutboxFlusher, Worker

# --8<-- [end:import]


class SendReceipt(Job):
    NAME = "order.receipt"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        print("receipt for order", self.order_id)


# --8<-- [start:place]
INSERT = text("INSERT INTO orders (id, total) VALUES (:id, :total)")


async def place_order(ctx: BootContext, order_id: int, total: int) -> None:
    async with ctx.db.transaction() as session:
        await session.execute(INSERT, {"id": order_id, "total": total})
        await SendReceipt(order_id=order_id).dispatch(JobBuffer(session))
        if total < 0:
            raise ValueError("a total must not be negative")


# --8<-- [end:place]


async def main() -> None:
    async with boot() as ctx:
        async with ctx.db.transaction() as session:
            await session.execute(
                text("CREATE TABLE orders (id INTEGER, total INTEGER)")
            )
        # --8<-- [start:use]
        await place_order(ctx, 7, 120)
        try:
            await place_order(ctx, 8, -1)
        except ValueError:
            print("order 8 was rolled back")
        # --8<-- [end:use]
        await OutboxFlusher(ctx).flush()  # by itself it comes a moment later
        await Worker(ctx).register(SendReceipt).run_until_empty()


asyncio.run(main())
