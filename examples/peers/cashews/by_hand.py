"""Values by their keys."""

import asyncio
import os

from cashews import cache

cache.setup(os.environ["REDIS_URL"])


# --8<-- [start:by_hand]
async def load() -> list[str]:
    print("loading")
    return ["Hello"]


async def show() -> None:
    titles = await cache.get_or_set(
        "titles", default=load, expire="10m"
    )
    print(titles)

    await cache.set("rate:eur", "1.08", expire="5m")
    print(await cache.get("rate:eur"))
    print(await cache.incr("views:7"))

    await cache.delete_match("rate:*")
    print(await cache.exists("rate:eur"))

    async with cache.lock("report", expire=10):
        print("one at a time")


# --8<-- [end:by_hand]

if __name__ == "__main__":
    asyncio.run(show())
