"""Publish to a room, and listen to it."""

# --8<-- [start:first]
import asyncio

from rustforge.boot import boot


async def main() -> None:
    async with (
        boot() as ctx,
        ctx.realtime.subscribe("orders", "42") as messages,
    ):
        await ctx.realtime.publish(
            "orders", "order.paid", {"total": 4200}, room="42"
        )
        await ctx.realtime.publish("orders", "order.sent", room="43")
        message = await anext(messages)
        print(message.event, message.payload)


asyncio.run(main())
# --8<-- [end:first]
