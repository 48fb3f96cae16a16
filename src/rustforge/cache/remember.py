"""Compute a missing value once: single flight in the process, a lease across processes.

A process that misses takes the lease, which stands in the value's own key (see `rustforge.cache.entry`), renews it
while the factory runs, and stores the result only if the lease is still its own. Everybody else waits for the key to
change. When the holder dies, the lease ends and one of the waiters takes over. Leases against stampedes and stale
sets are described in Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013; early refresh in Vattani, Chierichetti
and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import random
import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rustforge import codec
from rustforge.cache.entry import Entry, identity
from rustforge.cache.scripts import LEASE, RELEASE, RENEW, SETTLE
from rustforge.cache.store import UNAVAILABLE, EntryStore, Look
from rustforge.errors import CacheDecodeError, CacheEncodeError, CacheError, RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustforge.cache.watch import Watcher

__all__ = ["Flights", "Plan"]

_logger = logging.getLogger(__name__)
_MARGIN_MS = 500
_FAILURE_PAUSE_MS = 1_000
_ROUNDS = 3
_LOST = -3
_producing: ContextVar[frozenset[_Flight]] = ContextVar("rustforge_producing", default=frozenset())


@dataclass(frozen=True, slots=True)
class Plan:
    """How `remember` computes and keeps one value.

    Attributes:
        key: The key as the caller wrote it.
        full: The key in Redis.
        factory: Computes the value.
        type: The value's type, or `None` for plain JSON.
        ttl: Milliseconds that the value is fresh; 0 for ever.
        window: Milliseconds that it is kept beyond that.
        patience: Seconds to wait for a new value while a stale one is there; `None` waits until the factory ends.
        early: The beta of early refresh; 0 for none.
        jitter: The share of the time to live that may be cut off at random.
        tags: The tags.
        lease: Milliseconds of the lease.
    """

    key: str
    full: str
    factory: Callable[[], Any]
    type: Any
    ttl: int
    window: int
    patience: float | None
    early: float
    jitter: float
    tags: tuple[str, ...]
    lease: int

    @property
    def soft(self) -> bool:
        """Whether the entry needs a header."""
        return bool(self.window or self.early or self.tags)


@dataclass(slots=True)
class _Found:
    """What a stored value is good for; `raw` is what a new one may replace."""

    state: Literal["fresh", "stale", "missing"]
    raw: bytes | None = None
    payload: bytes = b""
    value: Any = None
    refresh: bool = False


@dataclass(frozen=True, slots=True)
class _Lease:
    """A lease that was taken.

    Attributes:
        token: Its owner's token; empty while Redis is away: then the value is computed and not stored.
        left: Milliseconds left of the old value's life, as of PTTL.
        versions: The tags' versions, read before computing, so that an invalidation meanwhile is not missed.
    """

    token: str = ""
    left: int = -2
    versions: dict[str, str] = field(default_factory=dict)


class _Flight:
    """One computation under way in this process."""

    __slots__ = ("background", "seen", "tags", "task", "waiters")

    def __init__(self, tags: tuple[str, ...], seen: bytes | None) -> None:
        self.task: asyncio.Task[bytes | None]
        self.tags = tags
        self.seen = seen
        self.waiters = 0
        self.background = False


class Flights:
    """All computations of one cache in this process."""

    def __init__(self, store: EntryStore, watcher: Watcher) -> None:
        """Start with none."""
        self._store = store
        self._watcher = watcher
        self._flights: dict[str, _Flight] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- what the cache calls ------------------------------------------------------------------------------------

    async def remember(self, plan: Plan) -> Any:
        """Return the cached value, or compute it; see [`Cache.remember`][rustforge.cache.Cache.remember]."""
        while True:
            found = await self._read(plan)
            if found.state == "fresh":
                if found.refresh:
                    self._start(plan, found.raw).background = True
                self._store.statistics.hits += 1
                return found.value
            if found.state == "stale":
                return await self._serve_stale(plan, found)
            payload = await self._wait(plan, self._start(plan, found.raw))
            if payload is not None:
                self._store.statistics.misses += 1
                return self._decode(plan, payload)

    def detach(self, full: str) -> None:
        """Let the next caller compute anew, since the key was written or removed."""
        flight = self._flights.pop(full, None)
        if flight is not None and not flight.waiters:
            flight.task.cancel()

    def detach_all(self, matches: Callable[[str, tuple[str, ...]], bool]) -> None:
        """Do so for each key, given with its tags, that matches."""
        for full, flight in list(self._flights.items()):
            if matches(full, flight.tags):
                self.detach(full)

    async def aclose(self) -> None:
        """Cancel what is under way, giving its leases back."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- reading -------------------------------------------------------------------------------------------------

    async def _read(self, plan: Plan) -> _Found:
        """Look the value up; nothing is found while Redis is away and the cache may go on without."""
        if self._store.refuses():
            return _Found("missing")
        try:
            look = await self._store.look(plan.full, plan.tags)
            self._store.worked()
            return await self._assess(plan, look)
        except UNAVAILABLE as error:
            self._store.unavailable(error)
            return _Found("missing")

    async def _assess(self, plan: Plan, look: Look) -> _Found:
        """Say what a stored value is good for."""
        if look.raw is None:
            return _Found("missing")
        entry = Entry.parse(look.raw)
        if entry is None:
            return _Found("missing", look.raw)
        try:
            value = codec.decode(entry.payload, plan.type)
        except codec.DecodeError as error:
            self._store.statistics.undecodable += 1
            _logger.warning("cached value of %r is computed again: it %s", plan.key, error)
            return _Found("missing", look.raw)
        if not await self._store.current(entry, look.versions):
            return _Found("missing", look.raw)
        fresh_ms = math.inf if look.remaining < 0 else look.remaining - entry.window
        if fresh_ms <= 0:
            return _Found("stale", look.raw, entry.payload, value)
        early = -entry.cost * plan.early * math.log(1.0 - random.random()) >= fresh_ms  # noqa: S311 - not a secret
        return _Found("fresh", look.raw, entry.payload, value, refresh=early and entry.soft)

    async def _serve_stale(self, plan: Plan, found: _Found) -> Any:
        """Refresh in the background, waiting as the plan says; then, or on failure, serve what is there."""
        statistics = self._store.statistics
        flight = self._start(plan, found.raw)
        flight.background = True
        if plan.patience != 0:
            try:
                async with asyncio.timeout(plan.patience):
                    payload = await self._wait(plan, flight)
                if payload is not None:
                    statistics.misses += 1
                    return self._decode(plan, payload)
            except Exception as error:  # noqa: BLE001 - fail-safe: whatever went wrong, the stale value is served
                _logger.warning("stale value of %r is served: %s: %s", plan.key, type(error).__name__, error)
        statistics.hits += 1
        statistics.stale += 1
        return found.value

    def _decode(self, plan: Plan, payload: bytes) -> Any:
        try:
            return codec.decode(payload, plan.type)
        except codec.DecodeError as error:
            msg = f"the value of {plan.key!r}, computed for another caller, {error}"
            raise CacheDecodeError(plan.key, msg) from None

    # -- flights -------------------------------------------------------------------------------------------------

    def _start(self, plan: Plan, seen: bytes | None) -> _Flight:
        """Join the computation that is under way, or start one that replaces what was seen."""
        flight = self._flights.get(plan.full)
        if flight is not None:
            if flight in _producing.get():
                msg = f"the factory of {plan.key!r} asked for {plan.key!r} itself, so it would wait for ever"
                raise CacheError(msg)
            return flight
        flight = self._flights[plan.full] = _Flight(plan.tags, seen)
        flight.task = asyncio.create_task(self._fly(plan, flight), name=f"rustforge-remember {plan.full}")
        self._tasks.add(flight.task)
        flight.task.add_done_callback(self._landed)
        return flight

    def _landed(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # mark it as seen: waiters got it, or the flight logged it

    async def _wait(self, plan: Plan, flight: _Flight) -> bytes | None:
        """Wait for a computation; the last waiter that leaves cancels it, unless it runs in the background."""
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if flight.task.cancelled() and not (task and task.cancelling()):
                msg = f"the computation of {plan.key!r} was cancelled"
                raise CacheError(msg) from None
            raise
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.background and not flight.task.done():
                self._forget(plan.full, flight)
                flight.task.cancel()

    def _forget(self, full: str, flight: _Flight) -> None:
        if self._flights.get(full) is flight:
            del self._flights[full]

    async def _fly(self, plan: Plan, flight: _Flight) -> bytes | None:
        """Compute the value, or get it from whoever does; `None` when a background refresh is not needed."""
        _producing.set(_producing.get() | {flight})
        try:
            rounds = 0
            while True:
                lease = await self._take_lease(plan, flight)
                if not isinstance(lease, _Lease):
                    return lease
                payload, stored = await self._compute(plan, lease)
                rounds += 1
                if stored or rounds == _ROUNDS:
                    return payload
        except Exception as error:
            if flight.background and not flight.waiters:
                _logger.warning("refreshing %r failed: %s: %s", plan.key, type(error).__name__, error)
            raise
        finally:
            self._forget(plan.full, flight)

    async def _take_lease(self, plan: Plan, flight: _Flight) -> bytes | _Lease | None:
        """Take the lease, or wait until a value is there.

        Returns:
            The lease; or the payload that another process stored; or `None` when nobody waits for the value that
            another process computes.
        """
        token = secrets.token_hex(8)
        seen = flight.seen
        with self._watcher.watch(plan.full) as event:
            while True:
                if self._store.refuses():
                    return _Lease()
                try:
                    asked: list[str | int] = [token, plan.lease, "" if seen is None else identity(seen), _MARGIN_MS]
                    state, number = await self._store.client.run(LEASE, [plan.full], asked, retry=True)
                    if state == b"mine":
                        life = plan.ttl and plan.ttl + plan.window
                        return _Lease(token, number, await self._store.tag_versions(plan.tags, life))
                    if state == b"busy" and not flight.waiters and flight.background:
                        return None
                    raw, remaining = await self._store.client.track(plan.full)
                    found = await self._assess(plan, Look(raw, remaining, {}))
                except UNAVAILABLE as error:
                    self._store.unavailable(error)
                    return _Lease()
                if found.state == "fresh":
                    return found.payload
                seen = found.raw
                if state == b"busy" and raw is not None:
                    await self._watcher.wait(event, number)

    async def _compute(self, plan: Plan, lease: _Lease) -> tuple[bytes, bool]:
        """Run the factory under the lease and store its value; tell whether it was stored."""
        store, statistics = self._store, self._store.statistics
        renewal = asyncio.create_task(self._renew(plan, lease)) if lease.token else None
        try:
            started = time.perf_counter()
            value = plan.factory()
            if inspect.isawaitable(value):
                value = await value
            seconds = time.perf_counter() - started
            statistics.computed += 1
            statistics.compute_seconds += seconds
            payload = self._encode(plan, value)
            if not lease.token:
                return payload, True
            entry = Entry(payload, plan.window, math.ceil(seconds * 1000), lease.versions, plan.soft)
            ttl = plan.ttl and max(1, int(plan.ttl * (1 - plan.jitter * random.random())))  # noqa: S311
            raw = store.pack_entry(entry)
            try:
                stored = await store.client.run(
                    SETTLE, [plan.full], [lease.token, raw, ttl and ttl + plan.window], retry=True
                )
            except UNAVAILABLE as error:
                store.unavailable(error)
                stored = True
            return payload, bool(stored)
        except BaseException as error:
            if isinstance(error, Exception):
                statistics.compute_errors += 1
            if lease.token:
                await asyncio.shield(self._release(plan, lease))
            raise
        finally:
            if renewal is not None:
                renewal.cancel()

    def _encode(self, plan: Plan, value: Any) -> bytes:
        """Write the factory's value, making sure that it can be read back."""
        try:
            payload = codec.encode(value)
            codec.decode(payload, plan.type)
        except codec.EncodeError as error:
            msg = f"the factory of {plan.key!r} returned {error}"
            raise CacheEncodeError(plan.key, msg) from error
        except codec.DecodeError as error:
            msg = f"the factory of {plan.key!r} returned a value of type {type(value).__name__} that {error}"
            raise CacheEncodeError(plan.key, msg) from None
        return payload

    async def _renew(self, plan: Plan, lease: _Lease) -> None:
        """Renew the lease every third of its length, and before the old value below it expires."""
        left = lease.left
        while True:
            pause = plan.lease / 3
            if left >= 0:
                pause = min(pause, max(left - _MARGIN_MS / 2, 0))
            await asyncio.sleep(pause / 1000)
            try:
                left = await self._store.client.run(
                    RENEW, [plan.full], [lease.token, plan.lease, _MARGIN_MS], retry=True
                )
            except RedisError as error:
                _logger.warning("the lease on %r could not be renewed: %s", plan.key, error)
                left = -1
            if left == _LOST:
                return

    async def _release(self, plan: Plan, lease: _Lease) -> None:
        """Give the lease back after a failure; beside a stale value, keep others from trying for a moment."""
        try:
            pause = _FAILURE_PAUSE_MS if plan.window else 0
            await self._store.client.run(RELEASE, [plan.full], [lease.token, pause], retry=True)
        except RedisError as error:
            _logger.warning("the lease on %r stays for up to %d ms: %s", plan.key, plan.lease, error)
