"""What a failed start says."""

import asyncio

from rustforge.boot import boot
from rustforge.errors import BootError
from rustforge.settings import Settings


async def main() -> None:
    # --8<-- [start:fails]
    # Nothing listens there:
    settings = Settings(redis_url="redis://app:secret@127.0.0.1:1/0")
    try:
        async with boot(settings) as ctx:
            await ctx.cache.set("greeting", "hello")
    except BootError as error:
        print(error)
    # --8<-- [end:fails]


asyncio.run(main())
