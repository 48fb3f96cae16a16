"""Alerts to the people who run an application."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rustforge.notify.alert.channel import AlertChannel as AlertChannel
from rustforge.notify.alert.channel import AlertLevel as AlertLevel
from rustforge.notify.alert.channel import AlertResult as AlertResult

if TYPE_CHECKING:
    from rustforge.notify.alert.deliver import DeliverAlert as DeliverAlert

__all__ = ["AlertChannel", "AlertLevel", "AlertResult", "DeliverAlert"]


def __getattr__(name: str) -> Any:
    """Load what needs SQLAlchemy, an extra, when it is asked for."""
    if name == "DeliverAlert":
        return import_module("rustforge.notify.alert.deliver").DeliverAlert
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
