"""What tests of an application need: handlers run directly, queues that keep what is pushed, and time that flies."""

from __future__ import annotations

from rustforge.clock import ManualClock as ManualClock
from rustforge.jobs.fake import FakeQueue as FakeQueue
from rustforge.jobs.fake import PushedJob as PushedJob
from rustforge.testing.jobs import RecordedContext as RecordedContext
from rustforge.testing.jobs import job_context as job_context
from rustforge.testing.jobs import run_job as run_job
from rustforge.testing.time import TimeTraveler as TimeTraveler
from rustforge.testing.time import time_travel as time_travel
from rustforge.testing.work import run_until_empty as run_until_empty

__all__ = [
    "FakeQueue",
    "ManualClock",
    "PushedJob",
    "RecordedContext",
    "TimeTraveler",
    "job_context",
    "run_job",
    "run_until_empty",
    "time_travel",
]
