"""Messages to browsers as they happen: channels with rooms, replay without gaps, and who is present."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustforge.notify.realtime.message import PresenceMember as PresenceMember
from rustforge.notify.realtime.message import RealtimeItem as RealtimeItem
from rustforge.notify.realtime.message import RealtimeMessage as RealtimeMessage
from rustforge.notify.realtime.message import ReplayGap as ReplayGap
from rustforge.notify.realtime.publisher import RealtimePublisher as RealtimePublisher
from rustforge.notify.realtime.subscription import Subscription as Subscription

if TYPE_CHECKING:
    from rustforge.notify.realtime.job import DeliverRealtime as DeliverRealtime

__all__ = [
    "DeliverRealtime",
    "PresenceMember",
    "RealtimeItem",
    "RealtimeMessage",
    "RealtimePublisher",
    "ReplayGap",
    "Subscription",
]


def __getattr__(name: str) -> Any:
    """Load the job when it is asked for, as it needs SQLAlchemy."""
    if name == "DeliverRealtime":
        from rustforge.notify.realtime.job import DeliverRealtime  # noqa: PLC0415 - it needs an extra

        return DeliverRealtime
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
