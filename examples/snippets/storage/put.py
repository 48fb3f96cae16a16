"""Store an object, with what describes it."""

import asyncio

from rustforge.storage import Storage


async def main() -> None:
    async with Storage.connect("memory://") as storage:
        # --8<-- [start:put]
        stored = await storage.put(
            "articles/cover/7.png",
            b"\x89PNG...",
            content_type="image/png",
            filename="Grüße.png",
            inline=True,
            metadata={"uploaded-by": "Jörg"},
        )
        print(stored.key, stored.size)

        found = await storage.head("articles/cover/7.png")
        print(found.content_type, found.metadata)
        print(found.disposition)
        # --8<-- [end:put]


asyncio.run(main())
