"""Travel in time: queues, a cache and a database in this process, whose clock a test moves."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rustforge.boot import LazyDatabase, LazyStorage
from rustforge.clock import SYSTEM_CLOCK, ManualClock, milliseconds
from rustforge.errors import InvalidArgumentError
from rustforge.jobs.registry import JobRegistry
from rustforge.testing.context import open_context
from rustforge.testing.work import next_due, queues_of, run_until_empty

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from rustforge.boot import BootContext
    from rustforge.jobs.job import Job
    from rustforge.jobs.scheduler import Scheduler
    from rustforge.settings import Settings
    from rustforge.types import Duration

__all__ = ["TimeTraveler", "time_travel"]


class TimeTraveler:
    """A context whose time stands still until it is moved.

    Attributes:
        ctx: Settings, cache, queue and database, as `boot` gives them.
        clock: Their clock. Moving it runs nothing by itself.
    """

    def __init__(self, ctx: BootContext, clock: ManualClock) -> None:
        """Take both; [`time_travel`][rustforge.testing.time_travel] makes them."""
        self.ctx = ctx
        self.clock = clock
        self._registry = JobRegistry()
        self._schedulers: list[Scheduler] = []

    @property
    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self.clock.time(), UTC)

    def register(self, *classes: type[Job]) -> None:
        """Add jobs that are run on the way; others wait."""
        self._registry.add(*classes)

    async def follow(self, scheduler: Scheduler) -> None:
        """Fire the entries of a scheduler on the way; they begin now."""
        self._schedulers.append(scheduler)
        await scheduler.tick()

    async def work(self) -> None:
        """Run what can be run now."""
        await run_until_empty(self.ctx, self._registry)

    async def travel(self, duration: Duration) -> None:
        """Let time pass: whatever falls due on the way is fired or run at its instant, in order.

        Args:
            duration: Seconds as a number, or a `timedelta`.
        """
        await self._go(self.clock.time() + milliseconds(duration, "duration") / 1000)

    async def travel_to(self, moment: datetime) -> None:
        """Let time pass until a moment; see `travel`.

        Args:
            moment: A moment with a time zone, not before `now`.

        Raises:
            InvalidArgumentError: It has no time zone, or is in the past.
        """
        if moment.tzinfo is None or moment < self.now:
            msg = f"the moment must have a time zone and not lie before {self.now:%Y-%m-%d %H:%M:%S %Z}: {moment}"
            raise InvalidArgumentError(msg)
        await self._go(moment.timestamp())

    async def _go(self, end: float) -> None:
        await self.work()
        while (due := await self._next()) is not None and due <= end:
            self.clock.advance(max(due - self.clock.time(), 0.0))
            for scheduler in self._schedulers:
                await scheduler.tick()
            await self.work()
        self.clock.advance(max(end - self.clock.time(), 0.0))

    async def _next(self) -> float | None:
        """Return when something is due next: a delayed job, or an entry of a scheduler."""
        due = await next_due(self.ctx.queue, await queues_of(self.ctx.queue, self._registry))
        found = [] if due is None else [due]
        for scheduler in self._schedulers:
            found += [entry.next.timestamp() for entry in await scheduler.entries()]
        return min(found, default=None)


@asynccontextmanager
async def time_travel(
    start: datetime | None = None,
    *,
    settings: Settings | None = None,
    extensions: Mapping[str, Any] | None = None,
    registry: JobRegistry | Iterable[type[Job]] = (),
) -> AsyncGenerator[TimeTraveler]:
    """Open a context in this process whose clock stands still until the test moves it.

    Args:
        start: The time at which it stands; `None` for now.
        settings: The settings that handlers see, except for the addresses, which are the test's own.
        extensions: Services of the application by name.
        registry: The jobs that are run on the way.

    Yields:
        The traveler.

    Example:
        ```python
        async with time_travel(registry=[SendReminder]) as time:
            await SendReminder(order_id=7).dispatch(time.ctx.queue, delay=timedelta(days=3))
            await time.travel(timedelta(days=3))
            assert outbox == ["reminder for order 7"]
        ```
    """
    moment = SYSTEM_CLOCK.time() if start is None else start.timestamp()
    clock = ManualClock(round(moment, 3))
    # A file, as a database in memory goes with its connection, such as one that was cancelled in the middle.
    with TemporaryDirectory(prefix="rustforge-", ignore_cleanup_errors=True) as folder:
        async with open_context(
            settings=settings,
            extensions=extensions,
            clock=clock,
            database=lambda queue: LazyDatabase(f"sqlite+aiosqlite:///{folder}/test.db", queue, migrate=True),
            storage=LazyStorage("memory://", clock=clock),
        ) as ctx:
            traveler = TimeTraveler(ctx, clock)
            traveler.register(*JobRegistry.of(registry))
            yield traveler
