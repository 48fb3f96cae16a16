"""Walk over keys without blocking the server."""

import asyncio

from rustforge.redis import connect, escape_glob


async def main() -> None:
    async with connect("memory://") as redis:
        # --8<-- [start:scan]
        for number in range(3):
            await redis.call("SET", f"draft[{number}]", "…")

        async for keys in redis.scan(f"{escape_glob('draft[')}*".encode()):
            print(sorted(keys))
        # --8<-- [end:scan]


asyncio.run(main())
