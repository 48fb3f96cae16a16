"""Deliver some events by other rules."""

# --8<-- [start:job]
from typing import ClassVar

from rustforge.jobs import JobContext
from rustforge.notify import DeliverWebhook


class DeliverUrgentWebhook(DeliverWebhook):
    NAME = "shop.deliver_urgent_webhook"
    QUEUE = "urgent"
    DISABLE_AFTER: ClassVar[float] = 24 * 3600  # seconds
    MAX_PARALLEL: ClassVar[int] = 10

    def max_retries(self) -> int:
        return 3

    async def failed(self, ctx: JobContext, error: str) -> None:
        await super().failed(ctx, error)  # it keeps the record of the delivery
        await ctx.alerts.send("A webhook has failed", error)


# --8<-- [end:job]
