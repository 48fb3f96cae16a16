"""Read, write and remove text."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:basic]
        await cache.set("greeting", "hello")
        print(await cache.get("greeting"))
        print(await cache.has("greeting"))

        print(await cache.delete("greeting"))  # there was one
        print(await cache.forget("greeting"))  # the same method; now there is none
        print(await cache.get("greeting"))
        # --8<-- [end:basic]


asyncio.run(main())
