"""Messages to people and other systems: mail, browsers, webhooks, alerts, and one event fanned out to them all."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rustforge.notify.alert import AlertChannel as AlertChannel
    from rustforge.notify.alert import AlertLevel as AlertLevel
    from rustforge.notify.alert import AlertResult as AlertResult
    from rustforge.notify.alert import DeliverAlert as DeliverAlert
    from rustforge.notify.deliveries import Deliveries as Deliveries
    from rustforge.notify.deliveries import Delivery as Delivery
    from rustforge.notify.deliveries import DeliveryPage as DeliveryPage
    from rustforge.notify.deliveries import DeliveryStatus as DeliveryStatus
    from rustforge.notify.delivery import DeliveryJob as DeliveryJob
    from rustforge.notify.delivery import SkipDelivery as SkipDelivery
    from rustforge.notify.fanout import FanOut as FanOut
    from rustforge.notify.fanout import Target as Target
    from rustforge.notify.fanout import fan_out as fan_out
    from rustforge.notify.fanout import new_event_id as new_event_id
    from rustforge.notify.mail import AddressLike as AddressLike
    from rustforge.notify.mail import DeliverMail as DeliverMail
    from rustforge.notify.mail import FakeMailer as FakeMailer
    from rustforge.notify.mail import Mail as Mail
    from rustforge.notify.mail import MailAddress as MailAddress
    from rustforge.notify.mail import MailAttachment as MailAttachment
    from rustforge.notify.mail import MailChannel as MailChannel
    from rustforge.notify.mail import MailTemplates as MailTemplates
    from rustforge.notify.mail import MailUrl as MailUrl
    from rustforge.notify.mail import QueuedMail as QueuedMail
    from rustforge.notify.mail import RenderedMail as RenderedMail
    from rustforge.notify.mail import SendMail as SendMail
    from rustforge.notify.mail import SentMail as SentMail
    from rustforge.notify.realtime import DeliverRealtime as DeliverRealtime
    from rustforge.notify.realtime import PresenceMember as PresenceMember
    from rustforge.notify.realtime import RealtimeItem as RealtimeItem
    from rustforge.notify.realtime import RealtimeMessage as RealtimeMessage
    from rustforge.notify.realtime import RealtimePublisher as RealtimePublisher
    from rustforge.notify.realtime import ReplayGap as ReplayGap
    from rustforge.notify.realtime import Subscription as Subscription
    from rustforge.notify.webhook import DeliverWebhook as DeliverWebhook
    from rustforge.notify.webhook import WebhookChannel as WebhookChannel
    from rustforge.notify.webhook import WebhookEndpoint as WebhookEndpoint
    from rustforge.notify.webhook import WebhookEndpoints as WebhookEndpoints
    from rustforge.notify.webhook import new_secret as new_secret
    from rustforge.notify.webhook import sign as sign
    from rustforge.notify.webhook import verify_webhook as verify_webhook

    JOBS: tuple[type[DeliveryJob | SendMail], ...]
    """The jobs of all channels, for [`JobRegistry`][rustforge.jobs.JobRegistry]: `JobRegistry(*JOBS)`."""

__all__ = [
    "JOBS",
    "AddressLike",
    "AlertChannel",
    "AlertLevel",
    "AlertResult",
    "DeliverAlert",
    "DeliverMail",
    "DeliverRealtime",
    "DeliverWebhook",
    "Deliveries",
    "Delivery",
    "DeliveryJob",
    "DeliveryPage",
    "DeliveryStatus",
    "FakeMailer",
    "FanOut",
    "Mail",
    "MailAddress",
    "MailAttachment",
    "MailChannel",
    "MailTemplates",
    "MailUrl",
    "PresenceMember",
    "QueuedMail",
    "RealtimeItem",
    "RealtimeMessage",
    "RealtimePublisher",
    "RenderedMail",
    "ReplayGap",
    "SendMail",
    "SentMail",
    "SkipDelivery",
    "Subscription",
    "Target",
    "WebhookChannel",
    "WebhookEndpoint",
    "WebhookEndpoints",
    "fan_out",
    "new_event_id",
    "new_secret",
    "sign",
    "verify_webhook",
]

_MODULES = {
    "alert": ("AlertChannel", "AlertLevel", "AlertResult", "DeliverAlert"),
    "deliveries": ("Deliveries", "Delivery", "DeliveryPage", "DeliveryStatus"),
    "delivery": ("DeliveryJob", "SkipDelivery"),
    "fanout": ("FanOut", "Target", "fan_out", "new_event_id"),
    "mail": (
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
    ),
    "realtime": (
        "DeliverRealtime",
        "PresenceMember",
        "RealtimeItem",
        "RealtimeMessage",
        "RealtimePublisher",
        "ReplayGap",
        "Subscription",
    ),
    "webhook": (
        "DeliverWebhook",
        "WebhookChannel",
        "WebhookEndpoint",
        "WebhookEndpoints",
        "new_secret",
        "sign",
        "verify_webhook",
    ),
}
_LATER = {name: module for module, names in _MODULES.items() for name in names}
_JOBS = ("DeliverMail", "DeliverRealtime", "DeliverWebhook", "DeliverAlert", "SendMail")


def __getattr__(name: str) -> Any:
    """Load a part when it is asked for; each needs libraries of its own."""
    if name == "JOBS":
        return tuple(__getattr__(one) for one in _JOBS)
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        return getattr(import_module(f"rustforge.notify.{_LATER[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "sqlalchemy":
            raise
        msg = "sqlalchemy is not installed; it comes with: pip install 'rustforge[sql]'"
        raise ModuleNotFoundError(msg, name=error.name) from error
