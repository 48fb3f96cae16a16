"""The keyspace: values, their expiry, and who wants to hear of a change."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from rustforge.redis.embedded.errors import wrong_type
from rustforge.redis.embedded.sorted_set import SortedSet
from rustforge.redis.embedded.stream import Stream
from rustforge.redis.embedded.walkable import Walkable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustforge.clock import Clock

__all__ = ["Database", "Hash", "List", "Listener", "Set"]

Listener: TypeAlias = "Callable[[list[bytes] | None], None]"
"""Hears of changed keys; `None` stands for all of them."""

_HALF = 0.5


class Hash(Walkable):
    """A hash: fields and their values."""

    __slots__ = ()


class Set(Walkable):
    """A set: its members, each with `None`."""

    __slots__ = ()


class List(deque[bytes]):
    """A list."""

    __slots__ = ()


Value: TypeAlias = bytes | Hash | List | Set | SortedSet | Stream
Kind = TypeVar("Kind", bytes, Hash, List, Set, SortedSet, Stream)


class Database:
    """The data of one store. Containers are never empty, but for streams: the last member takes the key with it.

    Attributes:
        values: The value of each key.
        expires: When keys expire, in milliseconds since 1970; at that time they are gone.
        notices: Who must hear of which change once the running command is done.
        listeners: Everybody who hears when all keys are removed.
        resp3: Whether replies take their RESP3 form; scripts see RESP2.
        engine: What runs scripts, once there was one.
        on_nearest: Called with the time of the next expiry when it comes nearer.
    """

    def __init__(self, clock: Clock) -> None:
        """Start empty."""
        self.values: Walkable = Walkable(indexed=True)
        self.expires: dict[bytes, int] = {}
        self.notices: list[tuple[Listener, bytes | None]] = []
        self.listeners: set[Listener] = set()
        self.resp3 = True
        self.engine: Any = None
        self.on_nearest: Callable[[int], None] | None = None
        self._watchers: dict[bytes, set[Listener]] = {}
        self._due: list[tuple[int, bytes]] = []
        self._time = clock.time
        self._frozen: float | None = None

    # -- time ----------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Return the time in seconds; it stands still while a script runs."""
        return self._time() if self._frozen is None else self._frozen

    def now(self) -> int:
        """Return the time in milliseconds, rounded: a manual clock's fractions may fall just short of a whole one."""
        seconds = self._time() if self._frozen is None else self._frozen
        return int(seconds * 1000 + _HALF)

    def freeze(self) -> None:
        """Stop the time for a script."""
        self._frozen = self._time()

    def thaw(self) -> None:
        """Let the time go on."""
        self._frozen = None

    # -- reading and writing -------------------------------------------------------------------------------------

    def read(self, key: bytes) -> Value | None:
        """Return the value of a key, or `None` where it is missing or expired."""
        if key in self.expires and self.expires[key] <= self.now():
            self.remove(key)
            return None
        return self.values.get(key)

    def fetch(self, key: bytes, kind: type[Kind]) -> Kind | None:
        """Return the value of a key if it is of a kind.

        Raises:
            RedisReplyError: It is of another kind.
        """
        value: Any = self.read(key)
        if value is not None and type(value) is not kind:
            raise wrong_type()
        return value

    def fetch_or_make(self, key: bytes, kind: type[Kind]) -> Kind:
        """Return the value of a key, making an empty one where there is none; the caller fills it at once."""
        value = self.fetch(key, kind)
        if value is None:
            value = kind()
            self.values.put(key, value)
        return value

    def write(self, key: bytes, value: Value) -> None:
        """Set the value of a key, which keeps its expiry."""
        if key in self.values:
            self.values[key] = value
        else:
            self.values.put(key, value)
        if self._watchers:
            self.changed(key)

    def replace(self, key: bytes, value: Value) -> None:
        """Set the value of a key, which loses its expiry."""
        if self.expires:
            self.expires.pop(key, None)
        self.write(key, value)

    def remove(self, key: bytes) -> None:
        """Remove a key that is there, expired or not."""
        self.values.drop(key)
        self.expires.pop(key, None)
        if self._watchers:
            self.changed(key)

    def shrunk(self, key: bytes, value: Hash | List | Set | SortedSet) -> None:
        """Note that a container lost members: an empty one goes."""
        if value:
            self.changed(key)
        else:
            self.remove(key)

    def clear(self) -> None:
        """Remove everything."""
        self.values = Walkable(indexed=True)
        self.expires = {}
        self._due = []
        self._watchers = {}
        self.notices += [(listener, None) for listener in self.listeners]

    # -- expiry --------------------------------------------------------------------------------------------------

    def expire(self, key: bytes, when: int) -> None:
        """Let a key that is there expire at a time in milliseconds; at once, if that is past."""
        if when <= self.now():
            self.remove(key)
            return
        before = self.expires.get(key)
        self.expires[key] = when
        if before is None or when < before:
            # A later time needs no new entry: the old one comes up, and is put back with the time that holds then.
            heappush(self._due, (when, key))
            if len(self._due) > 2 * len(self.expires) + 64:
                self._due = [(when, key) for key, when in self.expires.items()]
                heapify(self._due)
            if self._due[0][0] == when and self.on_nearest is not None:
                self.on_nearest(when)
        self.changed(key)

    def persist(self, key: bytes) -> bool:
        """Let a key stay for ever; return whether it would have expired."""
        if self.expires.pop(key, None) is None:
            return False
        self.changed(key)
        return True

    def expire_due(self, limit: int) -> int | None:
        """Remove keys whose time has come.

        Args:
            limit: How many entries to look at.

        Returns:
            When to look again, or `None` if nothing expires.
        """
        due = self._due
        now = self.now()
        while due and (due[0][0] <= now or due[0][1] not in self.expires) and limit > 0:
            limit -= 1
            _, key = heappop(due)
            when = self.expires.get(key)
            if when is None:
                continue
            if when <= now:
                self.remove(key)
            else:
                heappush(due, (when, key))
        return due[0][0] if due else None

    # -- changes -------------------------------------------------------------------------------------------------

    def watch(self, key: bytes, listener: Listener) -> None:
        """Let a listener hear, once, of the next change of a key."""
        self._watchers.setdefault(key, set()).add(listener)

    def changed(self, key: bytes) -> None:
        """Note a change of a key."""
        if key in self._watchers:
            self.notices += [(listener, key) for listener in self._watchers.pop(key)]

    def forget(self, listener: Listener) -> None:
        """Let a listener hear no more."""
        self.listeners.discard(listener)
        self.notices = [notice for notice in self.notices if notice[0] != listener]
        for key, listeners in list(self._watchers.items()):
            listeners.discard(listener)
            if not listeners:
                del self._watchers[key]
