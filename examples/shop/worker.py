"""What the worker and the scheduler run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustforge.attachments import SweepOrphans, attachment_jobs
from rustforge.jobs import JobRegistry, Scheduler
from shop.jobs.articles import FlushArticleViews, RebuildArticleIndex
from shop.jobs.orders import (
    CallOrderWebhook,
    OrderPlacedFanout,
    PushOrderRealtime,
    SendOrderMail,
)

if TYPE_CHECKING:
    from rustforge.jobs import Queue

# --8<-- [start:registry]
registry = JobRegistry(RebuildArticleIndex, FlushArticleViews)
registry.add(OrderPlacedFanout, SendOrderMail, PushOrderRealtime, CallOrderWebhook)
registry.add(*attachment_jobs)
# --8<-- [end:registry]


# --8<-- [start:scheduler]
def make_scheduler(queue: Queue) -> Scheduler:
    """Say what runs at which times."""
    scheduler = Scheduler(queue)
    scheduler.every(60, FlushArticleViews()).without_overlapping(600)
    scheduler.cron("30 3 * * *", SweepOrphans(owners=["articles"]))
    return scheduler


# --8<-- [end:scheduler]
