"""A function that may be called so often."""

import asyncio

# --8<-- [start:limits]
from rustforge.cache import Cache


async def login(cache: Cache, ip: str) -> None:
    limit = await cache.rate_limit(f"login:{ip}", 2, per=60)
    print("allowed" if limit else "too many")


# --8<-- [end:limits]


async def main() -> None:
    async with Cache.connect("memory://") as cache:
        for _ in range(3):
            await login(cache, "203.0.113.7")


asyncio.run(main())
