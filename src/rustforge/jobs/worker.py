"""Run jobs: claim them under a lease, call their handlers, settle what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
from typing import TYPE_CHECKING, Any, Self

from rustforge.clock import milliseconds
from rustforge.errors import InvalidArgumentError, InvalidTypeError, RedisClosedError, RedisError
from rustforge.jobs.dead_letters import DeadLetters, database_of
from rustforge.jobs.heartbeat import Heartbeat
from rustforge.jobs.registry import JobRegistry
from rustforge.jobs.runner import Middleware, Runner, WorkerStatistics
from rustforge.jobs.signals import on_stop_signals
from rustforge.jobs.source import Claimed, LeaseLost, Run, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rustforge.jobs.job import Job, JobContext, WorkerContext
    from rustforge.jobs.queue import Queue
    from rustforge.jobs.source import Outcome
    from rustforge.types import Duration

__all__ = ["Worker"]

_logger = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_LONGEST_PAUSE = 2.0
_STUBBORN_SECONDS = 5.0


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
            lease: How long the worker may be silent before others take over its jobs; it is renewed every third of
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
        if type(concurrency) is not int or concurrency < 1:
            msg = f"concurrency must be an int of at least 1, not {concurrency!r}"
            raise InvalidArgumentError(msg)
        self._ctx = ctx
        self._queue: Queue = ctx.queue
        self._registry = JobRegistry.of(registry)
        self._concurrency = concurrency
        self._lease_ms = milliseconds(lease, "lease")
        self._max_recoveries = max_recoveries
        self._alone_from = max(1, min(2, max_recoveries))
        self._patience = milliseconds(shutdown_timeout, "shutdown_timeout", allow_zero=True) / 1000
        self._queues = tuple(dict.fromkeys(queues))
        self._sources: list[Source] = []
        self._heart: Heartbeat | None = None
        self._event = asyncio.Event()
        self._stopping = False
        self._hurry = False
        self._alone: Run | None = None
        self._suspects: list[Run] = []
        self._certain = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._until_empty = False
        self._sweeping: asyncio.Task[None] | None = None
        self._letters = DeadLetters(ctx, self._queues)
        self._letters_due = False
        self._runner = Runner(
            ctx,
            self._registry,
            concurrency=concurrency,
            timeout=None if timeout is None else milliseconds(timeout, "timeout") / 1000,
            middleware=tuple(middleware),
            progress=self._progress,
            ended=self._ended,
        )

    def register(self, *classes: type[Job]) -> Self:
        """Add jobs that the worker can run; return the worker.

        Raises:
            ConfigurationError: One is not a job class, has no `NAME` or `handle`, or the name of another.
        """
        self._registry.add(*classes)
        return self

    def statistics(self) -> WorkerStatistics:
        """Return the counters; they go on counting."""
        statistics = self._runner.statistics
        statistics.fenced = sum(source.fenced for source in self._sources)
        statistics.running = self._held()
        return statistics

    def on_outcome(self, listener: Callable[[JobContext, Outcome, float], None]) -> None:
        """Hear of every run that ended.

        Args:
            listener: Called with the context, what became of the job (`"done"`, `"retry"`, `"dead"`, `"snooze"`,
                `"cancelled"`, `"release"`), and the seconds that the handler took.
        """
        self._runner.listeners.append(listener)

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until `stop` is called, or SIGTERM or SIGINT comes; a second signal does not wait for running jobs.

        Raises:
            RedisConnectionError: Redis cannot be reached at the start. Later outages are waited out.
        """
        with on_stop_signals(self.stop):
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
        """End `run`.

        It takes no more jobs, gives the running ones `shutdown_timeout` to end, and gives the others back. Called
        again, it gives them back at once.
        """
        self._hurry = self._hurry or self._stopping
        self._stopping = True
        self._event.set()

    async def _live(self) -> None:
        client = self._queue.client
        self._stopping = self._hurry = self._certain = False
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
                source.renewed = functools.partial(self._heart.epochs.__setitem__, source.base)
                self._heart.epochs[source.base] = await source.register(self._lease_ms)
            self._heart.start()
            self._sweeping = self._sweep_outbox()
            _logger.info("Working on %s with %d job classes", ", ".join(self._queues), len(self._registry))
            await self._pump()
        finally:
            client.remove_listener(self._hear)
            await self._shut_down()

    async def _shut_down(self) -> None:
        """Whatever happened, settle what ended, give back the rest and the leases, and leave no task and no thread."""
        assert self._heart is not None  # noqa: S101 - made before
        for source in self._sources:
            for run in source.runs.values():
                if not run.over and run.task is not None:
                    run.why = "release"
                    run.task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STUBBORN_SECONDS)
        for source in self._sources:
            try:
                while source.unsettled and source.epoch is not None:
                    await source.exchange(0)
                await source.leave()
            except (LeaseLost, RedisError) as error:
                _logger.warning("Redis could not be told what became of the last jobs of %s: %s", source.base, error)
            for run in source.runs.values():
                run.over = True
        await self._heart.stop()
        await self._letters.aclose()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
        self._runner.close()

    def _sweep_outbox(self) -> asyncio.Task[None] | None:
        """Bring what is left in the outbox, every few seconds, where there is a database."""
        if self._until_empty or database_of(self._ctx) is None:
            return None
        from rustforge.jobs.outbox import OutboxFlusher  # noqa: PLC0415 - it needs SQLAlchemy, an extra

        return asyncio.get_running_loop().create_task(OutboxFlusher(self._ctx).run())

    # -- the pump ------------------------------------------------------------------------------------------------

    def _held(self) -> int:
        return sum(len(source.runs) for source in self._sources)

    async def _pump(self) -> None:
        """Exchange outcomes for jobs until it is time to stop."""
        pause = 0.0
        while True:
            self._event.clear()
            try:
                progressed = await self._round()
            except LeaseLost as lost:
                self._lose_epoch(str(lost))
            except RedisClosedError:
                raise
            except RedisError as error:
                pause = min(pause * 2 or 0.05, _LONGEST_PAUSE)
                _logger.warning("Redis does not serve the worker; trying again in %.2g s: %s", pause, error)
                if self._stopping:
                    return
                await asyncio.sleep(pause)
            else:
                pause = 0.0
                if not progressed and await self._rest():
                    return

    async def _round(self) -> bool:
        """Do once whatever can be done; return whether there was anything."""
        progressed, first = False, None
        for source in self._sources:  # while a queue has plenty, nothing is taken from those after it
            may_claim = first is None or first == source.queue
            progressed = await self._serve(source, may_claim=may_claim) or progressed
            first = first or (source.queue if source.plentiful else None)
        return await self._serve_suspect() or progressed

    async def _rest(self) -> bool:
        """With nothing to do, wait until there is; return whether the work is at its end."""
        if self._letters_due:  # all of them are settled by now
            self._letters_due = False
            self._letters.record_soon()
        if self._stopping:
            await self._wind_up()
            return True
        if self._until_empty and not self._busy():
            if not self._certain:
                await self._look_around()
                return False
            await self._letters.record()
            return True
        try:
            await asyncio.wait_for(self._event.wait(), None if self._queue.client.tracking else _POLL_SECONDS)
        except TimeoutError:
            for source in self._sources:
                source.promising = True
        return False

    async def _look_around(self) -> None:
        """Ask once more before the end: notices of work that the last jobs left may still be on their way."""
        self._certain = True
        for source in self._sources:
            source.promising = True
            with contextlib.suppress(RedisError):
                source.parked = {name for name in await source.names_parked() if self._registry.knows(name)}

    def _busy(self) -> bool:
        return bool(self._held() or any(source.promising or source.parked for source in self._sources))

    async def _serve(self, source: Source, *, may_claim: bool = True) -> bool:
        """Do what can be done for one shard; return whether there was anything."""
        if source.epoch is None:
            if self._stopping:
                return False
            assert self._heart is not None  # noqa: S101 - made before
            self._heart.epochs[source.base] = await source.register(self._lease_ms)
        busy = self._stopping or self._alone or self._suspects
        free = 0 if busy or not may_claim else self._concurrency - sum(one.running for one in self._sources)
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
            if answer[4]:
                self._letters.record_soon()
            if not self._stopping and (answer[2] or answer[3] == 0 or source.parked):
                source.look_again()
            elif answer[3] > 0:
                source.look_again_in(answer[3])

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
                held = len(source.runs)  # also those that ended, and that Redis was not told of
                lost = source.forfeit()
                if held:
                    _logger.warning("The lease on %s was lost; %d jobs run elsewhere now", base, held)
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
        self._runner.statistics.claimed += 1
        self._certain = False
        run = source.runs[job.id] = Run(source, job)
        if job.recoveries >= self._alone_from:
            self._suspects.append(run)
        else:
            self._spawn(run)

    def _spawn(self, run: Run) -> None:
        run.task = asyncio.get_running_loop().create_task(self._runner.run(run))
        self._tasks.add(run.task)
        run.task.add_done_callback(self._tasks.discard)

    async def _serve_suspect(self) -> bool:
        """Run the next job that waits to run alone, if nothing else runs; return whether it could."""
        if self._alone is not None and self._alone.job.id not in self._alone.source.runs:
            self._alone = None
        if not self._suspects or self._alone is not None or self._held() > len(self._suspects):
            return False
        run = self._suspects[0]
        there = await run.source.suspect(run)
        if run not in self._suspects:
            return True  # its lease was lost meanwhile
        self._suspects.remove(run)
        if there:
            self._alone = run
            self._spawn(run)
        else:
            del run.source.runs[run.job.id]
        return True

    async def _progress(self, queue: str, job_id: str, done: float, total: float | None, note: str) -> None:
        for source in self._sources:
            if source.queue == queue and job_id in source.runs:
                text = json.dumps([done, total, note])
                await self._queue.client.call("HSET", f"{source.base}:progress", job_id, text, retry=True)

    def _ended(self, dead: bool) -> None:  # noqa: FBT001
        self._event.set()
        if dead:
            self._letters_due = True
