"""Mail: checked when it is written, sent at once or queued, by a server, into the log, or into a list for tests."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from rustforge.notify.mail.channel import MailChannel as MailChannel
except ModuleNotFoundError as _error:
    if _error.name != "email_validator":
        raise
    _msg = "email-validator is not installed; it comes with: pip install 'rustforge[mail]'"
    raise ModuleNotFoundError(_msg, name=_error.name) from _error
from rustforge.notify.mail.address import AddressLike as AddressLike
from rustforge.notify.mail.address import MailAddress as MailAddress
from rustforge.notify.mail.fake import FakeMailer as FakeMailer
from rustforge.notify.mail.fake import QueuedMail as QueuedMail
from rustforge.notify.mail.fake import SentMail as SentMail
from rustforge.notify.mail.jobs import SendMail as SendMail
from rustforge.notify.mail.mail import Mail as Mail
from rustforge.notify.mail.mail import MailAttachment as MailAttachment
from rustforge.notify.mail.url import MailUrl as MailUrl

if TYPE_CHECKING:
    from rustforge.notify.mail.deliver import DeliverMail as DeliverMail
    from rustforge.notify.mail.templates import MailTemplates as MailTemplates
    from rustforge.notify.mail.templates import RenderedMail as RenderedMail

__all__ = [
    "AddressLike",
    "DeliverMail",
    "FakeMailer",
    "Mail",
    "MailAddress",
    "MailAttachment",
    "MailChannel",
    "MailTemplates",
    "MailUrl",
    "QueuedMail",
    "RenderedMail",
    "SendMail",
    "SentMail",
]

_LATER = {"DeliverMail": "deliver", "MailTemplates": "templates", "RenderedMail": "templates"}


def __getattr__(name: str) -> Any:
    """Load what needs another library when it is asked for."""
    if name in _LATER:
        return getattr(import_module(f"rustforge.notify.mail.{_LATER[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
