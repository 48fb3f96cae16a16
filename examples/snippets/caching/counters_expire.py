"""Let a counter expire."""

import asyncio
from datetime import timedelta

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:expire]
        key, two_days = "logins:2026-11-24", timedelta(days=2)
        await cache.increment(key, ttl=two_days)  # makes the counter
        await cache.increment(key, ttl=two_days)  # keeps the time to live it has
        print(await cache.get(key), await cache.ttl(key))
        # --8<-- [end:expire]


asyncio.run(main())
