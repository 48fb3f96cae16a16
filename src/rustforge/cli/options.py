"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeAlias

import typer

from rustforge.clock import SYSTEM_CLOCK

__all__ = ["Group", "Json", "Limit", "Name", "QueueName", "Search", "Since", "Until", "Yes", "duration", "moment"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration(text: str | timedelta) -> timedelta:
    """Read a duration, such as `90`, `90s`, `1.5h` or `30d`; a default is one already."""
    if isinstance(text, timedelta):
        return text
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        msg = f"{text!r} is not a duration; write seconds, or a number with ms, s, m, h, d or w, such as 30d"
        raise typer.BadParameter(msg)
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2] or "s"])
    except OverflowError as error:
        msg = f"{text!r} is too long"
        raise typer.BadParameter(msg) from error


def moment(text: str) -> datetime:
    """Read a moment: a date, a date with a time (local where it has no zone), or how long ago it was, such as `2h`."""
    if _DURATION.fullmatch(text.strip()):
        return datetime.fromtimestamp(SYSTEM_CLOCK.time(), UTC) - duration(text)
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        msg = f"{text!r} is neither a date, such as 2026-03-01T12:00, nor how long ago it was, such as 2h"
        raise typer.BadParameter(msg) from error


Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
QueueName: TypeAlias = Annotated[str | None, typer.Option("--queue", "-q", help="Only those of this queue.")]
Name: TypeAlias = Annotated[str | None, typer.Option("--name", "-n", help="Only jobs with this NAME.")]
Group: TypeAlias = Annotated[str | None, typer.Option("--group", "-g", help="Only those of this group.")]
Search: TypeAlias = Annotated[
    str | None, typer.Option("--search", "-s", help="Only those with this text in their id, name, payload or error.")
]
Since: TypeAlias = Annotated[
    datetime | None,
    typer.Option(
        "--since", parser=moment, metavar="TIME", help="Only those that failed then or later, such as 2h ago."
    ),
]
Until: TypeAlias = Annotated[
    datetime | None, typer.Option("--until", parser=moment, metavar="TIME", help="Only those that failed before.")
]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", "-l", min=1, max=1000, help="How many at most.")]
