"""Connect, use the cache, and close it."""

# --8<-- [start:connect]
import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        await cache.set("greeting", "hello")
        print(await cache.get("greeting"))


asyncio.run(main())
# --8<-- [end:connect]
