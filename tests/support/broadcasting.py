"""A process of its own that publishes and is present, as told line by line; it may be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack

from rustforge.notify.realtime import RealtimePublisher


async def work() -> None:
    """Carry out orders: to `publish` so many messages, or to `join`."""
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            order = json.loads(line)
            realtime = await stack.enter_async_context(
                RealtimePublisher.connect(order["url"], prefix=order["prefix"], presence_ttl=order.get("ttl", 30))
            )
            if order["what"] == "publish":
                for number in range(order["count"]):
                    await realtime.publish(order["channel"], "counted", number, room=order["room"])
            else:
                await stack.enter_async_context(realtime.join(order["channel"], order["member"], room=order["room"]))
            sys.stdout.write('{"word": "idle"}\n')
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(work())
