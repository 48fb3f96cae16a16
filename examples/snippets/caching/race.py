"""Write while a computation of the old value is under way."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:race]
        database = {"title": "Hello"}

        async def load() -> str:
            title = database["title"]
            print("loading", title)
            await asyncio.sleep(0.2)  # the old title is on its way to the cache
            return title

        reader = asyncio.create_task(cache.remember("title:7", 600, load))
        await asyncio.sleep(0.1)

        database["title"] = "Good morning"  # a writer commits
        await cache.forget("title:7")  # and forgets, in this process or in another

        print("the reader gets", await reader)
        print("stored:", await cache.has("title:7"))
        print("the next one gets", await cache.remember("title:7", 600, load))
        # --8<-- [end:race]


asyncio.run(main())
