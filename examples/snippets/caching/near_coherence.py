"""Change a value that another process holds in its near cache."""

import asyncio

from rustforge.cache import Cache, NearCache


async def main() -> None:
    # --8<-- [start:coherence]
    async with (
        Cache.connect("memory://", prefix="shop", near=NearCache()) as here,
        Cache.connect("memory://", prefix="shop") as elsewhere,
    ):
        await here.set("motto", "compute once")
        print(await here.get("motto"))  # now held in this process

        await elsewhere.set("motto", "keep it coherent")
        await asyncio.sleep(0.1)  # the server's notice is on its way
        print(await here.get("motto"))
    # --8<-- [end:coherence]


asyncio.run(main())
