"""Wait a moment for the new value before the last one is served."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:patience]
        seconds = 0.0

        async def load() -> str:
            await asyncio.sleep(seconds)
            return f"took {seconds} s"

        async def read() -> str:
            return await cache.remember("report", 0.1, load, stale=60, patience=0.5)

        print(await read())
        await asyncio.sleep(0.2)
        seconds = 0.1
        print(await read())  # the new value came in time
        await asyncio.sleep(0.2)
        seconds = 2.0
        print(await read())  # it did not: the last one, after half a second
        # --8<-- [end:patience]


asyncio.run(main())
