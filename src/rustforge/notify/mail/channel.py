"""Mail: sent at once, queued, or as one target of an event."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, Self

from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.errors import ConfigurationError, InvalidArgumentError
from rustforge.jobs.envelope import new_id
from rustforge.notify.mail.address import MailAddress
from rustforge.notify.mail.compose import compose
from rustforge.notify.mail.fake import FakeMailer, QueuedMail
from rustforge.notify.mail.jobs import SendMail
from rustforge.notify.mail.url import MailUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rustforge.clock import Clock
    from rustforge.jobs.job import Pushes
    from rustforge.notify.delivery import DeliveryJob
    from rustforge.notify.fanout import Target
    from rustforge.notify.mail.compose import Letter
    from rustforge.notify.mail.mail import Mail, MailAttachment
    from rustforge.types import Duration

__all__ = ["MailChannel"]

_logger = logging.getLogger("rustforge.notify.mail")

_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_LONGEST_KEY = 200
_NOBODY = MailAddress("nobody@localhost.localdomain")
_LARGE = 256 * 1024


class Objects(Protocol):
    """What attachments are read from; [`Storage`][rustforge.storage.Storage] is one."""

    async def get(self, key: str) -> bytes:
        """Read an object."""
        ...


class Driver(Protocol):
    """Where mail goes."""

    async def deliver(self, letter: Letter) -> None:
        """Hand a mail over."""
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...


class MailChannel:
    """Sends mail: by a server, into the log, or into a list for tests.

    Example:
        ```python
        async with MailChannel("smtps://user:password@mail.example.com", sender="Shop <shop@example.com>") as mailer:
            await mailer.send(Mail(to="ann@example.com", subject="Welcome", text="Hello, Ann!"))
        ```
    """

    def __init__(
        self,
        url: str = "log:",
        *,
        sender: str = "",
        storage: Objects | Callable[[], Objects] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Read the URL; nothing is opened before the first mail.

        Args:
            url: `log:`, `memory:`, `smtp://user:password@host:587` or `smtps://user:password@host:465`; see
                [`MailUrl.parse`][rustforge.notify.mail.MailUrl.parse].
            sender: Who sends mail that names nobody, such as `"Shop <shop@example.com>"`.
            storage: What attachments are read from that have a key, or a function that returns it.
            clock: The clock of `Date` headers.

        Raises:
            ConfigurationError: The URL or the sender cannot be used.
        """
        self._url = MailUrl.parse(url)
        try:
            self._sender = MailAddress.parse(sender) if sender else None
        except InvalidArgumentError as error:
            msg = f"the sender of mail (MAIL_FROM): {error}"
            raise ConfigurationError(msg) from error
        self._storage = storage
        self._clock = clock
        self._driver = _driver(self._url)
        self._fake: FakeMailer | None = None

    @property
    def kept(self) -> FakeMailer:
        """What a channel at `memory:` keeps.

        Raises:
            ConfigurationError: The channel is another one.
        """
        if isinstance(self._driver, FakeMailer):
            return self._driver
        msg = f"a channel at {self._url} keeps no mail; take MailChannel('memory:'), or `with mailer.fake() as mails:`"
        raise ConfigurationError(msg)

    async def send(self, mail: Mail, *, idempotency_key: str | None = None) -> str:
        """Send a mail now: all of its recipients get it, or none.

        Args:
            mail: The mail.
            idempotency_key: 1 to 200 letters, digits or `_-.`, the same for each attempt to send this mail, such as
                `ctx.job_id` in a job. The `Message-ID` is made of it, by which mailboxes know what they have already.
                `None` makes a new one.

        Returns:
            The `Message-ID`.

        Raises:
            DeliveryRefusedError: The server will never take it, or not for one of the recipients.
            MailError: The server cannot be reached, or does not take it now. Another attempt may help.
            InvalidArgumentError: There is no sender, or the key cannot be used.
            StorageError: An attachment cannot be read.
        """
        sender = self._sender_of(mail)
        key = new_id() if idempotency_key is None else idempotency_key
        if len(key) > _LONGEST_KEY or not _KEY.fullmatch(key):
            msg = f"idempotency_key must have 1 to {_LONGEST_KEY} letters, digits or _-. between them, not {key!r}"
            raise InvalidArgumentError(msg)
        message_id = f"<{key}@{sender.domain}>"
        contents = [await self._read(one) for one in mail.attachments]
        date = datetime.fromtimestamp(int(self._clock.time()), UTC)
        if sum(map(len, contents)) < _LARGE:
            letter = compose(mail, sender, message_id, date, contents)
        else:
            letter = await asyncio.to_thread(compose, mail, sender, message_id, date, contents)
        await (self._fake or self._driver).deliver(letter)
        return message_id

    async def queue(
        self, queue: Pushes, mail: Mail, delay: Duration | None = None, *, job: type[SendMail] = SendMail
    ) -> str:
        """Queue a mail; a worker that knows [`SendMail`][rustforge.notify.mail.SendMail] sends it.

        Args:
            queue: The queue, such as `ctx.queue`, or a [`JobBuffer`][rustforge.jobs.JobBuffer], with which the mail is
                queued only if the transaction commits.
            mail: The mail.
            delay: Seconds to wait first as a number, or a `timedelta`.
            job: The job's class; a subclass of `SendMail` with another queue or other retries.

        Returns:
            The job's id.

        Raises:
            InvalidArgumentError: There is no sender.
            JobEncodeError: The mail is too large for the queue: keep its attachments in the storage.
        """
        if mail.sender is None:
            mail = mail.model_copy(update={"sender": self._sender_of(mail)})
        if self._fake is None:
            return await job(mail=mail).dispatch(queue, delay)
        wait = 0 if delay is None else milliseconds(delay, "delay", allow_zero=True)
        found = QueuedMail(mail, new_id(), wait / 1000)
        self._fake.queued.append(found)
        return found.job_id

    @staticmethod
    def target(mail: Mail, *, job: type[DeliveryJob] | None = None) -> Target:
        """Make a mail one of the targets of an event, for [`fan_out`][rustforge.notify.fan_out].

        Args:
            mail: The mail. Where it names no sender, that of the channel which sends it counts.
            job: The job's class; `None` for [`DeliverMail`][rustforge.notify.mail.DeliverMail].
        """
        from rustforge.notify.mail.deliver import DeliverMail  # noqa: I001, PLC0415 - an extra, which it names
        from rustforge.notify.fanout import Target  # noqa: PLC0415

        chosen = DeliverMail if job is None else job
        return Target(chosen.CHANNEL, ", ".join(mail.recipients), mail.model_dump(mode="json"), chosen)

    @contextmanager
    def fake(self) -> Generator[FakeMailer]:
        """Within the block, keep what is sent and queued through this object, and send and queue nothing.

        What is queued through a `JobBuffer` is kept at once, whether its transaction commits or not.

        Yields:
            The fake, to ask what was sent.

        Example:
            ```python
            with ctx.mailer.fake() as mails:
                await ctx.mailer.send(Mail(to="ann@example.com", subject="Welcome", text="Hello!"))
            mails.assert_sent(to="ann@example.com", subject="Welcome")
            ```
        """
        before, self._fake = self._fake, FakeMailer()
        try:
            yield self._fake
        finally:
            self._fake = before

    async def aclose(self) -> None:
        """Let what is being sent come to its end, and close the connections; mail that comes later is refused."""
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        """Return the channel."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.aclose()

    def __repr__(self) -> str:
        """Name the place."""
        return f"<MailChannel {self._url}>"

    def _sender_of(self, mail: Mail) -> MailAddress:
        found = mail.sender or self._sender
        if found is not None:
            return found
        if self._url.kind == "smtp":
            msg = "a mail needs a sender: set MAIL_FROM, or give MailChannel(sender=...) or Mail(sender=...)"
            raise InvalidArgumentError(msg)
        return _NOBODY

    async def _read(self, attachment: MailAttachment) -> bytes:
        """Read what is in an attachment."""
        if attachment.data is not None:
            return attachment.data
        assert attachment.key is not None  # noqa: S101 - one of both is there
        storage = self._storage() if callable(self._storage) else self._storage
        if storage is None:
            msg = f"attachment {attachment.name!r} is in a storage, and the channel has none: MailChannel(storage=...)"
            raise ConfigurationError(msg)
        return await storage.get(attachment.key)


class _LogDriver:
    """Writes into the log who would get what; at level DEBUG also the text."""

    async def deliver(self, letter: Letter) -> None:
        mail = letter.mail
        to = ", ".join(letter.recipients[:1]) + f" and {len(letter.recipients) - 1} more" * (len(letter.recipients) > 1)
        _logger.info("Mail to %s: %r (not sent, as the URL is log:)", to, mail.subject)
        _logger.debug("%s", mail.text or mail.html)

    async def aclose(self) -> None:
        pass


def _driver(url: MailUrl) -> Driver:
    if url.kind == "log":
        return _LogDriver()
    if url.kind == "memory":
        return FakeMailer()
    try:
        from rustforge.notify.mail.smtp import SmtpPool  # noqa: PLC0415 - not needed without a server
    except ModuleNotFoundError as error:
        if error.name != "aiosmtplib":
            raise
        msg = "aiosmtplib is not installed; it comes with: pip install 'rustforge[mail]'"
        raise ModuleNotFoundError(msg, name=error.name) from error
    return SmtpPool(url)
