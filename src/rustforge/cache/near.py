"""The near cache: values kept in the process, thrown out when Redis says that they changed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rustforge.clock import milliseconds
from rustforge.errors import InvalidArgumentError

if TYPE_CHECKING:
    from rustforge.clock import Clock
    from rustforge.types import Duration

__all__ = ["NearCache", "NearStore"]

_ENTRY_OVERHEAD = 300


@dataclass(frozen=True, slots=True)
class NearCache:
    """How much a cache keeps in the process, in front of Redis.

    The server pushes a notice when a key that was read changes, so a value is outdated for no longer than that push
    travels. When the connection is lost, everything is thrown out. A user without permission for CLIENT TRACKING
    gets no near cache.

    Attributes:
        max_entries: Most values held. The ones not read since their last turn go first (CLOCK, Corbató 1968).
        max_bytes: Most memory held, in bytes, keys and overhead included.
        ttl: Longest time that a value is held, in seconds or as a `timedelta`.
    """

    max_entries: int = 10_000
    max_bytes: int = 64 << 20
    ttl: Duration = 60

    def __post_init__(self) -> None:
        """Refuse bounds that hold nothing.

        Raises:
            InvalidArgumentError: A bound is not positive.
        """
        if self.max_entries < 1 or self.max_bytes < 1:
            msg = "NearCache needs max_entries and max_bytes of at least 1"
            raise InvalidArgumentError(msg)
        milliseconds(self.ttl)


class _Held:
    __slots__ = ("expires", "raw", "read", "until")

    def __init__(self, raw: bytes, expires: float | None, until: float) -> None:
        self.raw = raw
        self.expires = expires
        self.until = until
        self.read = False


class _Mark:
    """A read that is under way; its time is before the server looks, so a value is never held beyond its end."""

    __slots__ = ("began",)

    def __init__(self, began: float) -> None:
        self.began: float = began


class NearStore:
    """The values themselves, with the marks that keep a late reply from bringing back what was thrown out."""

    def __init__(self, options: NearCache, clock: Clock) -> None:
        """Start empty."""
        self._entries: OrderedDict[str, _Held] = OrderedDict()  # a dict is slow at finding its first of many
        self._reading: dict[str, _Mark] = {}
        self._options = options
        self._ttl = milliseconds(options.ttl) / 1000
        self._now = clock.monotonic
        self.bytes: int = 0

    def __len__(self) -> int:
        """Return how many values are held."""
        return len(self._entries)

    def get(self, key: str) -> bytes | None:
        """Return the value, or `None` where none is held or its time is over."""
        held = self._entries.get(key)
        if held is None:
            return None
        if held.until <= self._now():
            self._drop(key)
            return None
        held.read = True
        return held.raw

    def remaining(self, key: str) -> int:
        """Return the milliseconds that a held value has left in Redis, as PTTL does."""
        held = self._entries[key]
        return -1 if held.expires is None else max(0, int((held.expires - self._now()) * 1000))

    def begin(self, key: str) -> _Mark:
        """Mark a read that was sent; concurrent reads of a key share the mark."""
        mark = self._reading.get(key)
        if mark is None:
            mark = self._reading[key] = _Mark(self._now())
        return mark

    def finish(self, key: str, mark: _Mark, raw: bytes | None, remaining: int) -> None:
        """Hold the value that a read brought, unless the key changed since `begin`.

        Args:
            key: The key.
            mark: What `begin` returned.
            raw: The stored bytes; `None` holds nothing, and only ends what `begin` began.
            remaining: What PTTL said, in milliseconds.
        """
        if self._reading.get(key) is not mark:
            return
        del self._reading[key]
        size = 0 if raw is None else len(raw) + len(key) + _ENTRY_OVERHEAD
        if raw is None or size > self._options.max_bytes or remaining == -2:  # noqa: PLR2004 - PTTL's "missing"
            return
        expires = None if remaining < 0 else mark.began + remaining / 1000
        until = mark.began + self._ttl
        self._drop(key)
        while len(self._entries) >= self._options.max_entries or self.bytes + size > self._options.max_bytes:
            self._evict()
        self._entries[key] = _Held(raw, expires, until if expires is None else min(until, expires))
        self.bytes += size

    def discard(self, key: str) -> None:
        """Throw a value out, and keep a read that is under way from bringing it back."""
        self._reading.pop(key, None)
        self._drop(key)

    def clear(self) -> None:
        """Throw everything out."""
        self._entries.clear()
        self._reading.clear()
        self.bytes = 0

    def hear(self, key: bytes | None) -> None:
        """Take a notice of the connection: this key changed, or nothing is known any more."""
        if key is None:
            self.clear()
        else:
            self.discard(key.decode(errors="replace"))

    def _drop(self, key: str) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self.bytes -= len(found.raw) + len(key) + _ENTRY_OVERHEAD

    def _evict(self) -> None:
        """Throw out the oldest that was not read since its last turn; those that were get another turn."""
        while True:
            key, held = next(iter(self._entries.items()))
            if not held.read:
                self._drop(key)
                return
            held.read = False
            self._entries.move_to_end(key)
