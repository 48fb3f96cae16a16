"""A function whose results are cached, by its arguments."""

import asyncio

# --8<-- [start:first]
import os
from dataclasses import dataclass

from cashews import cache

cache.setup(os.environ["REDIS_URL"])


@dataclass
class Article:
    id: int
    title: str


@cache(ttl="10m", key="article:{article_id}", lock=True)
async def load_article(article_id: int) -> Article:
    print("loading", article_id)
    return Article(article_id, "Hello")


async def show() -> None:
    await load_article(7)
    article = await load_article(7)
    print(article.title)
    await cache.delete("article:7")
    await load_article(7)


# --8<-- [end:first]

if __name__ == "__main__":
    asyncio.run(show())
