"""Test with a storage in memory."""

import asyncio

# --8<-- [start:testing]
from rustforge.storage import Storage
from rustforge.testing import job_context


async def save_report(storage: Storage, text: str) -> str:
    stored = await storage.put("reports/today.txt", text.encode())
    return stored.key


async def test_the_report_is_saved() -> None:
    async with Storage.connect("memory://") as storage:
        key = await save_report(storage, "all is well")
        assert await storage.get(key) == b"all is well"


async def test_a_job_finds_it() -> None:
    ctx = job_context(storage=Storage("memory://"))
    await save_report(ctx.storage, "all is well")
    assert await ctx.storage.exists("reports/today.txt")


# --8<-- [end:testing]


async def main() -> None:
    await test_the_report_is_saved()
    await test_a_job_finds_it()


asyncio.run(main())
