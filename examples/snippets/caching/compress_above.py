"""Compress large values."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    # --8<-- [start:compress]
    async with Cache.connect("memory://", compress_above=1_000) as cache:
        page = "<li>Hello</li>" * 1_000
        await cache.set("page", page)

        stored = await cache.client.call("STRLEN", "page")
        print(len(page), "bytes,", stored, "in Redis")
        print(await cache.get("page") == page)
    # --8<-- [end:compress]


asyncio.run(main())
