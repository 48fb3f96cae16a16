"""What tests of an application need: a context of their own, handlers run directly, fakes, and time that flies."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rustforge.clock import ManualClock as ManualClock
    from rustforge.jobs.fake import FakeQueue as FakeQueue
    from rustforge.jobs.fake import PushedJob as PushedJob
    from rustforge.notify.mail import FakeMailer as FakeMailer
    from rustforge.testing.client import open_client as open_client
    from rustforge.testing.jobs import RecordedContext as RecordedContext
    from rustforge.testing.jobs import job_context as job_context
    from rustforge.testing.jobs import run_job as run_job
    from rustforge.testing.network import HttpResponse as HttpResponse
    from rustforge.testing.network import OutboundHttp as OutboundHttp
    from rustforge.testing.network import SentRequest as SentRequest
    from rustforge.testing.network import StrayRequestError as StrayRequestError
    from rustforge.testing.storage import FakeStorage as FakeStorage
    from rustforge.testing.time import TimeTraveler as TimeTraveler
    from rustforge.testing.time import time_travel as time_travel
    from rustforge.testing.transactions import TransactionError as TransactionError
    from rustforge.testing.work import run_until_empty as run_until_empty

__all__ = [
    "FakeMailer",
    "FakeQueue",
    "FakeStorage",
    "HttpResponse",
    "ManualClock",
    "OutboundHttp",
    "PushedJob",
    "RecordedContext",
    "SentRequest",
    "StrayRequestError",
    "TimeTraveler",
    "TransactionError",
    "job_context",
    "open_client",
    "run_job",
    "run_until_empty",
    "time_travel",
]

_MODULES = {
    "rustforge.clock": ("ManualClock",),
    "rustforge.jobs.fake": ("FakeQueue", "PushedJob"),
    "rustforge.notify.mail": ("FakeMailer",),
    "rustforge.testing.client": ("open_client",),
    "rustforge.testing.jobs": ("RecordedContext", "job_context", "run_job"),
    "rustforge.testing.network": ("HttpResponse", "OutboundHttp", "SentRequest", "StrayRequestError"),
    "rustforge.testing.storage": ("FakeStorage",),
    "rustforge.testing.time": ("TimeTraveler", "time_travel"),
    "rustforge.testing.transactions": ("TransactionError",),
    "rustforge.testing.work": ("run_until_empty",),
}
_LATER = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a part when it is asked for, as the plugin is loaded with every run of pytest."""
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_LATER[name]), name)
