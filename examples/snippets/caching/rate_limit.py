"""Allow five login attempts a minute."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:limit]
        for attempt in range(1, 8):
            limit = await cache.rate_limit("login:203.0.113.7", 5, per=60)
            if limit:
                print(f"attempt {attempt}: allowed, {limit.remaining} left")
            else:
                print(f"attempt {attempt}: try again in {limit.retry_after:.0f} s")
        # --8<-- [end:limit]


asyncio.run(main())
