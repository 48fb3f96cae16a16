"""Invalidate after an update: commit first, then forget."""

import asyncio

from rustforge.cache import Cache

titles = {7: "Hello"}  # stands for the database


async def load_title() -> str:
    return titles[7]


# --8<-- [start:update]
async def rename_article(cache: Cache, article_id: int, title: str) -> None:
    titles[article_id] = title  # 1. write, and commit
    await cache.forget(f"title:{article_id}")  # 2. what shows this article
    await cache.flush_prefix("articles:list:")  # 3. what lists it


# --8<-- [end:update]


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:use]
        print(await cache.remember("title:7", 600, load_title))
        await rename_article(cache, 7, "Good morning")
        print(await cache.remember("title:7", 600, load_title))
        # --8<-- [end:use]


asyncio.run(main())
