"""Look at objects, copy, move and remove them."""

import asyncio

from rustforge.storage import Storage


async def main() -> None:
    async with Storage.connect("memory://") as storage:
        # --8<-- [start:several]
        await storage.put("drafts/7.txt", b"draft")
        await storage.copy("drafts/7.txt", "backup/7.txt")
        await storage.move("drafts/7.txt", "articles/7.txt")
        print(await storage.exists("drafts/7.txt"))

        async for found in storage.list():
            print(found.key, found.size)

        print(await storage.delete("articles/7.txt"))
        await storage.delete_many(["backup/7.txt", "backup/8.txt"])
        print([found.key async for found in storage.list("backup")])
        # --8<-- [end:several]


asyncio.run(main())
