"""Remember that there is nothing."""

import asyncio

from pydantic import BaseModel

from rustforge.cache import Cache


class Article(BaseModel):
    id: int
    title: str


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:none]
        async def find_article() -> Article | None:
            print("asking the database")
            return None

        print(await cache.remember("article:404", 30, find_article))
        print(await cache.remember("article:404", 30, find_article))
        # --8<-- [end:none]


asyncio.run(main())
