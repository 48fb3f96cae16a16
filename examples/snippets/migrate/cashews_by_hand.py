"""Values by their keys."""

import asyncio

from rustforge.cache import Cache


# --8<-- [start:by_hand]
async def load() -> list[str]:
    print("loading")
    return ["Hello"]


async def show(cache: Cache) -> None:
    titles = await cache.remember("titles", 600, load)
    print(titles)

    await cache.set_ex("rate:eur", "1.08", 300)
    print(await cache.get("rate:eur"))
    print(await cache.increment("views:7"))

    await cache.flush_prefix("rate:")
    print(await cache.has("rate:eur"))

    async with cache.lock("report", lease=10):
        print("one at a time")


# --8<-- [end:by_hand]


async def main() -> None:
    async with Cache.connect("memory://") as cache:
        await show(cache)


asyncio.run(main())
