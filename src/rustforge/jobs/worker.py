"""Run jobs: claim them under a lease, call their handlers, settle what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, Self

from rustforge import codec
from rustforge.clock import milliseconds
from rustforge.errors import InvalidArgumentError, InvalidTypeError, JobDecodeError, RedisClosedError, RedisError
from rustforge.jobs.envelope import HOLDING, Envelope
from rustforge.jobs.heartbeat import Heartbeat
from rustforge.jobs.job import Job, JobContext
from rustforge.jobs.registry import JobRegistry, KnownJob
from rustforge.jobs.retry import Abort, Retry, Snooze
from rustforge.jobs.source import Claimed, LeaseLost, Outcome, Run, Source

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from rustforge.jobs.job import WorkerContext
    from rustforge.jobs.queue import Queue
    from rustforge.types import Duration

__all__ = ["Middleware", "Worker", "WorkerStatistics"]

_logger = logging.getLogger(__name__)
_ISOLATED_FROM = 2
_POLL_SECONDS = 0.5
_LONGEST_PAUSE = 2.0
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


class Worker:
    """Runs the jobs of one or several queues."""

    def __init__(
        self,
        ctx: WorkerContext,
        queues: Sequence[str] = ("default",),
        *,
        concurrency: int = 100,
        lease: Duration = 10,
        max_recoveries: int = 3,
        timeout: Duration | None = None,
        shutdown_timeout: Duration = 10,
        middleware: Iterable[Middleware] = (),
        registry: JobRegistry | Iterable[type[Job]] = (),
    ) -> None:
        """Prepare a worker.

        Args:
            ctx: Gives the queue, and the services that handlers find in their context.
            queues: The queues' names; the first one's jobs are all taken before the next one's.
            concurrency: How many jobs run at the same time.
            lease: How long the worker may be silent before others take over its jobs; it is renewed every quarter of
                this, by a thread of its own. Seconds as a number, or a `timedelta`.
            max_recoveries: How often a job may be there when its worker is lost; after that it goes to quarantine. A
                job that was there twice runs alone.
            timeout: After how long a run is cancelled and counts as failed; `None` never, unless the job's `TIMEOUT`
                says so.
            shutdown_timeout: How long running jobs have to end when the worker stops; then they are given back, to be
                run by another worker at once.
            middleware: Stands around every handler, the first one outermost.
            registry: The jobs that the worker knows; `register` adds more.
        """
        if isinstance(queues, str):
            msg = f"queues must be several names, such as [{queues!r}], not one str"
            raise InvalidTypeError(msg)
        if not queues:
            msg = "a worker needs at least one queue"
            raise InvalidArgumentError(msg)
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            msg = f"concurrency must be an int of at least 1, not {concurrency!r}"
            raise InvalidArgumentError(msg)
        self._ctx = ctx
        self._queue: Queue = ctx.queue
        self._registry = JobRegistry.of(registry)
        self._concurrency = concurrency
        self._lease_ms = milliseconds(lease, "lease")
        self._max_recoveries = max_recoveries
        self._timeout = None if timeout is None else milliseconds(timeout, "timeout") / 1000
        self._patience = milliseconds(shutdown_timeout, "shutdown_timeout", allow_zero=True) / 1000
        self._middleware = tuple(middleware)
        self._queues = tuple(dict.fromkeys(queues))
        self._sources: list[Source] = []
        self._heart: Heartbeat | None = None
        self._event = asyncio.Event()
        self._stopping = False
        self._hurry = False
        self._alone: Run | None = None
        self._suspects: list[Run] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._burying: asyncio.Task[None] | None = None
        self._statistics = WorkerStatistics()
        self._listeners: list[Callable[[JobContext, str, float], None]] = []
        self._until_empty = False

    def register(self, *classes: type[Job]) -> Self:
        """Add jobs that the worker can run; return the worker.

        Raises:
            ConfigurationError: One is not a job class, has no `NAME` or `handle`, or the name of another.
        """
        self._registry.add(*classes)
        return self

    def statistics(self) -> WorkerStatistics:
        """Return the counters; they go on counting."""
        self._statistics.fenced = sum(source.fenced for source in self._sources)
        self._statistics.running = self._held()
        return self._statistics

    def on_outcome(self, listener: Callable[[JobContext, str, float], None]) -> None:
        """Hear of every run that ended.

        Args:
            listener: Called with the context, what became of the job (`"done"`, `"retry"`, `"dead"`, `"snooze"`,
                `"cancelled"`, `"release"`), and the seconds that the handler took.
        """
        self._listeners.append(listener)

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until `stop` is called, or SIGTERM or SIGINT comes; a second signal does not wait for running jobs.

        Raises:
            RedisConnectionError: Redis cannot be reached at the start. Later outages are waited out.
        """
        with self._signals():
            await self._live()

    async def run_until_empty(self) -> None:
        """Work until nothing is left that can be run now; what is delayed stays.

        Raises:
            RedisConnectionError: Redis cannot be reached at the start.
        """
        self._until_empty = True
        try:
            await self._live()
        finally:
            self._until_empty = False

    def stop(self) -> None:
        """Take no more jobs, let the running ones end for `shutdown_timeout`, give the others back, and return from
        `run`. Calling it again gives them back at once.
        """
        self._hurry = self._hurry or self._stopping
        self._stopping = True
        self._event.set()

    @contextlib.contextmanager
    def _signals(self) -> Any:
        loop = asyncio.get_running_loop()
        handled: list[signal.Signals] = []
        if threading.current_thread() is threading.main_thread():
            for one in (signal.SIGTERM, signal.SIGINT):
                with contextlib.suppress(NotImplementedError):  # Windows
                    loop.add_signal_handler(one, self.stop)
                    handled.append(one)
        try:
            yield
        finally:
            for one in handled:
                loop.remove_signal_handler(one)

    async def _live(self) -> None:
        client = self._queue.client
        self._stopping = self._hurry = False
        self._sources = [
            Source(client, name, base, self._event.set) for name in self._queues for base in self._queue.bases(name)
        ]
        self._heart = Heartbeat(
            client,
            lease=self._lease_ms / 1000,
            max_recoveries=self._max_recoveries,
            heard=self._hear_beat,
            lost=self._lose,
        )
        client.add_listener(self._hear)
        try:
            for source in self._sources:
                self._heart.epochs[source.base] = await source.register(self._lease_ms)
            self._heart.start()
            _logger.info("Working on %s with %d job classes", ", ".join(self._queues), len(self._registry))
            await self._pump()
        finally:
            client.remove_listener(self._hear)
            await self._shut_down()

    async def _shut_down(self) -> None:
        """Whatever happens, no task and no thread stays, and the leases are given back."""
        assert self._heart is not None  # noqa: S101 - made before
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STUBBORN_SECONDS)
        await self._heart.stop()
        for source in self._sources:
            for run in source.runs.values():
                run.over = True
            try:
                await source.leave()
            except RedisError as error:
                _logger.warning("The lease on %s could not be given back: %s", source.base, error)
        if self._burying is not None:
            self._burying.cancel()
            await asyncio.wait([self._burying])
            self._burying = None
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    # -- the pump ------------------------------------------------------------------------------------------------

    def _held(self) -> int:
        return sum(len(source.runs) for source in self._sources)

    async def _pump(self) -> None:
        """Exchange outcomes for jobs until it is time to stop."""
        pause = 0.0
        while True:
            self._event.clear()
            try:
                progressed = False
                for source in self._sources:
                    progressed = await self._serve(source) or progressed
                pause = 0.0
            except LeaseLost as lost:
                self._lose_epoch(str(lost))
                continue
            except RedisClosedError:
                raise
            except RedisError as error:
                pause = min(pause * 2 or 0.05, _LONGEST_PAUSE)
                _logger.warning("Redis does not serve the worker; trying again in %.2g s: %s", pause, error)
                if self._stopping:
                    return
                await asyncio.sleep(pause)
                continue
            if progressed:
                continue
            if self._stopping:
                if not self._held():
                    return
                await self._wind_up()
                return
            if self._until_empty and not self._busy():
                await self._bury_now()
                return
            with contextlib.suppress(TimeoutError):
                polls = not self._queue.client.tracking
                await asyncio.wait_for(self._event.wait(), _POLL_SECONDS if polls else None)
                continue
            for source in self._sources:
                source.promising = True

    def _busy(self) -> bool:
        return bool(self._held() or any(source.promising or source.parked for source in self._sources))

    async def _serve(self, source: Source) -> bool:
        """Do what can be done for one shard; return whether there was anything."""
        if source.epoch is None:
            if self._stopping:
                return False
            assert self._heart is not None  # noqa: S101 - made before
            self._heart.epochs[source.base] = await source.register(self._lease_ms)
        free = 0 if self._stopping or self._alone or self._suspects else self._concurrency - self._held()
        free = max(0, min(free, (self._concurrency + 1) // 2))
        if source.parked and free and not source.unsettled:
            for job in await source.adopt(next(iter(source.parked)), free):
                self._start(source, job)
            return True
        want = free if source.promising else 0
        if not want and not source.unsettled:
            return False
        for job in await source.exchange(want):
            self._start(source, job)
        return True

    async def _wind_up(self) -> None:
        """Stop: wait for the running jobs, then give them back."""
        deadline = asyncio.get_running_loop().time() + (0.0 if self._until_empty else self._patience)
        for run in self._suspects:
            run.source.settle(run, "release")
        self._suspects.clear()
        while self._held():
            self._event.clear()
            for source in self._sources:
                with contextlib.suppress(LeaseLost, RedisError):
                    await self._serve(source)
            left = deadline - asyncio.get_running_loop().time()
            if not self._held() or self._hurry or left <= 0:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._event.wait(), left)
        for source in self._sources:
            for run in source.runs.values():
                if not run.over and run.task is not None:
                    run.why = "release"
                    run.task.cancel()
        tasks = [task for task in self._tasks if not task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=_STUBBORN_SECONDS)
        for source in self._sources:
            while source.unsettled and source.epoch is not None:
                try:
                    await source.exchange(0)
                except (LeaseLost, RedisError) as error:
                    _logger.warning("What became of the last jobs could not be told: %s", error)
                    break

    # -- what is heard -------------------------------------------------------------------------------------------

    def _hear(self, key: bytes | None) -> None:
        for source in self._sources:
            source.hear(key)

    def _hear_beat(self, base: str, epoch: str, answer: list[Any]) -> None:
        """Act on a beat's answer: cancel what shall be cancelled, adopt, bury, and look for work that was missed."""
        for source in self._sources:
            if source.base != base or source.epoch != epoch:
                continue
            for job_id in answer[5]:
                run = source.runs.get(job_id.decode())
                if run is not None and not run.over and run.task is not None and run.why is None:
                    run.why = "cancel"
                    run.task.cancel()
            source.parked = {name.decode() for name in answer[6] if self._registry.knows(name.decode())}
            source.dead = answer[4]
            if source.dead:
                self._bury_soon()
            if not self._stopping:
                source.look_again()

    def _lose_epoch(self, epoch: str) -> None:
        for source in self._sources:
            if source.epoch == epoch:
                self._lose(source.base, epoch)

    def _lose(self, base: str, epoch: str) -> None:
        """Cancel the handlers of a shard whose lease is lost: others run these jobs now."""
        for source in self._sources:
            if source.base == base and source.epoch == epoch:
                assert self._heart is not None  # noqa: S101 - made before
                self._heart.epochs.pop(base, None)
                lost = source.forfeit()
                if lost:
                    _logger.warning("The lease on %s was lost; %d jobs run elsewhere now", base, len(lost))
                for run in lost:
                    if run.task is not None:
                        run.task.cancel()
                self._suspects = [run for run in self._suspects if run.source is not source]
                if self._alone is not None and self._alone.source is source:
                    self._alone = None
                self._event.set()

    # -- one job -------------------------------------------------------------------------------------------------

    def _start(self, source: Source, job: Claimed) -> None:
        """Run a job that was claimed; one that was there in several crashes waits until it can run alone."""
        self._statistics.claimed += 1
        run = source.runs[job.id] = Run(source, job)
        if job.recoveries >= _ISOLATED_FROM:
            self._suspects.append(run)
            if len(self._suspects) == 1 and self._alone is None:
                self._spawn(self._run_suspects())
        else:
            run.task = self._spawn(self._run(run))

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run_suspects(self) -> None:
        """Run jobs that were there when workers were lost, one by one, with nothing beside them."""
        while self._suspects and not self._stopping:
            while self._held() > len(self._suspects) and not self._stopping:
                await asyncio.sleep(0.01)
            if not self._suspects:
                return
            run = self._alone = self._suspects.pop(0)
            with contextlib.suppress(RedisError):
                if await run.source.suspect(run) and not run.over:
                    run.task = asyncio.current_task()
                    await self._run(run)
            self._alone = None
            self._event.set()

    async def _run(self, run: Run) -> None:
        """Run a job to its end, and note what became of it, whatever its handler does."""
        source, job = run.source, run.job
        try:
            envelope = Envelope.parse(job.id, source.queue, job.body)
        except JobDecodeError as error:
            return self._end(run, "quarantine", str(error))
        known = self._registry.find(envelope.name)
        version = envelope.options.get("v", 1)
        if known is None:
            return self._end(run, "park", envelope.name)
        if version > known.cls.VERSION:
            return self._end(run, "park", f"{envelope.name}@{version}")
        try:
            made = known.read(envelope.payload, version)
        except JobDecodeError as error:
            return self._end(run, "quarantine", str(error))
        ctx = JobContext(
            self._ctx,
            job_id=job.id,
            job_name=envelope.name,
            queue_name=source.queue,
            attempt=job.attempts,
            fence=1 + job.runs + envelope.options.get("f", 0),
            batch=job.batch,
            progress=self._progress,
        )
        started = perf_counter() if self._listeners else 0.0
        outcome: Outcome = "done"
        alarm = self._set_alarm(run, known.cls)
        try:
            result = await self._call(known, made, ctx)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - a handler may raise anything, and no job is lost for it
            if alarm is not None:
                alarm.cancel()
            if not run.over:
                outcome = await self._fail(run, made, ctx, error)
        else:
            if alarm is not None:
                alarm.cancel()
            if not run.over:
                self._statistics.succeeded += 1
                held = HOLDING.intersection(envelope.options)
                if not held:
                    source.settle_plain(run)
                elif held == _ONLY_A_GROUP:
                    source.settle_grouped(run, envelope.options["g"])
                else:
                    self._succeed(run, envelope, result)
                self._event.set()
        for listener in self._listeners:
            listener(ctx, outcome, perf_counter() - started)

    async def _call(self, known: KnownJob, job: Job, ctx: JobContext) -> Any:
        if self._middleware:
            step: Callable[[], Awaitable[Any]] = functools.partial(self._handle, known, job, ctx)
            for one in reversed(self._middleware):
                step = functools.partial(one, ctx, job, step)
            return await step()
        if known.is_async:
            return await job.handle(ctx)
        return await self._handle(known, job, ctx)

    async def _handle(self, known: KnownJob, job: Job, ctx: JobContext) -> Any:
        if known.is_async:
            return await job.handle(ctx)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._concurrency, "rustforge-job")
        call = functools.partial(copy_context().run, job.handle, ctx)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _set_alarm(self, run: Run, cls: type[Job]) -> asyncio.TimerHandle | None:
        seconds = self._timeout if cls.TIMEOUT is None else cls.TIMEOUT
        return None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._time_out, run)

    def _time_out(self, run: Run) -> None:
        if not run.over and run.why is None and run.task is not None:
            run.why = "timeout"
            run.task.cancel()
            asyncio.get_running_loop().call_later(_STUBBORN_SECONDS, self._give_up, run)

    def _give_up(self, run: Run) -> None:
        """Do not wait for a handler that goes on after it was cancelled."""
        if not run.over and run.job.id in run.source.runs:
            _logger.error("Job %s goes on although it was cancelled; its result will not count", run.job.id)
            self._count_failure("retry")
            run.source.settle(run, "retry", 0, "the handler went on after its time was over")
            self._event.set()

    def _succeed(self, run: Run, envelope: Envelope, result: Any) -> None:
        lifetime = envelope.options.get("rs", "")
        text = b""
        if lifetime:
            try:
                text = codec.encode(result)
            except codec.EncodeError as error:
                _logger.error("The result of job %s cannot be kept: %s", run.job.id, error)  # noqa: TRY400
                lifetime = ""
        run.source.settle(run, "done", text, lifetime)

    async def _fail(self, run: Run, job: Job, ctx: JobContext, error: BaseException) -> Outcome:
        """Decide what becomes of a run that did not end well."""
        if isinstance(error, asyncio.CancelledError) and run.why in {"cancel", "release", "lost"}:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            if run.why == "cancel":
                self._statistics.cancelled += 1
                return self._end(run, "cancelled")
            self._statistics.released += 1
            return self._end(run, "release")
        if isinstance(error, Snooze):
            return self._end(run, "snooze", error.delay_ms)
        text = self._describe(run, error)
        if isinstance(error, Abort) or not self._may_retry(job, ctx):
            ctx.logger.error("failed for good: %s", text, exc_info=error if isinstance(error, Exception) else None)
            self._count_failure("dead")
            await self._tell_failed(run, job, ctx, text)
            if run.over:
                return "dead"
            self._end(run, "dead", text)
            self._bury_soon()
            return "dead"
        ctx.logger.warning("attempt %d failed: %s", ctx.attempt + 1, text)
        self._count_failure("retry")
        return self._end(run, "retry", self._backoff(job, ctx, error), text)

    def _end(self, run: Run, outcome: Outcome, first: str | int = "", second: str = "") -> Outcome:
        if not run.over:
            run.source.settle(run, outcome, first, second)
            self._event.set()
        return outcome

    def _count_failure(self, outcome: str) -> None:
        self._statistics.failed += 1
        if outcome == "dead":
            self._statistics.dead += 1
        else:
            self._statistics.retried += 1

    @staticmethod
    def _describe(run: Run, error: BaseException) -> str:
        if run.why == "timeout" and isinstance(error, asyncio.CancelledError):
            return "TimeoutError: the job did not end in time"
        if isinstance(error, Abort):
            return str(error) or "the handler gave up"
        try:
            text = f"{type(error).__name__}: {error}"
        except Exception:  # noqa: BLE001 - the error's own __str__ may fail
            text = type(error).__name__
        return text[:_LONGEST_ERROR].replace("\0", "")

    @staticmethod
    def _may_retry(job: Job, ctx: JobContext) -> bool:
        try:
            return ctx.attempt < job.max_retries()
        except Exception:
            _logger.exception("max_retries() of %s failed; taking the default", type(job).__name__)
            return ctx.attempt < Job.max_retries(job)

    @staticmethod
    def _backoff(job: Job, ctx: JobContext, error: BaseException) -> int:
        if isinstance(error, Retry) and error.delay_ms is not None:
            return error.delay_ms
        try:
            return milliseconds(job.backoff(ctx.attempt), "backoff", allow_zero=True)
        except Exception:
            _logger.exception("backoff() of %s failed; taking the default", type(job).__name__)
            return milliseconds(Job.backoff(job, ctx.attempt))

    async def _tell_failed(self, run: Run, job: Job, ctx: JobContext, text: str) -> None:
        """Call the job's `failed`; nothing that it does keeps the job from its record."""
        task = asyncio.current_task()
        if task is not None and run.why == "timeout":
            task.uncancel()
        try:
            async with asyncio.timeout(_FAILED_SECONDS):
                await job.failed(ctx, text)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - see above
            if run.why in {"release", "lost"} and isinstance(error, asyncio.CancelledError):
                self._end(run, "release")  # it runs, and fails, again elsewhere
            ctx.logger.error("failed() raised %s: %s", type(error).__name__, error)  # noqa: TRY400

    async def _progress(self, queue: str, job_id: str, done: float, total: float | None, note: str) -> None:
        for source in self._sources:
            if source.queue == queue and job_id in source.runs:
                text = json.dumps([done, total, note])
                await self._queue.client.call("HSET", f"{source.base}:progress", job_id, text, retry=True)

    # -- dead jobs -----------------------------------------------------------------------------------------------

    def _bury_soon(self) -> None:
        if self._burying is None or self._burying.done():
            self._burying = asyncio.get_running_loop().create_task(self._bury())

    async def _bury(self) -> None:
        """Write dead jobs to SQL; they stay in Redis until that is done."""
        pause = 0.05
        while not self._stopping:
            await asyncio.sleep(pause)
            if await self._bury_once():
                return
            pause = min(pause * 2, 30.0)

    async def _bury_now(self) -> None:
        if self._statistics.dead or any(source.dead for source in self._sources):
            await self._bury_once()

    async def _bury_once(self) -> bool:
        """Write the dead jobs of all queues; return whether none is left."""
        database = getattr(self._ctx, "db", None)
        if database is None:
            return True
        from rustforge.jobs.failed import FailedJobs  # noqa: PLC0415 - it needs SQLAlchemy, an extra

        records = FailedJobs(database)
        try:
            for queue in self._queues:
                while dead := await self._queue.dead(queue):
                    await records.record(dead)
                    await self._queue.bury(queue, [one.envelope.id for one in dead])
        except Exception as error:  # noqa: BLE001 - the database may be away; the jobs are safe in Redis
            _logger.error("Failed jobs could not be stored, and stay in Redis: %s: %s", type(error).__name__, error)  # noqa: TRY400
            return False
        return True
