"""A mail as it goes over the wire: the envelope, and the message with its parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from rustforge.notify.mail.plain import PlainText

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rustforge.notify.mail.address import MailAddress
    from rustforge.notify.mail.mail import Mail, MailAttachment

__all__ = ["Letter", "compose"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail, ready to be handed over.

    Attributes:
        mail: What the application wrote.
        message_id: Its `Message-ID`, with its brackets.
        sender: The address that the envelope names as the sender.
        recipients: The addresses that the envelope names, those of `bcc` included.
        data: The message, in ASCII unless `utf8`.
        utf8: Whether an address needs a server that takes UTF-8 (SMTPUTF8).
    """

    mail: Mail
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    data: bytes
    utf8: bool


def compose(mail: Mail, sender: MailAddress, message_id: str, date: datetime, contents: Sequence[bytes]) -> Letter:
    """Write a mail for the wire.

    Args:
        mail: The mail.
        sender: Who sends it.
        message_id: Its `Message-ID`, with its brackets.
        date: The time of sending.
        contents: What is in its attachments, in their order.
    """
    shown = [sender.address, *(one.address for one in (*mail.to, *mail.cc, *mail.reply_to))]
    utf8 = not "".join([*shown, *mail.recipients]).isascii()
    message = EmailMessage(policy=_Wire(utf8=utf8))
    message["From"] = sender.header
    message["To"] = [one.header for one in mail.to] if mail.to else "undisclosed-recipients:;"
    for name, some in (("Cc", mail.cc), ("Reply-To", mail.reply_to)):
        if some:
            message[name] = [one.header for one in some]
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(date)
    message["Message-ID"] = message_id
    for name, value in mail.headers.items():
        message[name] = value
    _write_body(message, mail, contents)
    return Letter(mail, message_id, sender.address, mail.recipients, message.as_bytes(), utf8)


class _Wire(policy.EmailPolicy):
    """Writes headers and bodies of ASCII, in lines that every server takes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(linesep="\r\n", cte_type="7bit", **options)

    def fold_binary(self, name: str, value: Any) -> bytes:
        """Leave a long word of ASCII whole, such as a link, where folding would encode it."""
        line = f"{name}: {value}"
        if name.lower() in _FOLDED or not line.isascii() or len(line) > _LONGEST_LINE:
            return super().fold_binary(name, value)
        return f"{line}\r\n".encode()


_FOLDED = frozenset(
    {"from", "to", "cc", "reply-to", "subject", "content-type", "content-disposition", "content-transfer-encoding"}
)
_LONGEST_LINE = 998


def _write_body(message: EmailMessage, mail: Mail, contents: Sequence[bytes]) -> None:
    """Write the text, the HTML with what it shows, and the files."""
    text = PlainText(mail.html or "").text if mail.text is None else mail.text
    message.set_content(text, cte=_encoding(text))
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html", cte=_encoding(mail.html))
    html = message.get_body(("html",))
    files: list[tuple[MailAttachment, bytes]] = []
    for attachment, content in zip(mail.attachments, contents, strict=True):
        if html is None or attachment.content_id is None:
            files.append((attachment, content))  # after the alternatives are complete
        else:
            html.add_related(content, cid=f"<{attachment.content_id}>", disposition="inline", **_kind(attachment))
    for attachment, content in files:
        message.add_attachment(content, **_kind(attachment))


def _kind(attachment: MailAttachment) -> dict[str, Any]:
    header = policy.default.header_factory("Content-Type", attachment.content_type)
    main, _, sub = header.content_type.partition("/")
    return {"maintype": main, "subtype": sub, "params": dict(header.params), "filename": attachment.name}


def _encoding(text: str) -> str | None:
    """Wrap text with control characters, which a server might take for something else; any other needs no hint."""
    return "base64" if _CONTROL.search(text.replace("\r\n", "\n")) else None
