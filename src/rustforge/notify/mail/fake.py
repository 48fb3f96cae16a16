"""A place that keeps mail in place of sending it, for tests that ask what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rustforge.notify.mail.address import MailAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rustforge.notify.mail.compose import Letter
    from rustforge.notify.mail.mail import Mail

__all__ = ["FakeMailer", "QueuedMail", "SentMail"]

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class SentMail:
    """A mail that was sent.

    Attributes:
        mail: The mail.
        message_id: Its `Message-ID`.
        message: The message as it would have gone over the wire.
    """

    mail: Mail
    message_id: str
    message: bytes


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail that was queued.

    Attributes:
        mail: The mail.
        job_id: The id that the caller got.
        delay: The seconds that it was to wait first.
    """

    mail: Mail
    job_id: str
    delay: float


class FakeMailer:
    """Keeps mail, and sends none.

    [`MailChannel.fake`][rustforge.notify.mail.MailChannel.fake] lets it stand in for a server within a block, and a
    channel at `memory:` has one for good, as `kept`.

    Attributes:
        sent: What was sent, in order.
        queued: What was queued, in order.

    Example:
        ```python
        with ctx.mailer.fake() as mails:
            await ctx.mailer.send(Mail(to="ann@example.com", subject="Your order", text="Thank you!"))
        mails.assert_sent(to="ann@example.com", subject="Your order", times=1)
        ```
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.sent: list[SentMail] = []
        self.queued: list[QueuedMail] = []

    async def deliver(self, letter: Letter) -> None:
        """Keep a mail that is sent; the channel calls it."""
        self.sent.append(SentMail(letter.mail, letter.message_id, letter.data))

    async def aclose(self) -> None:
        """Do nothing; there is nothing to close."""

    def clear(self) -> None:
        """Forget all mail."""
        self.sent.clear()
        self.queued.clear()

    def assert_sent(
        self,
        *,
        to: str | None = None,
        subject: str | None = None,
        where: Callable[[Mail], bool] | None = None,
        times: int | None = None,
    ) -> None:
        """Fail unless mail was sent.

        Args:
            to: Count only mail with this address among its recipients, in copy or not.
            subject: Count only mail with just this subject.
            where: Count only mail for which this holds.
            times: How many; `None` for at least one, 0 for none.

        Raises:
            AssertionError: There was none, or another number. The message lists what was sent.
        """
        _require([one.mail for one in self.sent], "sent", to=to, subject=subject, where=where, times=times)

    def assert_queued(
        self,
        *,
        to: str | None = None,
        subject: str | None = None,
        where: Callable[[Mail], bool] | None = None,
        times: int | None = None,
    ) -> None:
        """Fail unless mail was queued; the arguments are those of `assert_sent`.

        Raises:
            AssertionError: There was none, or another number. The message lists what was queued.
        """
        _require([one.mail for one in self.queued], "queued", to=to, subject=subject, where=where, times=times)

    def assert_nothing_sent(self) -> None:
        """Fail if any mail was sent or queued.

        Raises:
            AssertionError: One was. The message lists what.
        """
        _require([one.mail for one in self.sent], "sent", times=0)
        _require([one.mail for one in self.queued], "queued", times=0)


def _require(
    mails: Sequence[Mail],
    done: str,
    *,
    to: str | None = None,
    subject: str | None = None,
    where: Callable[[Mail], bool] | None = None,
    times: int | None = None,
) -> None:
    address = None if to is None else MailAddress.parse(to).address
    found = sum(
        (address is None or address in mail.recipients)
        and (subject is None or subject == mail.subject)
        and (where is None or where(mail))
        for mail in mails
    )
    if found == times or (times is None and found):
        return
    wanted = "at least one" if times is None else "no" if times == 0 else str(times)
    which = [f" to {to!r}" * (to is not None), f" about {subject!r}" * (subject is not None)]
    which.append(" that fits `where`" * (where is not None))
    shown = "; ".join(_lines(mails, done))
    msg = f"expected {wanted} mail {done}{''.join(which)}, found {found or 'none'}; {shown}"
    raise AssertionError(msg)


def _lines(mails: Sequence[Mail], done: str) -> Iterable[str]:
    """Say what there was, the first of it."""
    yield f"{done} was" if mails else f"nothing was {done}"
    for mail in mails[:_SHOWN]:
        yield f"\n  {mail.subject!r} to {', '.join(mail.recipients)}"
    if len(mails) > _SHOWN:
        yield f"\n  and {len(mails) - _SHOWN} more"
