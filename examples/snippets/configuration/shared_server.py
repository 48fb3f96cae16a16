"""Two applications share a server, each under its prefix."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    # --8<-- [start:prefixes]
    async with (
        Cache.connect("memory://", prefix="shop") as shop,
        Cache.connect("memory://", prefix="blog") as blog,
    ):
        await shop.set("greeting", "welcome")
        await blog.set("greeting", "hello")
        print(await blog.flush_all(), await shop.get("greeting"))
    # --8<-- [end:prefixes]


asyncio.run(main())
