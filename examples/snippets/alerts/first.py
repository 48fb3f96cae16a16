"""Alert whoever runs the application."""

import asyncio
import logging
import sys

from rustforge.boot import boot

# --8<-- [start:import]
from rustforge.jobs import Job, JobContext

# --8<-- [end:import]


# --8<-- [start:failed]
class ChargeCard(Job):
    NAME = "card.charge"

    order_id: int

    async def handle(self, ctx: JobContext) -> None: ...

    async def failed(self, ctx: JobContext, error: str) -> None:
        await ctx.alerts.send(f"Order {self.order_id} was not charged", error)


# --8<-- [end:failed]


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:send]
        await ctx.alerts.send("Order 7 was not charged", "The card has expired.")
        await ctx.alerts.send("Version 7 is live", level="success")
        # --8<-- [end:send]


logging.basicConfig(
    stream=sys.stdout, level="INFO", format="%(levelname)s %(message)s"
)
asyncio.run(main())
