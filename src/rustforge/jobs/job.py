"""Jobs as users write them, and what their handlers get."""

from __future__ import annotations

import functools
import logging
import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

from pydantic import BaseModel

from rustforge import codec
from rustforge.clock import milliseconds
from rustforge.errors import ConfigurationError, JobEncodeError
from rustforge.jobs.envelope import Envelope, encode_body, enqueued_at, new_id
from rustforge.jobs.groups import ConcurrencyLimit, RateLimit, require_key
from rustforge.jobs.retry import backoff_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from rustforge.types import Duration

__all__ = ["Job", "JobContext", "Priority", "WorkerContext", "envelope_of", "on_enqueue", "require_job_class"]

Priority: TypeAlias = Literal["high", "normal", "low"]
"""Within a queue, every job of a higher priority is claimed first."""

_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")
_LETTERS = {"high": "h", "normal": "", "low": "l"}


class Pushes(Protocol):
    """What `dispatch` needs of a queue."""

    async def push(self, job: Job, delay: Duration | None = None) -> str:
        """Enqueue a job."""
        ...


class Job(BaseModel):
    """A unit of work that a worker runs later; its fields are the payload, typed and validated.

    Attributes:
        NAME: The name under which it travels; it must never change while jobs are under way.
        QUEUE: The queue it goes to.
        VERSION: The version of the payload. Raise it when the fields change, and let `upcast` read older ones.
        PRIORITY: `"high"`, `"normal"` or `"low"`.
        TIMEOUT: Seconds after which a run is cancelled and counts as failed; `None` takes the worker's.
        RESULT_TTL: Seconds for which `Queue.result` gives what `handle` returned; `None` keeps no results.
        HOLD_GROUP: Whether a job that has failed for good keeps its group waiting until it is retried or let go.

    Example:
        ```python
        class RebuildArticleIndex(Job):
            NAME = "article.rebuild_index"
            article_id: int

            async def handle(self, ctx: JobContext) -> None: ...


        await RebuildArticleIndex(article_id=1).dispatch(ctx.queue)
        ```
    """

    NAME: ClassVar[str] = ""
    QUEUE: ClassVar[str] = "default"
    VERSION: ClassVar[int] = 1
    PRIORITY: ClassVar[Priority] = "normal"
    TIMEOUT: ClassVar[float | None] = None
    RESULT_TTL: ClassVar[float | None] = None
    HOLD_GROUP: ClassVar[bool] = False
    __facts__: ClassVar[_Facts | None] = None

    def handle(self, ctx: JobContext) -> Awaitable[Any] | Any:
        """Do the work; `async def` runs on the worker's event loop, plain `def` in a thread.

        Args:
            ctx: The services, and what is known of this run.

        Raises:
            Exception: Any exception fails the attempt. [`Retry`][rustforge.jobs.Retry],
                [`Snooze`][rustforge.jobs.Snooze] and [`Abort`][rustforge.jobs.Abort] say what shall happen.
        """
        raise NotImplementedError

    def group_id(self) -> str | None:
        """Return the group in which this job runs: one at a time, in the order in which they were enqueued."""
        return None

    def unique_key(self) -> str | None:
        """Return a key of which the queue holds one unfinished job at most; enqueueing another gives that one's id."""
        return None

    def concurrency(self) -> ConcurrencyLimit | None:
        """Return how many jobs of a key may run at the same time."""
        return None

    def rate(self) -> RateLimit | None:
        """Return how many jobs of a key may start within a period."""
        return None

    def max_retries(self) -> int:
        """Return how often a failed job is run again: 5 unless overridden, so up to 6 runs."""
        return 5

    def backoff(self, attempt: int) -> float:
        """Return the seconds to wait after a failure: 5, 30, 60, 300, then 600 unless overridden.

        Args:
            attempt: 0 after the first failure.
        """
        return backoff_seconds(attempt)

    async def failed(self, ctx: JobContext, error: str) -> None:
        """React to the final failure, after the last attempt and before the job is stored in `failed_jobs`.

        An exception here is logged and changes nothing.

        Args:
            ctx: The context of the last run.
            error: The last error: its class and message.
        """

    @classmethod
    def upcast(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Bring a payload of an older version up to `VERSION`.

        Args:
            data: The fields as they were stored.
            version: The version with which they were.

        Returns:
            The fields of this version.
        """
        del version
        return data

    async def dispatch(self, queue: Pushes, delay: Duration | None = None) -> str:
        """Enqueue the job.

        Args:
            queue: The queue, such as `ctx.queue`, or a [`JobBuffer`][rustforge.jobs.JobBuffer].
            delay: Seconds to wait first as a number, or a `timedelta`.

        Returns:
            The job's id, or that of the unfinished job with the same `unique_key`.

        Raises:
            JobEncodeError: The job is not JSON, or too large.
        """
        return await queue.push(self, delay)


class WorkerContext(Protocol):
    """What a worker gets its jobs' services from; [`BootContext`][rustforge.boot.BootContext] is one."""

    @property
    def settings(self) -> Any:
        """The settings."""
        ...

    @property
    def cache(self) -> Any:
        """The cache."""
        ...

    @property
    def queue(self) -> Any:
        """The queue."""
        ...

    @property
    def db(self) -> Any:
        """The database."""
        ...

    @property
    def storage(self) -> Any:
        """The storage."""
        ...

    @property
    def extensions(self) -> Mapping[str, Any]:
        """Services of the application."""
        ...


class JobContext:
    """What a handler gets.

    Attributes:
        job_id: The job's id.
        job_name: Its `NAME`.
        queue_name: The queue it came from.
        attempt: How many attempts failed before this one; 0 in the first run.
        fence: A number that grows with every run of this job, also after a crash and after a retry by hand. Write it
            with what the handler stores (`UPDATE ... SET fence = :fence WHERE fence < :fence`), and a run that was
            given up and still goes on cannot overwrite the work of a later one.
        batch: For the job at the end of a batch, how many jobs it had and how many of them failed for good.
        traceparent: The trace in which it was enqueued, as W3C's header of that name says it; see
            [`trace_enqueueing`][rustforge.jobs.tracing.trace_enqueueing].
    """

    __slots__ = (
        "_logger",
        "_progress",
        "_services",
        "attempt",
        "batch",
        "fence",
        "job_id",
        "job_name",
        "queue_name",
        "traceparent",
    )

    def __init__(
        self,
        services: WorkerContext,
        *,
        job_id: str,
        job_name: str,
        queue_name: str,
        attempt: int = 0,
        fence: int = 1,
        batch: tuple[int, int] | None = None,
        traceparent: str | None = None,
        progress: Callable[[str, str, float, float | None, str], Awaitable[None]] | None = None,
    ) -> None:
        """Say which run this is; a worker does so, and `rustforge.testing` for tests."""
        self._services = services
        self._progress = progress
        self._logger: logging.LoggerAdapter[logging.Logger] | None = None
        self.job_id: str = job_id
        self.job_name: str = job_name
        self.queue_name: str = queue_name
        self.attempt: int = attempt
        self.fence: int = fence
        self.batch: tuple[int, int] | None = batch
        self.traceparent: str | None = traceparent

    @property
    def settings(self) -> Any:
        """The application's settings."""
        return self._services.settings

    @property
    def cache(self) -> Any:
        """The cache."""
        return self._services.cache

    @property
    def queue(self) -> Any:
        """The queue, to dispatch further jobs."""
        return self._services.queue

    @property
    def db(self) -> Any:
        """The database."""
        return self._services.db

    @property
    def storage(self) -> Any:
        """The storage of objects."""
        return self._services.storage

    @property
    def mailer(self) -> Any:
        """What sends mail."""
        return self._of_boot("mailer")

    @property
    def realtime(self) -> Any:
        """What publishes to browsers."""
        return self._of_boot("realtime")

    @property
    def webhooks(self) -> Any:
        """What sends webhooks."""
        return self._of_boot("webhooks")

    @property
    def alerts(self) -> Any:
        """What alerts the people who run the application."""
        return self._of_boot("alerts")

    @property
    def extensions(self) -> Mapping[str, Any]:
        """Services of the application, as given to `boot(extensions=...)`."""
        return self._services.extensions

    def _of_boot(self, name: str) -> Any:
        """Return a service that a context has which `boot` made, and others need not have."""
        try:
            return getattr(self._services, name)
        except AttributeError:
            msg = f"the handler asks for ctx.{name}, which the worker's {type(self._services).__name__} does not have"
            raise ConfigurationError(msg) from None

    @property
    def enqueued_at(self) -> datetime:
        """When the job was enqueued, by the enqueuer's clock."""
        return enqueued_at(self.job_id)

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry `job_id`, `job_name`, `queue` and `attempt`."""
        if self._logger is None:
            facts = {
                "job_id": self.job_id,
                "job_name": self.job_name,
                "queue": self.queue_name,
                "attempt": self.attempt,
            }
            self._logger = logging.LoggerAdapter(logging.getLogger(f"rustforge.job.{self.job_name}"), facts)
        return self._logger

    async def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Tell how far the job is, for `Queue.progress` and the dashboards.

        Args:
            done: How much is done.
            total: How much there is; `None` where that is not known.
            note: A short text.
        """
        if self._progress is not None:
            await self._progress(self.queue_name, self.job_id, done, total, note)


_hooks: list[Callable[[Job], dict[str, Any]]] = []


def on_enqueue(hook: Callable[[Job], dict[str, Any]]) -> Callable[[], None]:
    """Add options to every job that this process enqueues from now on, by whatever way; tracing does so.

    Args:
        hook: Called with the job. It returns options for its envelope, and none in most cases.

    Returns:
        A function that takes the hook away.
    """
    _hooks.append(hook)
    return lambda: _hooks.remove(hook) if hook in _hooks else None


def envelope_of(
    job: Job, *, job_id: str | None = None, options: dict[str, Any] | None = None, hooked: bool = True
) -> Envelope:
    """Write a job for its way.

    Args:
        job: The job.
        job_id: Its id; `None` makes one.
        options: Options beside those that the job itself gives.
        hooked: Whether it will be enqueued, so that the hooks of `on_enqueue` are asked.

    Raises:
        JobEncodeError: The job is not JSON, or has no usable name.
    """
    cls = job.__class__
    own = options_of(job, hooked=hooked)
    if options:
        own = {**own, **options}
    return Envelope(job_id or new_id(), cls.QUEUE, cls.NAME, payload_of(job), own)


def payload_of(job: Job) -> bytes:
    """Write a job's fields as JSON.

    Raises:
        JobEncodeError: A field cannot be written.
    """
    try:
        # A field of another type than it says is refused by whoever reads it, and is not to be warned of here.
        return codec.encode(job, functools.partial(job.__pydantic_serializer__.to_json, warnings=False))
    except codec.EncodeError as error:
        msg = f"{job.__class__.__name__} cannot be enqueued: {error}"
        raise JobEncodeError(msg) from error


def body_of(job: Job, options: dict[str, Any]) -> bytes:
    """Write a job's body.

    Raises:
        JobEncodeError: A field cannot be written.
    """
    cls = job.__class__
    if options:
        return encode_body(cls.NAME, payload_of(job), options)
    facts = cls.__facts__
    return payload_of(job) if facts is None else facts.head + payload_of(job)


def options_of(job: Job, *, hooked: bool = True) -> dict[str, Any]:
    """Ask a job for its group, its keys and its limits, and the hooks for what they add."""
    cls = job.__class__
    facts = cls.__facts__
    if facts is None or facts.owner is not cls:
        facts = _examine(cls)
    found = {} if facts.plain else _ask(job, facts)
    if _hooks and hooked:
        for hook in _hooks:
            found |= hook(job)
    return found


def _ask(job: Job, facts: _Facts) -> dict[str, Any]:
    cls = job.__class__
    found = dict(facts.options)
    group = job.group_id()
    if group is not None:
        found["g"] = require_key(group, f"group_id() of {cls.__name__}")
        if cls.HOLD_GROUP:
            found["gh"] = 1
    unique = job.unique_key()
    if unique is not None:
        found["u"] = require_key(unique, f"unique_key() of {cls.__name__}")
    concurrency = job.concurrency()
    if concurrency is not None:
        found["c"] = [concurrency.key, concurrency.limit]
    rate = job.rate()
    if rate is not None:
        found["r"] = [rate.key, rate.limit, milliseconds(rate.per, "per")]
    return found


def require_job_class(cls: Any) -> type[Job]:
    """Refuse what cannot be enqueued or run.

    Raises:
        ConfigurationError: It is not a class of jobs, has no `NAME`, one with other characters than letters, digits and
            `_.:/-`, or an unknown `PRIORITY`.
    """
    facts: _Facts | None = getattr(cls, "__facts__", None)
    if facts is None or facts.owner is not cls:
        _examine(cls)
    checked: type[Job] = cls
    return checked


class _Facts(NamedTuple):
    """What need not be asked of each job of a class.

    Attributes:
        owner: The class; a subclass without facts of its own has those of its parent.
        options: Those that all of its jobs have.
        plain: Whether there are none, and no job has others.
        head: How the body of a job without options begins.
    """

    owner: type[Any]
    options: dict[str, Any]
    plain: bool
    head: bytes


def _examine(cls: Any) -> _Facts:
    """Check a class and find out what all of its jobs have in common."""
    if not isinstance(cls, type) or not issubclass(cls, Job):
        msg = f"a job must be a subclass of rustforge.jobs.Job, not {cls!r}"
        raise ConfigurationError(msg)
    name: object = cls.NAME
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        msg = (
            f"{cls.__name__}.NAME must have 1 to 200 letters, digits or _.:/- such as 'article.rebuild_index', "
            f"not {cls.NAME!r}"
        )
        raise ConfigurationError(msg)
    if cls.PRIORITY not in _LETTERS:
        msg = f"{cls.__name__}.PRIORITY must be 'high', 'normal' or 'low', not {cls.PRIORITY!r}"
        raise ConfigurationError(msg)
    options: dict[str, Any] = {}
    if cls.VERSION != 1:
        options["v"] = cls.VERSION
    if _LETTERS[cls.PRIORITY]:
        options["p"] = _LETTERS[cls.PRIORITY]
    if cls.RESULT_TTL is not None:
        options["rs"] = milliseconds(cls.RESULT_TTL, "RESULT_TTL")
    asked = ("group_id", "unique_key", "concurrency", "rate")
    plain = not options and all(getattr(cls, name) is getattr(Job, name) for name in asked)
    facts = cls.__facts__ = _Facts(cls, options, plain, encode_body(name, b"", {}))
    return facts
