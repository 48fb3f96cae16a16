"""Go on with the last value while the source fails."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:fail_safe]
        away = False

        async def load() -> str:
            if away:
                raise ConnectionError("the price service is away")
            return "9.90"

        print(await cache.remember("price:7", 0.1, load, stale=3600, patience=None))
        await asyncio.sleep(0.2)
        away = True
        print(await cache.remember("price:7", 0.1, load, stale=3600, patience=None))
        # --8<-- [end:fail_safe]


asyncio.run(main())
