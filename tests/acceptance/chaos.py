"""Producers and workers as processes, and everything that can happen to them, by chance and by a seed.

`python -m tests.acceptance.chaos --seconds 120 --seed 7` runs it; each run prints its seed, and what it did.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from sqlalchemy import text

from rustforge.db import Database
from rustforge.jobs import Queue
from rustforge.jobs.outbox import OutboxFlusher
from tests.acceptance.jobs.history import History, Log
from tests.acceptance.jobs.sweep import Nursery, is_alive, look, look_into
from tests.acceptance.workers.jobs import TOLD, Grown, Scene, Step, work
from tests.support.postgres import PostgresServer
from tests.support.servers import RedisCluster, RedisServer, talk
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LEASE = 1.0
PRODUCERS, WORKERS = 2, 4
SHARDS = 4
HOURS = (0, 0, 3600, -3600, 86_400)
_PREFIX = "chaos"


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        problems: What is wrong, in words.
        jobs: How many jobs were accepted.
        runs: How many runs they had.
        refused: The `failed()` of how many jobs found the database away.
        events: How often each thing happened to them.
    """

    problems: list[str]
    jobs: int
    runs: int
    refused: int
    events: Counter[str] = field(default_factory=Counter)


class Chaos:
    """One run."""

    def __init__(
        self,
        redis: RedisServer | RedisCluster,
        postgres: PostgresServer | None,
        nursery: Nursery,
        path: Path,
        seed: int,
    ) -> None:
        """Prepare; without PostgreSQL the database is SQLite."""
        self._url = redis.url
        self._servers, self._shards = ([redis], 1) if isinstance(redis, RedisServer) else (redis.nodes, SHARDS)
        self._postgres = postgres
        self._database = f"sqlite:///{path / 'jobs.db'}" if postgres is None else postgres.create_database()
        self._nursery = nursery
        self._path = path
        self._chance = random.Random(seed)
        self._log = Log(path / "log")
        self._workers: list[int] = []
        self._producers: list[int] = []
        self._stopped: set[int] = set()
        self._away = False
        self._later: set[asyncio.Task[None]] = set()
        self.events: Counter[str] = Counter()

    async def run(self, seconds: float) -> Outcome:
        """Let things happen for some seconds, then let everything come to its end, and judge."""
        async with Database(self._database) as database:
            await database.upgrade()
            async with database.transaction() as session:
                await session.execute(text(TOLD))
        try:
            for number in range(PRODUCERS):
                await self._produce(number)
            for _ in range(WORKERS):
                await self._work()
            await self._rage(seconds)
            await self._calm_down()
        finally:
            for pid in (*self._workers, *self._producers):
                _signal(pid, signal.SIGKILL)
        return await self._judge()

    # -- processes -----------------------------------------------------------------------------------------------

    def _order(self, **order: object) -> dict[str, object]:
        place = {"url": self._url, "shards": self._shards, "prefix": _PREFIX, "database": self._database}
        return {**place, "path": str(self._path), **order}

    async def _produce(self, number: int) -> None:
        order = self._order(do="produce", name=f"p{number}-", seed=self._chance.random())
        self._producers.append(await self._nursery.fork(**order))

    async def _work(self) -> None:
        new = self._chance.random() < 0.6
        order = self._order(do="work", lease=LEASE, new=new, shift=self._chance.choice(HOURS))
        self._workers.append(await self._nursery.fork(**order))

    # -- what happens --------------------------------------------------------------------------------------------

    async def _rage(self, seconds: float) -> None:
        """Let one thing after the other happen; the database is away at least once."""
        until = time.monotonic() + seconds
        away: Callable[[], Awaitable[None]] = self.lock_database if self._postgres is None else self.stop_database
        things: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (8, self.kill_worker),
            (6, self.stop_worker),
            (3, self.end_worker),
            (2, self.restart_redis),
            (2, self.pause_redis),
            (2, self.flush_scripts),
            (2, away),
            (1, self.replace_producer),
        ]
        thing = away
        try:
            while time.monotonic() < until:
                await asyncio.sleep(self._chance.uniform(0.1, 0.5))
                self.events[thing.__name__] += 1
                await thing()
                (thing,) = self._chance.choices([thing for _, thing in things], [weight for weight, _ in things])
        finally:
            if self._later:
                await asyncio.wait(self._later)

    def _some_worker(self) -> int:
        return self._chance.choice(self._workers)

    async def kill_worker(self) -> None:
        """Kill a worker, and start another."""
        pid = self._some_worker()
        _signal(pid, signal.SIGKILL)
        self._workers.remove(pid)
        await self._work()

    async def end_worker(self) -> None:
        """Let a worker stop in order, as a deployment does, and start another."""
        pid = self._some_worker()
        _signal(pid, signal.SIGCONT)
        _signal(pid, signal.SIGTERM)
        self._workers.remove(pid)
        self._producers.append(pid)  # it is waited for at the end
        await self._work()

    async def stop_worker(self) -> None:
        """Let a worker stand still, mostly for longer than its lease, and then go on."""
        pid = self._some_worker()
        if pid in self._stopped:
            return
        self._stopped.add(pid)
        _signal(pid, signal.SIGSTOP)
        begin = time.monotonic()
        self._soon(self._chance.uniform(0.3, 2.5) * LEASE, lambda: self._go_on(pid, begin))

    def _go_on(self, pid: int, begin: float) -> None:
        _signal(pid, signal.SIGCONT)
        self._log.note("outage", worker=str(pid), seconds=time.monotonic() - begin)
        self._stopped.discard(pid)

    def _some_server(self) -> RedisServer:
        return self._chance.choice(self._servers)

    async def restart_redis(self) -> None:
        """Kill a server and start it again with what it had written."""
        begin, server = time.monotonic(), self._some_server()
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(self._chance.uniform(0, 1.5) * LEASE)
        await asyncio.to_thread(server.start)
        self._log.note("outage", seconds=time.monotonic() - begin + LEASE)
        await asyncio.sleep(LEASE / 2)

    async def pause_redis(self) -> None:
        """Let a server stand still, so that connections stay open and nothing answers."""
        begin, server = time.monotonic(), self._some_server()
        server.pause()
        await asyncio.sleep(self._chance.uniform(0.1, 1.2) * LEASE)
        server.resume()
        self._log.note("outage", seconds=time.monotonic() - begin + LEASE)

    async def flush_scripts(self) -> None:
        """Let a server forget the scripts."""
        await asyncio.to_thread(talk, self._some_server().port, "SCRIPT", "FLUSH")

    async def lock_database(self) -> None:
        """Keep everybody else from writing to the database for a while."""
        connection = sqlite3.connect(self._path / "jobs.db", timeout=1, isolation_level=None, check_same_thread=False)
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("BEGIN EXCLUSIVE")
        self._soon(self._chance.uniform(0.5, 2), connection.close)

    async def stop_database(self) -> None:
        """Stop PostgreSQL at once, as a crash does, and start it again after a while, unless it is stopped."""
        assert self._postgres is not None
        if not self._away:
            self._away = True
            await asyncio.to_thread(self._postgres.kill)
            self._soon(self._chance.uniform(1, 2.5), self._start_database)

    def _start_database(self) -> None:
        assert self._postgres is not None
        self._postgres.start()
        self._away = False

    async def replace_producer(self) -> None:
        """Kill a producer, and start another, whose groups are new."""
        pid = self._producers[0]
        _signal(pid, signal.SIGKILL)
        self._producers.remove(pid)
        await self._produce(1000 + sum(self.events.values()))

    def _soon(self, seconds: float, thing: Callable[[], None]) -> None:
        async def wait() -> None:
            try:
                await asyncio.sleep(seconds)
            finally:
                await asyncio.to_thread(thing)

        task = asyncio.create_task(wait())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    # -- the end -------------------------------------------------------------------------------------------------

    async def _calm_down(self) -> None:
        """Let the producers end, and the workers too: half of them in order, the others by a kill."""
        (self._path / "stop").touch()
        await wait_until(lambda: not any(map(is_alive, self._producers)), timeout=60)
        for number, pid in enumerate(self._workers):
            _signal(pid, signal.SIGTERM if number % 2 else signal.SIGKILL)
        await wait_until(lambda: not any(map(is_alive, self._workers)), timeout=60)

    async def _judge(self) -> Outcome:
        async with (
            Queue.connect(self._url, prefix=_PREFIX, shards=self._shards) as queue,
            Database(self._database) as database,
        ):
            await OutboxFlusher(SimpleNamespace(queue=queue, db=database)).flush()
            await work(Scene(queue, queue, database, self._log), (Step, Grown), "last", workers=1, seconds=30)
            await queue.forget_sent("default", await queue.sent())
            final = look([server.port for server in self._servers], _PREFIX)
            await look_into(database, final)
            async with database.reading() as session:
                final.told = set(await session.scalars(text("SELECT id FROM told")))
        self._log.close()
        history = History.load(self._path / "log")
        problems = history.problems(final, lease=LEASE)
        if (self._path / "error").exists():
            problems.append(f"a process failed: {(self._path / 'error').read_text()}")
        runs = sum(map(len, history.runs.values()))
        return Outcome(problems, len(history.accepted), runs, len(history.refused), self.events)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def chaos(
    seconds: float, seed: int, *, fsync: str = "always", redis: str = "single", database: str = "sqlite"
) -> Outcome:
    """Run once, with servers, a database and processes of its own."""
    persistent = ("--appendonly", "yes", "--appendfsync", fsync)
    with contextlib.ExitStack() as stack:
        server = RedisCluster(*persistent) if redis == "cluster" else RedisServer(*persistent)
        stack.callback(server.stop)
        postgres = stack.enter_context(PostgresServer()) if database == "postgres" else None
        nursery = stack.enter_context(Nursery())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rustforge-chaos-"))
        return await Chaos(server, postgres, nursery, Path(folder), seed).run(seconds)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--fsync", choices=["always", "everysec"], default="always")
    parser.add_argument("--redis", choices=["single", "cluster"], default="single")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    logging.disable(logging.CRITICAL)
    outcome = asyncio.run(
        chaos(options.seconds, seed, fsync=options.fsync, redis=options.redis, database=options.database)
    )
    print(  # noqa: T201
        f"seed {seed}, Redis {options.redis}, fsync {options.fsync}, {options.database}: "
        f"{outcome.jobs} jobs, {outcome.runs} runs, {outcome.refused} refused, {dict(outcome.events)}"
    )
    print("\n".join(outcome.problems))  # noqa: T201
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
