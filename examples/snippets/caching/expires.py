"""Tell a value without expiry from one that is missing."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:expires]
        await cache.set_ex("rate:eur-usd", "1.0823", 300)
        await cache.set("motto", "compute once")

        for key in ("rate:eur-usd", "motto", "missing"):
            print(key, await cache.ttl(key), await cache.expires(key))
        # --8<-- [end:expires]


asyncio.run(main())
