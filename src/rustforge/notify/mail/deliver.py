"""Mail as one of the deliveries of an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rustforge.notify.delivery import DeliveryJob
from rustforge.notify.mail.mail import Mail

if TYPE_CHECKING:
    from rustforge.jobs import JobContext
    from rustforge.notify.deliveries import Delivery

__all__ = ["DeliverMail"]


class DeliverMail(DeliveryJob):
    """Sends the mail of a delivery; [`MailChannel.target`][rustforge.notify.mail.MailChannel.target] makes it."""

    NAME: ClassVar[str] = "rustforge.deliver_mail"
    CHANNEL: ClassVar[str] = "mail"

    async def send(self, delivery: Delivery, ctx: JobContext) -> None:
        """Send it, with the delivery's id as its idempotency key.

        Args:
            delivery: The delivery, whose message is the mail.
            ctx: The services, of which it takes the mailer.
        """
        await ctx.mailer.send(Mail.model_validate(delivery.message), idempotency_key=delivery.id)
