"""Keep the result of an expensive query for ten minutes."""

# --8<-- [start:query]
import asyncio
from datetime import timedelta

from pydantic import BaseModel

from rustforge.cache import Cache


class Article(BaseModel):
    id: int
    title: str


async def load_newest() -> list[Article]:
    print("running the query")
    await asyncio.sleep(0.1)  # stands for a slow SELECT
    return [Article(id=8, title="Caching"), Article(id=7, title="Hello")]


# --8<-- [end:query]


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:remember]
        ten_minutes = timedelta(minutes=10)
        articles = await cache.remember("articles:newest", ten_minutes, load_newest)
        print(articles[0].title)

        articles = await cache.remember("articles:newest", ten_minutes, load_newest)
        print(articles[0].title)  # from the cache
        # --8<-- [end:remember]


asyncio.run(main())
