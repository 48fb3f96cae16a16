"""Compute a missing value once: single flight in the process, a lease across processes.

A process that misses takes the lease, which stands in the value's own key (see `rustforge.cache.entry`), renews it
while the factory runs, and stores the result only if the lease is still its own. Everybody else waits for the key to
change. When the holder dies, the lease ends and one of the waiters takes over. Leases against stampedes and stale
sets are described in Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013; early refresh in Vattani, Chierichetti
and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from rustforge.cache.store import EntryStore, Look
from rustforge.errors import CacheEncodeError, CacheError, RedisConnectionError, RedisError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from rustforge.cache.watch import Watcher

__all__ = ["Flights", "Plan"]

_logger = logging.getLogger(__name__)
_MARGIN_MS = 500
_FAILURE_PAUSE_MS = 1_000
_MISSING = -2
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
    """What a stored value is good for.

    Attributes:
        state: Whether it can be served, only instead of a failure or a wait, or not at all.
        raw: The stored bytes, which a new value may replace.
        payload: The text or JSON in them.
        value: What it says, as the plan's type.
        refresh: Whether it is time to compute it anew early.
        versions: The versions of the plan's tags, as they were then.
        near: Whether the near cache had it.
        away: Whether Redis could not be asked.
    """

    state: Literal["fresh", "stale", "missing"]
    raw: bytes | None = None
    payload: bytes = b""
    value: Any = None
    refresh: bool = False
    versions: dict[str, str | None] = field(default_factory=dict)
    near: bool = False
    away: bool = False


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


@dataclass(frozen=True, slots=True)
class _Landing:
    """What a computation brought; `stored` is false where it was overtaken by a write."""

    payload: bytes
    stored: bool = True


class _Flight:
    """One computation under way in this process.

    Attributes:
        seen: The stored bytes that it replaces.
        versions: The versions of the plan's tags, once the lease was taken.
        away: Whether Redis could not be asked, so that the value is computed and not stored.
        waiters: How many callers wait for it.
        background: Whether it goes on when nobody waits.
        computing: Whether the factory was started.
    """

    __slots__ = ("away", "background", "computing", "seen", "task", "versions", "waiters")

    def __init__(self, found: _Found) -> None:
        self.task: asyncio.Task[_Landing | None]
        self.seen = found.raw
        self.away = found.away
        self.versions: dict[str, str] = {}
        self.waiters = 0
        self.background = False
        self.computing = False


class Flights:
    """All computations of one cache in this process."""

    def __init__(self, store: EntryStore, watcher: Watcher) -> None:
        """Start with none."""
        self._store = store
        self._watcher = watcher
        self._flights: dict[str, _Flight] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._releases: set[asyncio.Task[None]] = set()

    # -- what the cache calls ------------------------------------------------------------------------------------

    async def remember(self, plan: Plan, *, away: bool) -> Any:
        """Return the cached value, or compute it; see [`Cache.remember`][rustforge.cache.Cache.remember]."""
        statistics = self._store.statistics
        while True:
            found = _Found("missing", away=True) if away else await self._read(plan)
            away = False
            if found.state == "fresh":
                if found.refresh and plan.full not in self._flights:
                    self._start(plan, found).background = True
                statistics.hits += 1
                statistics.near_hits += found.near
                return found.value
            if found.state == "stale":
                return await self._serve_stale(plan, found)
            payload = await self._wait(plan, self._start(plan, found))
            if payload is None:
                continue
            try:
                value = codec.decode(payload, plan.type)
            except codec.DecodeError:  # it was computed for a caller who wants another type
                continue
            statistics.misses += 1
            return value

    def detach(self, full: str) -> None:
        """Let the next caller compute anew, since the key was written or removed."""
        flight = self._flights.pop(full, None)
        if flight is not None and not flight.waiters:
            flight.task.cancel()

    def detach_all(self, start: str) -> None:
        """Do so for each key that starts with a text."""
        for full in [full for full in self._flights if full.startswith(start)]:
            self.detach(full)

    async def aclose(self) -> None:
        """Cancel what is under way, giving its leases back."""
        for task in self._tasks:
            task.cancel()
        while pending := self._tasks | self._releases:
            await asyncio.wait(pending)

    # -- reading -------------------------------------------------------------------------------------------------

    async def _read(self, plan: Plan) -> _Found:
        """Look the value up; nothing is found while Redis is away and the cache may go on without."""
        if self._store.refuses():
            return _Found("missing", away=True)
        try:
            return await self._assess(plan, await self._store.look(plan.full, plan.tags))
        except RedisError as error:
            self._store.unavailable(error)
            return _Found("missing", away=True)

    async def _assess(self, plan: Plan, look: Look) -> _Found:
        """Say what a stored value is good for."""
        missing = _Found("missing", look.raw, versions=look.versions)
        entry = None if look.raw is None or look.remaining == _MISSING else Entry.parse(look.raw)
        if entry is None:
            return missing
        try:
            value = codec.decode(entry.payload, plan.type)
        except codec.DecodeError as error:
            self._store.statistics.undecodable += 1
            _logger.warning("cached value of %r is computed again: it %s", plan.key, error)
            return missing
        if not await self._store.current(entry, look.versions):
            return missing
        fresh_ms = math.inf if look.remaining < 0 else look.remaining - entry.window
        found = _Found("fresh", look.raw, entry.payload, value, versions=look.versions, near=look.near)
        if fresh_ms <= 0:
            found.state = "stale"
        elif entry.soft:
            sooner = -entry.cost * plan.early * math.log(1.0 - random.random())  # noqa: S311 - not a secret
            found.refresh = sooner >= fresh_ms
        return found

    async def _serve_stale(self, plan: Plan, found: _Found) -> Any:
        """Refresh in the background, waiting as long as the plan has patience; else serve what is there."""
        statistics = self._store.statistics
        flight = self._start(plan, found)
        flight.background = True
        if plan.patience != 0:
            with contextlib.suppress(Exception):  # fail-safe: whatever goes wrong, the stale value is served
                async with asyncio.timeout(plan.patience):
                    payload = await self._wait(plan, flight)
                if payload is not None:
                    value = codec.decode(payload, plan.type)
                    statistics.misses += 1
                    return value
        statistics.hits += 1
        statistics.near_hits += found.near
        statistics.stale += 1
        return found.value

    # -- flights -------------------------------------------------------------------------------------------------

    def _start(self, plan: Plan, found: _Found) -> _Flight:
        """Join the computation that is under way, or start one that replaces what was found."""
        flight = self._flights.get(plan.full)
        if flight is not None:
            if flight in _producing.get():
                msg = f"the factory of {plan.key!r} asked for {plan.key!r} itself, so it would wait for ever"
                raise CacheError(msg)
            versions = found.versions
            if all(versions.get(name, version) == version for name, version in flight.versions.items()):
                return flight
            self.detach(plan.full)  # one of its tags was invalidated since it began, by another process
        flight = self._flights[plan.full] = _Flight(found)
        flight.task = self._spawn(self._tasks, self._fly(plan, flight), f"rustforge-remember {plan.full}")
        return flight

    @staticmethod
    def _spawn(tasks: set[asyncio.Task[Any]], work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        def landed(task: asyncio.Task[Any]) -> None:
            tasks.discard(task)
            if not task.cancelled():
                task.exception()  # mark it as seen: waiters got it, or the flight logged it

        task = asyncio.create_task(work, name=name)
        tasks.add(task)
        task.add_done_callback(landed)
        return task

    async def _wait(self, plan: Plan, flight: _Flight) -> bytes | None:
        """Wait for a computation; the last waiter that leaves cancels it, unless it runs in the background.

        Returns:
            What it brought; `None` where that may be older than a write before the caller came, or there was nothing
            to do.
        """
        late = flight.computing
        flight.waiters += 1
        try:
            landing = await asyncio.shield(flight.task)
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
        return None if landing is None or (late and not landing.stored) else landing.payload

    def _forget(self, full: str, flight: _Flight) -> None:
        if self._flights.get(full) is flight:
            del self._flights[full]

    async def _fly(self, plan: Plan, flight: _Flight) -> _Landing | None:
        """Compute the value, or get it from whoever does; `None` when a background refresh is not needed."""
        _producing.set(_producing.get() | {flight})
        try:
            lease = await self._take_lease(plan, flight)
            if not isinstance(lease, _Lease):
                return lease
            flight.versions = lease.versions
            flight.computing = True
            landing = await self._compute(plan, lease)
            if not landing.stored:
                found = await self._read(plan)
                if found.state == "fresh":
                    return _Landing(found.payload)
        except Exception as error:
            if flight.background:
                _logger.warning("refreshing %r failed: %s: %s", plan.key, type(error).__name__, error)
            raise
        else:
            return landing
        finally:
            self._forget(plan.full, flight)

    async def _take_lease(self, plan: Plan, flight: _Flight) -> _Lease | _Landing | None:
        """Take the lease, or wait until a value is there.

        Returns:
            The lease; or what another process stored; or `None` when nobody waits for the value that another process
            computes, or a stale value can be served while a failure is not long ago.
        """
        token = secrets.token_hex(8)
        seen = flight.seen
        with self._watcher.watch(plan.full) as event:
            while not flight.away:
                try:
                    identified = "" if seen is None else identity(seen)
                    urgent = 0 if flight.background else 1
                    state, number = await self._store.client.run(
                        LEASE, [plan.full], [token, plan.lease, identified, _MARGIN_MS, urgent], retry=True
                    )
                    self._store.worked()
                    if state == b"mine":
                        return _Lease(token, number, await self._store.tag_versions(plan.tags, _tag_life(plan)))
                    if flight.background and (state == b"paused" or (state == b"busy" and not flight.waiters)):
                        return None
                    raw, remaining = await self._store.client.track(plan.full)
                    found = await self._assess(plan, Look(raw, remaining, {}))
                except asyncio.CancelledError:
                    self._give_back(plan, token)
                    raise
                except RedisError as error:
                    if not isinstance(error, RedisConnectionError):
                        self._give_back(plan, token)
                    self._store.unavailable(error)
                    break
                if found.state == "fresh":
                    return _Landing(found.payload)
                seen = found.raw
                if state == b"busy" and raw is not None:
                    await self._watcher.wait(event, number)
        return _Lease()

    async def _compute(self, plan: Plan, lease: _Lease) -> _Landing:
        """Run the factory under the lease and store its value."""
        renewal = None
        if lease.token:
            renewal = self._spawn(self._tasks, self._renew(plan, lease), f"rustforge-renewal {plan.full}")
        try:
            payload, seconds = await self._produce(plan)
            return _Landing(payload, not lease.token or await self._settle(plan, lease, payload, seconds))
        except BaseException as error:
            if lease.token:
                self._give_back(plan, lease.token, _FAILURE_PAUSE_MS if isinstance(error, Exception) else 0)
            raise
        finally:
            if renewal is not None:
                renewal.cancel()

    async def _produce(self, plan: Plan) -> tuple[bytes, float]:
        """Run the factory; return its value as JSON, and how long it took."""
        statistics = self._store.statistics
        started = time.perf_counter()
        try:
            value = plan.factory()
            if inspect.isawaitable(value):
                value = await value
        except Exception:
            statistics.compute_errors += 1
            raise
        seconds = time.perf_counter() - started
        statistics.computed += 1
        statistics.compute_seconds += seconds
        return self._encode(plan, value), seconds

    async def _settle(self, plan: Plan, lease: _Lease, payload: bytes, seconds: float) -> bool:
        """Store the value; return whether it was stored, or would have been if Redis were there."""
        entry = Entry(payload, plan.window, math.ceil(seconds * 1000), lease.versions, plan.soft)
        ttl = plan.ttl and max(1, int(plan.ttl * (1 - plan.jitter * random.random())))  # noqa: S311
        raw, life = self._store.pack_entry(entry), ttl and ttl + plan.window
        try:
            stored = bool(await self._store.client.run(SETTLE, [plan.full], [lease.token, raw, life], retry=True))
        except RedisError as error:
            self._store.unavailable(error)
            self._give_back(plan, lease.token)
            return True
        finally:
            if self._store.near is not None:
                self._store.near.discard(plan.full)
        if not stored and seconds * 1000 > plan.lease:
            _logger.warning(
                "the value of %r, which took %.1f s, was not stored: its lease of %.1f s was lost, as when the event "
                "loop is blocked, or the key was written meanwhile",
                plan.key,
                seconds,
                plan.lease / 1000,
            )
        return stored

    def _encode(self, plan: Plan, value: Any) -> bytes:
        """Write the factory's value, making sure that it can be read back."""
        try:
            payload = codec.encode(value)
            codec.decode(payload, plan.type)
        except codec.EncodeError as error:
            msg = f"the factory of {plan.key!r} returned what cannot be stored: {error}"
            raise CacheEncodeError(plan.key, msg) from error
        except codec.DecodeError as error:
            msg = f"the factory of {plan.key!r} returned a value of type {type(value).__name__} that {error}"
            raise CacheEncodeError(plan.key, msg) from None
        if plan.type is None and hasattr(value, "__pydantic_serializer__"):
            name = type(value).__name__
            _logger.warning("%r is read as plain JSON; to get %s back, say type=%s", plan.key, name, name)
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
                if left == _LOST:
                    return
                await self._store.tag_versions(plan.tags, _tag_life(plan))
            except RedisError as error:
                _logger.warning("the lease on %r could not be renewed: %s", plan.key, error)
                left = -1

    def _give_back(self, plan: Plan, token: str, pause: int = 0) -> None:
        """Release a lease that was or may have been taken; the command leaves before any that comes later.

        A value that can still be served keeps others from refreshing it for `pause` milliseconds.
        """
        _ = self._spawn(self._releases, self._release(plan, token, pause), f"rustforge-release {plan.full}")

    async def _release(self, plan: Plan, token: str, pause: int) -> None:
        try:
            await self._store.client.run(RELEASE, [plan.full], [token, pause], retry=True)
        except RedisError as error:
            _logger.warning("the lease on %r stays for up to %d ms: %s", plan.key, plan.lease, error)


def _tag_life(plan: Plan) -> int:
    """Return how long tags must live to outlast a value that is stored before the lease is renewed again."""
    return plan.ttl and plan.ttl + plan.window + plan.lease
