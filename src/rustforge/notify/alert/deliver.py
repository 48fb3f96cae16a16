"""Alerts as one of the deliveries of an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rustforge.notify.delivery import DeliveryJob

if TYPE_CHECKING:
    from rustforge.jobs import JobContext
    from rustforge.notify.deliveries import Delivery

__all__ = ["DeliverAlert"]


class DeliverAlert(DeliveryJob):
    """Sends the alert of a delivery; [`AlertChannel.target`][rustforge.notify.alert.AlertChannel.target] makes it."""

    NAME: ClassVar[str] = "rustforge.deliver_alert"
    CHANNEL: ClassVar[str] = "alert"

    async def send(self, delivery: Delivery, ctx: JobContext) -> None:
        """Send it.

        Args:
            delivery: The delivery, whose message is the alert.
            ctx: The services, of which it takes the alerts.
        """
        await ctx.alerts.send(**delivery.message)
