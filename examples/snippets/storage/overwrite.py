"""Store an object only where there is none."""

import asyncio

from rustforge.errors import ObjectExistsError
from rustforge.storage import Storage


async def main() -> None:
    async with Storage.connect("memory://") as storage:
        # --8<-- [start:overwrite]
        await storage.put("reports/2026.pdf", b"%PDF", overwrite=False)
        try:
            await storage.put("reports/2026.pdf", b"other", overwrite=False)
        except ObjectExistsError as error:
            print(error)
        # --8<-- [end:overwrite]


asyncio.run(main())
