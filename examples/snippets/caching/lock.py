"""Let one process at a time build a report."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:lock]
        async def worker(name: str) -> None:
            async with cache.lock("report", lease=30):
                print(name, "builds the report")
                await asyncio.sleep(0.1)
                print(name, "is done")

        await asyncio.gather(worker("A"), worker("B"))
        # --8<-- [end:lock]


asyncio.run(main())
