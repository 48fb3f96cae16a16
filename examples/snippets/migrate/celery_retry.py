"""Retries, and what happens after the last attempt."""

import asyncio
import logging

# --8<-- [start:import]
from rustforge.jobs import Job, JobContext

# --8<-- [end:import]
from rustforge.testing import time_travel


# --8<-- [start:retry]
class SendInvoice(Job):
    NAME = "invoice.send"

    order_id: int

    def max_retries(self) -> int:
        return 2

    def backoff(self, attempt: int) -> float:
        return attempt + 1  # seconds: 1, 2

    def handle(self, ctx: JobContext) -> None:
        print("attempt", ctx.attempt)
        raise ConnectionError("the mail server refuses")

    async def failed(
        self, ctx: JobContext, error: str
    ) -> None:
        print("given up: order", self.order_id)


# --8<-- [end:retry]

logging.getLogger("rustforge").setLevel(
    logging.CRITICAL
)  # the page shows less


async def main() -> None:
    async with time_travel(registry=[SendInvoice]) as time:
        await SendInvoice(order_id=7).dispatch(
            time.ctx.queue
        )
        await time.travel(3)


asyncio.run(main())
