"""Use a value once."""

import asyncio

from rustforge.cache import Cache


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:pull]
        await cache.set_ex("login-code:ada@example.com", "481-516", 300)

        print(await cache.pull("login-code:ada@example.com"))
        print(await cache.pull("login-code:ada@example.com"))
        # --8<-- [end:pull]


asyncio.run(main())
