"""What the Rust edition's examples look like here."""

import asyncio

from pydantic import BaseModel

from rustforge.boot import boot


class Article(BaseModel):
    id: int
    title: str


async def load_articles() -> list[Article]:
    return [Article(id=7, title="Hello")]


async def main() -> None:
    # --8<-- [start:renamed]
    async with boot() as ctx:
        cache = ctx.cache  # was: ctx.redis
        articles = await cache.remember("articles:list:1", 300, load_articles)
        await cache.delete("articles:list:1")  # was: del
        views = await cache.increment("views:article:7")  # by=1 is the default
        print(articles[0].title, views)
    # --8<-- [end:renamed]


asyncio.run(main())
