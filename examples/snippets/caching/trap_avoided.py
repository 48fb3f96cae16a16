"""Keep counters out of the reach of a flush."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:remedy]
        await cache.set_json("article:7", {"title": "Hello"})
        await cache.increment("views:article:7", 4_211)

        await cache.flush_prefix("article:")
        print(await cache.get("views:article:7"))
        # --8<-- [end:remedy]


asyncio.run(main())
