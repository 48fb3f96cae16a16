"""What keeps jobs from running together: groups in order, slots of a key, a rate of a key.

A group is held by a head token: at most one id of a group is outside the group's waiting list, and whatever becomes of
it (a retry, a crash) the next one is let out only when it is over. So order holds by construction, without a lock that
could expire. Slots and rates are given out in the same scripts, before a job is ready.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rustforge.clock import milliseconds
from rustforge.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from rustforge.types import Duration

__all__ = ["ConcurrencyLimit", "RateLimit", "require_key"]

_LONGEST = 512


def require_key(value: object, what: str) -> str:
    """Check a group or key that a job gives.

    Raises:
        InvalidArgumentError: It is empty, longer than 512 characters, or cannot be written as UTF-8.
        InvalidTypeError: It is not a string.
    """
    if not isinstance(value, str):
        msg = f"{what} must be a str, not {type(value).__name__}"
        raise InvalidTypeError(msg)
    if not 0 < len(value) <= _LONGEST:
        msg = f"{what} must have 1 to {_LONGEST} characters, not {len(value)}"
        raise InvalidArgumentError(msg)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        msg = f"{what} {value!r} cannot be written as UTF-8: {error.reason}"
        raise InvalidArgumentError(msg) from error
    return value


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """At most so many jobs of a key run at the same time, over all workers.

    Attributes:
        key: What is counted, such as `"tenant:7"`. Jobs of several classes may share it, with the same limit.
        limit: How many; at least 1.
    """

    key: str
    limit: int

    def __post_init__(self) -> None:
        """Check the values."""
        require_key(self.key, "the key of a concurrency limit")
        if type(self.limit) is not int or self.limit < 1:
            msg = f"a concurrency limit must be an int of at least 1, not {self.limit!r}"
            raise InvalidArgumentError(msg)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many jobs of a key may start in a period, over all workers.

    By the generic cell rate algorithm: a burst of up to `limit` at once, then one each `per / limit`; so in the long
    run `limit` in each period, and never more than twice that in one. Each job is given its time when it is enqueued;
    one that could not start then, as no worker was free, takes a new one. A retry takes a new one, too.

    Attributes:
        key: What is counted, such as `"smtp"`.
        limit: How many.
        per: The period: seconds as a number, or a `timedelta`.
    """

    key: str
    limit: int
    per: Duration = 1

    def __post_init__(self) -> None:
        """Check the values."""
        require_key(self.key, "the key of a rate limit")
        milliseconds(self.per, "per")
        if type(self.limit) is not int or self.limit < 1:
            msg = f"a rate limit must be an int of at least 1, not {self.limit!r}"
            raise InvalidArgumentError(msg)
