"""Give a value a new time to live without writing it again."""

import asyncio
from datetime import timedelta

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:touch]
        await cache.set_ex("session:5f3a", "user 7", 60)

        print(await cache.touch("session:5f3a", timedelta(hours=1)))
        print(await cache.ttl("session:5f3a"))

        await cache.touch("session:5f3a", None)  # take the expiry away
        print(await cache.expires("session:5f3a"))
        # --8<-- [end:touch]


asyncio.run(main())
