"""A function whose results are cached, by its arguments."""

import asyncio

# --8<-- [start:first]
from datetime import timedelta

from pydantic import BaseModel

from rustforge.cache import Cache, cached


class App:
    cache: Cache


class Article(BaseModel):
    id: int
    title: str


@cached(
    "article:{article_id}",
    timedelta(minutes=10),
    cache=lambda: App.cache,
)
async def load_article(article_id: int) -> Article:
    print("loading", article_id)
    return Article(id=article_id, title="Hello")


async def show() -> None:
    await load_article(7)
    article = await load_article(7)
    print(article.title)
    await load_article.forget(7)
    await load_article(7)


# --8<-- [end:first]


async def main() -> None:
    async with Cache.connect("memory://") as App.cache:
        await show()


asyncio.run(main())
