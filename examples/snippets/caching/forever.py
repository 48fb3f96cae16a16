"""Remember a value without expiry."""

import asyncio

from rustforge.cache import Cache


async def load_countries() -> dict[str, str]:
    return {"AT": "Austria", "JP": "Japan"}


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:forever]
        countries = await cache.remember_forever("countries", load_countries)
        print(countries["AT"], await cache.expires("countries"))
        # --8<-- [end:forever]


asyncio.run(main())
