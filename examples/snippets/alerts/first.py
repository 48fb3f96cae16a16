"""Alert whoever runs the application."""

import asyncio
import logging
import sys

from rustforge.boot import boot

# --8<-- [start:import]
from rustforge.jobs import Abort, Job, JobContext, Worker

# --8<-- [end:import]


# --8<-- [start:failed]
class ChargeCard(Job):
    NAME = "card.charge"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        raise Abort("the card has expired")

    async def failed(self, ctx: JobContext, error: str) -> None:
        await ctx.alerts.send(f"Order {self.order_id} was not charged", error)


# --8<-- [end:failed]


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:send]
        await ctx.alerts.send("Version 7 is live", level="success")
        await ChargeCard(order_id=7).dispatch(ctx.queue)
        await Worker(ctx).register(ChargeCard).run_until_empty()
        # --8<-- [end:send]


handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
logging.getLogger("rustforge.notify.alert").addHandler(handler)
logging.getLogger("rustforge.notify.alert").setLevel("INFO")
asyncio.run(main())
