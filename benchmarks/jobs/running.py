"""The processes of a queue, from outside: the one that enqueues, the worker, and the server between them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.children import Child, ChildError
from benchmarks.jobs.adapter import RAN
from benchmarks.jobs.child import READY
from benchmarks.jobs.peers import BY_HAND, OURS
from benchmarks.server import RedisServer, ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

PERSISTENCE = ("--appendonly", "yes", "--appendfsync", "everysec")
SETTLE_SECONDS = 0.5
"""How long a worker gets to acknowledge its last jobs before it is told to stop."""
STOP_SECONDS = 15.0
CONCURRENCY = 100
TROUBLES: dict[str, str] = {}
"""Who logged an exception, and the last line of it: figures of a queue that fails as it runs are to be doubted."""


@dataclass(frozen=True)
class Contender:
    """One way to run one queue.

    Attributes:
        label: What it is called in tables and plots.
        module: The queue's adapter.
        variant: Which of the adapter's ways.
        share: How many jobs it is given, as a multiple of what the others are, so that each is measured for seconds.
    """

    label: str
    module: str
    variant: str = ""
    share: float = 1

    @property
    def key(self) -> str:
        """Name it in the results, whatever its label is."""
        return f"{self.module}.{self.variant}" if self.variant else self.module


def interpreter(module: str) -> Path:
    """Find the interpreter of a queue's environment; ours and redis-py are in this one."""
    if module in {OURS, BY_HAND}:
        return Path(sys.executable)
    return Path(f"{sys.prefix}-jobs-{module}") / "bin" / "python"


class JobChild(Child):
    """A process of a queue, in the queue's environment, with all processes that it starts."""

    _new_session = True

    def __init__(self, role: str, contender: Contender, url: str, **options: Any) -> None:
        """Prepare it; the options are those of the role."""
        super().__init__(role)
        self._label = contender.label
        options |= {"role": role, "module": contender.module, "variant": contender.variant, "url": url}
        self._command = [str(interpreter(contender.module)), "-m", "benchmarks.jobs.child", json.dumps(options)]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Note whether it complained; end it, if it still runs."""
        complaints = self.complaints()
        if any(line.startswith("Traceback") for line in complaints):
            TROUBLES[self._label] = complaints[-1]
        await super().__aexit__(kind, error, trace)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once, with all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Tell it to stop, and wait until it has.

        Raises:
            ChildError: It did not stop.
        """
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.communicate()
        except TimeoutError:
            msg = f"it did not stop within {STOP_SECONDS:g} s"
            raise ChildError(msg) from None


class Maker(JobChild):
    """The process that enqueues."""

    def __init__(
        self,
        contender: Contender,
        url: str,
        count: int,
        *,
        warm_up: int = 0,
        tasks: int = CONCURRENCY,
        bulk: bool = False,
        pause: float = 0,
    ) -> None:
        """Prepare to enqueue `warm_up` jobs and then `count`."""
        plan = {"warm_up": warm_up, "count": count, "tasks": tasks, "bulk": bulk, "pause": pause}
        super().__init__("produce", contender, url, **plan)

    async def ready(self) -> None:
        """Wait until it has connected."""
        await self.wait_for(READY)

    async def enqueue(self) -> float:
        """Let it enqueue; return the seconds that this took, or -1 where the queue cannot do it."""
        self.send("go")
        found = await self.result()
        return float(found["seconds"])


@dataclass
class Ran:
    """What a worker says of itself.

    Attributes:
        count: How many jobs it has begun.
        first: When it began the first of them, in nanoseconds.
        last: When it began the last one.
        cpu: The processor time in seconds that its process took since then, all threads together.
        memory: The bytes of memory that its process holds.
        delays: How long each job was under way, in nanoseconds.
    """

    count: int = 0
    first: int = 0
    last: int = 0
    cpu: float = 0
    memory: int = 0
    delays: list[int] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Jobs a second, from the first one to the last one."""
        return (self.count - 1) / max(1e-9, (self.last - self.first) / 1e9)

    @property
    def cpu_a_job(self) -> float:
        """Microseconds of processor time for each job."""
        return 1e6 * self.cpu / max(1, self.count)


class Crew(JobChild):
    """A worker, as a process."""

    def __init__(self, contender: Contender, url: str, *, concurrency: int = CONCURRENCY, delays: bool = False) -> None:
        """Prepare a worker that runs so many jobs at a time."""
        super().__init__("work", contender, url, concurrency=concurrency, delays=delays)
        self.ran = Ran()

    async def news(self) -> Ran:
        """Wait until it has run more jobs.

        Raises:
            ChildError: It ended.
        """
        line = await self.line()
        if line is None:
            raise self._failure()
        if line.startswith(RAN):
            found = json.loads(line.removeprefix(RAN))
            self.ran.delays += found.pop("delays", [])
            self.ran = Ran(**found, delays=self.ran.delays)
        return self.ran

    async def until(self, count: int) -> Ran:
        """Wait until it has run so many jobs."""
        while self.ran.count < count:
            await self.news()
        return self.ran

    async def settle_and_stop(self) -> None:
        """Let it acknowledge its last jobs, then stop it."""
        await asyncio.sleep(SETTLE_SECONDS)
        await self.stop()


@asynccontextmanager
async def server() -> AsyncIterator[RedisServer]:
    """Start a server with an append-only file that reaches the disk every second."""
    with RedisServer(*PERSISTENCE) as started:
        yield started


def commands(started: RedisServer) -> int:
    """Count the commands since the last call, those in scripts too, without those that set up a connection."""
    stats, _ = ask(started.port, ("INFO", "commandstats"), ("CONFIG", "RESETSTAT"))
    calls = 0
    for line in stats.decode().splitlines():
        name, _, fields = line.partition(":")
        if fields and name.removeprefix("cmdstat_").partition("|")[0] not in _SET_UP:
            calls += int(fields.partition(",")[0].removeprefix("calls="))
    return calls


_SET_UP = {"auth", "client", "config", "hello", "info", "select"}


async def watch(started: RedisServer, seconds: float) -> tuple[int, int]:
    """Listen to the server for a while; return how many commands clients sent, and how many scripts ran."""
    sent = inner = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", started.port)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            writer.write(b"MONITOR\r\n")
            await reader.readline()  # OK
            while line := await reader.readline():
                if line.partition(b"]")[0].endswith(b" lua"):
                    inner += 1
                else:
                    sent += 1
    writer.close()
    return sent, inner


def held(started: RedisServer) -> int:
    """Weigh what the server stores, without its clients, its scripts and what waits for the disk."""
    [info] = ask(started.port, ("INFO", "memory"))
    fields = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    return int(fields["used_memory"]) - sum(
        int(fields.get(name, 0))
        for name in ("mem_clients_normal", "mem_clients_slaves", "mem_aof_buffer", "used_memory_scripts")
    )


def keys(started: RedisServer) -> int:
    """Count the keys."""
    [count] = ask(started.port, ("DBSIZE",))
    return int(count)
