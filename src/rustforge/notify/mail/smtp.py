"""Hand mail over to an SMTP server, on a few connections that are used again."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import aiosmtplib

from rustforge.errors import DeliveryRefusedError, MailError

if TYPE_CHECKING:
    from rustforge.notify.mail.compose import Letter
    from rustforge.notify.mail.url import MailUrl

__all__ = ["SmtpPool"]

_Refusal: TypeAlias = aiosmtplib.SMTPResponseException | aiosmtplib.SMTPRecipientsRefused

_IDLE_SECONDS = 30.0
_MAILS = 100
_GOODBYE_SECONDS = 2.0
_BYTES_A_SECOND = 32 * 1024
_TEXT = 300
_GONE = 421
_NOT_OF_THE_MAIL = frozenset({503, 530, 534, 535, 538})
"""Refusals that say something about the connection or its login, and nothing about the mail."""


@dataclass(slots=True)
class _Connection:
    """A connection, and for how many mails it was used."""

    smtp: aiosmtplib.SMTP
    mails: int = 0
    expiry: asyncio.TimerHandle | None = None


class _StaleError(Exception):
    """The server has closed a connection since its last mail, and has taken nothing of this one."""


class SmtpPool:
    """Connections to one server, no more than the URL says, which live on between mails."""

    def __init__(self, url: MailUrl) -> None:
        """Connect to nothing yet.

        Raises:
            ConfigurationError: The file of certificates cannot be read.
        """
        self._url = url
        self._tls = url.ssl_context()
        self._slots = asyncio.Semaphore(url.connections)
        self._idle: list[_Connection] = []
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._closed = False

    async def deliver(self, letter: Letter) -> None:
        """Hand a mail over: all of its recipients get it, or none.

        Raises:
            DeliveryRefusedError: The server will never take it, or not for one of the recipients.
            MailError: It does not take it now, or cannot be reached. Where the connection was lost while the server
                took the text, nobody knows whether it did.
        """
        async with self._slots:
            if self._closed:
                msg = f"{self._url}: the channel is closed"
                raise MailError(msg)
            if self._idle:
                connection = self._idle.pop()
                if connection.expiry is not None:
                    connection.expiry.cancel()
                with contextlib.suppress(_StaleError):
                    return await self._hand_over(connection, letter)
            return await self._hand_over(_Connection(await self._connect()), letter)

    async def aclose(self) -> None:
        """Let what is being sent come to its end, and say goodbye."""
        self._closed = True
        for _ in range(self._url.connections):
            await self._slots.acquire()
        for connection in self._idle:
            self._dismiss(connection)
        self._idle.clear()
        await asyncio.gather(*self._goodbyes)
        for _ in range(self._url.connections):
            self._slots.release()

    async def _connect(self) -> aiosmtplib.SMTP:
        url = self._url
        smtp = aiosmtplib.SMTP(
            hostname=url.host,
            port=url.port,
            username=url.username,
            password=url.password,
            local_hostname=_own_name(),
            timeout=url.timeout,
            use_tls=url.encryption == "tls",
            start_tls={"required": True, "auto": None}.get(url.encryption, False),
            tls_context=self._tls,
        )
        try:
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:  # as after STARTTLS
                await _introduce(smtp)
        except BaseException as error:
            smtp.close()
            if isinstance(error, (aiosmtplib.SMTPException, OSError, ValueError)):
                msg = f"{url}: {_reason(error)}"
                raise MailError(msg) from None  # what came before may hold the password
            raise
        return smtp

    async def _hand_over(self, connection: _Connection, letter: Letter) -> None:
        used = connection.mails > 0
        connection.mails += 1
        text_begun = False
        keep = False
        smtp = connection.smtp
        try:
            await self._write_envelope(smtp, letter)
            text_begun = True
            await smtp.data(letter.data, timeout=self._url.timeout + len(letter.data) / _BYTES_A_SECOND)
            keep = True
        except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused) as error:
            if used and not text_begun and _is_gone(error):
                raise _StaleError from None
            keep = await _reset(smtp)
            self._refuse(error)
        except (aiosmtplib.SMTPException, OSError) as error:
            if used and not text_begun and isinstance(error, ConnectionError):
                raise _StaleError from None
            msg = f"{self._url}: {_reason(error)}"
            raise MailError(msg) from error
        finally:
            self._put_back(connection, keep=keep)

    async def _write_envelope(self, smtp: aiosmtplib.SMTP, letter: Letter) -> None:
        """Say who sends, and to whom; the server must take all of them."""
        options = [f"SIZE={len(letter.data)}"] if smtp.supports_extension("size") else []
        if letter.utf8:
            if not smtp.supports_extension("smtputf8"):
                odd = next((one for one in (letter.sender, *letter.recipients) if not one.isascii()), letter.sender)
                msg = f"{self._url} takes no address with other letters than ASCII before the @ (SMTPUTF8): {odd}"
                raise DeliveryRefusedError(msg)
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        encoding = "utf-8" if letter.utf8 else "ascii"
        await smtp.mail(letter.sender, options=options, encoding=encoding)
        refusals: list[aiosmtplib.SMTPRecipientRefused] = []
        for recipient in letter.recipients:
            try:
                await smtp.rcpt(recipient, encoding=encoding)
            except aiosmtplib.SMTPRecipientRefused as error:
                refusals.append(error)
                if error.code == _GONE:
                    break
        if refusals:
            raise aiosmtplib.SMTPRecipientsRefused(refusals)

    def _refuse(self, error: _Refusal) -> NoReturn:
        """Say what the server would not take: for good, or for now."""
        answers = _answers(error)
        final = [one for one in answers if 500 <= one.code < 600 and one.code not in _NOT_OF_THE_MAIL]  # noqa: PLR2004
        msg = f"{self._url}: {'; '.join(_reason(one) for one in final or answers)}"
        if final:
            raise DeliveryRefusedError(msg, final[0].code) from error
        raise MailError(msg) from error

    def _put_back(self, connection: _Connection, *, keep: bool) -> None:
        """Keep a connection for the next mail; close one that was lost, has served enough, or is not to be trusted."""
        if not keep or not connection.smtp.is_connected:
            connection.smtp.close()
        elif self._closed or connection.mails >= _MAILS:
            self._dismiss(connection)
        else:
            self._idle.append(connection)
            connection.expiry = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._expire, connection)

    def _expire(self, connection: _Connection) -> None:
        self._idle.remove(connection)
        self._dismiss(connection)

    def _dismiss(self, connection: _Connection) -> None:
        """Say goodbye on a connection, in the background."""
        if connection.expiry is not None:
            connection.expiry.cancel()
        task = asyncio.get_running_loop().create_task(_say_goodbye(connection.smtp))
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)


async def _introduce(smtp: aiosmtplib.SMTP) -> None:
    """Ask what the server can do; one that is too old to be asked can nothing."""
    try:
        await smtp.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not smtp.is_connected:
            raise
        await smtp.helo()


async def _say_goodbye(smtp: aiosmtplib.SMTP) -> None:
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        await smtp.quit(timeout=_GOODBYE_SECONDS)
    smtp.close()


async def _reset(smtp: aiosmtplib.SMTP) -> bool:
    """Take back what was said of a mail that is not sent; tell whether the connection can be used again."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        await smtp.rset(timeout=_GOODBYE_SECONDS)
        return True
    return False


def _answers(error: _Refusal) -> list[aiosmtplib.SMTPResponseException]:
    return list(error.recipients) if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else [error]


def _is_gone(error: _Refusal) -> bool:
    return any(one.code == _GONE for one in _answers(error))


def _reason(error: Exception) -> str:
    """Say what the server said, on one line and without its length."""
    text = error.message if isinstance(error, aiosmtplib.SMTPException) else str(error) or type(error).__name__
    text = " ".join(re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]+", " ", text).split())[:_TEXT]
    if isinstance(error, aiosmtplib.SMTPRecipientRefused):
        return f"{error.recipient} was refused: {error.code} {text}"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {text}"
    return text


def _own_name() -> str:
    """Name this machine as a server wants it: by its full name, else by an address."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"
