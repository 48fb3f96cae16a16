"""An old value, where the source fails."""

import asyncio
import os

from cashews import cache

cache.setup(os.environ["REDIS_URL"])
away = False


# --8<-- [start:stale]
@cache.soft(ttl="1h", soft_ttl="1s", key="price:{sku}")
async def load_price(sku: int) -> str:
    if away:
        raise ConnectionError("the service is away")
    return "9.90"


# --8<-- [end:stale]


async def main() -> None:
    global away
    print(await load_price(7))
    await asyncio.sleep(1.2)
    away = True
    print(await load_price(7))


if __name__ == "__main__":
    asyncio.run(main())
