"""The answer of the rate limiter."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RateLimit"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What [`Cache.rate_limit`][rustforge.cache.Cache.rate_limit] decided; true where the call may go on.

    Attributes:
        allowed: Whether the call is within the limit.
        limit: The limit that was asked for.
        remaining: How many calls may follow at once.
        retry_after: Seconds until this call would be allowed; 0.0 when it was.
        reset_after: Seconds until the whole limit is free again.
    """

    allowed: bool
    limit: int
    remaining: int
    retry_after: float
    reset_after: float

    def __bool__(self) -> bool:
        """Return `allowed`."""
        return self.allowed
