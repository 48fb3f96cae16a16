"""Background jobs that lose nothing: typed payloads, retries, groups in order, schedules and a transactional outbox."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rustforge.jobs.cron import Cron as Cron
from rustforge.jobs.cron import Every as Every
from rustforge.jobs.envelope import Envelope as Envelope
from rustforge.jobs.groups import ConcurrencyLimit as ConcurrencyLimit
from rustforge.jobs.groups import RateLimit as RateLimit
from rustforge.jobs.job import Job as Job
from rustforge.jobs.job import JobContext as JobContext
from rustforge.jobs.job import Priority as Priority
from rustforge.jobs.job import WorkerContext as WorkerContext
from rustforge.jobs.queue import DeadJob as DeadJob
from rustforge.jobs.queue import HeldGroup as HeldGroup
from rustforge.jobs.queue import JobProgress as JobProgress
from rustforge.jobs.queue import JobView as JobView
from rustforge.jobs.queue import QuarantinedJob as QuarantinedJob
from rustforge.jobs.queue import Queue as Queue
from rustforge.jobs.queue import QueueStats as QueueStats
from rustforge.jobs.registry import JobRegistry as JobRegistry
from rustforge.jobs.retry import Abort as Abort
from rustforge.jobs.retry import Retry as Retry
from rustforge.jobs.retry import Snooze as Snooze
from rustforge.jobs.runner import Middleware as Middleware
from rustforge.jobs.runner import WorkerStatistics as WorkerStatistics
from rustforge.jobs.scheduler import CatchUp as CatchUp
from rustforge.jobs.scheduler import Entry as Entry
from rustforge.jobs.scheduler import EntryStatus as EntryStatus
from rustforge.jobs.scheduler import JobSource as JobSource
from rustforge.jobs.scheduler import Scheduler as Scheduler
from rustforge.jobs.source import Outcome as Outcome
from rustforge.jobs.worker import Worker as Worker

if TYPE_CHECKING:
    from rustforge.jobs.failed import FailedJob as FailedJob
    from rustforge.jobs.failed import FailedJobs as FailedJobs
    from rustforge.jobs.failed import FailedPage as FailedPage
    from rustforge.jobs.outbox import JobBuffer as JobBuffer
    from rustforge.jobs.outbox import OutboxFlusher as OutboxFlusher

__all__ = [
    "Abort",
    "CatchUp",
    "ConcurrencyLimit",
    "Cron",
    "DeadJob",
    "Entry",
    "EntryStatus",
    "Envelope",
    "Every",
    "FailedJob",
    "FailedJobs",
    "FailedPage",
    "HeldGroup",
    "Job",
    "JobBuffer",
    "JobContext",
    "JobProgress",
    "JobRegistry",
    "JobSource",
    "JobView",
    "Middleware",
    "OutboxFlusher",
    "Outcome",
    "Priority",
    "QuarantinedJob",
    "Queue",
    "QueueStats",
    "RateLimit",
    "Retry",
    "Scheduler",
    "Snooze",
    "Worker",
    "WorkerContext",
    "WorkerStatistics",
]

_IN_SQL = {
    "FailedJob": "failed",
    "FailedJobs": "failed",
    "FailedPage": "failed",
    "JobBuffer": "outbox",
    "OutboxFlusher": "outbox",
}


def __getattr__(name: str) -> Any:
    """Load what needs SQLAlchemy, an extra, when it is asked for."""
    if name in _IN_SQL:
        return getattr(import_module(f"rustforge.jobs.{_IN_SQL[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
