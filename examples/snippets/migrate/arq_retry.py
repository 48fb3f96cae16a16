"""A job that is tried again."""

import asyncio
import logging

# --8<-- [start:import]
from rustforge.jobs import Job, JobContext

# --8<-- [end:import]
from rustforge.testing import time_travel


# --8<-- [start:retry]
class FetchRates(Job):
    NAME = "fetch_rates"

    def max_retries(self) -> int:
        return 2  # three attempts

    def backoff(self, attempt: int) -> float:
        return attempt + 1

    async def handle(self, ctx: JobContext) -> None:
        print("attempt", ctx.attempt + 1)
        await ask_the_bank(ctx.attempt + 1)


# --8<-- [end:retry]

logging.getLogger("rustforge").setLevel(
    logging.CRITICAL
)  # the page shows less


async def ask_the_bank(attempt: int) -> None:
    if attempt < 3:
        raise ConnectionError("the bank does not answer")
    print("got the rates")


async def main() -> None:
    async with time_travel(registry=[FetchRates]) as time:
        await FetchRates().dispatch(time.ctx.queue)
        await time.travel(3)


asyncio.run(main())
