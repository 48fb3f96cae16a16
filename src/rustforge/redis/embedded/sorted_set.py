"""The value behind a sorted set."""

from __future__ import annotations

from bisect import bisect_left, insort

__all__ = ["SortedSet"]


class SortedSet:
    """Members with scores, in the order of score and then member.

    The order is one sorted list: finding a place costs the logarithm of the size, making room there a memory move,
    which up to some hundred thousand members takes microseconds.

    Attributes:
        scores: The score of each member.
        order: `(score, member)`, sorted.
    """

    __slots__ = ("order", "scores")

    def __init__(self) -> None:
        """Start empty."""
        self.scores: dict[bytes, float] = {}
        self.order: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        """Count the members."""
        return len(self.scores)

    def put(self, member: bytes, score: float) -> None:
        """Set a member's score."""
        old = self.scores.get(member)
        if old is not None:
            if old == score:
                return
            del self.order[bisect_left(self.order, (old, member))]
        self.scores[member] = score
        if not self.order or (score, member) > self.order[-1]:
            self.order.append((score, member))
        else:
            insort(self.order, (score, member))

    def drop(self, member: bytes) -> None:
        """Remove a member that is there."""
        del self.order[self.rank(member)]
        del self.scores[member]

    def drop_range(self, start: int, stop: int) -> int:
        """Remove the members of ranks `start` to before `stop`; return how many."""
        gone = self.order[start:stop]
        del self.order[start:stop]
        for _, member in gone:
            del self.scores[member]
        return len(gone)

    def rank(self, member: bytes) -> int:
        """Return the place of a member that is there."""
        return bisect_left(self.order, (self.scores[member], member))
