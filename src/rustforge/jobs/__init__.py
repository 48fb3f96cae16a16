"""Background jobs that lose nothing: typed payloads, retries, groups in order, schedules and a transactional outbox."""

from __future__ import annotations

from rustforge.jobs.groups import ConcurrencyLimit as ConcurrencyLimit
from rustforge.jobs.groups import RateLimit as RateLimit
from rustforge.jobs.job import Job as Job
from rustforge.jobs.job import JobContext as JobContext
from rustforge.jobs.queue import DeadJob as DeadJob
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
from rustforge.jobs.worker import Worker as Worker

__all__ = [
    "Abort",
    "ConcurrencyLimit",
    "DeadJob",
    "Job",
    "JobContext",
    "JobProgress",
    "JobRegistry",
    "JobView",
    "Middleware",
    "QuarantinedJob",
    "Queue",
    "QueueStats",
    "RateLimit",
    "Retry",
    "Snooze",
    "Worker",
    "WorkerStatistics",
]
