"""See where the exception of a factory goes."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:fails]
        async def load() -> str:
            await asyncio.sleep(0.05)
            raise ConnectionError("the database is away")

        waiting = [cache.remember("greeting", 60, load) for _ in range(3)]
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            print(repr(result))
        print(await cache.has("greeting"))
        # --8<-- [end:fails]


asyncio.run(main())
