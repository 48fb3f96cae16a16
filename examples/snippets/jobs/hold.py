"""A job that has failed for good may hold its group until somebody has looked."""

import asyncio
import logging

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker

logging.getLogger("rustforge").setLevel(logging.CRITICAL)


# --8<-- [start:hold]
class PostBooking(Job):
    NAME = "account.post"
    HOLD_GROUP = True

    account: str
    amount: int

    def group_id(self) -> str:
        return f"account:{self.account}"

    def max_retries(self) -> int:
        return 0

    async def handle(self, ctx: JobContext) -> None:
        if self.amount < 0:
            raise ValueError("a booking must not be negative")
        print("posted", self.amount)


# --8<-- [end:hold]


async def main() -> None:
    async with boot() as ctx:
        worker = Worker(ctx).register(PostBooking)
        # --8<-- [start:use]
        for amount in (10, -5, 20):
            await PostBooking(account="ann", amount=amount).dispatch(ctx.queue)
        await worker.run_until_empty()
        print("waiting:", (await ctx.queue.stats()).waiting)
        print("held:", [held.group for held in await ctx.queue.held_groups()])

        await ctx.queue.let_go("account:ann")  # give the failed one up
        await worker.run_until_empty()
        # --8<-- [end:use]


asyncio.run(main())
