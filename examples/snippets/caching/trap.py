"""Fall into the trap of a prefix that covers too much."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:trap]
        await cache.set_json("article:7", {"title": "Hello"})
        await cache.increment("article:views:7", 4_211)

        await cache.flush_prefix("article:")
        print(await cache.get("article:views:7"))  # the counter is gone, too
        # --8<-- [end:trap]


asyncio.run(main())
