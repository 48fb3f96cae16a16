"""Read one stored value as several types."""

import asyncio

from pydantic import BaseModel

from rustforge.cache import Cache


class Article(BaseModel):
    id: int
    title: str


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:shapes]
        await cache.set_json("articles", [Article(id=7, title="Hello")])

        print(await cache.get_json("articles", list[Article]))
        print(await cache.get_json("articles"))  # without a type: plain JSON
        print(await cache.get("articles"))  # the text as it is stored
        # --8<-- [end:shapes]


asyncio.run(main())
