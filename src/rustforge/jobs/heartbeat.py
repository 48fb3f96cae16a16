"""Keep a worker's leases, on a thread of its own, so that a handler that holds the event loop does not lose them.

With `memory://` there is no other process to take over, and the store belongs to the event loop, so the beat runs there
and lets the loop catch up before it reaps anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from rustforge.jobs.scripts import WORKER
from rustforge.redis import RedisClient, connect

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Heartbeat"]

_logger = logging.getLogger(__name__)
_BEATS = 3  # in the time of a lease
_AFTER_THE_END = 0.02
_JOIN_SECONDS = 5.0


class Heartbeat:
    """The beat of one worker: extends its leases, takes over from dead workers, hears what was asked of it.

    Attributes:
        epochs: The epoch that the worker has in each shard, by the shard's base key; the worker writes it.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        lease: float,
        max_recoveries: int,
        heard: Callable[[str, str, list[Any]], None],
        lost: Callable[[str, str], None],
    ) -> None:
        """Prepare the beat.

        Args:
            client: The worker's connection; the thread makes one of its own to the same URL.
            lease: Seconds of a lease.
            max_recoveries: How often a job may be there when its worker is lost.
            heard: Called on the worker's loop with base, epoch and the script's answer.
            lost: Called there with base and epoch when the lease is over, or nearly so and Redis does not answer.
        """
        self.epochs: dict[str, str] = {}
        self._client = client
        self._lease = lease
        self._max_recoveries = max_recoveries
        self._heard = heard
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._alive: dict[str, float] = {}
        self._missed: set[str] = set()

    def start(self) -> None:
        """Begin."""
        if self._client.url.topology == "memory":
            self._task = self._loop.create_task(self._beat(self._client, asyncio.Event()), name="rustforge-heartbeat")
            return
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="rustforge-heartbeat", daemon=True)
        self._thread.start()
        ready.wait(_JOIN_SECONDS)

    async def stop(self) -> None:
        """End, and wait for the thread."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._thread is not None and self._stop is not None:
            loop, event = self._stop
            with contextlib.suppress(RuntimeError):  # the thread has ended by itself
                loop.call_soon_threadsafe(event.set)
            await asyncio.to_thread(self._thread.join, _JOIN_SECONDS)

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._live(ready))
        except Exception:
            _logger.exception("The heartbeat of a worker ended; its jobs will run again elsewhere")

    async def _live(self, ready: threading.Event) -> None:
        stop = asyncio.Event()
        self._stop = asyncio.get_running_loop(), stop
        ready.set()
        client = connect(self._client.url)
        try:
            await self._beat(client, stop)
        finally:
            await client.aclose()

    async def _beat(self, client: RedisClient, stop: asyncio.Event) -> None:
        interval = self._lease / _BEATS
        pause = 0.0
        in_loop = asyncio.get_running_loop() is self._loop
        while True:
            due = time.monotonic() + pause
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
                return
            late = in_loop and time.monotonic() - due > interval
            pause = interval
            for base, epoch in tuple(self.epochs.items()):
                ends = await self._one(client, base, epoch, late=late)
                if ends is not None:
                    pause = min(pause, ends / 1000 + _AFTER_THE_END)
                if f"{base} {epoch}" in self._missed:
                    pause = min(pause, interval / 4)

    async def _one(self, client: RedisClient, base: str, epoch: str, *, late: bool) -> float | None:
        """Beat once for one shard; return the milliseconds until the lease of another worker ends."""
        key = f"{base} {epoch}"
        began = time.monotonic()
        alive = self._alive.setdefault(key, began)
        lease_ms = int(self._lease * 1000)
        try:
            async with asyncio.timeout(self._lease / _BEATS):
                answer: list[Any] = await client.run(
                    WORKER, [base], ["beat", epoch, lease_ms, self._max_recoveries, int(late)], retry=True
                )
        except Exception as error:  # noqa: BLE001 - the beat must go on, whatever happens
            _logger.warning("A heartbeat did not reach Redis: %s", error)
            self._missed.add(key)
            if time.monotonic() - alive > self._lease * 2 / 3:
                self._alive.pop(key, None)
                self._missed.discard(key)
                self._tell(self._lost, base, epoch)
            return None
        self._missed.discard(key)
        if answer[0] == 0:
            self._alive.pop(key, None)
            self._tell(self._lost, base, epoch)
            return None
        self._alive[key] = began
        self._tell(self._heard, base, epoch, answer)
        return float(answer[1]) if answer[1] >= 0 else None

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the worker's loop has ended
            self._loop.call_soon_threadsafe(function, *args)
