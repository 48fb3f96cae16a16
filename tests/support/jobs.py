"""Queues and workers of a test on one of the backends, and what must be true when the test is over."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import redis

from rustforge.clock import ManualClock
from rustforge.jobs import ConcurrencyLimit, Job, Queue, RateLimit, Worker
from rustforge.redis import RedisUrl, connect
from rustforge.redis.memory import MemoryClient
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from rustforge.jobs import JobContext

LEASE = 0.6
"""Seconds of a lease that a test waits for the end of."""


@dataclass
class Services:
    """What workers give to handlers.

    Attributes:
        queue: The queue.
        extensions: What `Play` and the tests' own handlers find in their context.
        db: The database, where a test has one.
        cache: Nothing.
        settings: Nothing.
        storage: Nothing.
    """

    queue: Queue
    extensions: dict[str, Any] = field(default_factory=dict[str, Any])
    db: Any = None
    cache: Any = None
    settings: Any = None
    storage: Any = None


class Play(Job):
    """A job that does what the test says: it calls the extension `play`, and its failure the extension `failed`."""

    NAME: ClassVar[str] = "play"

    name: str = ""
    group: str | None = None
    unique: str | None = None
    slots: tuple[str, int] | None = None
    pace: tuple[str, int, float] | None = None
    retries: int = 5
    waits: float = 0.0

    async def handle(self, ctx: JobContext) -> Any:
        """Do it."""
        return await ctx.extensions["play"](self, ctx)

    async def failed(self, ctx: JobContext, error: str) -> None:
        """Tell the test."""
        await ctx.extensions["failed"](self, ctx, error)

    def group_id(self) -> str | None:
        """Return the field."""
        return self.group

    def unique_key(self) -> str | None:
        """Return the field."""
        return self.unique

    def concurrency(self) -> ConcurrencyLimit | None:
        """Return the field."""
        return None if self.slots is None else ConcurrencyLimit(*self.slots)

    def rate(self) -> RateLimit | None:
        """Return the field."""
        return None if self.pace is None else RateLimit(*self.pace)

    def max_retries(self) -> int:
        """Return the field."""
        return self.retries

    def backoff(self, attempt: int) -> float:
        """Return the field."""
        return self.waits


class Stage:
    """Where the queues of a test live, the workers on them, and what these did.

    Attributes:
        name: `"memory"`, `"redis"` or `"cluster"`.
        url: What queues connect to.
        prefix: The test's own prefix.
        queue: The queue that tests use.
        ran: The names of the jobs of class `Play` that ran, in order.
        failures: What `failed` was called with: the job's name and the error.
        script: What `Play` does beside being noted, by the job's name or for all (`""`): a coroutine function that
            gets the job and its context, an exception to be raised, or a value to be returned.
        may_leave: What keys may end with that the test leaves on purpose.
    """

    def __init__(self, name: str, url: str, prefix: str, ports: list[int], clock: ManualClock | None = None) -> None:
        """Prepare; `open` connects."""
        self.name = name
        self.url = url
        self.prefix = prefix
        self.queue: Queue
        self.services: Services
        self.ran: list[str] = []
        self.failures: list[tuple[str, str]] = []
        self.script: dict[str, Any] = {}
        self.may_leave: tuple[str, ...] = ()
        self.clock = clock
        self._ports = ports
        self._closing: list[Queue] = []

    async def open(self) -> Stage:
        """Connect."""
        self.queue = await self.connect()
        self.services = Services(self.queue, {"play": self._play, "failed": self._failed})
        return self

    async def connect(self, **options: Any) -> Queue:
        """Open one more queue, on a connection of its own."""
        client = connect(self.url) if self.clock is None else MemoryClient(RedisUrl.parse(self.url), self.clock)
        queue = Queue(await client.open(), **{"prefix": self.prefix, **options})
        queue.owns_client = True
        self._closing.append(queue)
        return queue

    async def _play(self, job: Play, ctx: JobContext) -> Any:
        self.ran.append(job.name)
        return await _play(self.script.get(job.name, self.script.get("")), job, ctx)

    async def _failed(self, job: Play, ctx: JobContext, error: str) -> None:
        self.failures.append((job.name, error))

    def worker(self, *classes: type[Job], **options: Any) -> Worker:
        """Make a worker that knows some classes beside `Play`."""
        services = options.pop("services", self.services)
        return Worker(services, **{"lease": 30, "shutdown_timeout": 0, **options}).register(Play, *classes)

    async def work(self, *classes: type[Job], **options: Any) -> Worker:
        """Let a worker run until nothing is left that can be run now."""
        worker = self.worker(*classes, **options)
        async with asyncio.timeout(20):
            await worker.run_until_empty()
        return worker

    @contextlib.asynccontextmanager
    async def working(self, *classes: type[Job], **options: Any) -> AsyncIterator[Worker]:
        """Let a worker run within the block."""
        worker = self.worker(*classes, **options)
        async with self.running(worker):
            yield worker

    @contextlib.asynccontextmanager
    async def running(self, worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
        """Let that worker run within the block, which begins when it has its lease."""
        task = asyncio.create_task(worker.run())
        try:
            await wait_until(lambda: task.done() or (worker._sources and worker._sources[-1].epoch))
            yield task
        finally:
            worker.stop()
            async with asyncio.timeout(20):
                await task

    async def at(self, seconds: float) -> None:
        """Set the clock to so many seconds after its start, and let a worker do what is due then."""
        assert self.clock is not None
        self.clock.advance(ManualClock().time() + seconds - self.clock.time())
        await self.work()

    async def until_ran(self, count: int, seconds: float = 5.0) -> None:
        """Wait until so many runs of `Play` began."""
        await wait_until(lambda: len(self.ran) >= count, timeout=seconds)

    async def until_empty(self, queue: str = "default", seconds: float = 10.0) -> None:
        """Wait until nothing is left in a queue but dead jobs and those in quarantine."""

        async def empty() -> bool:
            return await self.queue.size(queue) == 0

        await wait_until(empty, timeout=seconds)

    async def call(self, queue: str, command: str, suffix: str, *args: Any) -> Any:
        """Send a command about one key of a queue."""
        return await self.queue.client.call(command, f"{self.queue.bases(queue)[0]}:{suffix}", *args)

    async def keys(self) -> list[str]:
        """List the keys of the test's queues that would stay for ever."""
        found: list[str] = []
        async for part in self.queue.client.scan(f"{self.prefix}~*".encode()):
            found += [key.decode() for key in part if await self.queue.client.call("PTTL", key) == -1]
        return sorted(set(found))

    async def close(self) -> None:
        """Close all queues; fail where a task or a key of nobody is left."""
        keeper = self._closing[0]
        left: list[str] = []
        try:
            for queue in self._closing[1:]:
                await queue.aclose()
            owns, keeper.owns_client = keeper.owns_client, False
            await keeper.aclose()  # its batches are known to have arrived now
            keeper.owns_client = owns
            left = [key for key in await self.keys() if not key.endswith(self.may_leave or ("never",))]
        finally:
            await keeper.aclose()
            for port in self._ports:
                _client(port).flushall()
        tasks = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("rustforge-")]
        assert tasks == [], f"tasks that went on: {tasks}"
        assert left == [], f"keys of jobs that nobody has: {left[:10]}"


class Gate:
    """A part for `Stage.script` that waits to be let through.

    Attributes:
        entered: How many wait or have passed.
        inside: How many are between entry and exit now.
        most: The most that were inside at once.
    """

    def __init__(self, *, then: Any = None) -> None:
        """Start closed; `then` is returned, or raised."""
        self.entered = 0
        self.inside = 0
        self.most = 0
        self._then = then
        self._open = asyncio.Event()

    def open(self) -> None:
        """Let all through."""
        self._open.set()

    async def __call__(self, job: Play, ctx: JobContext) -> Any:
        """Wait."""
        self.entered += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self._open.wait()
        finally:
            self.inside -= 1
        if isinstance(self._then, BaseException):
            raise self._then
        return self._then

    async def wait(self, count: int = 1) -> None:
        """Wait until so many have entered."""
        await wait_until(lambda: self.entered >= count)


def once(*parts: Any) -> Callable[[Play, JobContext], Awaitable[Any]]:
    """Make a part that plays one part after the other, one for each run, and the last one from then on."""
    left = list(parts)

    async def play(job: Play, ctx: JobContext) -> Any:
        return await _play(left.pop(0) if len(left) > 1 else left[0], job, ctx)

    return play


async def _play(part: Any, job: Play, ctx: JobContext) -> Any:
    if isinstance(part, BaseException):
        raise part
    return await part(job, ctx) if callable(part) else part


@functools.cache
def _client(port: int) -> redis.Redis:
    """Keep one connection to each server of the session."""
    return redis.Redis(port=port)
