"""What becomes of times at which no scheduler was there."""

import asyncio
from collections import Counter

from rustforge.boot import BootContext, boot
from rustforge.jobs import Job, JobContext, Scheduler, Worker


class Rate(Job):
    NAME = "rate"

    policy: str

    async def handle(self, ctx: JobContext) -> None: ...


def schedule(ctx: BootContext) -> Scheduler:
    scheduler = Scheduler(ctx.queue)
    # --8<-- [start:catch_up]
    scheduler.every(0.5, Rate(policy="skip")).catch_up("skip", grace=0)
    scheduler.every(0.5, Rate(policy="once")).catch_up("once", grace=0)
    scheduler.every(0.5, Rate(policy="all")).catch_up("all", grace=0, limit=100)
    # --8<-- [end:catch_up]
    return scheduler


async def main() -> None:
    async with boot() as ctx:
        await schedule(ctx).tick()
        await asyncio.sleep(1.6)
        await schedule(ctx).tick()
        found = await ctx.queue.peek(limit=100)
        fired = Counter(view.payload["policy"] for view in found)
        assert fired["skip"] <= fired["once"] <= fired["all"]
        await Worker(ctx).register(Rate).run_until_empty()


asyncio.run(main())
