"""The one place that reads the machine's clocks, so that tests can travel in time."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from rustforge.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from rustforge.types import Duration

__all__ = ["SYSTEM_CLOCK", "Clock", "ManualClock", "milliseconds"]

_LONGEST_MS = 100 * 365 * 24 * 3600 * 1000


class Clock(Protocol):
    """What Rustforge asks of a clock."""

    def time(self) -> float:
        """Return the wall-clock time in seconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going backwards."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def time(self) -> float:
        """Return `time.time()`."""
        return time.time()

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to, for tests.

    Example:
        ```python
        clock = ManualClock()
        clock.advance(60)  # a minute later
        ```
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        """Start at `start` seconds since 1970-01-01 UTC."""
        self._now = start

    def time(self) -> float:
        """Return the clock's time."""
        return self._now

    def monotonic(self) -> float:
        """Return the clock's time, which never goes backwards."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Args:
            seconds: How far; not negative.

        Raises:
            InvalidArgumentError: `seconds` is negative.
        """
        if seconds < 0:
            msg = f"a clock cannot go back: advance({seconds!r}) needs seconds >= 0"
            raise InvalidArgumentError(msg)
        self._now += seconds


SYSTEM_CLOCK: Clock = SystemClock()
"""The clock that everything uses unless it is given another."""


def milliseconds(duration: Duration, name: str = "ttl", *, allow_zero: bool = False) -> int:
    """Turn a duration into whole milliseconds, rounded up, so that a positive one never becomes zero.

    Args:
        duration: Seconds as `int` or `float`, or a `timedelta`; positive and at most 100 years.
        name: What the error message calls it.
        allow_zero: Whether zero is a duration too.

    Raises:
        InvalidArgumentError: The duration is zero, negative, not finite or over 100 years.
        InvalidTypeError: It is neither a number nor a `timedelta`; a `bool` is not a number here.

    Example:
        ```python
        milliseconds(1.5)  # 1500
        ```
    """
    if type(duration) is int and 0 < duration <= _LONGEST_MS // 1000:
        return duration * 1000
    if isinstance(duration, timedelta):
        seconds = duration.total_seconds()
    elif not isinstance(duration, bool) and isinstance(duration, (int, float)):
        seconds = duration
    else:
        msg = f"{name} must be seconds (int or float) or a timedelta, not {type(duration).__name__}"
        raise InvalidTypeError(msg)
    if allow_zero and seconds == 0:
        return 0
    if not 0 < seconds <= _LONGEST_MS / 1000:
        least = "at least" if allow_zero else "more than"
        msg = f"{name} must be {least} 0 seconds and at most 100 years, not {duration!r}"
        raise InvalidArgumentError(msg)
    return max(1, math.ceil(round(seconds * 1000, 3)))  # 16.1 s are 16,100 ms, whatever binary fractions say
