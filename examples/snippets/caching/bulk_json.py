"""Write and read many models at once."""

import asyncio

from pydantic import BaseModel

from rustforge.cache import Cache


class Article(BaseModel):
    id: int
    title: str


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:json]
        articles = [Article(id=7, title="Hello"), Article(id=8, title="Caching")]
        by_key = {f"article:{article.id}": article for article in articles}
        await cache.put_many_json(by_key, ttl=3600)

        found = await cache.many_json(["article:7", "article:9"], Article)
        print(found)  # list[Article | None]
        # --8<-- [end:json]


asyncio.run(main())
