"""When a job runs again: the default backoff, and what a handler raises to decide for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustforge.clock import milliseconds

if TYPE_CHECKING:
    from rustforge.types import Duration

__all__ = ["DEFAULT_BACKOFF", "Abort", "Retry", "Snooze", "backoff_seconds"]

DEFAULT_BACKOFF = (5, 30, 60, 300, 600)
"""Seconds to wait after the first failure, the second, and so on; the last one repeats."""


def backoff_seconds(attempt: int) -> float:
    """Return how long to wait after a failure.

    Args:
        attempt: 0 after the first failure.
    """
    return DEFAULT_BACKOFF[min(attempt, len(DEFAULT_BACKOFF) - 1)]


class Retry(Exception):  # noqa: N818 - what a handler asks for, not an error
    """Raise it in a handler to fail this attempt and say when the next one is due.

    Example:
        ```python
        raise Retry(delay=30, reason="the bank is closed")
        ```
    """

    def __init__(self, delay: Duration | None = None, reason: str = "the handler asked to be run again") -> None:
        """Ask for another attempt.

        Args:
            delay: Seconds as a number, or a `timedelta`; `None` takes the job's own backoff.
            reason: What the failed-job record says should this have been the last attempt.
        """
        super().__init__(reason)
        self.delay_ms: int | None = None if delay is None else milliseconds(delay, "delay", allow_zero=True)


class Snooze(Exception):  # noqa: N818 - what a handler asks for, not an error
    """Raise it in a handler to be run again later without using up an attempt, such as before opening hours."""

    def __init__(self, delay: Duration) -> None:
        """Ask for a later run.

        Args:
            delay: Seconds as a number, or a `timedelta`.
        """
        self.delay_ms: int = milliseconds(delay, "delay")
        super().__init__(f"snoozed for {self.delay_ms / 1000:g} s")


class Abort(Exception):  # noqa: N818 - what a handler asks for, not an error
    """Raise it in a handler to give the job up at once, whatever attempts are left."""
