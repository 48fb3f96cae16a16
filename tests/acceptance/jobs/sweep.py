"""Runs everything that sends commands about jobs, strikes at one of them, and judges what became of the jobs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import redis
from sqlalchemy import text

from rustforge.db import Database
from rustforge.jobs import Queue
from rustforge.jobs.outbox import OutboxFlusher
from tests.acceptance.jobs.cutter import Cutter, Point, Side, Strike
from tests.acceptance.jobs.history import Final, History, Log
from tests.acceptance.workers.jobs import ALL, LEASE, Scene, work
from tests.support.processes import ROOT
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Sequence

    from tests.support.servers import RedisServer

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Case:
    """A cut point and what happens there.

    Attributes:
        point: The command.
        side: On which side of it.
        kill: Whether the process dies there; else only its connection.
    """

    point: Point
    side: Side
    kill: bool

    def __str__(self) -> str:
        """Describe it."""
        return f"{'kill' if self.kill else 'cut'} {self.side} {self.point.name} #{self.point.number}"


@dataclass
class _Place:
    queue: Any
    db: Any


class Nursery:
    """A process that forks children which carry out orders."""

    def __init__(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.workers.jobs"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._turn = asyncio.Lock()

    async def fork(self, **order: Any) -> int:
        """Let a child carry out an order; return its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            self._process.stdin.write(json.dumps(order) + "\n")
            line = await asyncio.to_thread(self._process.stdout.readline)
        pid: int = json.loads(line)["pid"]
        return pid

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it; its children end by themselves."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def is_alive(pid: int) -> bool:
    """Tell whether a process that nobody waits for goes on."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Sweep:
    """The cut points of everything, and their cases.

    Attributes:
        missed: The cases whose command did not come.
        disturbed: How often a process lost its lease, as the machine was too busy; its jobs may run twice then.
    """

    def __init__(self, server: RedisServer, nursery: Nursery) -> None:
        """Say where."""
        self._server = server
        self._nursery = nursery
        self.missed: list[Case] = []
        self.disturbed = 0
        self._template = b""

    async def record(self) -> Counter[str]:
        """Run everything undisturbed; return how often each command was sent."""
        with tempfile.TemporaryDirectory(prefix="rustforge-sweep-") as folder:
            file = Path(folder) / "jobs.db"
            async with Database(f"sqlite:///{file}") as database:
                await database.upgrade()
            self._template = file.read_bytes()
        with self._folder() as (prefix, path):
            async with Cutter(self._server.port) as cutter:
                await self._act(cutter, prefix, path, {})
            assert not (path / "error").exists(), (path / "error").read_text()
            problems = await self._judge(prefix, path, exact=True)
        assert problems == [], problems
        return cutter.seen

    async def strike(self, case: Case) -> list[str]:
        """Run everything, strike once, let a fresh worker end it, and return what is wrong."""
        child: dict[str, int] = {}

        def kill() -> None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child["pid"], signal.SIGKILL)

        with self._folder() as (prefix, path):
            strike = Strike(case.point, case.side, kill if case.kill else None)
            async with Cutter(self._server.port, strike) as cutter:
                await self._act(cutter, prefix, path, child)
                if case.side == "late":
                    await asyncio.sleep(0.2)  # what is still on its way arrives
            lost = (path / "lease").exists()
            self.disturbed += lost
            problems = await self._judge(prefix, path, exact=not case.kill and not lost)
            if (path / "error").exists():
                problems.append(f"the process failed: {(path / 'error').read_text()}")
        if not cutter.struck:
            self.missed.append(case)
        return [f"{case}: {problem}" for problem in problems]

    async def run(self, cases: Iterable[Case], *, at_once: int) -> list[str]:
        """Run many cases, several at a time."""
        gate = asyncio.Semaphore(at_once)

        async def one(case: Case) -> list[str]:
            async with gate:
                try:
                    return await self.strike(case)
                except Exception as error:  # noqa: BLE001 - one case must not hide the others
                    return [f"{case}: {type(error).__name__}: {error}"]

        return [problem for found in await asyncio.gather(*map(one, cases)) for problem in found]

    async def _act(self, cutter: Cutter, prefix: str, path: Path, child: dict[str, int]) -> None:
        order = {"do": "act", "url": cutter.url, "watch": self._server.url, "prefix": prefix, "path": str(path)}
        pid = child["pid"] = await self._nursery.fork(**order)
        try:
            await wait_until(lambda: not is_alive(pid), timeout=45)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def _folder(self) -> Any:
        with tempfile.TemporaryDirectory(prefix="rustforge-sweep-") as folder:
            (Path(folder) / "jobs.db").write_bytes(self._template)
            yield f"sweep{next(_numbers)}", Path(folder)

    async def _judge(self, prefix: str, path: Path, *, exact: bool) -> list[str]:
        """Let a fresh worker end what is there, and hold what happened against the guarantees."""
        log = Log(path / "log")
        async with (
            Queue.connect(self._server.url, prefix=prefix) as queue,
            Database(f"sqlite:///{path / 'jobs.db'}") as database,
        ):
            await OutboxFlusher(_Place(queue, database)).flush()
            await work(Scene(queue, queue, database, log), ALL, "last", workers=1)
            final = look([self._server.port], prefix)
            await look_into(database, final)
        log.close()
        return History.load(path / "log").problems(final, lease=LEASE, exact=exact)


def look(ports: Sequence[int], prefix: str) -> Final:
    """See what is left in Redis, on every server."""
    final = Final()
    for port in ports:
        with redis.Redis(port=port, decode_responses=True) as client:
            _look_at(client, prefix, final)
    return final


def _look_at(client: redis.Redis, prefix: str, final: Final) -> None:
    for key in sorted(client.scan_iter(f"{prefix}~*", count=1000)):
        name = key.partition("}:")[2]
        kind = name.partition(":")[0]
        if client.pttl(key) >= 0 or name == "cron":
            continue
        final.keys.append(name)
        if kind in {"ready", "group", "lane"} or name.startswith("parked:"):
            found: Any = client.lrange(key, 0, -1)
        elif kind == "flight":
            found = client.smembers(key)
        elif name in {"dead", "delayed"}:
            found = [one[name == "delayed" :] for one in client.zrange(key, 0, -1)]
        elif name == "quarantine":
            found = client.hkeys(key)
        else:
            continue
        final.places.update(dict.fromkeys(found, name))


async def look_into(database: Database, final: Final) -> None:
    """See what is left in SQL."""
    async with database.reading() as session:
        final.rows = set(await session.scalars(text("SELECT id FROM failed_jobs")))
        final.keys += [f"outbox row {one}" for one in await session.scalars(text("SELECT id FROM outbox_jobs"))]
