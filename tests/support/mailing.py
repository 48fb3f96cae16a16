"""A mail server in the test's own loop, which keeps what it gets, and does what a test tells it to."""

from __future__ import annotations

import asyncio
import email
import email.policy
import subprocess
import warnings
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from email.message import EmailMessage
    from pathlib import Path

    from aiosmtpd.smtp import Envelope, Session

CUT = "cut"
"""In a script: hang up, in place of an answer."""

HANG = "hang"
"""In a script: say nothing, until the server is closed."""

USER, PASSWORD = "shop", "p@ss/word"


@dataclass(frozen=True)
class Received:
    """A mail that arrived.

    Attributes:
        sender: Whom the envelope names as the sender.
        recipients: Whom the envelope names as recipients.
        options: What was said with MAIL.
        data: The message's bytes.
        user: Who was logged in.
        encrypted: Whether the connection was.
    """

    sender: str
    recipients: list[str]
    options: list[str]
    data: bytes
    user: str | None
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        """The message, as the standard library reads it, with line ends as a mailbox has them."""
        return email.message_from_bytes(self.data.replace(b"\r\n", b"\n"), policy=email.policy.default)


@dataclass
class MailServer:
    """The server.

    Attributes:
        port: Where it listens.
        received: What arrived, in order.
        script: What it does in place of saying yes, by the command (`CONNECT`, `EHLO`, `MAIL`, `RCPT`, `DATA`), one
            item for each time: an answer, `CUT`, `HANG`, or `None` for nothing special. For `RCPT` also by the address.
        heard: The commands, in order.
        sessions: The connections that were made, each open until it is lost.
    """

    port: int = 0
    received: list[Received] = field(default_factory=list[Received])
    script: dict[str, list[str | None]] = field(default_factory=dict[str, list[str | None]])
    heard: list[str] = field(default_factory=list[str])
    sessions: list[Protocol] = field(default_factory=list["Protocol"])
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def open_sessions(self) -> int:
        """How many connections are open now."""
        return sum(one.is_open for one in self.sessions)

    def hang_up(self) -> None:
        """Cut all connections, without a word."""
        for one in self.sessions:
            one.cut()

    async def play(self, protocol: SMTP, command: str, about: str = "") -> str | None:
        """Do what the script says for a command."""
        self.heard.append(f"{command} {about}".strip())
        for key in (f"{command} {about}", command):
            if self.script.get(key):
                step = self.script[key].pop(0)
                break
        else:
            return None
        if step == HANG:
            await self.closing.wait()
        if step in {CUT, HANG}:
            assert isinstance(protocol, Protocol)
            protocol.cut()
            return "421 cut"
        return step

    # aiosmtpd calls these

    async def handle_EHLO(  # noqa: D102, N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        answer = await self.play(server, "EHLO")
        return responses if answer is None else [answer]

    async def handle_MAIL(  # noqa: D102, N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self.play(server, "MAIL", address)
        if answer is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer or "250 OK"

    async def handle_RCPT(  # noqa: D102, N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self.play(server, "RCPT", address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: D102, N802
        answer = await self.play(server, "DATA")
        if answer is None or answer == "421 cut":
            content = envelope.original_content
            assert envelope.mail_from is not None
            assert content is not None
            transport: Any = server.transport
            login: Any = session.auth_data
            user = login.decode() if session.authenticated else None
            encrypted = session.ssl is not None or transport.get_extra_info("sslcontext") is not None
            self.received.append(
                Received(envelope.mail_from, envelope.rcpt_tos, envelope.mail_options, content, user, encrypted)
            )
        return answer or "250 OK"


class Protocol(SMTP):
    """One connection."""

    home: MailServer
    is_open = False

    def connection_made(self, transport: Any) -> None:
        """Note it."""
        if not self.is_open:
            self.home.sessions.append(self)
        self.is_open = True
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Note that, too."""
        self.is_open = False
        super().connection_lost(error)

    def cut(self) -> None:
        """Hang up."""
        transport: Any = self.transport
        if transport is not None:
            transport.abort()


def _log_in(*call: Any) -> AuthResult:
    data = call[-1]
    good = data.login == USER.encode() and data.password == PASSWORD.encode()
    return AuthResult(success=good, handled=False, auth_data=data.login)


@asynccontextmanager
async def mail_server(
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    login: bool = False,
    smtputf8: bool = True,
    greeting: str | None = None,
) -> AsyncIterator[MailServer]:
    """Run a mail server.

    Args:
        port: Where it listens; 0 for any port.
        tls: Encrypt from the first byte on.
        starttls: Encrypt when asked to.
        login: Take mail only from those who are logged in.
        smtputf8: Take addresses in UTF-8.
        greeting: Say this at once, and nothing else, as one that is overloaded.
    """
    home = MailServer()
    options: dict[str, Any] = {"hostname": "mail.test", "enable_SMTPUTF8": smtputf8, "timeout": 300}
    if starttls is not None:
        options |= {"tls_context": starttls, "require_starttls": True}
    if login:
        options |= {"authenticator": _log_in, "auth_required": True, "auth_require_tls": tls is None}

    def make() -> asyncio.Protocol:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that passwords need TLS, which it cannot see where it is there from the start
            protocol = Protocol(home, **options)
        protocol.home = home
        return protocol

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{greeting}\r\n".encode())
        writer.close()

    if greeting is not None:
        listener = await asyncio.start_server(refuse, "127.0.0.1", port)
    else:
        listener = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port, ssl=tls)
    home.port = listener.sockets[0].getsockname()[1]
    try:
        yield home
    finally:
        home.closing.set()
        listener.close()
        home.hang_up()
        await listener.wait_closed()


def make_certificate(folder: Path) -> Path:
    """Make a certificate of 127.0.0.1 with its key, both in one file, signed by itself."""
    path = folder / "mail.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(path), "-out", str(folder / "certificate.pem"), "-days", "2", "-subj", "/CN=mail"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    path.write_text(path.read_text() + (folder / "certificate.pem").read_text())
    return path
