"""Count the views of an article."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:counters]
        print(await cache.increment("views:article:7"))
        print(await cache.increment("views:article:7", 10))
        print(await cache.decrement("views:article:7"))
        print(await cache.get("views:article:7"))  # a counter is a text of digits
        # --8<-- [end:counters]


asyncio.run(main())
