"""Type aliases that several modules share."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeAlias

__all__ = ["CommandArgument", "Duration"]

Duration: TypeAlias = int | float | timedelta
"""A length of time: seconds as a number, or a `timedelta`."""

CommandArgument: TypeAlias = str | bytes | int | float
"""One argument of a Redis command. Text travels as UTF-8, numbers as their decimal form."""
