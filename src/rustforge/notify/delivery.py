"""The job behind each channel: it sends one delivery, and keeps its record right."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

try:
    from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError
except ModuleNotFoundError as _error:
    _msg = "sqlalchemy is not installed; it comes with: pip install 'rustforge[sql]'"
    raise ModuleNotFoundError(_msg, name="sqlalchemy") from _error

from rustforge.errors import DatabaseError, DeliveryRefusedError
from rustforge.jobs import Abort, Job, Snooze
from rustforge.notify.ledger import Ledger, Mark

if TYPE_CHECKING:
    from rustforge.jobs import JobContext
    from rustforge.notify.deliveries import Delivery

__all__ = ["DeliveryJob", "SkipDelivery"]

_AWAY = (InterfaceError, OperationalError, PoolTimeoutError, OSError)
_UNTIL_BACK = 15.0
_LONGEST_ERROR = 4000
_MOST = 2**31 - 1


class SkipDelivery(Exception):  # noqa: N818 - what a channel decides, not an error
    """Raise it in `send` where a message is not wanted any more: the delivery is skipped, and its job is done.

    Example:
        ```python
        raise SkipDelivery("the customer takes no text messages")
        ```
    """


class DeliveryJob(Job):
    """Sends one delivery; subclass it for a channel of your own, or a channel's to change its queue or its retries.

    A delivery that was sent is not sent again. Where a process dies between the sending and its record, it is sent
    again with the same ids, by which the receiver knows it.

    Attributes:
        CHANNEL: The channel's name.

    Example:
        ```python
        class DeliverSms(DeliveryJob):
            NAME = "sms.deliver"
            CHANNEL = "sms"

            async def send(self, delivery: Delivery, ctx: JobContext) -> int | None:
                answer = await ctx.extensions["sms"].send(delivery.target, delivery.message["text"], key=delivery.id)
                return answer.status
        ```
    """

    CHANNEL: ClassVar[str] = ""
    delivery_id: str
    """The delivery's id, which is the job's."""

    @classmethod
    def of(cls, delivery_id: str, target: str) -> Self:
        """Make the job of a delivery; override it for a job that must know its target before it runs.

        Args:
            delivery_id: The delivery's id.
            target: To whom it goes.
        """
        del target
        return cls(delivery_id=delivery_id)

    async def send(self, delivery: Delivery, ctx: JobContext) -> int | None:
        """Send the message; a channel says how.

        Args:
            delivery: What goes to whom. Its `id` is the same in each attempt, for receivers that ignore what they have.
            ctx: The services, and what is known of this run.

        Returns:
            What the receiver answered, such as 200; `None` where the channel has no such thing.

        Raises:
            DeliveryRefusedError: The receiver will never take it; the delivery has failed.
            SkipDelivery: It is not wanted any more.
            Exception: Any other one fails the attempt, and the job is tried again after its `backoff`.
        """
        raise NotImplementedError

    async def handle(self, ctx: JobContext) -> None:
        """Read the delivery, send it unless that was done, and note what became of it.

        While the database is away, nothing is sent and no attempt is used up.

        Args:
            ctx: The services, and what is known of this run.
        """
        ledger = Ledger.of(ctx.db)
        try:
            delivery = await ledger.read(self.delivery_id)
        except _AWAY as error:  # nothing was attempted, so no attempt is used up
            ctx.logger.warning("the delivery waits for the database: %s: %s", type(error).__name__, error)
            raise Snooze(_UNTIL_BACK) from error
        if delivery is None:
            ctx.logger.warning("nothing is sent, as the delivery %s is not there any more", self.delivery_id)
            return
        if delivery.status in {"sent", "skipped"}:
            return
        if delivery.status == "failed":  # somebody has retried its job
            await ledger.mark(Mark(delivery.id, "pending"))
        try:
            answer: object = await self.send(delivery, ctx)
        except SkipDelivery as skip:
            await ledger.mark(Mark(delivery.id, "skipped", 1, _text_of(skip)))
            return
        except Snooze:
            raise
        except DeliveryRefusedError as error:
            await self._note(ctx, ledger, Mark(delivery.id, "failed", 1, _text_of(error), _status(error.status)))
            raise Abort(_text_of(error)) from error
        except Exception as error:
            await self._note(
                ctx, ledger, Mark(delivery.id, None, 1, _text_of(error), _status(getattr(error, "status", None)))
            )
            raise
        status = _status(answer)
        if status != answer:  # it is sent all the same
            ctx.logger.warning("send() returned %r, which is no status such as 200", answer)
        await ledger.mark(Mark(delivery.id, "sent", 1, response_status=status))

    async def failed(self, ctx: JobContext, error: str) -> None:
        """Note that the delivery has failed; who overrides it calls `super().failed(ctx, error)` first.

        Args:
            ctx: The context of the last run.
            error: The last error: its class and message.
        """
        await Ledger.of(ctx.db).mark(Mark(self.delivery_id, "failed", error=error))

    async def _note(self, ctx: JobContext, ledger: Ledger, mark: Mark) -> None:
        """Note an attempt that failed; where that cannot be done, its own error is still what counts."""
        try:
            await ledger.mark(mark)
        except (SQLAlchemyError, DatabaseError, OSError) as error:
            ctx.logger.warning("the attempt was not noted: %s: %s", type(error).__name__, error)


def _status(answer: object) -> int | None:
    """Return what can be kept of an answer; `None` where nothing can."""
    return answer if type(answer) is int and 0 <= answer <= _MOST else None


def _text_of(error: Exception) -> str:
    text = str(error) if isinstance(error, SkipDelivery) else f"{type(error).__name__}: {error}"
    return text[:_LONGEST_ERROR]
