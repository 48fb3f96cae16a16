"""Wait for a key to change, without asking Redis over and over."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from rustforge.redis import RedisClient

__all__ = ["Watcher"]

_POLL_SECONDS = 0.05
_SAFETY_SECONDS = 1.0


class Watcher:
    """Wakes waiting tasks by the server's notices of changed keys; polls only where those are not allowed."""

    def __init__(self, client: RedisClient) -> None:
        """Listen to the client's notices."""
        self._client = client
        self._events: dict[bytes, set[asyncio.Event]] = {}
        client.add_listener(self._hear)

    @contextlib.contextmanager
    def watch(self, key: str) -> Generator[asyncio.Event]:
        """Give an event that is set when the key changes after it was read with the client's `track`."""
        name = key.encode()
        event = asyncio.Event()
        self._events.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            waiting = self._events[name]
            waiting.discard(event)
            if not waiting:
                del self._events[name]

    async def wait(self, event: asyncio.Event, longest_ms: int) -> None:
        """Wait for the event, at most so long and never over a second, in case a notice was lost."""
        longest = _SAFETY_SECONDS if self._client.tracking else _POLL_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(max(longest_ms, 1) / 1000, longest)):
                await event.wait()
        event.clear()

    def close(self) -> None:
        """Stop listening."""
        self._client.remove_listener(self._hear)

    def _hear(self, key: bytes | None) -> None:
        if key is None:
            for events in self._events.values():
                for event in events:
                    event.set()
        else:
            for event in self._events.get(key, ()):
                event.set()
