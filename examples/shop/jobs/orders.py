"""The jobs of orders: one that fans out, and one for each channel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rustforge.jobs import Job, JobContext
from rustforge.notify import (
    DeliverMail,
    DeliverRealtime,
    DeliverWebhook,
    DeliveryJob,
    Mail,
    MailChannel,
    MailTemplates,
    RealtimePublisher,
    WebhookEndpoints,
    fan_out,
)
from shop.models import Order
from shop.schemas import OrderView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustforge.notify import Target

ORDER_PLACED = "order.placed"
CHANNEL = "orders"
STAFF = "staff"
"""The room in which staff see all orders; each order has a room of its own, too."""

templates = MailTemplates(Path(__file__).parents[1] / "templates")


# --8<-- [start:alert]
class OrderDelivery(DeliveryJob):
    """A delivery of which somebody hears when it has failed for good."""

    async def failed(self, ctx: JobContext, error: str) -> None:
        """Mark the delivery as failed, and alert."""
        await super().failed(ctx, error)
        await ctx.alerts.send(
            f"{self.NAME} failed", f"Delivery {self.delivery_id}: {error}"
        )


# --8<-- [end:alert]


# --8<-- [start:channels]
class SendOrderMail(OrderDelivery, DeliverMail):
    """Sends the confirmation."""

    NAME: ClassVar[str] = "order.mail"
    QUEUE: ClassVar[str] = "mail"


class PushOrderRealtime(OrderDelivery, DeliverRealtime):
    """Shows the order to whoever is watching, and so is not tried for long."""

    NAME: ClassVar[str] = "order.realtime"

    def max_retries(self) -> int:
        """Try twice more."""
        return 2


class CallOrderWebhook(OrderDelivery, DeliverWebhook):
    """Calls an endpoint of somebody else's."""

    NAME: ClassVar[str] = "order.webhook"
    QUEUE: ClassVar[str] = "webhooks"


# --8<-- [end:channels]


# --8<-- [start:fanout]
class OrderPlacedFanout(Job):
    """Tells everybody whom an order concerns."""

    NAME: ClassVar[str] = "order.placed.fanout"

    order_id: int
    event_id: str
    # --8<-- [end:fanout]

    # --8<-- [start:handle]
    async def handle(self, ctx: JobContext) -> None:
        """Write a delivery and a job for each target; nothing is sent here."""
        async with ctx.db.transaction() as session:
            order = OrderView.model_validate(
                await session.get_one(Order, self.order_id)
            )
            webhooks = await WebhookEndpoints(session).targets(
                ORDER_PLACED, order.model_dump(mode="json"), job=CallOrderWebhook
            )
            targets = [mail_for(order), *realtime_for(order), *webhooks]
            await fan_out(session, ORDER_PLACED, targets, event_id=self.event_id)

    # --8<-- [end:handle]

    # --8<-- [start:failed]
    async def failed(self, ctx: JobContext, error: str) -> None:
        """Alert: nobody was told of this order."""
        await ctx.alerts.send(
            "An order was not fanned out", f"Order {self.order_id}: {error}"
        )

    # --8<-- [end:failed]


# --8<-- [start:targets]
def mail_for(order: OrderView) -> Target:
    """Write the confirmation, once: each attempt sends the same."""
    mail = Mail(
        to=order.customer_email,
        **templates.render("order_confirmation", order=order),
    )
    return MailChannel.target(mail, job=SendOrderMail)


def realtime_for(order: OrderView) -> Iterable[Target]:
    """Tell the order's own page, and staff."""
    payload = order.model_dump(mode="json")
    for room in (str(order.public_id), STAFF):
        yield RealtimePublisher.target(
            CHANNEL, ORDER_PLACED, payload, room=room, job=PushOrderRealtime
        )


# --8<-- [end:targets]
