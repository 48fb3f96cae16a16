"""Store models and read them back as models."""

import asyncio
from datetime import date, timedelta

from pydantic import BaseModel

from rustforge.cache import Cache


# --8<-- [start:model]
class Article(BaseModel):
    id: int
    title: str
    published: date


# --8<-- [end:model]


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:json]
        article = Article(id=7, title="Hello", published=date(2026, 11, 24))
        await cache.set_json("article:7", article)
        await cache.set_json_ex("article:latest", article, timedelta(minutes=5))

        found = await cache.get_json("article:7", Article)  # Article | None
        if found is not None:
            print(found.title, found.published.year)
        # --8<-- [end:json]


asyncio.run(main())
