"""A job as it travels: its name, options and payload, and the bytes in which Redis keeps them.

The body has two lines. The first holds the name and, where there are any, the options as JSON; it is all that the Lua
scripts read. The second is the payload, JSON without line breaks. A body never changes, so a job is one byte string
from the first enqueue to its row in SQL.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import JobDecodeError

__all__ = ["HOLDING", "Envelope", "encode_body", "enqueued_at", "goes_straight", "new_id", "parse_body"]

HOLDING = frozenset({"g", "u", "c", "b", "rs"})
"""The options for which something must be done when the job is over."""

_INERT = frozenset({"t", "v"})

_KINDS: dict[str, type | list[type]] = {
    **dict.fromkeys("pgubt", str),
    **dict.fromkeys(("v", "gh", "ul", "rs", "f"), int),
    "c": [str, int],
    "r": [str, int, int],
}

_counter = itertools.count()
_process = ""
_stem = (0, "")  # a millisecond, and how the ids begin that are made in it


def _be_born() -> None:
    """Take a number for this process; a forked child takes another."""
    global _process, _stem  # noqa: PLW0603 - one number a process
    _process = secrets.token_hex(5)[:9]
    _stem = 0, ""


_be_born()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_be_born)


def new_id() -> str:
    """Make a job id: 24 hexadecimal digits, that is milliseconds since 1970 (11), the process (9) and a counter (4).

    Ids of one process sort in the order in which they were made, but for those of the same millisecond around a full
    turn of the counter.
    """
    global _stem  # noqa: PLW0603 - most ids share their millisecond with others
    moment = int(SYSTEM_CLOCK.time() * 1000)
    made_for, stem = _stem
    if made_for != moment:
        stem = f"{moment:011x}{_process}"
        _stem = moment, stem
    return stem + "%04x" % (next(_counter) & 0xFFFF)


def enqueued_at(job_id: str) -> datetime:
    """Read the time of enqueueing, by the enqueuer's clock, out of a job id; 1970 where it has none."""
    try:
        return datetime.fromtimestamp(int(job_id[:11], 16) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A job outside of Python.

    Attributes:
        id: Its id.
        queue: The queue's name, without a shard.
        name: The job's `NAME`.
        payload: The fields as JSON, without line breaks.
        options: What the scripts and workers go by, under short keys: `v` payload version, `p` priority (`h` or `l`),
            `g` group, `gh` whether a dead job holds its group, `u` unique key, `ul` how long that counts at most (ms),
            `c` concurrency key and limit, `r` rate key, limit and period (ms), `b` batch, `t` trace parent, `rs` how
            long the result is kept (ms), `f` how often it ran before it was enqueued anew.
    """

    id: str
    queue: str
    name: str
    payload: bytes
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def body(self) -> bytes:
        """The bytes that Redis keeps."""
        return encode_body(self.name, self.payload, self.options)

    @classmethod
    def parse(cls, job_id: str, queue: str, body: bytes) -> Envelope:
        """Read a body.

        Raises:
            JobDecodeError: The first line is not a name with options, or there is no payload.
        """
        return cls(job_id, queue, *parse_body(job_id, queue, body))


def parse_body(job_id: str, queue: str, body: bytes) -> tuple[str, bytes, dict[str, Any]]:
    """Read the name, the payload and the options.

    Raises:
        JobDecodeError: The first line is not a name with options, or there is no payload.
    """
    head, separator, payload = body.partition(b"\n")
    name, _, text = head.partition(b" ")
    try:
        options: dict[str, Any] = from_json(text) if text else {}
        if name and separator and type(options) is dict and (not options or _are_sound(options)):
            return name.decode(), payload, options
    except ValueError:
        pass
    msg = f"the body of job {job_id} in queue {queue} is not one that Rustforge wrote"
    raise JobDecodeError(msg)


def _are_sound(options: dict[str, Any]) -> bool:
    """Tell whether what scripts and workers go by is of the right kind."""
    for key, value in options.items():
        kinds = _KINDS.get(key)
        kind = type(value)  # pyright: ignore[reportUnknownVariableType] - of any type
        if kinds is not None and kind is not kinds and (kind is not list or [type(one) for one in value] != kinds):
            return False
    return True


def goes_straight(options: dict[str, Any], wait: int) -> bool:
    """Tell whether a job goes straight to the ready ones: it has no delay, and no options that the scripts look at."""
    return not wait and (not options or _INERT.issuperset(options))


def encode_body(name: str, payload: bytes, options: dict[str, Any]) -> bytes:
    """Write a body."""
    if options:
        return b"%b %b\n%b" % (name.encode(), json.dumps(options, separators=(",", ":")).encode(), payload)
    return b"%b\n%b" % (name.encode(), payload)
