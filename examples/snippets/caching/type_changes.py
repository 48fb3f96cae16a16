"""Change a model while values of the old one are cached."""

import asyncio

from pydantic import BaseModel

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:changes]
        # The last release stored this:
        await cache.set_json("article:7", {"id": 7, "title": "Hello"})

        class Article(BaseModel):
            id: int
            title: str
            author: str  # new, and required

        async def load() -> Article:
            print("loading again")
            return Article(id=7, title="Hello", author="Ada")

        article = await cache.remember("article:7", 600, load)
        print(article.title, "by", article.author)
        # --8<-- [end:changes]


asyncio.run(main())
