"""Do something only the first time."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:add]
        for delivery in ("evt_81", "evt_82", "evt_81"):
            if await cache.add(f"webhook:{delivery}", "seen", ttl=86_400):
                print("handling", delivery)
            else:
                print("skipping", delivery)
        # --8<-- [end:add]


asyncio.run(main())
