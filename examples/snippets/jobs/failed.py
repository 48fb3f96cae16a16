"""React when a job has failed for good."""

import asyncio
import logging

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker

logging.getLogger("rustforge").setLevel(logging.CRITICAL)


# --8<-- [start:failed]
class SendInvoice(Job):
    NAME = "invoice.send"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        raise ConnectionError("the mail server refuses")

    def max_retries(self) -> int:
        return 2

    def backoff(self, attempt: int) -> float:
        return 0

    async def failed(self, ctx: JobContext, error: str) -> None:
        print(f"order {self.order_id}: {error}, attempts: {ctx.attempt + 1}")


# --8<-- [end:failed]


async def main() -> None:
    async with boot() as ctx:
        await SendInvoice(order_id=7).dispatch(ctx.queue)
        await Worker(ctx).register(SendInvoice).run_until_empty()


asyncio.run(main())
