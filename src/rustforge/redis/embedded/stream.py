"""The value behind a stream."""

from __future__ import annotations

from bisect import bisect_left
from typing import TypeAlias

__all__ = ["LAST_ID", "Stream", "StreamId"]

StreamId: TypeAlias = tuple[int, int]
"""The id of an entry: milliseconds, and a number within them."""

_MAX = 2**64 - 1
LAST_ID: StreamId = (_MAX, _MAX)
"""The greatest id there can be."""

_NODE = 100


class Stream:
    """Entries in the order of their ids. Unlike other containers, an empty one stays.

    Attributes:
        ids: The ids, in order.
        fields: What each entry holds: names and values in turn.
        last: The greatest id that was ever given.
    """

    __slots__ = ("fields", "ids", "last")

    def __init__(self) -> None:
        """Start empty."""
        self.ids: list[StreamId] = []
        self.fields: list[list[bytes]] = []
        self.last: StreamId = (0, 0)

    def __len__(self) -> int:
        """Count the entries."""
        return len(self.ids)

    def add(self, entry: StreamId, fields: list[bytes]) -> None:
        """Add an entry with an id beyond the last one."""
        self.ids.append(entry)
        self.fields.append(fields)
        self.last = entry

    def next_id(self, now: int) -> StreamId:
        """Make an id of the time in milliseconds, beyond the last one."""
        if now > self.last[0]:
            return now, 0
        return self.last[0] + self.last[1] // _MAX, (self.last[1] + 1) % (_MAX + 1)

    def slice(self, first: StreamId, last: StreamId) -> slice:
        """Find the entries with ids from `first` to `last`, both included."""
        return slice(bisect_left(self.ids, first), bisect_left(self.ids, (last[0], last[1] + 1)))

    def drop(self, entry: StreamId) -> bool:
        """Remove an entry; return whether it was there."""
        found = self.slice(entry, entry)
        del self.ids[found], self.fields[found]
        return bool(found.start < found.stop)

    def trim(self, excess: int, limit: int | None = None) -> int:
        """Remove the oldest entries.

        Args:
            excess: How many are too many.
            limit: With a number, remove whole nodes only, and at most so many entries; 0 stands for no limit.

        Returns:
            How many were removed.
        """
        gone, size = max(excess, 0), len(self.ids)
        if limit is not None:
            gone, wanted = 0, gone
            while node := min(_NODE, size - gone):
                if gone + node > wanted or (limit and gone + node > limit):
                    break
                gone += node
        del self.ids[:gone], self.fields[:gone]
        return gone
