"""Publish an event twice, and have it once."""

import asyncio

from rustforge.notify import RealtimePublisher


async def main() -> None:
    async with RealtimePublisher.connect("memory://") as realtime:
        # --8<-- [start:once]
        first = await realtime.publish(
            "orders", "order.paid", {"total": 4200}, event_id="order-paid:42"
        )
        again = await realtime.publish(
            "orders", "order.paid", {"total": 4200}, event_id="order-paid:42"
        )
        print(first == again)
        # --8<-- [end:once]

        # --8<-- [start:many]
        await realtime.publish_many(
            "prices", [("changed", {"sku": sku}) for sku in ("a", "b", "c")]
        )
        # --8<-- [end:many]

        # --8<-- [start:passing]
        await realtime.publish(
            "orders", "typing", {"who": "Eva"}, room="42", durable=False
        )
        # --8<-- [end:passing]


asyncio.run(main())
