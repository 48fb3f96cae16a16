"""When an entry of the scheduler fires: a cron expression in a time zone, or a fixed interval.

An expression has five fields, minute, hour, day of month, month and day of week, or six, with the second in front.

| Field | Values | Besides |
|---|---|---|
| second | 0-59 | |
| minute | 0-59 | |
| hour | 0-23 | |
| day of month | 1-31 | `L`: the last day |
| month | 1-12 or `jan`-`dec` | |
| day of week | 0-7 or `sun`-`sat`; 0 and 7 are Sunday | `fri#2`: the second Friday; `friL`: the last one |

Each takes `*`, ranges (`1-5`), steps (`*/15`, `8-18/2`, `10/20`) and lists (`1,15`). As in every cron since Vixie's, a
day must fit both day fields where one of them starts with `*`, and either of them otherwise. `@hourly`, `@daily` (or
`@midnight`), `@weekly`, `@monthly` and `@yearly` (or `@annually`) are short for the obvious.

Where the clocks change:

- A time that the change skips fires once, right after it; several such times fire once together.
- A time that comes twice fires once, the first time.
- An entry of every hour (`*/5 * * * *`) goes on by elapsed time: it fires in both of the hours that look the same, and
  makes up for nothing where a whole hour is skipped.

The parser is our own, since the two in common use keep these rules only in part: cronsim does for expressions of five
fields whose minute does not start with `*`, and the others lose what a change skips and double what it repeats;
croniter fires twice whatever comes twice.
"""

from __future__ import annotations

import calendar
import difflib
from bisect import bisect_left
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from rustforge.clock import milliseconds
from rustforge.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustforge.types import Duration

__all__ = ["Cron", "Every", "Schedule"]

_HOUR = 3600
_SECOND = timedelta(seconds=1)
_FIELDS_WITHOUT_SECOND = 5
_CYCLE_YEARS = 400  # after which the calendar repeats, weekdays included
_LATEST_MS = 221_845_392_000_000  # the year 9000: what follows it by a cycle can still be written
_SHORTEST_MS = 100
_LAST = -1
_SUNDAY = 7
_MOST_WEEKS = 5

_MACROS: Final[Mapping[str, str]] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class Schedule(Protocol):
    """The instants of an entry, in milliseconds since 1970-01-01 UTC."""

    def next(self, after: int) -> int:
        """Return the first instant after `after`."""
        ...

    def latest(self, after: int, until: int) -> int | None:
        """Return the last instant after `after` that is not after `until`, or `None` where there is none."""
        ...


class Every:
    """A fixed interval, counted from 1970-01-01 UTC, so that all processes mean the same instants.

    Attributes:
        interval: The interval in milliseconds.
    """

    __slots__ = ("interval",)

    def __init__(self, interval: Duration) -> None:
        """Take an interval.

        Args:
            interval: Seconds, or a `timedelta`; at least 0.1 seconds.

        Raises:
            InvalidArgumentError: The interval is shorter, or over 100 years.
        """
        self.interval: int = milliseconds(interval, "interval")
        if self.interval < _SHORTEST_MS:
            msg = f"interval must be at least 0.1 seconds, not {interval!r}"
            raise InvalidArgumentError(msg)

    def __str__(self) -> str:
        """Say how often."""
        return f"every {self.interval / 1000:.15g} s"

    def next(self, after: int) -> int:
        """Return the first instant after `after`."""
        return (after // self.interval + 1) * self.interval

    def latest(self, after: int, until: int) -> int | None:
        """Return the last instant after `after` that is not after `until`, or `None` where there is none."""
        instant = until // self.interval * self.interval
        return instant if instant > after else None


class Cron:
    """The instants of a cron expression in a time zone.

    Attributes:
        expression: The expression as it was given, with single blanks.
        timezone: The name of the time zone.

    Example:
        ```python
        Cron("30 2 * * mon-fri", "Europe/Berlin").next(1_774_000_000_000)
        ```
    """

    __slots__ = (
        "_days",
        "_days_and",
        "_every_hour",
        "_hours",
        "_minutes",
        "_month",
        "_month_days",
        "_months",
        "_seconds",
        "_weekdays",
        "_zone",
        "expression",
        "timezone",
    )

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        """Read the expression.

        Args:
            expression: Five fields, or six with the second in front, or a name such as `@daily`.
            timezone: The zone whose clock the expression means, such as `Europe/Berlin`.

        Raises:
            InvalidArgumentError: The expression or the zone is not understood, or the expression never fires.
            InvalidTypeError: One of them is not a string.
        """
        if not isinstance(expression, str):
            msg = f"a cron expression must be a str, not {type(expression).__name__}"
            raise InvalidTypeError(msg)
        self._zone = _zone(timezone)
        self.timezone: str = timezone
        self.expression: str = " ".join(expression.split())
        fields = _split(self.expression)
        self._seconds, self._minutes, self._hours, self._months = (
            tuple(sorted(_read(field, fields[index], self.expression)))
            for field, index in ((_FIELD_SECOND, 0), (_FIELD_MINUTE, 1), (_FIELD_HOUR, 2), (_FIELD_MONTH, 4))
        )
        self._days = _read(_FIELD_DAY, fields[3], self.expression)
        self._weekdays = _read_weekdays(fields[5], self.expression)
        self._days_and = fields[3].startswith("*") or fields[5].startswith("*")
        self._every_hour = len(self._hours) == len(_FIELD_HOUR.values)
        self._month = (0, 0)
        self._month_days: tuple[int, ...] = ()
        self._date_from(date(2000, 1, 1))

    def __str__(self) -> str:
        """Return the expression and the zone."""
        return f"{self.expression} ({self.timezone})"

    def next(self, after: int) -> int:
        """Return the first instant after `after`, in milliseconds since 1970-01-01 UTC.

        Raises:
            InvalidArgumentError: `after` is before 1970 or after the year 9000.
        """
        if not 0 <= after <= _LATEST_MS:
            msg = f"after must be milliseconds since 1970 and before the year 9000, not {after!r}"
            raise InvalidArgumentError(msg)
        now = after // 1000
        instant = self._first_pass(now)
        if self._every_hour:
            again = self._second_pass(now)
            instant = instant if again is None else min(instant, again)
        return instant * 1000

    def latest(self, after: int, until: int) -> int | None:
        """Return the last instant after `after` that is not after `until`, or `None` where there is none."""
        low, high = self.next(after), until
        if low > until:
            return None
        while high - low > 1:  # an instant is known at `low`, and none follows `high` in time
            found = self.next((low + high) // 2)
            low, high = (found, high) if found <= until else (low, (low + high) // 2)
        following = self.next(low)
        return following if following <= until else low

    # -- instants --------------------------------------------------------------------------------------------------

    def _first_pass(self, now: int) -> int:
        """Find the next second whose time on the wall matches, and is not one that came before."""
        shown = self._wall(now)
        start = shown.replace(tzinfo=None, fold=0) + _SECOND
        if shown.fold:  # the clock was turned back: go to the end of the time that comes twice
            shift = _offset(shown, 0) - _offset(shown, 1)
            change = self._change(now - shift, now)
            start = self._wall(change).replace(tzinfo=None, fold=0) + timedelta(seconds=shift)
        while True:
            match = self._match_from(start)
            aware = match.replace(tzinfo=self._zone)
            instant = round(aware.timestamp())
            gap = _offset(aware, 1) - _offset(aware, 0)
            if gap <= 0:
                return instant
            change = self._change(instant - gap, instant)  # the clock never shows this time
            if not (self._every_hour and gap % _HOUR == 0):
                return change
            start = self._wall(change).replace(tzinfo=None, fold=0)

    def _second_pass(self, now: int) -> int | None:
        """Find the next second of the time that comes twice now, when it comes again; only an entry of every hour."""
        shown = self._wall(now)
        shift = _offset(shown, 0) - _offset(shown, 1)
        if shift <= 0:
            return None
        first = now - shift * shown.fold
        change = self._change(first, first + shift)
        begin = self._wall(change).replace(tzinfo=None, fold=0)
        match = self._match_from(shown.replace(tzinfo=None, fold=0) + _SECOND if shown.fold else begin)
        later = (match - begin) // _SECOND
        return change + later if later < shift else None

    def _wall(self, seconds: int) -> datetime:
        """Read the clock on the wall."""
        return datetime.fromtimestamp(seconds, self._zone)

    def _change(self, low: int, high: int) -> int:
        """Find the second at which the clock was changed: after `low` and not after `high`."""
        offset = self._wall(high).utcoffset()
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._wall(middle).utcoffset() == offset else (middle, high)
        return high

    # -- times on the wall -----------------------------------------------------------------------------------------

    def _match_from(self, wall: datetime) -> datetime:
        """Find the first time that matches and is not before `wall`."""
        day = self._date_from(wall.date())
        if day == wall.date():
            found = self._time_from(wall.hour, wall.minute, wall.second)
            if found is not None:
                return datetime.combine(day, found)
            day = self._date_from(day + timedelta(days=1))
        return datetime.combine(day, time(self._hours[0], self._minutes[0], self._seconds[0]))

    def _time_from(self, first_hour: int, first_minute: int, first_second: int) -> time | None:
        """Find the first time of a day that is not before the one given."""
        for hour in self._hours[bisect_left(self._hours, first_hour) :]:
            if hour > first_hour:
                return time(hour, self._minutes[0], self._seconds[0])
            for minute in self._minutes[bisect_left(self._minutes, first_minute) :]:
                if minute > first_minute:
                    return time(hour, minute, self._seconds[0])
                index = bisect_left(self._seconds, first_second)
                if index < len(self._seconds):
                    return time(hour, minute, self._seconds[index])
        return None

    def _date_from(self, first: date) -> date:
        """Find the first day that is not before the one given."""
        for year in range(first.year, first.year + _CYCLE_YEARS + 1):
            for month in self._months:
                if (year, month) < (first.year, first.month):
                    continue
                for day in self._days_of(year, month):
                    if (year, month, day) >= (first.year, first.month, first.day):
                        return date(year, month, day)
        msg = f"cron expression {self.expression!r} never fires: no month has such a day"
        raise InvalidArgumentError(msg)

    def _days_of(self, year: int, month: int) -> tuple[int, ...]:
        """List the days of a month that match; the last month asked for is remembered."""
        if self._month != (year, month):
            begin, length = calendar.monthrange(year, month)
            self._month_days = tuple(
                day for day in range(1, length + 1) if self._has_day(day, (begin + day - 1) % 7 + 1, length)
            )
            self._month = (year, month)
        return self._month_days

    def _has_day(self, day: int, weekday: int, length: int) -> bool:
        by_month = day in self._days or (day == length and _LAST in self._days)
        by_week = (
            (weekday, 0) in self._weekdays
            or (weekday, (day + 6) // 7) in self._weekdays
            or (day + 7 > length and (weekday, _LAST) in self._weekdays)
        )
        return (by_month and by_week) if self._days_and else (by_month or by_week)


# Reading an expression ---------------------------------------------------------------------------------------------


class _Field(NamedTuple):
    """What a field may hold."""

    name: str
    values: range
    names: tuple[str, ...] = ()
    special: str = ""

    @property
    def allowed(self) -> str:
        """What the error message offers."""
        last = self.values[-1]
        names = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        low = self.values[0]
        examples = f"*, ranges ({low}-{last}), steps (*/2) and lists ({low},{low + 1})"
        return f"allowed are {low} to {last}{names}, {examples}{self.special}"


_FIELD_SECOND = _Field("second", range(60))
_FIELD_MINUTE = _Field("minute", range(60))
_FIELD_HOUR = _Field("hour", range(24))
_FIELD_DAY = _Field("day of month", range(1, 32), (), ", and L for the last day")
_FIELD_MONTH = _Field(
    "month", range(1, 13), ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
)
_FIELD_WEEKDAY = _Field(
    "day of week",
    range(8),
    ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
    ", fri#2 for the second Friday and friL for the last one",
)


def _split(expression: str) -> list[str]:
    """Give the six fields of an expression."""
    if expression.startswith("@"):
        if expression.lower() not in _MACROS:
            msg = f"cron expression {expression!r} is unknown; the names are {', '.join(_MACROS)}"
            raise InvalidArgumentError(msg)
        expression = _MACROS[expression.lower()]
    fields = expression.lower().split()
    if len(fields) == _FIELDS_WITHOUT_SECOND:
        fields.insert(0, "0")
    if len(fields) != _FIELDS_WITHOUT_SECOND + 1:
        msg = (
            f"cron expression {expression!r} has {len(fields)} fields; it needs 5 (minute, hour, day of month, month, "
            "day of week), or 6 with the second in front"
        )
        raise InvalidArgumentError(msg)
    return fields


def _read(field: _Field, text: str, expression: str) -> frozenset[int]:
    """Read all values of a field; `L` of the day of month becomes `_LAST`."""
    values: set[int] = set()
    for part in text.split(","):
        if field is _FIELD_DAY and part == "l":
            values.add(_LAST)
        else:
            values |= _read_part(field, part, expression)
    return frozenset(values)


def _read_weekdays(text: str, expression: str) -> frozenset[tuple[int, int]]:
    """Read the days of the week, 1 to 7, each with its number in the month: 0 for all, `_LAST` for the last one."""
    days: set[tuple[int, int]] = set()
    for part in text.split(","):
        if part.endswith("l") and part != "l":
            days.add((_number(_FIELD_WEEKDAY, part[:-1], part, expression) or _SUNDAY, _LAST))
        elif "#" in part:
            name, _, number = part.partition("#")
            if not (number.isascii() and number.isdigit() and 1 <= int(number) <= _MOST_WEEKS):
                raise _refusal(_FIELD_WEEKDAY, f"{part!r} needs 1 to 5 after the #", expression)
            days.add((_number(_FIELD_WEEKDAY, name, part, expression) or _SUNDAY, int(number)))
        else:
            days |= {(value or _SUNDAY, 0) for value in _read_part(_FIELD_WEEKDAY, part, expression)}
    return frozenset(days)


def _read_part(field: _Field, part: str, expression: str) -> set[int]:
    """Read one part of a list: a value, a range or `*`, with or without a step."""
    body, slash, step = part.partition("/")
    low, dash, high = body.partition("-")
    if body == "*":
        first, last = field.values[0], field.values[-1]
    else:
        first = last = _number(field, low, part, expression)
        if dash:
            last = _number(field, high, part, expression)
        elif slash:
            last = field.values[-1]
    if field is _FIELD_WEEKDAY and last == 0 < first:
        last = _SUNDAY  # fri-sun
    if last < first:
        end, begin = field.values[-1], field.values[0]
        hint = f"write {first}-{end},{begin}-{last}"
        raise _refusal(field, f"the range {part!r} goes backwards ({hint})", expression)
    if not slash:
        return set(range(first, last + 1))
    if not (step.isascii() and step.isdigit() and 1 <= int(step) <= field.values[-1]):
        raise _refusal(field, f"the step of {part!r} must be 1 to {field.values[-1]}", expression)
    return set(range(first, last + 1, int(step)))


def _number(field: _Field, text: str, part: str, expression: str) -> int:
    """Read one value of a field."""
    if text in field.names:
        return field.names.index(text) + field.values[0]
    if not (text.isascii() and text.isdigit() and int(text) in field.values):
        raise _refusal(field, f"{part!r} is not understood" if part else "a value is missing", expression)
    return int(text)


def _refusal(field: _Field, reason: str, expression: str) -> InvalidArgumentError:
    """Say which field is wrong and what it may hold."""
    return InvalidArgumentError(f"the {field.name} of cron expression {expression!r}: {reason}; {field.allowed}")


def _zone(name: str) -> ZoneInfo:
    """Find a time zone."""
    if not isinstance(name, str):
        msg = f"timezone must be the name of a time zone as a str, not {type(name).__name__}"
        raise InvalidTypeError(msg)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        close = difflib.get_close_matches(name, available_timezones(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "take a name of the IANA database, such as 'Europe/Berlin'"
        msg = f"unknown time zone {name!r}; {hint}"
        raise InvalidArgumentError(msg) from error


def _offset(moment: datetime, fold: int) -> int:
    """Read by how many seconds the clock is ahead of UTC; the folds differ where the clock is changed."""
    offset = moment.replace(fold=fold).utcoffset()
    return 0 if offset is None else offset // _SECOND
