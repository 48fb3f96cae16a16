"""A lock across processes, held on a lease that renews itself."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Self

from rustforge.cache.scripts import OWNED_ACQUIRE, OWNED_DELETE, OWNED_EXTEND
from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.errors import (
    InvalidArgumentError,
    LockLostError,
    LockTimeoutError,
    RedisClosedError,
    RedisError,
    RedisOutcomeUnknownError,
    RedisTimeoutError,
)

if TYPE_CHECKING:
    from rustforge.cache.watch import Watcher
    from rustforge.redis import RedisClient
    from rustforge.types import Duration

__all__ = ["Lock"]

_logger = logging.getLogger(__name__)


class Lock:
    """A lock that one owner holds at a time, in whatever process; made by [`Cache.lock`][rustforge.cache.Cache.lock].

    The owner holds a lease and renews it every third of its length for as long as the block runs. When the owner's
    process dies, the lock is free again after at most one lease. Waiters are woken by the release; they do not poll.

    A lease is not proof: a process that stood still for longer than its lease may have lost it without knowing.
    Protect what must never run twice by a check where it is written, such as a version column.

    Example:
        ```python
        async with cache.lock("report:2026", lease=30, wait=5):
            await build_report()
        ```
    """

    def __init__(
        self, client: RedisClient, watcher: Watcher, name: str, *, key: str, lease: Duration, wait: Duration | None
    ) -> None:
        """Prepare a lock; nothing is taken yet."""
        self.name = name
        self._client = client
        self._watcher = watcher
        self._key = key
        self._lease = milliseconds(lease, "lease")
        self._wait = None if wait is None else milliseconds(wait, "wait", allow_zero=True) / 1000
        self._token = ""
        self._renewal: asyncio.Task[None] | None = None
        self._lost = False
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether this object holds the lock, as far as it knows: the lease was renewed less than a lease ago."""
        return bool(self._token) and not self._lost and SYSTEM_CLOCK.monotonic() < self._until

    async def acquire(self) -> bool:
        """Take the lock, waiting for it as long as `wait` says.

        Returns:
            `False` when it stayed with another owner for all of that time.

        Raises:
            InvalidArgumentError: This object already holds the lock.
            RedisError: Redis could not be asked.
        """
        if self._token:
            msg = f"lock {self.name!r} is already held by this object; make another with cache.lock()"
            raise InvalidArgumentError(msg)
        token = secrets.token_hex(8)
        loop = asyncio.get_running_loop()
        deadline = None if self._wait is None else loop.time() + self._wait
        try:
            with self._watcher.watch(self._key) as event:
                while True:
                    until = self._lease_from_now()
                    left: int = await self._client.run(OWNED_ACQUIRE, [self._key], [token, self._lease], retry=True)
                    if left < 0:
                        break
                    if deadline is not None:
                        left = min(left, int((deadline - loop.time()) * 1000))
                        if left <= 0:
                            return False
                    owner, _ = await self._client.track(self._key)
                    if owner is not None:
                        await self._watcher.wait(event, left)
        except (asyncio.CancelledError, RedisTimeoutError):
            await asyncio.shield(self._give_back(token))
            raise
        self._token, self._lost, self._until = token, False, until
        self._renewal = loop.create_task(self._renew(token), name=f"rustforge-lock {self.name}")
        return True

    async def release(self) -> None:
        """Give the lock back.

        Raises:
            LockLostError: The lease had been lost, so another owner may have worked at the same time.
            InvalidArgumentError: The lock is not held.
        """
        if not self._token:
            msg = f"lock {self.name!r} is not held, so it cannot be released"
            raise InvalidArgumentError(msg)
        held, token, self._token = self.held, self._token, ""
        if self._renewal is not None:
            self._renewal.cancel()
        delete = self._client.run(OWNED_DELETE, [self._key], [token])
        try:
            ours = await asyncio.shield(delete)  # a cancelled caller gives the lock back all the same
        except RedisOutcomeUnknownError:  # if the first try removed it, the second one finds nothing
            ours = await self._client.run(OWNED_DELETE, [self._key], [token], retry=True) or held
        if not ours or self._lost:
            msg = f"the lease of lock {self.name!r} was lost while it was held; make the lease longer than any stall"
            raise LockLostError(msg)

    async def __aenter__(self) -> Self:
        """Take the lock.

        Raises:
            LockTimeoutError: It stayed with another owner for as long as `wait` says.
        """
        if not await self.acquire():
            msg = f"lock {self.name!r} stayed with another owner for {self._wait:g} s"
            raise LockTimeoutError(msg)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give the lock back; an error of the block is not replaced by one of the lock."""
        try:
            await self.release()
        except (LockLostError, RedisError):
            if kind is None:
                raise
            _logger.exception("lock %r could not be released cleanly", self.name)

    async def _renew(self, token: str) -> None:
        """Extend the lease every third of its length."""
        while True:
            await asyncio.sleep(self._lease / 3000)
            until = self._lease_from_now()
            try:
                if not await self._client.run(OWNED_EXTEND, [self._key], [token, self._lease], retry=True):
                    self._lost = True
                    _logger.error("the lease of lock %r was lost", self.name)
                    return
                self._until = until
            except RedisClosedError:
                return
            except RedisError as error:
                _logger.warning("the lease of lock %r could not be renewed: %s", self.name, error)

    def _lease_from_now(self) -> float:
        """Return when a lease ends that the server is asked for now; for the server it ends later."""
        return SYSTEM_CLOCK.monotonic() + self._lease / 1000

    async def _give_back(self, token: str) -> None:
        """Free the lock if a cancelled or failed attempt took it after all."""
        try:
            await self._client.run(OWNED_DELETE, [self._key], [token], retry=True)
        except RedisError as error:
            _logger.warning("lock %r may stay taken for one lease: %s", self.name, error)
