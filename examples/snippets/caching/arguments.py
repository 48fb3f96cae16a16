"""Remember the result of a function that takes arguments."""

import asyncio
from functools import partial

from pydantic import BaseModel

from rustforge.cache import Cache


class Article(BaseModel):
    id: int
    title: str


# --8<-- [start:function]
async def load(article_id: int) -> Article:
    return Article(id=article_id, title="Hello")


# --8<-- [end:function]


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:arguments]
        article = await cache.remember("article:7", 600, partial(load, 7))
        print(repr(article))

        article = await cache.remember("article:7", 600, lambda: load(7), Article)
        print(repr(article))

        article = await cache.remember("article:7", 600, lambda: load(7))
        print(repr(article))  # no type: plain JSON
        # --8<-- [end:arguments]


asyncio.run(main())
