"""The cache of the page for users of Laravel."""

import asyncio

from pydantic import BaseModel

from rustforge.cache import Cache


class Article(BaseModel):
    id: int


async def find_article() -> Article:
    return Article(id=7)


async def render_page() -> str:
    return "<h1>Hello</h1>"


async def main() -> None:
    async with Cache.connect("memory://") as cache:
        feed = ["Hello"]
        # --8<-- [start:cache]
        article = await cache.remember(
            "article:7", 600, find_article
        )

        await cache.set_ex("rate:eur", "1.08", 300)
        await cache.increment("views:7")

        page = await cache.remember(
            "page", 60, render_page, stale=3540
        )

        await cache.set_json_ex(
            "feed", feed, 600, tags=["author:3"]
        )
        await cache.invalidate_tags("author:3")

        async with cache.lock("report", lease=10, wait=5):
            ...  # one at a time

        await cache.forget("article:7")
        # --8<-- [end:cache]
        print(article, page, await cache.has("feed"))


asyncio.run(main())
