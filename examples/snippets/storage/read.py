"""Read an object piece by piece, and a part of it."""

import asyncio

from rustforge.storage import Storage


async def main() -> None:
    async with Storage.connect("memory://") as storage:
        stored = await storage.put("videos/7.mp4", bytes(5_000_000))
        # --8<-- [start:read]
        total = 0
        async for piece in storage.stream("videos/7.mp4"):
            total += len(piece)
        print(total)

        pieces = storage.stream(
            "videos/7.mp4", start=100, end=104, etag=stored.etag
        )
        print(b"".join([piece async for piece in pieces]))
        # --8<-- [end:read]


asyncio.run(main())
