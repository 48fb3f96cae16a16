"""Open a storage, and keep an object in it."""

# --8<-- [start:connect]
import asyncio

from rustforge.storage import Storage


async def main() -> None:
    async with Storage.connect("file:./storage") as storage:
        await storage.put(
            "greetings/hello.txt", b"hello", content_type="text/plain"
        )
        print(await storage.get("greetings/hello.txt"))


asyncio.run(main())
# --8<-- [end:connect]
