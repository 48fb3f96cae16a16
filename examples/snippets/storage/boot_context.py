"""Find the storage in the context of an application, and of a job."""

import asyncio

# --8<-- [start:boot]
from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class CountBytes(Job):
    NAME = "report.count_bytes"

    key: str

    async def handle(self, ctx: JobContext) -> None:
        found = await ctx.storage.head(self.key)
        print(f"{found.key} has {found.size} bytes")


async def main() -> None:
    async with boot() as ctx:
        await ctx.storage.put("reports/7.csv", b"id,total\n1,20\n")
        await CountBytes(key="reports/7.csv").dispatch(ctx.queue)
        await Worker(ctx).register(CountBytes).run_until_empty()


# --8<-- [end:boot]
asyncio.run(main())
