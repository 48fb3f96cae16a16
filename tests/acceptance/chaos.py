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
from typing import TYPE_CHECKING

from rustforge.db import Database
from rustforge.jobs import Queue
from tests.acceptance.jobs.history import History, Log
from tests.acceptance.jobs.sweep import Nursery, is_alive, look
from tests.acceptance.workers.jobs import Grown, Scene, Step, work
from tests.support.servers import RedisServer, talk
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LEASE = 1.0
PRODUCERS, WORKERS = 2, 4
HOURS = (0, 0, 3600, -3600, 86_400)
_PREFIX = "chaos"


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        problems: What is wrong, in words.
        jobs: How many jobs were accepted.
        runs: How many runs they had.
        events: How often each thing happened to them.
    """

    problems: list[str]
    jobs: int
    runs: int
    events: Counter[str] = field(default_factory=Counter)


class Chaos:
    """One run."""

    def __init__(self, server: RedisServer, nursery: Nursery, path: Path, seed: int) -> None:
        """Prepare."""
        self._server = server
        self._nursery = nursery
        self._path = path
        self._chance = random.Random(seed)
        self._log = Log(path / "log")
        self._workers: list[int] = []
        self._producers: list[int] = []
        self._stopped: set[int] = set()
        self._later: set[asyncio.Task[None]] = set()
        self.events: Counter[str] = Counter()

    async def run(self, seconds: float) -> Outcome:
        """Let things happen for some seconds, then let everything come to its end, and judge."""
        async with Database(f"sqlite:///{self._path / 'jobs.db'}") as database:
            await database.upgrade()
        try:
            for number in range(PRODUCERS):
                await self._produce(number)
            for _ in range(WORKERS):
                await self._work()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                await asyncio.sleep(self._chance.uniform(0.1, 0.5))
                await self._happen()
            await self._calm_down()
        finally:
            for pid in (*self._workers, *self._producers):
                _signal(pid, signal.SIGKILL)
        return await self._judge()

    # -- processes -----------------------------------------------------------------------------------------------

    def _order(self, **order: object) -> dict[str, object]:
        return {"url": self._server.url, "prefix": _PREFIX, "path": str(self._path), **order}

    async def _produce(self, number: int) -> None:
        order = self._order(do="produce", name=f"p{number}-", seed=self._chance.random())
        self._producers.append(await self._nursery.fork(**order))

    async def _work(self) -> None:
        new = self._chance.random() < 0.6
        order = self._order(do="work", lease=LEASE, new=new, shift=self._chance.choice(HOURS))
        self._workers.append(await self._nursery.fork(**order))

    # -- what happens --------------------------------------------------------------------------------------------

    async def _happen(self) -> None:
        things: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (8, self.kill_worker),
            (6, self.stop_worker),
            (3, self.end_worker),
            (2, self.restart_redis),
            (2, self.pause_redis),
            (2, self.flush_scripts),
            (2, self.lock_database),
            (1, self.replace_producer),
        ]
        (thing,) = self._chance.choices([thing for _, thing in things], [weight for weight, _ in things])
        self.events[thing.__name__] += 1
        await thing()

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
        self._soon(self._chance.uniform(0.3, 2.5) * LEASE, lambda: self._go_on(pid))

    def _go_on(self, pid: int) -> None:
        _signal(pid, signal.SIGCONT)
        self._stopped.discard(pid)

    async def restart_redis(self) -> None:
        """Kill the server and start it again with what it had written."""
        begin = time.monotonic()
        await asyncio.to_thread(self._server.kill)
        await asyncio.sleep(self._chance.uniform(0, 1.5) * LEASE)
        await asyncio.to_thread(self._server.start)
        self._log.note("outage", seconds=time.monotonic() - begin + LEASE)
        await asyncio.sleep(LEASE / 2)

    async def pause_redis(self) -> None:
        """Let the server stand still, so that connections stay open and nothing answers."""
        begin = time.monotonic()
        self._server.pause()
        await asyncio.sleep(self._chance.uniform(0.1, 1.2) * LEASE)
        self._server.resume()
        self._log.note("outage", seconds=time.monotonic() - begin + LEASE)

    async def flush_scripts(self) -> None:
        """Let the server forget the scripts."""
        await asyncio.to_thread(talk, self._server.port, "SCRIPT", "FLUSH")

    async def lock_database(self) -> None:
        """Keep everybody else from writing to the database for a while."""
        connection = sqlite3.connect(self._path / "jobs.db", timeout=1, isolation_level=None)
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("BEGIN EXCLUSIVE")
        self._soon(self._chance.uniform(0.5, 2), connection.close)

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
                thing()

        task = asyncio.create_task(wait())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    # -- the end -------------------------------------------------------------------------------------------------

    async def _calm_down(self) -> None:
        """Let the producers end, and the workers too: half of them in order, the others by a kill."""
        if self._later:
            await asyncio.wait(self._later)
        (self._path / "stop").touch()
        await wait_until(lambda: not any(map(is_alive, self._producers)), timeout=60)
        for number, pid in enumerate(self._workers):
            _signal(pid, signal.SIGTERM if number % 2 else signal.SIGKILL)
        await wait_until(lambda: not any(map(is_alive, self._workers)), timeout=60)

    async def _judge(self) -> Outcome:
        async with (
            Queue.connect(self._server.url, prefix=_PREFIX) as queue,
            Database(f"sqlite:///{self._path / 'jobs.db'}") as database,
        ):
            await work(Scene(queue, queue, database, self._log), (Step, Grown), "last", workers=1, seconds=30)
            await queue.forget_sent("default", await queue.sent())
        self._log.close()
        final = look(self._server.port, _PREFIX, self._path / "jobs.db")
        history = History.load(self._path / "log")
        problems = history.problems(final, lease=LEASE)
        return Outcome(problems, len(history.accepted), sum(map(len, history.runs.values())), self.events)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def chaos(seconds: float, seed: int, *, fsync: str = "always") -> Outcome:
    """Run once, with a server, a database and processes of its own."""
    with (
        RedisServer("--appendonly", "yes", "--appendfsync", fsync) as server,
        Nursery() as nursery,
        tempfile.TemporaryDirectory(prefix="rustforge-chaos-") as folder,
    ):
        return await Chaos(server, nursery, Path(folder), seed).run(seconds)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--fsync", choices=["always", "everysec"], default="always")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    logging.disable(logging.CRITICAL)
    outcome = asyncio.run(chaos(options.seconds, seed, fsync=options.fsync))
    print(f"seed {seed}: {outcome.jobs} jobs, {outcome.runs} runs, {dict(outcome.events)}")  # noqa: T201
    print("\n".join(outcome.problems))  # noqa: T201
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
