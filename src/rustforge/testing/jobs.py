"""Run a handler directly, without a queue and a worker."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rustforge.errors import ConfigurationError
from rustforge.jobs.envelope import new_id
from rustforge.jobs.fake import FakeQueue
from rustforge.jobs.job import Job, JobContext, envelope_of
from rustforge.jobs.queue import JobProgress
from rustforge.jobs.registry import KnownJob
from rustforge.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RecordedContext", "job_context", "run_job"]


class _Services:
    """What a test gave to its handlers; what it did not give is named when it is asked for."""

    def __init__(self, given: dict[str, Any], extensions: dict[str, Any]) -> None:
        self._given = given
        self.extensions: Mapping[str, Any] = MappingProxyType(extensions)

    @property
    def settings(self) -> Any:
        return self._find("settings")

    @property
    def cache(self) -> Any:
        return self._find("cache")

    @property
    def queue(self) -> Any:
        return self._find("queue")

    @property
    def db(self) -> Any:
        return self._find("db")

    @property
    def storage(self) -> Any:
        return self._find("storage")

    @property
    def mailer(self) -> Any:
        return self._find("mailer")

    @property
    def realtime(self) -> Any:
        return self._find("realtime")

    @property
    def webhooks(self) -> Any:
        return self._find("webhooks")

    @property
    def alerts(self) -> Any:
        return self._find("alerts")

    def _find(self, name: str) -> Any:
        found = self._given[name]
        if found is None:
            msg = f"the handler asks for ctx.{name}, which this test did not give: job_context({name}=...)"
            raise ConfigurationError(msg)
        return found


class RecordedContext(JobContext):
    """A context for tests; beside what handlers see, it has what they did.

    Attributes:
        reports: What was told by `ctx.progress`, in order.
    """

    __slots__ = ("reports",)

    def __init__(self, services: _Services, **facts: Any) -> None:
        """Note the progress."""
        super().__init__(services, progress=self._note, **facts)
        self.reports: list[JobProgress] = []

    async def _note(self, queue: str, job_id: str, done: float, total: float | None, note: str) -> None:
        del queue, job_id
        self.reports.append(JobProgress(done, total, note))


def job_context(
    *,
    settings: Any = None,
    cache: Any = None,
    queue: Any = None,
    db: Any = None,
    storage: Any = None,
    mailer: Any = None,
    realtime: Any = None,
    webhooks: Any = None,
    alerts: Any = None,
    job: Job | type[Job] | None = None,
    job_id: str | None = None,
    attempt: int = 0,
    fence: int = 1,
    batch: tuple[int, int] | None = None,
    **extensions: Any,
) -> RecordedContext:
    """Make a context in which a handler can run.

    Args:
        settings: The settings; `None` gives the defaults, whatever the environment says.
        cache: The cache; asking for one that was not given is an error that says so.
        queue: The queue; `None` gives a [`FakeQueue`][rustforge.testing.FakeQueue].
        db: The database.
        storage: The storage, such as `Storage("memory://")`.
        mailer: What sends mail, such as `MailChannel("memory:")`.
        realtime: What publishes to browsers.
        webhooks: What sends webhooks.
        alerts: What alerts people.
        job: Whose name and queue the context has.
        job_id: The job's id; `None` makes one.
        attempt: How many attempts failed before.
        fence: The number of the run.
        batch: For the job at the end of a batch, how many jobs there were and how many failed.
        extensions: Services of the application by name, for `ctx.extensions`.

    Example:
        ```python
        ctx = job_context(mailer=MailChannel("memory:"), attempt=2)
        await SendReceipt(order_id=7).handle(ctx)
        ```
    """
    given = {
        "settings": Settings.model_construct() if settings is None else settings,
        "cache": cache,
        "queue": FakeQueue() if queue is None else queue,
        "db": db,
        "storage": storage,
        "mailer": mailer,
        "realtime": realtime,
        "webhooks": webhooks,
        "alerts": alerts,
    }
    return RecordedContext(
        _Services(given, extensions),
        job_id=job_id or new_id(),
        job_name="test" if job is None else job.NAME,
        queue_name=Job.QUEUE if job is None else job.QUEUE,
        attempt=attempt,
        fence=fence,
        batch=batch,
    )


async def run_job(job: Job, ctx: JobContext | None = None) -> Any:
    """Run a job's handler once, as a worker would: from its payload, plain functions in a thread, within its `TIMEOUT`.

    Args:
        job: The job.
        ctx: The context; `None` makes one with `job_context`.

    Returns:
        What the handler returned.

    Raises:
        Exception: What the handler raised, [`Retry`][rustforge.jobs.Retry] and its kin included.
        JobEncodeError: The job could not be enqueued.
        JobDecodeError: Its payload could not be read again.
        TimeoutError: It took longer than its `TIMEOUT`.
    """
    known = KnownJob(type(job))
    written = envelope_of(job)
    made = known.read(written.payload, written.options.get("v", 1))
    context = job_context(job=job) if ctx is None else ctx
    async with asyncio.timeout(type(job).TIMEOUT):
        return await (made.handle(context) if known.is_async else asyncio.to_thread(made.handle, context))
