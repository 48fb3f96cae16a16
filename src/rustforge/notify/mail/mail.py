"""A mail as an application writes it: checked when it is made, and JSON where it is queued."""

from __future__ import annotations

import mimetypes
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from rustforge.errors import InvalidArgumentError
from rustforge.notify.mail.address import AddressLike, MailAddress, addresses, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Mail", "MailAttachment"]

_TYPE = re.compile(r"(?!multipart/|message/)[a-zA-Z0-9][\w!#$&^.+-]*/[a-zA-Z0-9][\w!#$&^.+-]*(; ?[ -~]+)?", re.ASCII)
_CONTENT_ID = re.compile(r"[\w.+-]+(@[\w.+-]+)?", re.ASCII)
_HEADER = re.compile(r"[!-9;-~]{1,76}")
_OURS = frozenset({"bcc", "cc", "date", "from", "message-id", "mime-version", "reply-to", "sender", "subject", "to"})
_HALVES = re.compile("[\ud800-\udfff]")


def _bytes_of(value: object) -> object:
    """Read what JSON holds in the place of bytes."""
    return b64decode(value, validate=True) if isinstance(value, str) else value


_Bytes = Annotated[
    bytes,
    BeforeValidator(_bytes_of),
    PlainSerializer(lambda value: b64encode(value).decode(), return_type=str, when_used="json"),
]


@dataclass(frozen=True, slots=True)
class MailAttachment:
    """A file that goes with a mail.

    Attributes:
        name: The file's name, as the receiver sees it.
        data: Its bytes.
        key: In place of bytes: the key of an object in the storage, which is read when the mail is sent. So a queued
            mail stays small.
        content_type: Its media type; empty for the one that its name tells.
        content_id: Set, the file is part of the HTML, which shows it by `<img src="cid:...">`.

    Example:
        ```python
        MailAttachment("invoice.pdf", key="invoices/7.pdf")
        MailAttachment("logo.png", png, content_id="logo")
        ```
    """

    name: str
    data: _Bytes | None = None
    key: str | None = None
    content_type: str = ""
    content_id: str | None = None

    def __post_init__(self) -> None:
        """Check what would end up in headers.

        Raises:
            InvalidArgumentError: Something cannot be used; the message says what.
        """
        if not one_line(self.name, "the name of an attachment").strip() or "/" in self.name or "\\" in self.name:
            msg = f"an attachment needs the name of a file, without folders, not {self.name!r}"
            raise InvalidArgumentError(msg)
        if (self.data is None) == (self.key is None) or not isinstance(self.data, (bytes, type(None))):
            msg = f"attachment {self.name!r} needs either its bytes or the key of an object in the storage"
            raise InvalidArgumentError(msg)
        given = self.content_type or mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        if not _TYPE.fullmatch(given):
            msg = (
                f"attachment {self.name!r} cannot have the content type {given!r}; write one such as 'application/pdf'"
            )
            raise InvalidArgumentError(msg)
        object.__setattr__(self, "content_type", given)
        if self.content_id is not None and not _CONTENT_ID.fullmatch(self.content_id):
            msg = f"the content_id of {self.name!r} must have letters, digits or _.+-, not {self.content_id!r}"
            raise InvalidArgumentError(msg)


class Mail(BaseModel):
    """A mail. Making one checks all of it, so that nothing in it can add a header or a recipient.

    Example:
        ```python
        Mail(
            to="Ann Lee <ann@example.com>",
            subject="Your order",
            text="Thank you!",
            attachments=[MailAttachment("invoice.pdf", key="invoices/7.pdf")],
        )
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, hide_input_in_errors=True)

    to: tuple[MailAddress, ...] = ()
    """Whom it is for."""

    cc: tuple[MailAddress, ...] = ()
    """Who else gets it, for all to see."""

    bcc: tuple[MailAddress, ...] = ()
    """Who else gets it, for nobody to see: these addresses are told to the server, and are in no header."""

    reply_to: tuple[MailAddress, ...] = ()
    """Where answers go; empty for the sender."""

    sender: MailAddress | None = None
    """Who sends it; `None` takes the channel's."""

    subject: str = ""
    """The subject."""

    text: str | None = None
    """The plain text; `None` makes it from the HTML."""

    html: str | None = None
    """The HTML; `None` for a mail of plain text."""

    attachments: tuple[MailAttachment, ...] = ()
    """Files that go with it."""

    headers: dict[str, str] = Field(default_factory=dict[str, str])
    """Further headers, such as `List-Unsubscribe`."""

    def __init__(
        self,
        *,
        to: AddressLike | Iterable[AddressLike] = (),
        cc: AddressLike | Iterable[AddressLike] = (),
        bcc: AddressLike | Iterable[AddressLike] = (),
        reply_to: AddressLike | Iterable[AddressLike] = (),
        sender: AddressLike | None = None,
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        attachments: Iterable[MailAttachment] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Write a mail.

        Args:
            to: One address or several, each as text such as `"Ann Lee <ann@example.com>"`, or a `MailAddress`.
            cc: As for `to`.
            bcc: As for `to`.
            reply_to: As for `to`.
            sender: One address.
            subject: One line.
            text: The plain text.
            html: The HTML; at least one of both is needed.
            attachments: The files.
            headers: Names and values, one line each.

        Raises:
            InvalidArgumentError: An address is not exactly one, there is no recipient or no text, a part of a header
                is not one line, or a header is one that the mail itself writes.
        """
        fields: dict[str, Any] = {
            "to": addresses(to),
            "cc": addresses(cc),
            "bcc": addresses(bcc),
            "reply_to": addresses(reply_to),
            "sender": MailAddress.parse(sender) if isinstance(sender, str) else sender,
            "subject": one_line(subject, "subject"),
            "text": text,
            "html": html,
            "attachments": tuple(attachments),
            "headers": {name: _header(name, value) for name, value in (headers or {}).items()},
        }
        try:
            super().__init__(**fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            msg = f"a mail's {'.'.join(map(str, first['loc']))} cannot be used: {first['msg']}"
            raise InvalidArgumentError(msg) from None
        if not self.recipients:
            msg = "a mail needs at least one recipient: to, cc or bcc"
            raise InvalidArgumentError(msg)
        if text is None and html is None:
            msg = "a mail needs text or html"
            raise InvalidArgumentError(msg)
        if _HALVES.search(f"{text}{html}"):
            msg = "text and html must be text that can be written as UTF-8; there is half of a character in it"
            raise InvalidArgumentError(msg)

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses of all who get it, each once."""
        return tuple(dict.fromkeys(one.address for one in (*self.to, *self.cc, *self.bcc)))


def _header(name: str, value: str) -> str:
    """Check a further header."""
    if not _HEADER.fullmatch(name):
        msg = f"a header's name must have ASCII characters without blanks and colons, not {name!r}"
        raise InvalidArgumentError(msg)
    if name.lower() in _OURS or name.lower().startswith("content-"):
        msg = f"the header {name} is written by the mail itself; use its fields"
        raise InvalidArgumentError(msg)
    return one_line(value, f"the header {name}")
