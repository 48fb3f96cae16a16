"""One run of a job: read it, call its handler, and decide what becomes of it, whatever the handler does."""

from __future__ import annotations

import asyncio
import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from rustforge import codec
from rustforge.clock import milliseconds
from rustforge.errors import JobDecodeError
from rustforge.jobs.envelope import HOLDING, parse_body
from rustforge.jobs.job import Job, JobContext
from rustforge.jobs.retry import Abort, Retry, Snooze

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rustforge.jobs.job import WorkerContext
    from rustforge.jobs.registry import JobRegistry, KnownJob
    from rustforge.jobs.source import Outcome, Run

__all__ = ["Middleware", "Runner", "WorkerStatistics"]

_logger = logging.getLogger(__name__)
_FAILED_SECONDS = 60.0
_STUBBORN_SECONDS = 5.0
_LONGEST_ERROR = 4000
_ONLY_A_GROUP = frozenset({"g"})


class Middleware(Protocol):
    """Stands around every run of a handler.

    Example:
        ```python
        async def timed(ctx: JobContext, job: Job, call_next: Callable[[], Awaitable[Any]]) -> Any:
            started = time.perf_counter()
            try:
                return await call_next()
            finally:
                ctx.logger.info("took %.3f s", time.perf_counter() - started)
        ```
    """

    def __call__(self, ctx: JobContext, job: Job, call_next: Callable[[], Awaitable[Any]], /) -> Awaitable[Any]:
        """Run what comes next, and return its result."""
        ...


@dataclass(slots=True)
class WorkerStatistics:
    """What a worker did since it was made.

    Attributes:
        claimed: Jobs that it took.
        succeeded: Runs that ended well.
        failed: Runs that failed, the last ones included.
        retried: Failed runs that will be repeated.
        dead: Jobs that failed for good.
        cancelled: Runs that were cancelled on request.
        released: Jobs given back without an attempt.
        fenced: Results that came too late, as another worker had taken over.
        running: Jobs that it has now.
    """

    claimed: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    dead: int = 0
    cancelled: int = 0
    released: int = 0
    fenced: int = 0
    running: int = 0


class _Ready:
    """A run that can begin.

    Attributes:
        known: The job's class.
        job: The job.
        ctx: Its context.
        options: The options of its envelope.
    """

    __slots__ = ("ctx", "job", "known", "options")

    def __init__(self, known: KnownJob, job: Job, ctx: JobContext, options: dict[str, Any]) -> None:
        self.known = known
        self.job = job
        self.ctx = ctx
        self.options = options


class Runner:
    """Calls handlers for a worker.

    Attributes:
        statistics: The counters.
        listeners: Called with the context, the outcome and the seconds of each run.
    """

    def __init__(
        self,
        services: WorkerContext,
        registry: JobRegistry,
        *,
        concurrency: int,
        timeout: float | None,
        middleware: tuple[Middleware, ...],
        progress: Callable[[str, str, float, float | None, str], Awaitable[None]],
        ended: Callable[[bool], None],
    ) -> None:
        """Take what handlers get; `ended` is called with each outcome, and told whether the job is dead."""
        self.statistics: WorkerStatistics = WorkerStatistics()
        self.listeners: list[Callable[[JobContext, Outcome, float], None]] = []
        self._services = services
        self._registry = registry
        self._concurrency = concurrency
        self._timeout = timeout
        self._middleware = middleware
        self._progress = progress
        self._ended = ended
        self._threads: ThreadPoolExecutor | None = None
        self._given_up: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Start no more threads; those of sync handlers that still run end by themselves."""
        for task in self._given_up:
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def run(self, run: Run) -> None:
        """Run a job to its end, and note what became of it."""
        ready = self._prepare(run)
        if ready is None:
            return
        started = perf_counter() if self.listeners else 0.0
        alarm = self._set_alarm(run, ready)
        outcome: Outcome = "done"
        try:
            result = await self._call(ready)
        except BaseException as error:  # a handler may raise anything, and no job is lost for it
            if isinstance(error, GeneratorExit) and not _goes_on(run):
                raise
            if alarm is not None:
                alarm.cancel()
            if run.over or run.failing:
                return
            outcome = await self._fail(run, ready, error)
        else:
            if alarm is not None:
                alarm.cancel()
            if run.over or run.failing:
                return
            self._succeed(run, ready.options, result)
        for listener in self.listeners:
            try:
                listener(ready.ctx, outcome, perf_counter() - started)
            except Exception:
                _logger.exception("A listener of outcomes failed")

    def _prepare(self, run: Run) -> _Ready | None:
        """Read a job; one that cannot be run here is settled, and brings `None`."""
        claimed, queue = run.job, run.source.queue
        try:
            name, payload, options = parse_body(claimed.id, queue, claimed.body)
            known = self._registry.find(name)
            version = options.get("v", 1) if options else 1
            if known is None or version > known.cls.VERSION:
                self._end(run, "park", name if known is None else f"{name}@{version}")
                return None
            job = known.read(payload, version)
        except JobDecodeError as error:
            _logger.error("Job %s of %s goes to quarantine: %s", claimed.id, queue, error)  # noqa: TRY400
            self._end(run, "quarantine", str(error))
            return None
        ctx = JobContext(
            self._services,
            job_id=claimed.id,
            job_name=name,
            queue_name=queue,
            attempt=claimed.attempts,
            fence=1 + claimed.runs + (options.get("f", 0) if options else 0),
            batch=claimed.batch,
            traceparent=options.get("t") if options else None,
            progress=self._progress,
        )
        return _Ready(known, job, ctx, options)

    # -- the handler ---------------------------------------------------------------------------------------------

    async def _call(self, ready: _Ready) -> Any:
        handle: Callable[[JobContext], Any] = ready.job.handle
        if not ready.known.is_async:
            handle = functools.partial(self._in_thread, handle)
        if not self._middleware:
            return await handle(ready.ctx)
        step: Callable[[], Awaitable[Any]] = functools.partial(handle, ready.ctx)
        for one in reversed(self._middleware):
            step = functools.partial(one, ready.ctx, ready.job, step)
        return await step()

    async def _in_thread(self, handle: Callable[[JobContext], Any], ctx: JobContext) -> Any:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._concurrency, "rustforge-job")
        call: Callable[[], Any] = functools.partial(copy_context().run, functools.partial(_call_in_thread, handle, ctx))
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _set_alarm(self, run: Run, ready: _Ready) -> asyncio.TimerHandle | None:
        cls = ready.known.cls
        seconds = self._timeout if cls.TIMEOUT is None else cls.TIMEOUT
        return None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._time_out, run, ready)

    def _time_out(self, run: Run, ready: _Ready) -> None:
        if not run.over and run.why is None and run.task is not None:
            run.why = "timeout"
            run.task.cancel()
            asyncio.get_running_loop().call_later(_STUBBORN_SECONDS, self._give_up, run, ready)

    def _give_up(self, run: Run, ready: _Ready) -> None:
        """Do not wait for a handler that goes on after it was cancelled: its attempt has failed, as any other."""
        if not run.over and not run.failing:
            _logger.error("Job %s goes on although it was cancelled; its result will not count", run.job.id)
            error = TimeoutError("the job went on after its time was over")
            run.failing = True
            task = run.task = asyncio.get_running_loop().create_task(self._fail_late(run, ready, error))
            self._given_up.add(task)
            task.add_done_callback(self._given_up.discard)

    async def _fail_late(self, run: Run, ready: _Ready, error: TimeoutError) -> None:
        await self._fail(run, ready, error)

    # -- what becomes of it --------------------------------------------------------------------------------------

    def _end(self, run: Run, outcome: Outcome, first: str | int | bytes = "", second: str | int = "") -> Outcome:
        if not run.over:
            run.source.settle(run, outcome, first, second)
            self._ended(outcome == "dead")
        return outcome

    def _succeed(self, run: Run, options: dict[str, Any], result: Any) -> None:
        self.statistics.succeeded += 1
        held = HOLDING.intersection(options) if options else ()
        if not held:
            run.source.settle_plain(run)
            self._ended(False)  # noqa: FBT003
        elif held == _ONLY_A_GROUP:
            run.source.settle_grouped(run, options["g"])
            self._ended(False)  # noqa: FBT003
        else:
            lifetime, text = options.get("rs", ""), b""
            if lifetime:
                try:
                    text = codec.encode(result)
                except codec.EncodeError as error:
                    _logger.error("The result of job %s cannot be kept: %s", run.job.id, error)  # noqa: TRY400
                    lifetime = ""
            self._end(run, "done", text, lifetime)

    async def _fail(self, run: Run, ready: _Ready, error: BaseException) -> Outcome:
        """Decide what becomes of a run that did not end well."""
        task = asyncio.current_task()
        if task is not None and run.why is not None:
            task.uncancel()
        if run.why in {"cancel", "release", "lost"}:  # whatever it made of its cancellation
            if run.why == "cancel":
                self.statistics.cancelled += 1
                return self._end(run, "cancelled")
            self.statistics.released += 1
            return self._end(run, "release")
        if isinstance(error, Snooze):
            return self._end(run, "snooze", error.delay_ms)
        run.failing = True
        job, ctx = ready.job, ready.ctx
        text = _describe(run, error)
        if isinstance(error, Abort) or not _may_retry(job, ctx):
            ctx.logger.error("failed for good: %s", text, exc_info=error)
            await self._tell_failed(run, job, ctx, text)
            if not run.over:
                self._count_failure(dead=True)
            return self._end(run, "dead", text)
        ctx.logger.warning("attempt %d failed: %s", ctx.attempt + 1, text)
        self._count_failure(dead=False)
        return self._end(run, "retry", _backoff(job, ctx, error), text)

    def _count_failure(self, *, dead: bool) -> None:
        self.statistics.failed += 1
        self.statistics.dead += dead
        self.statistics.retried += not dead

    async def _tell_failed(self, run: Run, job: Job, ctx: JobContext, text: str) -> None:
        """Call the job's `failed`; nothing that it does keeps the job from its record."""
        try:
            async with asyncio.timeout(_FAILED_SECONDS):
                await job.failed(ctx, text)
        except BaseException as error:  # see above
            if isinstance(error, GeneratorExit) and not _goes_on(run):
                raise
            if run.why in {"release", "lost"} and isinstance(error, asyncio.CancelledError):
                self._end(run, "release")  # it runs, and fails, again elsewhere
                return
            ctx.logger.error("failed() did not end well: %s", _text_of(error))  # noqa: TRY400


def _goes_on(run: Run) -> bool:
    """Tell a GeneratorExit that a handler raised from that of a coroutine which is thrown away."""
    try:
        return asyncio.current_task() is run.task
    except RuntimeError:
        return False


def _call_in_thread(handle: Callable[[JobContext], Any], ctx: JobContext) -> Any:
    try:
        return handle(ctx)
    except StopIteration as error:  # no future can hold it
        msg = "the handler raised StopIteration"
        raise RuntimeError(msg) from error


def _describe(run: Run, error: BaseException) -> str:
    if run.why == "timeout" and isinstance(error, asyncio.CancelledError):
        return "TimeoutError: the job did not end in time"
    if isinstance(error, Abort):
        return str(error) or "the handler gave up"
    return _text_of(error)


def _text_of(error: BaseException) -> str:
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - the error's own __str__ may fail
        text = type(error).__name__
    return text[:_LONGEST_ERROR].replace("\0", "").encode(errors="replace").decode()


def _may_retry(job: Job, ctx: JobContext) -> bool:
    try:
        return ctx.attempt < job.max_retries()
    except Exception:
        _logger.exception("max_retries() of %s failed; taking the default", type(job).__name__)
        return ctx.attempt < Job.max_retries(job)


def _backoff(job: Job, ctx: JobContext, error: BaseException) -> int:
    """Return the milliseconds until the next attempt."""
    if isinstance(error, Retry) and error.delay_ms is not None:
        return error.delay_ms
    try:
        return milliseconds(job.backoff(ctx.attempt), "backoff", allow_zero=True)
    except Exception:
        _logger.exception("backoff() of %s failed; taking the default", type(job).__name__)
        return milliseconds(Job.backoff(job, ctx.attempt))
