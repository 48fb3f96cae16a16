"""The quick start: one model, one function, one cache."""

# --8<-- [start:app]
import asyncio

from pydantic import BaseModel

from rustforge.boot import boot


class Article(BaseModel):
    id: int
    title: str


async def load_article() -> Article:
    print("loading")
    await asyncio.sleep(0.1)  # stands for a slow query
    return Article(id=7, title="Hello")


async def main() -> None:
    async with boot() as ctx:
        for _ in range(2):
            article = await ctx.cache.remember("article:7", 600, load_article)
            print(article.title)


asyncio.run(main())
# --8<-- [end:app]
