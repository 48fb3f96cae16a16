"""What cannot be read is set aside with the reason."""

import asyncio

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class Sent(Job):
    NAME = "order.ship"

    order: str  # a mistake: the class below wants a number


class ShipOrder(Job):
    NAME = "order.ship"

    order_id: int

    async def handle(self, ctx: JobContext) -> None: ...


async def main() -> None:
    async with boot() as ctx:
        await Sent(order="seven").dispatch(ctx.queue)
        await Worker(ctx).register(ShipOrder).run_until_empty()
        # --8<-- [start:quarantine]
        for job in await ctx.queue.quarantined():
            print(job.reason)
            await ctx.queue.requeue_quarantined(job.id)  # after a fix was deployed
            # or: await ctx.queue.discard_quarantined(job.id)
        # --8<-- [end:quarantine]
        assert await ctx.queue.clear() == 1


asyncio.run(main())
