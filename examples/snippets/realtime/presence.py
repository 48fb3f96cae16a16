"""Be in a room, and see who is."""

import asyncio

from rustforge.notify import RealtimePublisher


async def main() -> None:
    async with (
        RealtimePublisher.connect("memory://") as realtime,
        realtime.subscribe("chat", "lobby") as messages,
    ):
        # --8<-- [start:presence]
        async with realtime.join(
            "chat", "user-7", room="lobby", info={"name": "Eva"}
        ):
            for one in await realtime.presence("chat", "lobby"):
                print(one.member, one.info)

        async for message in messages:
            print(message.event, message.payload["type"])
            if message.payload["type"] == "left":
                break
        # --8<-- [end:presence]


asyncio.run(main())
