"""Write and read many texts at once."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:text]
        await cache.put_many({"color:sky": "blue", "color:sea": "grey"}, ttl=60)
        print(await cache.many(["color:sky", "color:snow", "color:sea"]))
        # --8<-- [end:text]


asyncio.run(main())
