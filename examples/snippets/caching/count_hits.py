"""Look at the counters of a cache."""

import asyncio

from rustforge.cache import Cache


async def load() -> str:
    return "hello"


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:statistics]
        for _ in range(10):
            await cache.remember("greeting", 60, load)

        statistics = cache.statistics()
        print(statistics.hits, "hits,", statistics.misses, "miss")
        print(statistics.computed, "computed")
        # --8<-- [end:statistics]


asyncio.run(main())
