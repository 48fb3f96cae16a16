"""Open the cache for as long as a web application runs."""

import asyncio

# --8<-- [start:lifespan]
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rustforge.boot import boot
from rustforge.cache import Cache


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[dict[str, Cache]]:
    async with boot() as ctx:
        yield {"cache": ctx.cache}


# --8<-- [end:lifespan]


async def main() -> None:
    async with lifespan(None) as state:  # what the framework does
        await state["cache"].set("greeting", "hello")
        print(await state["cache"].get("greeting"))


asyncio.run(main())
