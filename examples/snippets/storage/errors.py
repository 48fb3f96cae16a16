"""Tell apart what went wrong."""

import asyncio
from contextlib import suppress

# --8<-- [start:errors]
from rustforge.errors import ObjectNotFoundError, StorageUnavailableError
from rustforge.storage import Storage


async def read(storage: Storage, key: str) -> bytes | None:
    try:
        return await storage.get(key)
    except ObjectNotFoundError:
        return None
    except StorageUnavailableError as error:
        print(error)
        raise


# --8<-- [end:errors]


async def main() -> None:
    async with Storage.connect("memory://") as storage:
        assert await read(storage, "none") is None
    nobody = "minio://key:secret@127.0.0.1:9/files?timeout=1"
    async with Storage.connect(nobody) as storage:
        with suppress(StorageUnavailableError):
            await read(storage, "none")


asyncio.run(main())
