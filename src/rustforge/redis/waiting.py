"""Commands that did not run and wait for a better moment, such as the end of a failover, to be sent again."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from rustforge.errors import (
    RedisAuthenticationError,
    RedisConnectionError,
    RedisError,
    RedisOutcomeUnknownError,
    RedisReplyError,
    RedisTimeoutError,
)
from rustforge.redis.multiplexer import Reply, own_copy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["LATER", "REDIRECTIONS", "Pauses", "WaitingRoom", "may_go_on", "unsent_reply"]

REDIRECTIONS = frozenset({"MOVED", "ASK"})
"""Codes of errors that name the node to ask instead; the command did not run."""

LATER = frozenset({"TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN"})
"""Codes of errors that end by themselves; the command did not run."""

_FIRST_PAUSE = 0.025
_LONGEST_PAUSE = 0.4
_QUIET_SECONDS = 1.0
_MAX_FAILURES = 5
_MAX_COMMANDS = 100_000
_MAX_BYTES = 256 << 20


def unsent_reply(
    payload: bytes, deadline: float, *, retry: bool, expected: int = 0, fallback: Callable[[], bytes] | None = None
) -> Reply:
    """Make the reply of a command that leaves by `Multiplexer.resend`, which keeps its deadline."""
    reply = Reply(loop=asyncio.get_running_loop())
    reply.payload = payload
    reply.deadline = deadline
    reply.retry = retry
    reply.expected = expected
    reply.parts = [] if expected else None
    reply.fallback = fallback
    return reply


def may_go_on(error: RedisError, *, retry: bool) -> bool:
    """Tell whether a command with this error may be sent again: it did not run, or is idempotent."""
    if isinstance(error, RedisReplyError):
        return error.code in LATER or error.code in REDIRECTIONS
    if isinstance(error, RedisOutcomeUnknownError):
        return retry
    refused = isinstance(error, RedisAuthenticationError)
    return isinstance(error, (RedisConnectionError, RedisTimeoutError)) and not refused


class Pauses:
    """Pauses between attempts: each about twice as long as the one before, up to a bound.

    Attributes:
        longest: What the next pause takes at most.
    """

    def __init__(self) -> None:
        """Begin with the shortest."""
        self.longest: float = _FIRST_PAUSE
        self._failures = 0

    def take(self) -> float:
        """Give the seconds of the next pause: never more than `longest`, and not the same for every client."""
        pause, self.longest = self.longest, min(self.longest * 2, _LONGEST_PAUSE)
        return pause * random.uniform(0.75, 1.0)  # noqa: S311 - jitter, not a secret

    async def prepare(self, prepare: Callable[[], Awaitable[None]], deadline: float) -> bool:
        """Prepare the next attempt; return `False` when that failed, or was not done by the deadline.

        Raises:
            RedisError: It failed for the fifth time in a row, or because the password is refused.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await prepare()
        except RedisError as error:
            self._failures += 1
            if self._failures == _MAX_FAILURES or isinstance(error, RedisAuthenticationError):
                self._failures = 0
                raise
            return False
        except TimeoutError:
            return False
        self._failures = 0
        return True


class WaitingRoom:
    """Holds commands for a pause, each with the error that it gets if its deadline comes first.

    All of them leave together, in the order in which they came. While commands keep coming back the pauses grow.
    """

    def __init__(self, prepare: Callable[[], Awaitable[None]], release: Callable[[Reply], None]) -> None:
        """Prepare an empty room.

        Args:
            prepare: Awaited before commands are released, to learn where they must go now. When that fails for good,
                all of them get its error.
            release: Sends a command again.
        """
        self._prepare = prepare
        self._release = release
        self._loop = asyncio.get_running_loop()
        self._held: list[tuple[Reply, RedisError]] = []
        self._bytes = 0
        self._pauses = Pauses()
        self._held_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        """Count the commands that wait."""
        return len(self._held)

    def hold(self, reply: Reply, error: RedisError) -> bool:
        """Keep a command for later; return `False` when its deadline is too near, or too much waits already."""
        now = self._loop.time()
        if now - self._held_at > _QUIET_SECONDS:
            self._pauses = Pauses()
        self._held_at = now
        full = len(self._held) >= _MAX_COMMANDS or self._bytes + len(reply.payload) > _MAX_BYTES
        if self._closed or full or now + self._pauses.longest >= reply.deadline:
            return False
        self._keep(reply, error)
        if self._task is None:
            self._task = self._loop.create_task(self._run(), name="rustforge-redis-waiting")
        return True

    def _keep(self, reply: Reply, error: RedisError) -> None:
        self._held.append((reply, error))
        self._bytes += len(reply.payload)

    def _empty(self) -> list[tuple[Reply, RedisError]]:
        held, self._held, self._bytes = self._held, [], 0
        return [(reply, error) for reply, error in held if not reply.done()]

    async def _run(self) -> None:
        try:
            while self._held:
                await asyncio.sleep(self._pauses.take())
                try:
                    ready = await self._pauses.prepare(self._prepare, min(reply.deadline for reply, _ in self._held))
                except RedisError as error:
                    self._fail(error)
                    continue
                self._expire()
                for reply, _ in self._empty() if ready else ():
                    self._release(reply)
        finally:
            self._task = None

    def _expire(self) -> None:
        """Fail the commands past their deadline, each with the error that brought it here."""
        now = self._loop.time()
        for reply, error in self._empty():
            if reply.deadline <= now:
                reply.set_exception(own_copy(error))
            else:
                self._keep(reply, error)

    def _fail(self, error: RedisError) -> None:
        for reply, _ in self._empty():
            reply.set_exception(own_copy(error))

    async def aclose(self, error: RedisError) -> None:
        """Fail every command that waits, and hold no more."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._fail(error)
