"""Invalidate by tag what many keys have in common."""

import asyncio

from rustforge.cache import Cache


async def load_page() -> str:
    print("rendering")
    return "<h1>Hello</h1>"


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:tags]
        tags = ["author:3", "article:7"]
        await cache.remember("page:/hello", 600, load_page, tags=tags)
        await cache.set_json_ex("feed:author:3", ["Hello"], 600, tags=["author:3"])

        await cache.invalidate_tags("author:3")
        print(await cache.has("feed:author:3"))
        await cache.remember("page:/hello", 600, load_page, tags=tags)
        # --8<-- [end:tags]


asyncio.run(main())
