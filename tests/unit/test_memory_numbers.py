"""Numbers and ranges as the embedded backend reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.errors import RedisReplyError
from rustforge.redis.embedded.parse import MAX_INTEGER, MIN_INTEGER, add_decimals, double, integer, limits


@given(st.integers(MIN_INTEGER, MAX_INTEGER))
def test_integers_are_read_in_their_shortest_form(number: int) -> None:
    """Every 64-bit integer is read, and refused with a plus, a zero or a blank before it."""
    text = b"%d" % number
    assert integer(text) == number
    for wrong in (b"+" + text, b"0" + text, b" " + text, text + b" ", text + b".0"):
        with pytest.raises(RedisReplyError):
            integer(wrong)


@pytest.mark.parametrize("number", [MAX_INTEGER + 1, MIN_INTEGER - 1, 10**30])
def test_integers_beyond_64_bits_are_refused(number: int) -> None:
    """What does not fit in 64 bits is no integer."""
    with pytest.raises(RedisReplyError, match="not an integer or out of range"):
        integer(b"%d" % number)


@pytest.mark.parametrize("text", ["", " 1", "1 ", "x", "nan", "1e999", "-1e999", "1e-999", "1_0", "0x10", "\xff"])
def test_scores_that_are_no_numbers_are_refused(text: str) -> None:
    """Neither what is no number, nor what a C double cannot hold, is a score."""
    with pytest.raises(RedisReplyError, match="not a valid float"):
        double(text.encode("latin-1"))


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1.0), (".5", 0.5), ("-2e3", -2000.0), ("inf", float("inf")), ("0e9", 0)]
)
def test_scores_are_read(text: str, number: float) -> None:
    """Decimal, exponential and infinite scores are read."""
    assert double(text.encode()) == number


@pytest.mark.parametrize(
    ("value", "by", "total"),
    [
        ("0.1", "0.2", "0.3"),
        ("10.5", "0.1", "10.6"),
        ("5.0e3", "200", "5200"),
        ("3.0", "-3", "0"),
        ("-0.5", "0.25", "-0.25"),
        ("1e20", "0", "100000000000000000000"),
        # 64 bits of precision: a half more does not fit, two more do.
        ("9223372036854775808", "0.5", "9223372036854775808"),
        ("9223372036854775808", "2", "9223372036854775810"),
        ("1", "1e-18", "1"),
    ],
)
def test_decimal_sums_have_64_bits_of_precision(value: str, by: str, total: str) -> None:
    """INCRBYFLOAT counts as a C `long double` of the usual machines does, and shows up to 17 decimals."""
    assert add_decimals(value.encode(), by.encode()) == total.encode()


@given(st.integers(-8, 8), st.integers(-8, 8), st.integers(0, 6))
def test_ranges_include_both_ends(first: int, last: int, size: int) -> None:
    """A range is a slice of all places from the first to the last, negative ones counted from the end."""
    begin, end = limits(first, last, size)
    low = max(first + size if first < 0 else first, 0)
    high = last + size if last < 0 else last
    assert list(range(size))[begin:end] == [place for place in range(size) if low <= place <= high]
    assert 0 <= begin <= end
