"""Queued mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rustforge.errors import DeliveryRefusedError
from rustforge.jobs import Abort, Job
from rustforge.notify.mail.mail import Mail

if TYPE_CHECKING:
    from rustforge.jobs import JobContext

__all__ = ["SendMail"]


class SendMail(Job):
    """Sends a queued mail; [`MailChannel.queue`][rustforge.notify.mail.MailChannel.queue] makes it.

    Let a worker know it, as any job: until one does, the mail waits. Subclass it, with a `NAME` of its own, to change
    its queue or its retries, and give that to `MailChannel.queue(job=...)`.
    """

    NAME: ClassVar[str] = "rustforge.send_mail"

    mail: Mail
    """The mail, as it was when it was queued."""

    async def handle(self, ctx: JobContext) -> None:
        """Send it, with the job's id as its idempotency key.

        Raises:
            Abort: The server refused it for good, so that it has failed at once.
            MailError: It could not be sent now; it is tried again after the job's `backoff`.
        """
        try:
            await ctx.mailer.send(self.mail, idempotency_key=ctx.job_id)
        except DeliveryRefusedError as error:
            raise Abort(str(error)) from error
