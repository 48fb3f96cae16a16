"""Let a call count for several, and tell the client about its limit."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:cost]
        limit = await cache.rate_limit("export:user:7", 100, per=3600, cost=25)
        print(limit.allowed, f"{limit.remaining} of {limit.limit}")
        print(f"all free again in {limit.reset_after:.0f} s")
        # --8<-- [end:cost]


asyncio.run(main())
