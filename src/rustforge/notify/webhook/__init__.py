"""Webhooks: signed, retried, and sent to nobody who must not get one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rustforge.notify.webhook.signing import new_secret as new_secret
from rustforge.notify.webhook.signing import sign as sign
from rustforge.notify.webhook.signing import verify_webhook as verify_webhook

if TYPE_CHECKING:
    from rustforge.notify.webhook.channel import WebhookChannel as WebhookChannel
    from rustforge.notify.webhook.deliver import DeliverWebhook as DeliverWebhook
    from rustforge.notify.webhook.endpoints import WebhookEndpoint as WebhookEndpoint
    from rustforge.notify.webhook.endpoints import WebhookEndpoints as WebhookEndpoints

__all__ = [
    "DeliverWebhook",
    "WebhookChannel",
    "WebhookEndpoint",
    "WebhookEndpoints",
    "new_secret",
    "sign",
    "verify_webhook",
]

_LATER = {
    "DeliverWebhook": "deliver",
    "WebhookChannel": "channel",
    "WebhookEndpoint": "endpoints",
    "WebhookEndpoints": "endpoints",
}


def __getattr__(name: str) -> Any:
    """Load what sends when it is asked for; who receives needs none of its libraries."""
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in {"h11", "sqlalchemy"}:
            raise
        msg = f"{missing} is not installed; it comes with: pip install 'rustforge[webhooks]'"
        raise ModuleNotFoundError(msg, name=error.name) from error
