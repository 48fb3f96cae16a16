"""Store what comes piece by piece."""

import asyncio
from collections.abc import AsyncIterator

from rustforge.storage import Storage


# --8<-- [start:stream]
async def rows() -> AsyncIterator[bytes]:
    yield b"id,total\n"
    for order in range(1, 4):
        yield f"{order},{order * 10}\n".encode()


def tell(done: int) -> None:
    print(f"{done} bytes")


async def export(storage: Storage) -> None:
    await storage.put("exports/orders.csv", rows(), progress=tell)


# --8<-- [end:stream]


async def main() -> None:
    async with Storage.connect("memory://") as storage:
        await export(storage)
        assert (await storage.get("exports/orders.csv")).endswith(b"3,30\n")


asyncio.run(main())
