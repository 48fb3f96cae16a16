"""Give the cache what it does not take."""

import asyncio

from rustforge.cache import Cache
from rustforge.errors import CacheError, InvalidArgumentError


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:refused]
        calls = [
            cache.set("k" * 1_025, "a key that is too long"),
            cache.set_ex("greeting", "hello", 0),
            cache.set_json("ratio", float("nan")),
            cache.flush_prefix(""),
        ]
        for call in calls:
            try:
                await call
            except (InvalidArgumentError, CacheError) as error:
                print(f"{type(error).__name__}: {error}")
        # --8<-- [end:refused]


asyncio.run(main())
