"""Fan one event out: to a customer, to browsers, and to the systems of others."""

import asyncio

from sqlalchemy import text

from rustforge.boot import BootContext, boot

# --8<-- [start:import]
from rustforge.jobs import JobRegistry, OutboxFlusher, Worker
from rustforge.notify import (
    JOBS,
    Deliveries,
    Mail,
    MailChannel,
    RealtimePublisher,
    WebhookEndpoints,
    fan_out,
)

# --8<-- [end:import]


# --8<-- [start:place]
INSERT = text("INSERT INTO orders (id, email) VALUES (:id, :email)")


async def place_order(ctx: BootContext, order_id: int, email: str) -> None:
    order = {"id": order_id}
    mail = Mail(
        to=email,
        subject=f"Your order {order_id}",
        text="Thank you! We will tell you when it is on its way.",
    )
    async with ctx.db.transaction() as session:
        await session.execute(INSERT, {"id": order_id, "email": email})
        webhooks = WebhookEndpoints(session)
        await fan_out(
            session,
            "order.placed",
            [
                MailChannel.target(mail),
                RealtimePublisher.target("orders", "order.placed", order),
                *await webhooks.targets("order.placed", order),
            ],
            event_id=f"order-placed:{order_id}",
        )


# --8<-- [end:place]


async def main() -> None:
    async with boot() as ctx:
        async with ctx.db.transaction() as session:
            await session.execute(
                text("CREATE TABLE orders (id INTEGER, email TEXT)")
            )
        await place_order(ctx, 7, "ann@example.com")
        await OutboxFlusher(ctx).flush()  # by itself it comes a moment later
        # --8<-- [start:worker]
        worker = Worker(ctx, registry=JobRegistry(*JOBS))
        # --8<-- [end:worker]
        await worker.run_until_empty()
        # --8<-- [start:look]
        page = await Deliveries(ctx.db).list(event_id="order-placed:7")
        for one in sorted(page.items, key=lambda one: one.channel):
            print(one.channel, one.target, one.status)
        # --8<-- [end:look]


asyncio.run(main())
