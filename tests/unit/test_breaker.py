"""The circuit breaker."""

from __future__ import annotations

from rustforge.cache.breaker import Breaker
from rustforge.clock import ManualClock


def test_opens_after_the_threshold_and_says_so_once() -> None:
    """Five failures in a row open the circuit; only the fifth reports it."""
    breaker = Breaker(ManualClock())
    told: list[bool] = []
    for _ in range(7):
        assert breaker.refuses() is (len(told) >= 5)
        told.append(breaker.failed())
    assert told == [False, False, False, False, True, False, False]


def test_a_success_starts_the_count_anew() -> None:
    """Failures with a success between do not add up."""
    breaker = Breaker(ManualClock())
    for _ in range(20):
        for _ in range(4):
            breaker.failed()
        breaker.worked()
    assert not breaker.refuses()


def test_after_the_pause_one_caller_may_try() -> None:
    """One is let through after the pause; when it fails all wait again, when it works the circuit is closed."""
    clock = ManualClock()
    breaker = Breaker(clock, threshold=1, pause=5)
    breaker.failed()
    clock.advance(4.999)
    assert breaker.refuses()
    clock.advance(0.001)
    assert [breaker.refuses() for _ in range(3)] == [False, True, True]
    breaker.failed()
    clock.advance(4.999)
    assert breaker.refuses()
    clock.advance(0.001)
    assert not breaker.refuses()
    breaker.worked()
    assert [breaker.refuses() for _ in range(3)] == [False, False, False]
