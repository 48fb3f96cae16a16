"""Go on where a subscriber was, and see where messages are missing."""

import asyncio

from rustforge.notify import RealtimePublisher, ReplayGap


async def main() -> None:
    # --8<-- [start:options]
    async with RealtimePublisher.connect(
        "memory://",
        prefix="shop",
        max_messages=100,
        retention=3600,
        max_payload_bytes=16_000,
        presence_ttl=60,
        durable=True,
    ) as realtime:
        # --8<-- [end:options]
        # --8<-- [start:replay]
        async with realtime.subscribe("orders") as messages:
            position = messages.position

        await realtime.publish("orders", "order.paid", 42)  # nobody listens

        async with realtime.subscribe("orders", since=position) as messages:
            message = await anext(messages)
            print(message.event, message.payload)
        # --8<-- [end:replay]

        await realtime.publish_many("orders", [("said", n) for n in range(400)])
        # --8<-- [start:gap]
        async with realtime.subscribe("orders", since=position) as messages:
            async for message in messages:
                if isinstance(message, ReplayGap):
                    assert message.requested_since_id == position
                    print("some are missing: read the orders anew")
                elif message.payload == 399:
                    print("that was the last one")
                    break
        # --8<-- [end:gap]


asyncio.run(main())
