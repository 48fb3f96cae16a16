"""A dict that can be walked in slices while it changes."""

from __future__ import annotations

import random
from typing import Any

__all__ = ["Walkable"]


class Walkable(dict[bytes, Any]):
    """A dict with a cursor, as SCAN needs it: bounded work a step, and no member that stays is missed.

    The members stand in a dense list that is walked from its end to its start. A removed member's place is taken by
    the last one, so members only ever move towards the part that is still to come: one may be seen twice, none is
    skipped. A new member joins at the end, which the walk has passed.

    Values of members that are already there may be assigned as in any dict; members come and go only by `put` and
    `drop`.
    """

    __slots__ = ("_order", "_places")

    def __init__(self, *, indexed: bool = False) -> None:
        """Start empty.

        Args:
            indexed: Keep the list from the start, instead of making it when it is first needed.
        """
        super().__init__()
        self._order: list[bytes] | None = [] if indexed else None
        self._places: dict[bytes, int] = {}

    def put(self, member: bytes, value: Any = None) -> bool:
        """Set a member; return whether it is new."""
        new = member not in self
        self[member] = value
        if new and self._order is not None:
            self._places[member] = len(self._order)
            self._order.append(member)
        return new

    def drop(self, member: bytes) -> Any:
        """Remove a member that is there; return its value."""
        value = self.pop(member)
        order = self._order
        if order is not None:
            place = self._places.pop(member)
            last = order.pop()
            if place < len(order):
                order[place] = last
                self._places[last] = place
        return value

    def walk(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Go on with a walk.

        Args:
            cursor: 0 to begin, else what the step before returned.
            count: How many members to look at.

        Returns:
            The cursor to go on with, 0 at the end, and the members.
        """
        order = self._ordered()
        end = len(order) if cursor == 0 else min(cursor, len(order))
        start = max(0, end - count)
        return start, order[start:end]

    def choose(self) -> bytes:
        """Return a random member; there must be one."""
        return random.choice(self._ordered())  # noqa: S311 - SPOP promises no secret

    def _ordered(self) -> list[bytes]:
        if self._order is None:
            self._order = list(self)
            self._places = {member: place for place, member in enumerate(self._order)}
        return self._order
