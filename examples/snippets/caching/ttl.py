"""Keep a value for five minutes."""

import asyncio
from datetime import timedelta

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:set_ex]
        await cache.set_ex("rate:eur-usd", "1.0823", 300)
        await cache.set_ex("rate:eur-gbp", "0.8561", timedelta(minutes=5))
        print(await cache.ttl("rate:eur-usd"))
        # --8<-- [end:set_ex]


asyncio.run(main())
