"""Send commands that the cache does not have."""

import asyncio

from rustforge.redis import connect


async def main() -> None:
    # --8<-- [start:commands]
    async with connect("memory://") as redis:
        await redis.call("SET", "greeting", "hello", retry=True)
        print(await redis.call("GET", "greeting", retry=True))

        replies = await redis.pipeline(
            [("ZINCRBY", "top", 1, "article:7"), ("ZREVRANGE", "top", 0, 9)]
        )
        print(replies)

        print(await redis.mget(["greeting", "missing"]))
        print(await redis.unlink(["greeting", "top"]))
    # --8<-- [end:commands]


asyncio.run(main())
