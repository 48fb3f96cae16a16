"""Greet from the cache."""

# --8<-- [start:first]
import asyncio

from rustforge.boot import boot


async def main() -> None:
    async with boot() as ctx:
        await ctx.cache.set("greeting", "hello")
        print(await ctx.cache.get("greeting"))


asyncio.run(main())
# --8<-- [end:first]
