"""The first look: two calls, one of which loads."""

# --8<-- [start:cache]
import asyncio

from rustforge.cache import Cache


async def load() -> dict[str, str]:
    print("loading")
    return {"title": "Hello"}


async def main() -> None:
    async with Cache.connect("memory://") as cache:  # or redis://localhost:6379
        print(await cache.remember("article:1", 60, load))
        print(await cache.remember("article:1", 60, load))  # from the cache


asyncio.run(main())
# --8<-- [end:cache]
