"""Enqueue jobs at given times, each instant once, whatever the number of schedulers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import logging
import typing
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, cast
from zoneinfo import ZoneInfo

from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.errors import InvalidArgumentError, InvalidTypeError, RedisClosedError, RedisError
from rustforge.jobs.cron import Cron, Every
from rustforge.jobs.envelope import Envelope
from rustforge.jobs.job import Job, envelope_of
from rustforge.jobs.scripts import load
from rustforge.jobs.signals import on_stop_signals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rustforge.jobs.cron import Schedule
    from rustforge.jobs.queue import Queue
    from rustforge.types import Duration

__all__ = ["CatchUp", "Entry", "EntryStatus", "JobSource", "Scheduler"]

_logger = logging.getLogger(__name__)

CatchUp: TypeAlias = Literal["skip", "once", "all"]
"""What becomes of instants that nobody fired in time."""

JobSource: TypeAlias = "Job | type[Job] | Callable[[datetime], Job | Awaitable[Job]]"
"""A job, a class of jobs without required fields, or a function that makes the job of an instant."""

_CRON = load("cron")
_RESYNC_SECONDS = 60.0
_LONGEST_PAUSE = 5.0
_LONGEST_NAME = 200
_AT_ONCE = 1000
_BACKWARDS_MS = 60_000
_POLICIES = ("skip", "once", "all")


@dataclass(frozen=True, slots=True)
class EntryStatus:
    """How an entry stands.

    Attributes:
        name: Its name.
        schedule: When it fires, in words.
        job: The job's `NAME`, or the name of the function that makes it.
        last: Its last instant, fired or passed over; the time at which it was first seen where there was none yet.
        next: Its next instant, in the time zone of the entry.
    """

    name: str
    schedule: str
    job: str
    last: datetime
    next: datetime


class Entry:
    """What a scheduler fires, and under which conditions; made by `Scheduler.cron` and `Scheduler.every`.

    Each method returns the entry, so that they can be chained:

    Example:
        ```python
        scheduler.cron("0 8 * * mon-fri", SendDigest()).when(is_enabled).without_overlapping(3600)
        ```
    """

    def __init__(self, queue: Queue, schedule: Schedule, job: JobSource, zone: tzinfo) -> None:
        """Keep what is given; the scheduler makes entries."""
        self.schedule: Schedule = schedule
        self._queue = queue
        self._zone = zone
        self._predicates: list[Callable[[], bool | Awaitable[bool]]] = []
        self._overlap: int | None = None
        self._policy: CatchUp = "skip"
        self._grace = 60_000
        self._limit = 100
        self.last: int | None = None
        self._job = _job_of(job)
        self._make = cast("Callable[[datetime], Job | Awaitable[Job]]", job)
        if self._job is not None:
            self._shard = envelope_of(self._job, hooked=False)
            queue.require_fits(self._shard)
        elif callable(job):
            name = getattr(job, "__qualname__", type(job).__qualname__)
            self._shard = Envelope("", _queue_of(self._make), f"{job.__module__}.{name}", b"")
        else:
            msg = f"job must be a Job, or a function that takes the instant and makes one, not {type(job).__name__}"
            raise InvalidTypeError(msg)
        self.job_name: str = self._shard.name
        parts = (str(schedule).encode(), self.job_name.encode(), self._shard.payload)
        digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
        self.name: str = f"{self.job_name[:80]} {str(schedule)[:80]} {digest[:8]}"

    def named(self, name: str) -> Self:
        """Give the entry a name, by which all processes know it.

        Without this it is made from the times, the job's name and its fields, so an entry that changes is a new one:
        it begins anew, and what the old one missed is forgotten.

        Raises:
            InvalidArgumentError: The name is empty or longer than 200 characters.
        """
        if not isinstance(name, str):
            msg = f"the name of an entry must be a str, not {type(name).__name__}"
            raise InvalidTypeError(msg)
        if not 0 < len(name) <= _LONGEST_NAME:
            msg = f"the name of an entry must have 1 to {_LONGEST_NAME} characters, not {len(name)}"
            raise InvalidArgumentError(msg)
        self.name = name
        return self

    def when(self, predicate: Callable[[], bool | Awaitable[bool]]) -> Self:
        """Fire only where a predicate agrees; it is asked at each instant, and the first scheduler's answer counts.

        Args:
            predicate: A function or coroutine function without arguments. One that raises is logged, and the instant
                is passed over. Of several, all must agree.
        """
        self._predicates.append(predicate)
        return self

    def without_overlapping(self, ttl: Duration) -> Self:
        """Pass an instant over while the job of an earlier one is not finished, however that ends.

        A job with a `unique_key` of its own keeps it, so that this key decides.

        Args:
            ttl: Seconds, or a `timedelta`, after which an earlier job is no longer waited for.
        """
        self._overlap = milliseconds(ttl)
        return self

    def catch_up(self, policy: CatchUp, *, grace: Duration = 60, limit: int = 100) -> Self:
        """Say what becomes of instants that no scheduler was there for.

        Without this it is `"skip"` with a grace of 60 seconds.

        Args:
            policy: `"skip"` passes them over, `"once"` fires the last of them unless a later one is on time, `"all"`
                fires each of them in order.
            grace: How late an instant still is on time, in seconds or as a `timedelta`.
            limit: How many `"all"` fires at most; the newest.

        Raises:
            InvalidArgumentError: There is no such policy, or the limit is not positive.
        """
        if policy not in _POLICIES:
            msg = f"policy must be 'skip', 'once' or 'all', not {policy!r}"
            raise InvalidArgumentError(msg)
        if type(limit) is not int or limit < 1:
            msg = f"limit must be an int of at least 1, not {limit!r}"
            raise InvalidArgumentError(msg)
        self._policy, self._grace, self._limit = policy, milliseconds(grace, "grace", allow_zero=True), limit
        return self

    # -- for the scheduler -----------------------------------------------------------------------------------------

    @property
    def home(self) -> str:
        """The base of the keys where the entry's last instant is kept."""
        return self.base_of(self._shard)

    @property
    def bound(self) -> int | None:
        """The greatest lateness in milliseconds at which an instant is fired at all."""
        return self._grace if self._policy == "skip" else None

    def base_of(self, envelope: Envelope) -> str:
        """Return the base of a job's keys: jobs that need no certain shard share the entry's."""
        return self._queue.base_of(
            Envelope(self.name, envelope.queue, envelope.name, b"", {**envelope.options, **self._extra(envelope)})
        )

    def due(self, last: int, now: int) -> tuple[int | None, list[int]]:
        """Return the last of the instants that are passed over, if any, and those that are to be fired, in order."""
        begin = now - self._grace - 1
        on_time = _oldest(self.schedule, max(last, begin), now)
        late = self.schedule.latest(last, begin) if last < begin else None
        if late is None:
            return None, on_time
        if self._policy == "once" and not on_time:
            return None, [late]
        if self._policy == "all":
            found = _newest(self.schedule, last, begin, self._limit)
            passed = self.schedule.latest(last, found[0] - 1)
            if passed is not None:
                _logger.warning(
                    "Entry %r missed more instants than %d; the older ones are lost", self.name, self._limit
                )
            return passed, found + on_time
        return late, on_time

    async def wanted(self) -> bool:
        """Ask the predicates."""
        try:
            for predicate in self._predicates:
                answer = predicate()
                if not (await answer if inspect.isawaitable(answer) else answer):
                    return False
        except Exception:
            _logger.exception("The condition of entry %r failed; this instant is passed over", self.name)
            return False
        return True

    async def write(self, instant: int) -> Envelope | None:
        """Make the job of an instant; `None` where that failed."""
        try:
            job = self._job
            if job is None:
                made = self._make(self.show(instant))
                job = await made if inspect.isawaitable(made) else made
            envelope = envelope_of(job, job_id=_id_of(self.name, instant))
            envelope.options.update(self._extra(envelope))
            self._queue.require_fits(envelope)
        except Exception:
            _logger.exception("Entry %r could not make its job; this instant is passed over", self.name)
            return None
        return envelope

    def show(self, instant: int) -> datetime:
        """Write an instant in the entry's time zone."""
        return datetime.fromtimestamp(instant / 1000, self._zone)

    def _extra(self, envelope: Envelope) -> dict[str, Any]:
        """Return the options that the entry adds to its jobs'."""
        if self._overlap is None:
            return {}
        return {"u": envelope.options.get("u", f"cron:{self.name}"), "ul": self._overlap}


class Scheduler:
    """Fires entries: each instant of each entry once, whatever the number of schedulers in whatever processes.

    Only the clock of Redis counts, and an instant is remembered in the same step in which its job is enqueued. So
    nothing is lost or doubled when schedulers start, stop, die or have wrong clocks. Any process may run one, each
    worker's for instance.

    Example:
        ```python
        scheduler = Scheduler(ctx.queue, timezone="Europe/Berlin")
        scheduler.cron("0 3 * * *", PruneDrafts())
        scheduler.every(30, CheckFeeds()).without_overlapping(600)
        await scheduler.run()
        ```
    """

    def __init__(self, queue: Queue, *, timezone: str = "UTC") -> None:
        """Make a scheduler without entries.

        Args:
            queue: Where jobs are enqueued.
            timezone: The time zone of expressions that name none.
        """
        self._queue = queue
        self._timezone = timezone
        self._entries: list[Entry] = []
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] | None = None
        self._ahead = 0.0
        self._asked = float("-inf")
        self._down = False

    # -- entries ---------------------------------------------------------------------------------------------------

    def cron(self, expression: str, job: JobSource, timezone: str | None = None) -> Entry:
        """Add an entry that fires by a cron expression.

        Args:
            expression: Five fields, or six with the second in front; see [`Cron`][rustforge.jobs.cron.Cron].
            job: A job; or a function, or coroutine function, that gets the instant and returns the job.
            timezone: The zone whose clock the expression means; `None` takes the scheduler's.

        Raises:
            InvalidArgumentError: The expression or the zone is not understood, or the expression never fires.
            JobEncodeError: The job is not JSON, or too large.
        """
        zone = self._timezone if timezone is None else timezone
        return self._add(Cron(expression, zone), job, ZoneInfo(zone))

    def every(self, interval: Duration, job: JobSource) -> Entry:
        """Add an entry that fires at a fixed interval, counted from 1970-01-01 UTC.

        Args:
            interval: Seconds, or a `timedelta`; at least 0.1 seconds.
            job: As for `cron`.

        Raises:
            InvalidArgumentError: The interval is too short or too long.
            JobEncodeError: The job is not JSON, or too large.
        """
        return self._add(Every(interval), job, UTC)

    async def entries(self) -> list[EntryStatus]:
        """List the entries with their next instants.

        Raises:
            InvalidArgumentError: Two entries have the same name.
            RedisError: Redis could not be asked.
        """
        self._require_names()
        found: list[EntryStatus] = []
        for entry in tuple(self._entries):
            now, last, _ = await self._ask(entry, entry.home)
            following = entry.schedule.next(max(now, last))
            found.append(
                EntryStatus(entry.name, str(entry.schedule), entry.job_name, entry.show(last), entry.show(following))
            )
        return found

    def _add(self, schedule: Schedule, job: JobSource, zone: tzinfo) -> Entry:
        entry = Entry(self._queue, schedule, job, zone)
        self._entries.append(entry)
        if self._tasks is not None:
            self._start(entry)
        return entry

    def _require_names(self) -> None:
        seen: set[str] = set()
        for entry in self._entries:
            if entry.name in seen:
                msg = (
                    f"two entries have the name {entry.name!r}, so only one would fire; name one of them with .named()"
                )
                raise InvalidArgumentError(msg)
            seen.add(entry.name)

    # -- firing ----------------------------------------------------------------------------------------------------

    async def tick(self) -> list[str]:
        """Fire what is due now, once; for tests, and for programs that keep time themselves.

        An entry begins with the first tick that sees it.

        Returns:
            The ids of the jobs that this call enqueued.

        Raises:
            InvalidArgumentError: Two entries have the same name.
            RedisError: Redis could not be asked.
        """
        self._require_names()
        found = await asyncio.gather(*[self._advance(entry) for entry in self._entries], return_exceptions=True)
        fired: list[str] = []
        for one in found:
            if isinstance(one, BaseException):
                raise one
            fired += one[1]
        return fired

    async def run(self) -> None:
        """Fire until `stop` is called, SIGTERM or SIGINT comes, or the task is cancelled.

        When Redis cannot be reached it is tried again, and what was missed is caught up with as each entry says.

        Raises:
            InvalidArgumentError: Two entries have the same name, or the scheduler runs already.
            RedisClosedError: The queue was closed.
        """
        self._require_names()
        if self._tasks is not None:
            msg = "this scheduler runs already; make another one to run two"
            raise InvalidArgumentError(msg)
        self._stop.clear()
        tasks: set[asyncio.Task[None]] = set()
        self._tasks = tasks
        try:
            with on_stop_signals(self.stop):
                for entry in self._entries:
                    self._start(entry)
                await self._stop.wait()
        finally:
            self._tasks = None
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    def stop(self) -> None:
        """Let `run` return."""
        self._stop.set()

    def _start(self, entry: Entry) -> None:
        """Follow an entry in a task of its own, so that a slow condition holds up no other."""
        assert self._tasks is not None  # noqa: S101 - only while it runs
        self._tasks.add(asyncio.create_task(self._follow(entry), name=f"rustforge-scheduler {entry.name}"))

    async def _follow(self, entry: Entry) -> None:
        pause = 0.05
        while True:
            try:
                following, _ = await self._advance(entry)
            except RedisClosedError:
                self._stop.set()
                raise
            except RedisError as error:
                if not self._down:
                    self._down = True
                    _logger.warning("The scheduler cannot reach Redis and tries again: %s", error)
            except Exception:
                _logger.exception("Entry %r failed and is tried again", entry.name)
            else:
                self._down, pause = False, 0.05
                await self._sleep_until(following)
                continue
            pause = min(pause * 2, _LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _sleep_until(self, instant: int) -> None:
        """Sleep until then by the clock of Redis, as far as it is known, or until it must be asked again."""
        while True:
            now = SYSTEM_CLOCK.monotonic()
            left = min((instant - self._ahead) / 1000 - now, self._asked + _RESYNC_SECONDS - now)
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def _advance(self, entry: Entry) -> tuple[int, list[str]]:
        """Fire what is due of one entry; return its next instant and the ids of the jobs."""
        now, last, _ = await self._ask(entry, entry.home)
        if last - now > _BACKWARDS_MS:
            _logger.warning(
                "Entry %r waits until %s, its last instant: the clock of Redis has gone back",
                entry.name,
                entry.show(last),
            )
        passed, due = entry.due(last, now)
        if passed is not None:
            _, last, _ = await self._ask(entry, entry.home, passed)
        fired: list[str] = []
        for instant in due:
            if instant <= last:  # another scheduler was faster
                continue
            envelope = await entry.write(instant) if await entry.wanted() else None
            base = entry.home if envelope is None else entry.base_of(envelope)
            _, reached, standing = await self._ask(entry, base, instant, envelope)
            if base != entry.home:  # a job that lives elsewhere: there it is enqueued once, and here we learn of it
                _, reached, _ = await self._ask(entry, entry.home, instant)
            last = reached
            if envelope is not None and standing == envelope.id:
                fired.append(standing)
            elif standing:
                _logger.info("Entry %r passed an instant over: job %s is not finished", entry.name, standing)
        return entry.schedule.next(max(last, due[-1] if due else now)), fired

    async def _ask(
        self, entry: Entry, base: str, instant: int | None = None, envelope: Envelope | None = None
    ) -> tuple[int, int, str]:
        """Run the script: return the server's time, the entry's last instant and the id of the job that stands."""
        home = base == entry.home
        known = entry.last if home else (instant or 1) - 1
        bound = entry.bound
        args = [
            entry.name,
            "" if known is None else known,
            "" if instant is None else instant,
            "" if bound is None else bound,
            "" if envelope is None else envelope.id,
            b"" if envelope is None else envelope.body,
        ]
        self._asked = SYSTEM_CLOCK.monotonic()
        now, last, standing = await self._queue.client.run(_CRON, [base], args, retry=True)
        self._ahead = now - SYSTEM_CLOCK.monotonic() * 1000
        if home:
            entry.last = last
        return now, last, standing.decode()


def _job_of(source: object) -> Job | None:
    """Return the job that is one already, or needs no fields."""
    if isinstance(source, type) and issubclass(source, Job):
        return source()
    return source if isinstance(source, Job) else None


def _oldest(schedule: Schedule, after: int, until: int) -> list[int]:
    """List the first instants of a span, as many as are fired at once."""
    found: list[int] = []
    while len(found) < _AT_ONCE and (after := schedule.next(after)) <= until:
        found.append(after)
    return found


def _newest(schedule: Schedule, after: int, until: int, limit: int) -> list[int]:
    """List the last instants of a span, of which there is at least one, without walking through all of it."""
    span = 1000
    while True:
        begin = instant = max(after, until - span)
        found: deque[int] = deque(maxlen=limit)
        while (instant := schedule.next(instant)) <= until:
            found.append(instant)
        if len(found) == limit or begin == after:
            return list(found)
        span *= 2


def _id_of(name: str, instant: int) -> str:
    """Make the id of an entry's job at an instant, the same in all processes."""
    return f"{instant:011x}{hashlib.sha256(f'{name} {instant}'.encode()).hexdigest()[:13]}"


def _queue_of(function: Callable[..., Any]) -> str:
    """Guess the queue of the jobs that a function makes from what it says to return."""
    with contextlib.suppress(Exception):  # a name that cannot be resolved here
        found = typing.get_type_hints(function).get("return")
        if isinstance(found, type) and issubclass(found, Job):
            return found.QUEUE
    return Job.QUEUE
