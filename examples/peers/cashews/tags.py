"""Values that are thrown out together."""

import asyncio
import os

from cashews import cache

cache.setup(os.environ["REDIS_URL"])


# --8<-- [start:tags]
@cache(
    ttl="1h",
    key="feed:{author_id}:{page}",
    tags=["author:{author_id}"],
)
async def load_feed(author_id: int, page: int) -> list[str]:
    print("loading page", page)
    return ["Hello"]


async def rename(author_id: int) -> None:
    await cache.delete_tags(f"author:{author_id}")


# --8<-- [end:tags]


async def main() -> None:
    await load_feed(3, 1)
    await load_feed(3, 1)
    await rename(3)
    await load_feed(3, 1)


if __name__ == "__main__":
    asyncio.run(main())
