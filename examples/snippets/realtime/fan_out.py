"""Publish when a transaction commits."""

import asyncio

from rustforge.boot import boot
from rustforge.jobs import OutboxFlusher, Worker

# --8<-- [start:fan-out]
from rustforge.notify import DeliverRealtime, RealtimePublisher, fan_out


async def main() -> None:
    async with boot() as ctx:
        async with ctx.db.transaction() as session:
            await fan_out(
                session,
                "order.placed",
                [
                    RealtimePublisher.target(
                        "orders", "order.placed", {"id": 42}, room="7"
                    )
                ],
                event_id="order-placed:42",
            )
        # --8<-- [end:fan-out]
        await OutboxFlusher(ctx).flush()  # by itself it comes a moment later
        # --8<-- [start:work]
        await Worker(ctx).register(DeliverRealtime).run_until_empty()
        # --8<-- [end:work]
        async with ctx.realtime.subscribe("orders", "7", since="0-0") as found:
            message = await anext(found)
            assert message.payload == {"id": 42}


asyncio.run(main())
