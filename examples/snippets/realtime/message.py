"""Look at what a subscriber gets."""

import asyncio

from rustforge.notify import RealtimeMessage, RealtimePublisher


async def main() -> None:
    async with RealtimePublisher.connect("memory://") as realtime:
        # --8<-- [start:message]
        await realtime.publish(
            "orders", "order.paid", {"total": 4200}, event_id="order-paid:42"
        )
        async with realtime.subscribe("orders", since="0-0") as messages:
            message = await anext(messages)
            print(message.channel, message.room, message.event, message.payload)
            assert message.id == messages.position
        # --8<-- [end:message]
        assert isinstance(message, RealtimeMessage)
        assert message.event_id == "order-paid:42"
        assert message.sent_at.tzinfo is not None
        assert message.text in message.sse.decode()
        assert message.text[1:] in message.op
        assert message.body == b'{"total":4200}'


asyncio.run(main())
