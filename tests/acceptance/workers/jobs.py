"""Jobs of the crash sweep and the chaos run, and the processes that enqueue and run them.

Started as a program it is a nursery: for each order on its input, a line of JSON, it forks a child that carries it out,
so that a process to be killed costs milliseconds. It answers with a line of JSON each: the child's process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import random
import signal
import sys
import time
import traceback
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from rustforge.db import Database
from rustforge.errors import RedisError
from rustforge.jobs import ConcurrencyLimit, Job, Queue, Retry, Scheduler, Snooze, Worker
from rustforge.jobs.job import envelope_of
from rustforge.jobs.outbox import JobBuffer, OutboxFlusher
from tests.acceptance.jobs.history import Log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from rustforge.jobs import JobContext

LEASE = 0.6
TOLD = "CREATE TABLE told (id TEXT)"
"""The table that `failed()` writes to."""
_AWAY = (SQLAlchemyError, OSError)


class Step(Job):
    """A job that does what its payload says, and notes it."""

    NAME: ClassVar[str] = "step"
    seq: int = 0
    group: str | None = None
    unique: str | None = None
    slot: str | None = None
    retries: int = 2
    waits: float = 0.03
    fails: int = 0
    snoozes: int = 0
    takes: float = 0.0
    tells: int = 0

    async def handle(self, ctx: JobContext) -> None:
        """Note the start, take the time, note the end."""
        log: Log = ctx.extensions["log"]
        log.note(
            "started",
            id=ctx.job_id,
            attempt=ctx.attempt,
            fence=ctx.fence,
            worker=f"{os.getpid()}:{ctx.extensions.get('worker', '')}",
        )
        try:
            await asyncio.sleep(self.takes)
        except asyncio.CancelledError:
            log.note("ended", id=ctx.job_id, fence=ctx.fence, outcome="stopped")
            raise
        if ctx.fence <= self.snoozes:
            log.note("ended", id=ctx.job_id, fence=ctx.fence, outcome="snooze")
            raise Snooze(self.waits)
        if ctx.attempt < self.fails:
            last = ctx.attempt >= self.retries
            log.note(
                "ended", id=ctx.job_id, fence=ctx.fence, outcome="dead" if last else "retry", delay=self.backoff(0)
            )
            raise Retry(reason="as planned")
        log.note("ended", id=ctx.job_id, fence=ctx.fence, outcome="done")

    async def failed(self, ctx: JobContext, error: str) -> None:
        """Note it, and tell the database; where it is away try again, up to `tells` times."""
        log: Log = ctx.extensions["log"]
        log.note("failed", id=ctx.job_id)
        for left in reversed(range(self.tells)):
            try:
                async with ctx.db.transaction() as session:
                    await session.execute(text("INSERT INTO told VALUES (:id)"), {"id": ctx.job_id})
            except _AWAY:
                log.note("refused", id=ctx.job_id)
                if not left:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    def group_id(self) -> str | None:
        """Return the field."""
        return self.group

    def unique_key(self) -> str | None:
        """Return the field."""
        return self.unique

    def concurrency(self) -> ConcurrencyLimit | None:
        """Return the field."""
        return None if self.slot is None else ConcurrencyLimit(self.slot, 1)

    def max_retries(self) -> int:
        """Return the field."""
        return self.retries

    def backoff(self, attempt: int) -> float:
        """Return the field."""
        return self.waits


class Later(Step):
    """A job that the first worker does not know."""

    NAME: ClassVar[str] = "later"


class Kept(Step):
    """A job whose result is kept for a moment."""

    NAME: ClassVar[str] = "kept"
    RESULT_TTL: ClassVar[float | None] = 0.2


class Tick(Step):
    """What the scheduler enqueues."""

    NAME: ClassVar[str] = "tick"

    async def handle(self, ctx: JobContext) -> None:
        """Say first that the job was enqueued, as the scheduler tells nobody."""
        ctx.extensions["log"].note("enqueuing", id=ctx.job_id)
        await super().handle(ctx)


class Herald(Tick):
    """A job that gets its id within `push_batch` or `push_chain`, so it is noted when it runs."""

    NAME: ClassVar[str] = "herald"


class Young(Step):
    """A job as older processes know it."""

    NAME: ClassVar[str] = "grown"


class Grown(Young):
    """The same as newer processes know it: they read what the older ones wrote, and those leave the newer alone."""

    VERSION: ClassVar[int] = 2
    colour: str

    @classmethod
    def upcast(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Give older payloads a colour."""
        return {**data, "colour": f"from version {version}"}


KNOWN: tuple[type[Job], ...] = (Step, Kept, Tick, Herald)
ALL: tuple[type[Job], ...] = (*KNOWN, Later)


async def offer(queue: Queue, log: Log, *jobs: Step, delay: float = 0.0) -> None:
    """Enqueue jobs whose ids are noted before and after."""
    envelopes = [envelope_of(job) for job in jobs]
    _announce(log, jobs, [one.id for one in envelopes])
    for standing in await queue.enqueue(envelopes, delays_ms=[int(delay * 1000)] * len(jobs)):
        log.note("enqueued", id=standing)


async def commit(database: Database, log: Log, jobs: Sequence[Step]) -> None:
    """Push jobs in a transaction; they count as accepted once it says that it is committed."""
    async with database.transaction() as session:
        ids = await JobBuffer(session).push_many(jobs)
        _announce(log, jobs, ids)
    for one in ids:
        log.note("enqueued", id=one)


def _announce(log: Log, jobs: Sequence[Step], ids: Sequence[str]) -> None:
    for job, one in zip(jobs, ids, strict=True):
        log.note("enqueuing", id=one, group=job.group, seq=job.seq, retries=job.retries, tells=job.tells)


async def produce(queue: Queue, database: Database, log: Log) -> None:
    """Enqueue in every way that there is."""
    await offer(queue, log, Step())
    await offer(queue, log, Step(seq=1, group="g", fails=1), Step(seq=2, group="g"), Step(seq=3, group="g", fails=9))
    await offer(queue, log, Step(seq=4, group="g", snoozes=1), Kept(), Later(), Later(seq=1, group="h"))
    await offer(queue, log, Step(slot="s", takes=0.03), Step(slot="s"), Step(unique="u"))
    await offer(queue, log, Step(unique="u"))
    await offer(queue, log, Step(), Step(takes=LEASE / 2), delay=0.02)
    await queue.push_batch([Herald(), Herald(fails=9, retries=0)], Herald())
    await queue.push_chain([Herald(fails=1), Herald()])
    with contextlib.suppress(ZeroDivisionError):
        async with database.transaction() as session:
            lost = await JobBuffer(session).push(Step())
            log.note("enqueuing", id=lost)
            log.note("rolled_back", id=lost)
            raise ZeroDivisionError
    await commit(database, log, [Step(seq=1, group="o"), Step(seq=2, group="o")])
    await OutboxFlusher(SimpleNamespace(db=database, queue=queue)).flush()
    scheduler = Scheduler(queue)
    scheduler.every(0.1, Tick()).named("tick")
    await scheduler.tick()
    await asyncio.sleep(0.11)
    await scheduler.tick()


async def act(url: str, prefix: str, path: Path, *, watch: str | None = None) -> None:
    """Do everything once: produce, run what a first worker knows, then the rest with a second.

    Args:
        url: The server, perhaps behind a proxy.
        prefix: Before every key.
        path: The folder of the log and the database.
        watch: How the process looks at the queue, so that looking is no part of what is recorded.
    """
    log = Log(path / "log")
    async with (
        Queue.connect(url, prefix=prefix) as queue,
        Queue.connect(watch or url, prefix=prefix) as view,
        Database(f"sqlite:///{path / 'jobs.db'}") as database,
    ):
        scene = Scene(queue, view, database, log)
        await produce(queue, database, log)
        await work(scene, KNOWN, "first")
        await work(scene, ALL, "second")
    log.close()


@dataclass
class Scene:
    """What workers work with.

    Attributes:
        queue: Their queue.
        view: The same queue, to look at it over another connection.
        database: Where failed jobs go.
        log: What happens is noted here.
    """

    queue: Queue
    view: Queue
    database: Database
    log: Log


async def work(
    scene: Scene, classes: tuple[type[Job], ...], label: str, *, workers: int = 1_000, seconds: float = 8
) -> None:
    """Run jobs until nothing is left that these classes can run, the dead are in SQL, and so many workers count."""
    services = SimpleNamespace(
        queue=scene.queue,
        db=scene.database,
        cache=None,
        settings=None,
        extensions={"log": scene.log, "worker": label},
    )
    worker = Worker(services, lease=LEASE, shutdown_timeout=5, concurrency=6, max_recoveries=1_000_000).register(
        *classes
    )
    running = asyncio.create_task(worker.run())
    left, least, deadline = 0, None, time.monotonic() + seconds
    try:
        while not running.done() and time.monotonic() < deadline:
            stats = await scene.view.stats()
            left = stats.size if classes is not KNOWN else stats.ready + stats.delayed + stats.running
            leased = bool(worker._sources and worker._sources[0].epoch)
            if leased and not left and not stats.dead and stats.workers <= workers:
                break
            if least is None or left + stats.dead < least:
                least, deadline = left + stats.dead, time.monotonic() + seconds  # it goes on
            await asyncio.sleep(0.02)
        else:
            assert running.done(), f"I8: for {seconds:g} s nothing moved, and {left} jobs were left"
    finally:
        worker.stop()
        await running


@asynccontextmanager
async def _services(order: dict[str, Any], log: Log) -> AsyncIterator[Any]:
    """Open what an order works with; the database may be away, and Redis for a while."""
    database = Database(order["database"], busy_timeout=0.2, pool_size=2)
    try:
        async with await _connect(order) as queue:
            extensions = {"log": log, "worker": "new" * order.get("new", False)}
            yield SimpleNamespace(queue=queue, db=database, cache=None, settings=None, extensions=extensions)
    finally:
        await database.dispose()


async def _connect(order: dict[str, Any]) -> Queue:
    """Connect as soon as there is a server: it may be starting again."""
    for _ in range(200):
        with contextlib.suppress(RedisError):
            return await Queue.connect(order["url"], prefix=order["prefix"], shards=order["shards"])
        await asyncio.sleep(0.05)
    return await Queue.connect(order["url"], prefix=order["prefix"], shards=order["shards"])


async def produce_for_ever(order: dict[str, Any]) -> None:
    """Enqueue jobs of all kinds until there is a file `stop`; each group is this producer's own.

    What fails is tried again under its id until it is accepted, so that the order in a group is that of its numbers.
    Some jobs go through the outbox, in a group of their own: whether a commit that failed counts nobody can tell.
    """
    chance, name, path = random.Random(order["seed"]), order["name"], Path(order["path"])
    log = Log(path / "log")
    numbers = itertools.count(1)
    async with _services(order, log) as services:
        flusher = OutboxFlusher(services)
        flusher.listen(asyncio.get_running_loop())
        while not (path / "stop").exists():
            buffered = chance.random() < 0.2
            jobs: list[Step] = []
            for _ in range(chance.randint(1, 6)):
                cls = chance.choice([Step, Step, Step, Young, Grown])
                fields: dict[str, Any] = {"colour": "new"} if cls is Grown else {}
                group = chance.choice([None, f"{name}outbox" if buffered else f"{name}{chance.randint(1, 30)}"])
                free = group is None or order["shards"] == 1  # a job is in one shard
                jobs.append(
                    cls(
                        seq=next(numbers),
                        group=group,
                        slot=chance.choice([None, None, None, f"slot{chance.randint(1, 2)}"]) if free else None,
                        fails=chance.choice([0, 0, 0, 0, 0, 0, 1, 2, 9]),
                        waits=chance.uniform(0.02, 0.1),
                        takes=chance.choice([0, 0, 0, 0.01, 0.05, 0.2]),
                        tells=chance.choice([1, 1_000]),
                        **fields,
                    )
                )
            grouped = any(job.group for job in jobs)
            if buffered:
                with contextlib.suppress(*_AWAY):
                    await commit(services.db, log, jobs)
            else:
                delay = 0.0 if grouped or chance.random() < 0.5 else chance.uniform(0, 0.3)
                await _insist(services.queue, log, jobs, delay)
            await asyncio.sleep(chance.uniform(0, 0.08))
        await flusher.aclose()
    log.close()


async def _insist(queue: Queue, log: Log, jobs: list[Step], delay: float) -> None:
    envelopes = [envelope_of(job) for job in jobs]
    _announce(log, jobs, [one.id for one in envelopes])
    while True:
        try:
            await queue.enqueue(envelopes, delays_ms=[int(delay * 1000)] * len(jobs), once=True)
        except RedisError:
            await asyncio.sleep(0.1)
        else:
            break
    for one in envelopes:
        log.note("enqueued", id=one.id)


async def work_for_ever(order: dict[str, Any]) -> None:
    """Run jobs until told to stop by a signal."""
    log = Log(Path(order["path"]) / "log")
    while True:
        try:
            async with _services(order, log) as services:
                worker = Worker(
                    services, lease=order["lease"], concurrency=20, shutdown_timeout=1, max_recoveries=1_000_000
                )
                await worker.register(Step, Grown if order["new"] else Young).run()
        except RedisError:
            await asyncio.sleep(0.1)  # a supervisor starts it again
        else:
            return


class _Leases(logging.Handler):
    """Notes a lease that was lost, as a machine that is too busy loses one."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Leave a file where it is said that a lease was lost."""
        if "lease" in record.getMessage():
            (self._path / "lease").touch()


def carry_out(order: dict[str, Any]) -> Coroutine[Any, Any, None]:
    """Choose what an order asks for."""
    if order["do"] == "produce":
        return produce_for_ever(order)
    if order["do"] == "work":
        return work_for_ever(order)
    return act(order["url"], order["prefix"], Path(order["path"]), watch=order["watch"])


def _shift(seconds: float) -> None:
    """Let this process believe that it is another time."""
    real = time.time
    time.time = lambda: real() + seconds


def main() -> None:
    """Fork a child for each order."""
    logging.getLogger().addHandler(logging.NullHandler())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            path = Path(order["path"])
            try:
                _shift(order.get("shift", 0))
                logging.getLogger("rustforge.jobs.worker").addHandler(_Leases(path))
                asyncio.run(carry_out(order))
            except BaseException:  # noqa: BLE001 - the test reads it
                (path / "error").write_text(traceback.format_exc())
            finally:
                os._exit(0)
        sys.stdout.write(json.dumps({"pid": child}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
