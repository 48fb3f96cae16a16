"""Go on without a cache while Redis is away."""

import asyncio

from rustforge.cache import Cache
from rustforge.errors import RedisConnectionError


async def load() -> str:
    return "computed"


async def main() -> None:
    # --8<-- [start:compute]
    nowhere = "redis://127.0.0.1:1"  # nothing listens there
    async with Cache.connect(nowhere, when_unavailable="compute") as cache:
        print(await cache.remember("greeting", 60, load))
        print(await cache.get("greeting"))  # a miss
        await cache.set("greeting", "hello")  # does nothing

        try:
            await cache.increment("views:article:7")
        except RedisConnectionError:
            print("a counter cannot be pretended")
    # --8<-- [end:compute]


asyncio.run(main())
