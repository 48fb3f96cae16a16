"""Hear of the next change of a key."""

import asyncio

from rustforge.redis import connect


async def main() -> None:
    # --8<-- [start:track]
    async with connect("memory://") as redis, connect("memory://") as elsewhere:
        redis.add_listener(lambda key: print("changed:", key))
        print(await redis.track("motto"))  # the value, and what PTTL says

        await elsewhere.call("SET", "motto", "compute once")
        await asyncio.sleep(0.1)
    # --8<-- [end:track]


asyncio.run(main())
