"""Run many jobs, and one more when all of them are over."""

import asyncio
import logging

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker

logging.getLogger("rustforge").setLevel(logging.CRITICAL)


# --8<-- [start:batch]
class ImportPage(Job):
    NAME = "catalogue.import_page"

    number: int

    def max_retries(self) -> int:
        return 0

    async def handle(self, ctx: JobContext) -> None:
        if self.number == 13:
            raise ValueError("page 13 is broken")


class FinishImport(Job):
    NAME = "catalogue.finish_import"

    async def handle(self, ctx: JobContext) -> None:
        assert ctx.batch
        total, failed = ctx.batch
        print(f"{total} pages, {failed} of them failed")


# --8<-- [end:batch]


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:use]
        pages = [ImportPage(number=number) for number in range(1, 21)]
        await ctx.queue.push_batch(pages, then=FinishImport())
        # --8<-- [end:use]
        await Worker(ctx).register(ImportPage, FinishImport).run_until_empty()


asyncio.run(main())
