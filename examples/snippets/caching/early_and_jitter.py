"""Refresh early, and spread expiry over time."""

import asyncio

from rustforge.cache import Cache


async def load_page() -> str:
    return "<h1>Hello</h1>"


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:options]
        async def read(number: int) -> int:
            key = f"page:{number}"
            await cache.remember(key, 600, load_page, early=1.0, jitter=0.2)
            return await cache.ttl(key) or 0

        lives = await asyncio.gather(*[read(number) for number in range(300)])
        print("from", round(min(lives), -1), "to", round(max(lives), -1), "seconds")
        # --8<-- [end:options]


asyncio.run(main())
