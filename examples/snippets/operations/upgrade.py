"""Bring the tables up to date, before the new code starts."""

import asyncio
import os

os.environ["DATABASE_URL"] = "sqlite+aiosqlite:///shop.db"

# --8<-- [start:upgrade]
from rustforge.boot import boot


async def main() -> None:
    async with boot() as ctx:
        await ctx.db.upgrade()


# --8<-- [end:upgrade]

asyncio.run(main())
