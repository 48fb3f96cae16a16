"""Give up, or do something else, when a lock is taken."""

import asyncio

from rustforge.cache import Cache
from rustforge.errors import LockTimeoutError


async def main() -> None:
    async with (
        Cache.connect("memory://", prefix="shop") as cache,
        cache.lock("report"),
    ):
        # --8<-- [start:wait]
        try:
            async with cache.lock("report", wait=0.2):
                print("not reached")
        except LockTimeoutError as error:
            print(error)

        lock = cache.lock("report", wait=0)  # without waiting
        if await lock.acquire():
            await lock.release()
        else:
            print("somebody else builds it; held here:", lock.held)
        # --8<-- [end:wait]


asyncio.run(main())
