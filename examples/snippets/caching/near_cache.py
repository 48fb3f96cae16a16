"""Keep hot values in the process, too."""

import asyncio

from rustforge.cache import Cache, NearCache


async def main() -> None:
    # --8<-- [start:near]
    near = NearCache(max_entries=10_000, max_bytes=64 << 20, ttl=60)
    async with Cache.connect("memory://", prefix="shop", near=near) as cache:
        await cache.set("motto", "compute once")
        for _ in range(1_000):
            await cache.get("motto")

        statistics = cache.statistics()
        print(statistics.hits, "hits, in the process:", statistics.near_hits)
    # --8<-- [end:near]


asyncio.run(main())
