"""See what happens when a stored value does not fit its type."""

import asyncio

from pydantic import BaseModel

from rustforge.cache import Cache
from rustforge.errors import CacheDecodeError


class Article(BaseModel):
    id: int
    title: str


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:decode]
        await cache.set_json("article:7", {"id": "seven", "name": "Hello"})
        try:
            await cache.get_json("article:7", Article)
        except CacheDecodeError as error:
            print(error)
        # --8<-- [end:decode]


asyncio.run(main())
