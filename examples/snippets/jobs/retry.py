"""A job that fails twice and then succeeds."""

import asyncio
import logging

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker

logging.getLogger("rustforge").setLevel(logging.CRITICAL)  # the page shows less


# --8<-- [start:retry]
class FetchRates(Job):
    NAME = "rates.fetch"

    async def handle(self, ctx: JobContext) -> None:
        print("attempt", ctx.attempt)
        if ctx.attempt < 2:
            raise ConnectionError("the bank does not answer")

    def max_retries(self) -> int:
        return 3

    def backoff(self, attempt: int) -> float:
        return 0.1 * (attempt + 1)  # seconds: 0.1, 0.2, 0.3


# --8<-- [end:retry]


async def main() -> None:
    async with boot() as ctx:
        await FetchRates().dispatch(ctx.queue)
        worker = Worker(ctx).register(FetchRates)
        running = asyncio.create_task(worker.run())
        while not worker.statistics().succeeded:
            await asyncio.sleep(0.05)
        worker.stop()
        await running
        print(
            worker.statistics().failed, "failed,", worker.statistics().dead, "dead"
        )


asyncio.run(main())
