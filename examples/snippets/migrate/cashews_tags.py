"""Values that are thrown out together."""

import asyncio

from rustforge.cache import Cache, cached


class App:
    cache: Cache


# --8<-- [start:tags]
@cached(
    "feed:{author_id}:{page}",
    3600,
    cache=lambda: App.cache,
    tags=["author:{author_id}"],
)
async def load_feed(author_id: int, page: int) -> list[str]:
    print("loading page", page)
    return ["Hello"]


async def rename(author_id: int) -> None:
    await App.cache.invalidate_tags(f"author:{author_id}")


# --8<-- [end:tags]


async def main() -> None:
    async with Cache.connect("memory://") as App.cache:
        await load_feed(3, 1)
        await load_feed(3, 1)
        await rename(3)
        await load_feed(3, 1)


asyncio.run(main())
