"""What every Redis client of Rustforge can do, whatever stands behind the URL."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from rustforge.redis.script import Script
    from rustforge.redis.url import RedisUrl
    from rustforge.types import CommandArgument

__all__ = ["RedisClient"]

_logger = logging.getLogger(__name__)


class RedisClient(ABC):
    """A connection to Redis that every task of one event loop shares.

    Values come back as Redis sends them over RESP3: `bytes`, `int`, `None`, `list`, `dict`, `float` or `bool`.

    Attributes:
        url: Where the client connects; printing it shows no password.
    """

    def __init__(self, url: RedisUrl) -> None:
        """Remember the URL; nothing is opened yet."""
        self.url = url
        self._listeners: list[Callable[[bytes | None], None]] = []

    # -- commands ------------------------------------------------------------------------------------------------

    @abstractmethod
    def call(self, *args: CommandArgument, retry: bool = False) -> Awaitable[Any]:
        """Send one command; it leaves with all others of this event-loop tick.

        Args:
            *args: The command and its arguments. In a cluster the second one must be the key.
            retry: The command is idempotent: when the connection is lost it is sent again.

        Returns:
            An awaitable of the reply.

        Raises:
            RedisReplyError: Redis answered with an error.
            RedisConnectionError: Redis cannot be reached.
            RedisOutcomeUnknownError: The connection was lost, and `retry` is false.
            RedisTimeoutError: Redis did not answer in time.
            RedisOverloadedError: Too many commands are waiting.
            ValueError: The command would change the connection for every other task, as SELECT or MULTI does; a
                transaction goes into one `pipeline`.
        """

    def get(self, key: str) -> Awaitable[bytes | None]:
        """Read a string key, as `call("GET", key, retry=True)` does."""
        return self.call("GET", key, retry=True)

    @abstractmethod
    def pipeline(self, commands: Sequence[Sequence[CommandArgument]], *, retry: bool = False) -> Awaitable[list[Any]]:
        """Send several commands at once.

        They run in order on a single server, but not atomically; a cluster runs them in order on each node.

        Args:
            commands: The commands; an empty sequence gives an empty list.
            retry: All of them are idempotent.

        Returns:
            An awaitable of the replies in order; an error reply stands in its place as a `RedisReplyError`.
        """

    @abstractmethod
    def run(
        self,
        script: Script,
        keys: Sequence[CommandArgument],
        args: Sequence[CommandArgument] = (),
        *,
        retry: bool = False,
    ) -> Awaitable[Any]:
        """Run a Lua script by its digest, or by its source where the server does not know it.

        Args:
            script: The script.
            keys: Its KEYS, at least one; in a cluster all in one slot.
            args: Its ARGV.
            retry: The script is idempotent.
        """

    @abstractmethod
    def mget(self, keys: Sequence[CommandArgument]) -> Awaitable[list[bytes | None]]:
        """Read many string keys, of whatever slots."""

    @abstractmethod
    def unlink(self, keys: Sequence[CommandArgument]) -> Awaitable[int]:
        """Remove many keys, of whatever slots, freeing their memory in the background; return how many existed."""

    @abstractmethod
    def scan(self, match: bytes, count: int = 500) -> AsyncIterator[list[bytes]]:
        """Walk over the keys that match a glob pattern, on every primary node, a slice at a time.

        Each slice holds the server for well under a millisecond. As with SCAN, a key may come twice.

        Args:
            match: The pattern; escape literal text with [`escape_glob`][rustforge.redis.escape_glob].
            count: About how many keys the server looks at for each slice.
        """

    def flush(self) -> None:  # noqa: B027 - most have nothing to do
        """Write what waits now, and not at the end of the tick: a hint, which a client need not follow."""

    # -- invalidation --------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def tracking(self) -> bool:
        """Whether the server tells of changed keys (CLIENT TRACKING is allowed for this user)."""

    @abstractmethod
    def track(self, key: CommandArgument) -> Awaitable[tuple[bytes | None, int]]:
        """Read a string key and its time to live, and hear of its next change.

        The listeners get the key, once, after another client or this one changes or removes it, or it expires. On a
        single server the request is sent now, before whatever is sent next, also while the awaitable is not awaited.

        Returns:
            An awaitable of the value and of PTTL's answer: milliseconds, -1 without expiry, -2 where it is missing.
        """

    def add_listener(self, listener: Callable[[bytes | None], None]) -> None:
        """Hear of changed keys that were read with `track`.

        Args:
            listener: Called with the key; with `None` when all knowledge is void, as after a lost connection.
        """
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[bytes | None], None]) -> None:
        """Stop hearing."""
        self._listeners.remove(listener)

    def _announce(self, keys: list[bytes] | None) -> None:
        """Tell the listeners."""
        for listener in tuple(self._listeners):
            for key in [None] if keys is None else keys:
                try:
                    listener(key)
                except Exception:
                    _logger.exception("A listener of changed Redis keys failed")

    # -- life cycle ----------------------------------------------------------------------------------------------

    @abstractmethod
    def statistics(self) -> dict[str, int]:
        """Count what the client did since it was made.

        Returns:
            `commands` sent, `writes` they left in, `connects`, `timeouts`, `lost` connections, and the commands
                `in_flight` and `queued` now.
        """

    @abstractmethod
    async def open(self) -> Self:
        """Connect now, once, instead of with the first command; return the client.

        Raises:
            RedisConnectionError: The server cannot be reached, or refused the password.
            RedisTimeoutError: It did not answer in time.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Wait for the answers that are due, then close. Calling it again does nothing."""

    async def __aenter__(self) -> Self:
        """Connect."""
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.aclose()
