"""Pages of a list whose newest row comes first: how many rows one has, and where the next one begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rustforge.errors import InvalidArgumentError

__all__ = ["read_cursor", "require_limit", "write_cursor"]

_MOST = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def require_limit(limit: object) -> None:
    """Refuse what is no number of rows for a page.

    Raises:
        InvalidArgumentError: It is none.
    """
    if type(limit) is not int or not 1 <= limit <= _MOST:
        msg = f"limit must be an int from 1 to {_MOST:,}, not {limit!r}"
        raise InvalidArgumentError(msg)


def write_cursor(moment: datetime, row_id: str) -> str:
    """Write where a row stands in the list."""
    return f"{(moment - _EPOCH) // timedelta(microseconds=1)}-{row_id}"


def read_cursor(text: str) -> tuple[datetime, str]:
    """Read what `write_cursor` wrote.

    Raises:
        InvalidArgumentError: It is something else.
    """
    moment, separator, row_id = text.partition("-")
    try:
        when = _EPOCH + timedelta(microseconds=int(moment))
    except (ValueError, OverflowError):
        separator = ""
        when = _EPOCH
    if not separator:
        msg = f"before must be the next of a page, not {text!r}"
        raise InvalidArgumentError(msg)
    return when, row_id
