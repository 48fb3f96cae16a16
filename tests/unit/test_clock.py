"""Durations in whole milliseconds, and clocks."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.clock import SYSTEM_CLOCK, ManualClock, milliseconds
from rustforge.errors import InvalidArgumentError, InvalidTypeError

HUNDRED_YEARS = 100 * 365 * 24 * 3600


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (1, 1000),
        (60, 60_000),
        (1.5, 1500),
        (0.001, 1),
        (0.0001, 1),
        (1e-9, 1),
        (0.0011, 2),
        (16.1, 16_100),
        (0.29, 290),
        (1.001, 1001),
        (timedelta(seconds=2), 2000),
        (timedelta(milliseconds=3), 3),
        (timedelta(microseconds=1), 1),
        (timedelta(days=1), 86_400_000),
        (HUNDRED_YEARS, 3_153_600_000_000),
    ],
)
def test_milliseconds(duration: float | timedelta, expected: int) -> None:
    """Fractions are rounded up, but the rounding of binary fractions adds nothing."""
    assert milliseconds(duration) == expected


@pytest.mark.parametrize(
    "duration",
    [0, 0.0, -0.0, -1, -0.001, math.nan, math.inf, -math.inf, 1e300, HUNDRED_YEARS + 1, timedelta(0), timedelta(-1)],
)
def test_unusable_durations(duration: float | timedelta) -> None:
    """Zero, negative, not finite and absurdly long ones are refused by name."""
    with pytest.raises(InvalidArgumentError, match="lease must be more than 0 seconds and at most 100 years"):
        milliseconds(duration, "lease")


@pytest.mark.parametrize("duration", [True, False, "60", None, b"1", [1], 1j])
def test_other_types(duration: Any) -> None:
    """A bool is not a number of seconds, text is not parsed; the error is a ValueError and a TypeError."""
    for kind in (InvalidTypeError, ValueError, TypeError):
        with pytest.raises(kind, match="ttl must be seconds"):
            milliseconds(duration)


@pytest.mark.parametrize("zero", [0, 0.0, timedelta(0)])
def test_zero_where_it_means_something(zero: float | timedelta) -> None:
    """Zero is a duration only where it is asked for; less than zero never is."""
    assert milliseconds(zero, allow_zero=True) == 0
    with pytest.raises(InvalidArgumentError, match="at least 0 seconds"):
        milliseconds(-1, allow_zero=True)
    with pytest.raises(InvalidTypeError):
        milliseconds(False, allow_zero=True)


@given(st.floats(min_value=1e-6, max_value=1e7))
def test_never_shorter_and_hardly_longer(seconds: float) -> None:
    """The result is at least the duration (but for binary fractions) and less than a millisecond more."""
    assert seconds * 1000 - 0.001 <= milliseconds(seconds) < max(seconds * 1000 + 1, 2)


def test_the_manual_clock_moves_when_told_to() -> None:
    """Both of its times are its own, and it does not go back."""
    clock = ManualClock(100.0)
    clock.advance(2.5)
    assert (clock.time(), clock.monotonic()) == (102.5, 102.5)
    with pytest.raises(InvalidArgumentError, match="cannot go back"):
        clock.advance(-1)


def test_the_system_clock_is_the_machines() -> None:
    """It says what the machine says."""
    assert SYSTEM_CLOCK.time() == pytest.approx(time.time(), abs=1)
    assert SYSTEM_CLOCK.monotonic() == pytest.approx(time.monotonic(), abs=1)
