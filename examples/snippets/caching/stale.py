"""Serve the last value while a new one is computed."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:stale]
        version = 0

        async def build_report() -> str:
            nonlocal version
            version += 1
            await asyncio.sleep(0.1)
            return f"report {version}"

        print(await cache.remember("report", 0.2, build_report, stale=60))
        await asyncio.sleep(0.3)  # its time to live is over
        # The old value comes at once, and a refresh starts:
        print(await cache.remember("report", 0.2, build_report, stale=60))
        await asyncio.sleep(0.2)  # the refresh ends
        print(await cache.remember("report", 0.2, build_report, stale=60))
        # --8<-- [end:stale]


asyncio.run(main())
