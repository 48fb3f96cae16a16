"""Say in a handler what shall happen: Retry, Snooze, Abort."""

import asyncio
import logging

from rustforge.boot import boot

# --8<-- [start:control]
from rustforge.jobs import Abort, Job, JobContext, Retry, Snooze, Worker


class Pay(Job):
    NAME = "order.pay"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        answer = await ask_the_bank(self.order_id)
        if answer == "busy":
            raise Retry(delay=30, reason="the bank is busy")  # uses up an attempt
        if answer == "closed":
            raise Snooze(delay=3600)  # uses up none
        if answer == "refused":
            raise Abort("the bank refuses this card")  # no further attempt
        print("paid order", self.order_id)


# --8<-- [end:control]

logging.getLogger("rustforge").setLevel(logging.CRITICAL)


async def ask_the_bank(order_id: int) -> str:
    return {1: "paid", 2: "busy", 3: "closed", 4: "refused"}[order_id]


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:use]
        for order_id in (1, 2, 3, 4):
            await Pay(order_id=order_id).dispatch(ctx.queue)

        worker = Worker(ctx, concurrency=1).register(Pay)
        await worker.run_until_empty()
        counts = worker.statistics()
        print(counts.retried, "will be retried,", counts.dead, "failed for good")
        print((await ctx.queue.stats()).delayed, "wait for their time")
        # --8<-- [end:use]


asyncio.run(main())
