"""Look at what the cache keeps in Redis."""

import asyncio

from rustforge.cache import Cache


async def load() -> dict[str, str]:
    return {"title": "Hello"}


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:look]
        await cache.set("greeting", "hello")
        await cache.remember("article:7", 600, load)
        await cache.increment("views:article:7")
        await cache.rate_limit("login:203.0.113.7", 5, per=60)

        async for keys in cache.client.scan(b"shop*"):
            for key in sorted(keys):
                print(key.decode(), await cache.client.call("TTL", key))
        print(await cache.client.call("GET", "shop:article:7"))
        # --8<-- [end:look]


asyncio.run(main())
