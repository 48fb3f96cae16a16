"""A run that takes too long is cancelled and counts as failed."""

import asyncio
import logging

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker

logging.getLogger("rustforge").setLevel(logging.CRITICAL)


# --8<-- [start:timeout]
class RenderReport(Job):
    NAME = "report.render"
    TIMEOUT = 0.2  # seconds

    async def handle(self, ctx: JobContext) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            print("cleaning up")  # the handler is cancelled, so this runs

    def max_retries(self) -> int:
        return 0

    async def failed(self, ctx: JobContext, error: str) -> None:
        print(error)


# --8<-- [end:timeout]


async def main() -> None:
    async with boot() as ctx:
        await RenderReport().dispatch(ctx.queue)
        await Worker(ctx).register(RenderReport).run_until_empty()


asyncio.run(main())
