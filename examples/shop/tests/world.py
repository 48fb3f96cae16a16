"""The world around the shop: a real mail server, and receivers of webhooks."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from email.message import EmailMessage

    from aiosmtpd.smtp import Envelope


@dataclass
class Mailbox:
    """A mail server that keeps what it takes.

    Attributes:
        refuse: How many of the next mails it refuses for now.
        mails: What it took.
        attempts: The `Message-ID` of each mail that was tried.
    """

    refuse: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)

    async def handle_DATA(
        self, server: Any, session: Any, envelope: Envelope
    ) -> str:
        """Take a mail, or refuse it."""
        del server, session
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        self.attempts.append(mail["Message-ID"])
        if self.refuse:
            self.refuse -= 1
            return "451 Not now"
        self.mails.append(mail)
        return "250 OK"


@dataclass
class Receiver:
    """Somebody who gets webhooks.

    Attributes:
        answers: The statuses of the next answers; 204 when there are no more.
        hold: Where there is one, nothing is answered before it is set.
        called: Set when something came.
        received: Headers and body of each request.
    """

    answers: list[int] = field(default_factory=list)
    hold: asyncio.Event | None = None
    called: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = (line.partition(": ") for line in head.split("\r\n")[1:] if line)
        headers = {name.lower(): value for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append((headers, body))
        self.called.set()
        if self.hold is not None:
            await self.hold.wait()
        status = self.answers.pop(0) if self.answers else 204
        writer.write(
            f"HTTP/1.1 {status} \r\nContent-Length: 0\r\n".encode()
            + b"Connection: close\r\n\r\n"
        )
        writer.close()


@asynccontextmanager
async def serve_mail(mailbox: Mailbox) -> AsyncGenerator[str]:
    """Run the mail server; give its URL."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, hostname="localhost"), "127.0.0.1", 0
    )
    async with server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def serve_receiver(receiver: Receiver) -> AsyncGenerator[Receiver]:
    """Run a receiver."""
    async with await asyncio.start_server(
        receiver.answer, "127.0.0.1", 0
    ) as server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        yield receiver
