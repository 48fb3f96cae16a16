"""At most two jobs of a tenant run at the same time, over all workers."""

import asyncio

from rustforge.boot import boot

# --8<-- [start:concurrency]
from rustforge.jobs import ConcurrencyLimit, Job, JobContext, Worker

running: set[int] = set()


class ExportData(Job):
    NAME = "tenant.export"

    tenant_id: int
    part: int

    def concurrency(self) -> ConcurrencyLimit:
        return ConcurrencyLimit(f"export:{self.tenant_id}", limit=2)

    async def handle(self, ctx: JobContext) -> None:
        running.add(self.part)
        await asyncio.sleep(0.05)
        print(len(running), "at a time")
        running.discard(self.part)


# --8<-- [end:concurrency]


async def main() -> None:
    async with boot() as ctx:
        await ctx.queue.push_many(
            [ExportData(tenant_id=1, part=n) for n in range(4)]
        )
        await Worker(ctx).register(ExportData).run_until_empty()


asyncio.run(main())
