"""Remove the values whose keys start alike."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:flush]
        keys = ["articles:list:1", "articles:list:2", "article:7"]
        await cache.put_many(dict.fromkeys(keys, "…"))

        print(await cache.flush_prefix("articles:list:"))
        print(await cache.has("article:7"))
        print(await cache.flush_all())  # what is left under the prefix "shop"
        # --8<-- [end:flush]


asyncio.run(main())
