"""Read numbers and expiry options the way Redis does."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

from rustforge.errors import RedisReplyError
from rustforge.redis.embedded.errors import invalid_expire, not_a_float, not_an_integer, reply_error

__all__ = [
    "MAX_INTEGER",
    "MIN_INTEGER",
    "UNITS",
    "add_decimals",
    "count",
    "deadline",
    "double",
    "integer",
    "limits",
    "show_double",
]

MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)
_MANTISSA_BITS = 64
_DECIMALS = 17
UNITS: Final = {b"EX": (1000, False), b"PX": (1, False), b"EXAT": (1000, True), b"PXAT": (1, True)}
"""What EX, PX, EXAT and PXAT count: milliseconds a unit, and whether since 1970."""


def integer(text: bytes) -> int:
    """Read a 64-bit integer.

    Raises:
        RedisReplyError: It is none, or not in its shortest form.
    """
    try:
        number = int(text)
    except ValueError:
        raise not_an_integer() from None
    if b"%d" % number != text or not MIN_INTEGER <= number <= MAX_INTEGER:
        raise not_an_integer()
    return number


def double(text: bytes) -> float:
    """Read a number that may have a fraction, or be infinite.

    Raises:
        RedisReplyError: It is none.
    """
    try:
        if text.strip() != text or b"_" in text:
            raise not_a_float()
        number = float(text)
    except ValueError:
        raise not_a_float() from None
    overflowed = math.isinf(number) and b"n" not in text.lower()
    underflowed = number == 0 and text.lower().partition(b"e")[0].strip(b"+-0.")
    if math.isnan(number) or overflowed or underflowed:
        raise not_a_float()
    return number


def show_double(number: float) -> bytes:
    """Write a score the way a script sees it."""
    return b"%.17g" % number


def add_decimals(value: bytes, by: bytes) -> bytes:
    """Add two decimal numbers like INCRBYFLOAT: in 64 bits of precision, shown with up to 17 decimals.

    Raises:
        RedisReplyError: One of them is no number, or the sum is infinite.
    """
    numbers = [double(value), double(by)]
    if not all(map(math.isfinite, numbers)) or math.isinf(sum(numbers)):
        msg = "ERR increment would produce NaN or Infinity"
        raise reply_error(msg)
    first, second = (
        _extended(Fraction(text.decode() if number else 0)) for text, number in zip((value, by), numbers, strict=True)
    )
    units = round(_extended(first + second) * 10**_DECIMALS)
    whole, rest = divmod(abs(units), 10**_DECIMALS)
    text = f"{whole}.{rest:0{_DECIMALS}d}".rstrip("0").rstrip(".")
    return (f"-{text}" if units < 0 else text).encode()


def _extended(number: Fraction) -> Fraction:
    """Round to the 64 bits of a C `long double`."""
    if not number:
        return number
    shift = _MANTISSA_BITS - (abs(number.numerator).bit_length() - number.denominator.bit_length())
    if abs(number) * Fraction(2) ** shift >= 1 << _MANTISSA_BITS:
        shift -= 1
    return Fraction(round(number * Fraction(2) ** shift)) / Fraction(2) ** shift


def count(text: bytes, refusal: str = "value is out of range, must be positive") -> int:
    """Read how many to take.

    Raises:
        RedisReplyError: It is no integer, or negative.
    """
    try:
        number = integer(text)
    except RedisReplyError:
        number = -1
    if number < 0:
        msg = f"ERR {refusal}"
        raise reply_error(msg)
    return number


def limits(first: int, last: int, size: int) -> tuple[int, int]:
    """Turn a range whose end is included, and that may count from the end, into a slice."""
    first = max(first + size, 0) if first < 0 else first
    last = last + size if last < 0 else min(last, size - 1)
    return (first, last + 1) if first <= last else (0, 0)


def deadline(unit: bytes, text: bytes, now: int, command: str) -> int:
    """Read an expiry given as EX, PX, EXAT or PXAT; return it in milliseconds since 1970.

    Raises:
        RedisReplyError: It is no integer, not positive or too large.
    """
    factor, absolute = UNITS[unit]
    number = integer(text)
    when = number * factor + (0 if absolute else now)
    if number <= 0 or when > MAX_INTEGER:
        raise invalid_expire(command)
    return when
