"""The job that delivers a webhook to one endpoint."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, ClassVar, Final, Self

from sqlalchemy.exc import SQLAlchemyError

from rustforge.errors import DatabaseError, DeliveryRefusedError, WebhookAddressError, WebhookError
from rustforge.jobs import ConcurrencyLimit, Retry
from rustforge.notify.delivery import DeliveryJob, SkipDelivery
from rustforge.notify.webhook.health import EndpointHealth

if TYPE_CHECKING:
    from collections.abc import Generator

    from rustforge.jobs import JobContext
    from rustforge.notify.deliveries import Delivery
    from rustforge.notify.webhook.channel import WebhookChannel

__all__ = ["DeliverWebhook"]

_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600
_SCHEDULE: Final = (5, 5 * _MINUTE, 30 * _MINUTE, *(hours * _HOUR for hours in (2, 5, 10, 14, 20, 24)))
_JITTER = 0.1
_GONE = 410


class DeliverWebhook(DeliveryJob):
    """Delivers a webhook to one endpoint; [`fan_out`][rustforge.notify.fan_out] makes one for each.

    An attempt that fails is repeated after 5 seconds, 5 and 30 minutes, 2, 5, 10, 14, 20 and 24 hours: 10 attempts in a
    bit more than three days. Where the receiver asks for more time by `Retry-After`, it gets it. The answer 410
    disables the endpoint at once, and `DISABLE_AFTER` seconds in which nothing reached it do so, too. What waits for an
    endpoint that was disabled or removed is skipped.

    Attributes:
        DISABLE_AFTER: The seconds after which an endpoint is disabled that every delivery has failed to reach: 5 days.
        MAX_PARALLEL: How many of these jobs run for one endpoint at the same time, over all workers, so that one that
            is slow or dead leaves workers for the others.

    Example:
        ```python
        class DeliverUrgentWebhook(DeliverWebhook):
            NAME = "shop.deliver_urgent_webhook"
            QUEUE = "urgent"
        ```
    """

    NAME: ClassVar[str] = "rustforge.deliver_webhook"
    CHANNEL: ClassVar[str] = "webhook"
    DISABLE_AFTER: ClassVar[float] = 5 * _DAY
    MAX_PARALLEL: ClassVar[int] = 4
    endpoint_id: str = ""
    """The endpoint."""

    @classmethod
    def of(cls, delivery_id: str, target: str) -> Self:
        """Make the job of a delivery.

        Args:
            delivery_id: The delivery's id.
            target: The endpoint's id.
        """
        return cls(delivery_id=delivery_id, endpoint_id=target)

    def concurrency(self) -> ConcurrencyLimit | None:
        """Let a few deliveries to the endpoint run at the same time."""
        return ConcurrencyLimit(f"{self.NAME}:{self.endpoint_id}", self.MAX_PARALLEL) if self.endpoint_id else None

    def max_retries(self) -> int:
        """Return 9."""
        return len(_SCHEDULE)

    def backoff(self, attempt: int) -> float:
        """Return the seconds to wait, with up to a tenth more, so that not all come at the same moment.

        Args:
            attempt: 0 after the first failure.
        """
        wait = _SCHEDULE[min(attempt, len(_SCHEDULE) - 1)]
        return wait * random.uniform(1.0, 1.0 + _JITTER)  # noqa: S311 - jitter, not a secret

    async def handle(self, ctx: JobContext) -> None:
        """Deliver it, and wait as long as the receiver asks for where it does not take it now."""
        try:
            await super().handle(ctx)
        except WebhookError as error:
            if error.retry_after is None or ctx.attempt >= self.max_retries():
                raise
            raise Retry(max(error.retry_after, self.backoff(ctx.attempt)), str(error)) from error

    async def send(self, delivery: Delivery, ctx: JobContext) -> int:
        """Send the event to the endpoint, signed with the secrets that it has now.

        Args:
            delivery: What goes to which endpoint.
            ctx: The services, with the channel as `ctx.webhooks`.

        Returns:
            The status of the answer.

        Raises:
            DeliveryRefusedError: The receiver answered 410, or webhooks must not go to its address.
            SkipDelivery: The endpoint was disabled or removed.
            WebhookError: The attempt failed.
        """
        channel: WebhookChannel = ctx.webhooks
        health = EndpointHealth.of(ctx.db)
        endpoint = await health.read(delivery.target)
        if endpoint is None:
            msg = "the endpoint was removed"
            raise SkipDelivery(msg)
        if not endpoint.enabled:
            msg = f"the endpoint is disabled: {endpoint.disabled_reason}"
            raise SkipDelivery(msg)
        now = channel.clock.time()
        try:
            status = await channel.send(
                endpoint.url, delivery.message, secrets=endpoint.signing(now), event_id=delivery.event_id
            )
        except (WebhookAddressError, WebhookError) as error:
            gone = isinstance(error, WebhookError) and error.status == _GONE
            with _noted(ctx):
                if await health.note_failure(endpoint, now, self.DISABLE_AFTER, gone=gone):
                    ctx.logger.warning("the webhook endpoint %s is disabled: %s", endpoint.id, error)
            if gone or isinstance(error, WebhookAddressError):
                raise DeliveryRefusedError(str(error), _GONE if gone else None) from error
            raise
        with _noted(ctx):
            await health.note_success(endpoint)
        return status


@contextlib.contextmanager
def _noted(ctx: JobContext) -> Generator[None]:
    """Note how an endpoint does; where the database cannot, what became of the attempt is still what counts."""
    try:
        yield
    except (SQLAlchemyError, DatabaseError, OSError) as error:
        ctx.logger.warning("how the webhook endpoint does was not noted: %s: %s", type(error).__name__, error)
