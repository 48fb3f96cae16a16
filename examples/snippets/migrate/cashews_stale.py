"""An old value, where the source fails."""

import asyncio
import logging

from rustforge.cache import Cache, cached

logging.getLogger("rustforge").setLevel(
    logging.CRITICAL
)  # the page shows less


class App:
    cache: Cache
    away = False


# --8<-- [start:stale]
@cached(
    "price:{sku}",
    1,
    cache=lambda: App.cache,
    stale=3600,
    patience=None,
)
async def load_price(sku: int) -> str:
    if App.away:
        raise ConnectionError("the service is away")
    return "9.90"


# --8<-- [end:stale]


async def main() -> None:
    async with Cache.connect("memory://") as App.cache:
        print(await load_price(7))
        await asyncio.sleep(1.2)
        App.away = True
        print(await load_price(7))


asyncio.run(main())
