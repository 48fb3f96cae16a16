"""A circuit breaker: after repeated failures, stop asking for a while (Nygard, "Release It!", 2007)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rustforge.clock import Clock

__all__ = ["Breaker"]


class Breaker:
    """Counts failures in a row; from `threshold` on, refuses for `pause` seconds, then lets one caller try.

    Attributes:
        failures: Failures in a row.
    """

    def __init__(self, clock: Clock, *, threshold: int = 5, pause: float = 5.0) -> None:
        """Start closed."""
        self.failures: int = 0
        self._now = clock.monotonic
        self._threshold = threshold
        self._pause = pause
        self._open_until = 0.0

    def refuses(self) -> bool:
        """Tell whether to leave the server alone now. After a pause, the first to ask is let through to try."""
        if self.failures < self._threshold:
            return False
        now = self._now()
        if now < self._open_until:
            return True
        self._open_until = now + self._pause
        return False

    def failed(self) -> bool:
        """Count a failure; return whether this one opened the circuit."""
        self.failures += 1
        if self.failures >= self._threshold:
            self._open_until = self._now() + self._pause
        return self.failures == self._threshold

    def worked(self) -> None:
        """Count a success: the circuit closes."""
        self.failures = 0
