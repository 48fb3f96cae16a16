"""What adapters share: how they are asked to enqueue, and the count that their handlers keep.

This runs in the environment of each peer, so it needs the standard library only.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

RAN = "ran "
"""How a line of a worker begins that says how far it is."""
REPORT_SECONDS = 0.05


class Producer(NamedTuple):
    """How one queue takes jobs; every job carries the time at which it was sent.

    Attributes:
        enqueue: Adds a job; returns, or may be awaited, once the server has acknowledged it.
        bulk: Adds many jobs in one call, where the queue can do that.
        blocking: Whether both are functions without asyncio.
    """

    enqueue: Callable[[int], Any]
    bulk: Callable[[Sequence[int]], Any] | None = None
    blocking: bool = False


class Tally:
    """Counts what a worker runs, and says so from time to time in lines of its process.

    Attributes:
        first: When the first job began, in nanoseconds.
        last: When the last one did.
    """

    def __init__(self) -> None:
        """Count nothing yet."""
        self.first = self.last = 0
        self._cpu = 0.0
        self._numbers = itertools.count(1)  # counting in it is safe in threads
        self._count = 0
        self._delays: list[int] | None = None

    def start(self, *, delays: bool = False) -> None:
        """Begin to report, also from a process that this one forks.

        Args:
            delays: Whether to report how long each job was under way.
        """
        self._delays = [] if delays else None
        os.register_at_fork(after_in_child=self._report_from_here)
        self._report_from_here()

    def ran(self, sent: int) -> None:
        """Note that a job runs now that was sent then."""
        self.last = now = time.time_ns()
        if self._delays is not None:
            self._delays.append(now - sent)
        if not self.first:
            self.first, self._cpu = now, time.process_time()
        self._count = next(self._numbers)

    def _report_from_here(self) -> None:
        threading.Thread(target=self._report, daemon=True).start()

    def _report(self) -> None:
        told = 0
        while True:
            time.sleep(REPORT_SECONDS)
            count = self._count
            if count > told:
                told = count
                cpu = time.process_time() - self._cpu
                line: dict[str, Any] = {
                    "count": count,
                    "first": self.first,
                    "last": self.last,
                    "cpu": cpu,
                    "memory": resident(),
                }
                if self._delays is not None:
                    line["delays"], self._delays = self._delays, []
                os.write(1, f"{RAN}{json.dumps(line)}\n".encode())


TALLY = Tally()
ran = TALLY.ran
"""What the handler of every queue does."""


def resident() -> int:
    """Return the memory that this process holds, in bytes; 0 where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
    return 0


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on uvloop, or on asyncio's own loop where uvloop is not installed."""
    try:
        import uvloop  # noqa: PLC0415 - a peer without asyncio has no use for it
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def run_until_terminated(work: Coroutine[Any, Any, Any]) -> None:
    """Run a worker that has no signal handler of its own: SIGTERM cancels it, and it cleans up."""

    async def until() -> None:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    run(until())
