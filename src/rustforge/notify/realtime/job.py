"""The job that publishes a delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rustforge.notify.delivery import DeliveryJob

if TYPE_CHECKING:
    from rustforge.jobs import JobContext
    from rustforge.notify.deliveries import Delivery

__all__ = ["DeliverRealtime"]


class DeliverRealtime(DeliveryJob):
    """Publishes a delivery by `ctx.realtime`; the event's id makes it one message however often it runs."""

    NAME: ClassVar[str] = "rustforge.deliver_realtime"
    CHANNEL: ClassVar[str] = "realtime"

    async def send(self, delivery: Delivery, ctx: JobContext) -> None:
        """Publish the message."""
        message = delivery.message
        await ctx.realtime.publish(
            message["channel"],
            message["event"],
            message["payload"],
            room=message["room"],
            event_id=delivery.event_id,
        )
