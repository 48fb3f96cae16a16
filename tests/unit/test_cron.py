"""Cron expressions: what they mean, what they do where clocks change, and what is refused with which words."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustforge.errors import InvalidArgumentError, InvalidTypeError
from rustforge.jobs.cron import Cron, Every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def at(text: str) -> int:
    """Read an instant with its offset, as milliseconds."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def fires(cron: Cron, begin: str, count: int) -> list[str]:
    """List the next instants as the clock of the zone shows them."""
    instant, found = at(begin), []
    for _ in range(count):
        instant = cron.next(instant)
        found.append(datetime.fromtimestamp(instant / 1000, ZoneInfo(cron.timezone)).isoformat())
    return found


# What an expression means --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", ["2026-01-01T00:01", "2026-01-01T00:02"]),
        ("*/20 * * * *", ["2026-01-01T00:20", "2026-01-01T00:40"]),
        ("5/20 * * * *", ["2026-01-01T00:05", "2026-01-01T00:25"]),
        ("1-9/4 3 * * *", ["2026-01-01T03:01", "2026-01-01T03:05"]),
        ("0,30 8-9 * * *", ["2026-01-01T08:00", "2026-01-01T08:30"]),
        ("*/15 * * * * *", ["2026-01-01T00:00:15", "2026-01-01T00:00:30"]),
        ("30 0 12 * * *", ["2026-01-01T12:00:30", "2026-01-02T12:00:30"]),
        ("0 0 * * MON", ["2026-01-05T00:00", "2026-01-12T00:00"]),
        ("0 0 * * fri-sun", ["2026-01-02T00:00", "2026-01-03T00:00"]),
        ("0 0 * * 7", ["2026-01-04T00:00", "2026-01-11T00:00"]),
        ("0 0 * * 0", ["2026-01-04T00:00", "2026-01-11T00:00"]),
        ("0 0 1 feb,Mar *", ["2026-02-01T00:00", "2026-03-01T00:00"]),
        ("0 0 L * *", ["2026-01-31T00:00", "2026-02-28T00:00"]),
        ("0 0 1,l * *", ["2026-01-31T00:00", "2026-02-01T00:00"]),
        ("0 0 * * fri#2", ["2026-01-09T00:00", "2026-02-13T00:00"]),
        ("0 0 * * 5L", ["2026-01-30T00:00", "2026-02-27T00:00"]),
        ("0 0 * * sun#5", ["2026-03-29T00:00", "2026-05-31T00:00"]),
        ("0 0 13 * fri", ["2026-01-02T00:00", "2026-01-09T00:00"]),
        ("0 0 */13 * fri", ["2026-02-27T00:00", "2026-03-27T00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 * 2 mon#5", ["2044-02-29T00:00", "2072-02-29T00:00"]),
        ("@hourly", ["2026-01-01T01:00", "2026-01-01T02:00"]),
        ("@daily", ["2026-01-02T00:00", "2026-01-03T00:00"]),
        ("@midnight", ["2026-01-02T00:00", "2026-01-03T00:00"]),
        ("@Weekly", ["2026-01-04T00:00", "2026-01-11T00:00"]),
        ("@monthly", ["2026-02-01T00:00", "2026-03-01T00:00"]),
        ("@yearly", ["2027-01-01T00:00", "2028-01-01T00:00"]),
        ("@annually", ["2027-01-01T00:00", "2028-01-01T00:00"]),
    ],
)
def test_expressions(expression: str, expected: list[str]) -> None:
    """Each form of a field fires when the documentation says."""
    found = fires(Cron(expression), "2026-01-01T00:00+00:00", len(expected))
    assert found == [datetime.fromisoformat(f"{text}+00:00").isoformat() for text in expected]


def test_attributes_and_text() -> None:
    """A cron tells what it was made of."""
    cron = Cron("  0   8 * *  mon ", "Europe/Berlin")
    assert (cron.expression, cron.timezone, str(cron)) == (
        "0 8 * * mon",
        "Europe/Berlin",
        "0 8 * * mon (Europe/Berlin)",
    )


def test_an_instant_follows_strictly_even_within_a_second() -> None:
    """What is asked with milliseconds is answered with the next whole second that matches."""
    cron = Cron("* * * * * *")
    assert [cron.next(at("2026-01-01T00:00+00:00") + more) % 60_000 for more in (0, 1, 999, 1000)] == [
        1000,
        1000,
        1000,
        2000,
    ]


# Where clocks change -------------------------------------------------------------------------------------------------


def test_a_skipped_time_fires_once_right_after_the_gap() -> None:
    """Several skipped times are one, and the next day is as ever."""
    for expression in ("30 2 * * *", "0,30 2 * * *", "*/5 2 * * *", "0 30 2 * * *"):
        cron = Cron(expression, "Europe/Berlin")
        found = fires(cron, "2026-03-28T12:00+01:00", 2)
        assert found[0] == "2026-03-29T03:00:00+02:00", expression
        assert found[1].startswith("2026-03-30T02:"), expression


def test_a_repeated_time_fires_once_at_the_first() -> None:
    """The second hour of the same name fires nothing."""
    for expression in ("30 2 * * *", "0 30 2 * * *"):
        cron = Cron(expression, "Europe/Berlin")
        assert fires(cron, "2026-10-24T12:00+02:00", 2) == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    half_hours = fires(Cron("*/30 1-3 * * *", "Europe/Berlin"), "2026-10-24T12:00+02:00", 6)
    assert half_hours == [
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T01:30:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T03:00:00+01:00",
        "2026-10-25T03:30:00+01:00",
    ]


@pytest.mark.parametrize("begin", ["2026-03-28T20:00+01:00", "2026-10-24T20:00+02:00"])
@pytest.mark.parametrize(("expression", "minutes"), [("* * * * *", 1), ("*/5 * * * *", 5), ("7 */1 * * *", 60)])
def test_an_entry_of_every_hour_goes_on_by_elapsed_time(expression: str, minutes: int, begin: str) -> None:
    """Neither the missing hour nor the one that comes twice makes a difference to what comes each n minutes."""
    cron, instant = Cron(expression, "Europe/Berlin"), at(begin)
    found = [instant := cron.next(instant) for _ in range(16 * 60 // minutes)]
    assert {later - earlier for earlier, later in pairwise(found)} == {minutes * 60_000}


def test_half_an_hour_is_skipped_and_repeated_on_lord_howe() -> None:
    """Where the change is no whole hour, an hourly entry makes up for its minute."""
    cron = Cron("15 * * * *", "Australia/Lord_Howe")
    assert fires(cron, "2026-10-04T01:00+10:30", 3) == [
        "2026-10-04T01:15:00+10:30",
        "2026-10-04T02:30:00+11:00",
        "2026-10-04T03:15:00+11:00",
    ]
    assert fires(Cron("45 1 * * *", "Australia/Lord_Howe"), "2026-04-05T00:00+11:00", 2) == [
        "2026-04-05T01:45:00+11:00",
        "2026-04-06T01:45:00+10:30",
    ]


def test_midnight_and_a_whole_day_may_be_skipped() -> None:
    """A daily entry fires where midnight does not exist, and where its day does not."""
    assert fires(Cron("@daily", "Africa/Cairo"), "2026-04-23T12:00+02:00", 1) == ["2026-04-24T01:00:00+03:00"]
    assert fires(Cron("0 8 30 12 *", "Pacific/Apia"), "2011-12-29T12:00-10:00", 1) == ["2011-12-31T00:00:00+14:00"]


@dataclass(frozen=True)
class Field:
    """A field as text, and the values that it stands for."""

    text: str
    values: frozenset[int]


@st.composite
def fields(draw: st.DrawFn, low: int, high: int, names: tuple[str, ...] = ()) -> Field:
    """Draw a field of any form."""
    named = bool(names) and draw(st.booleans())

    def name(value: int) -> str:
        return names[value - low] if named else str(value)

    parts: list[str] = []
    values: set[int] = set()
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.integers(1, max(1, high)))
        form = draw(st.sampled_from(("*", "value", "range", "*/", "range/", "value/")))
        begin, end = {"*": (low, high), "value": (first, first), "value/": (first, high)}.get(
            form.replace("*/", "*"), (first, last)
        )
        text = {"*": "*", "v": name(first), "r": f"{name(first)}-{name(last)}"}[form[0]]
        parts.append(f"{text}/{step}" if form.endswith("/") else text)
        values |= set(range(begin, end + 1, step if form.endswith("/") else 1))
    return Field(",".join(parts), frozenset(values))


CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00+00:00"),
    ("Europe/Berlin", "2026-10-25T01:00+00:00"),
    ("America/New_York", "2026-03-08T07:00+00:00"),
    ("America/New_York", "2026-11-01T06:00+00:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30+00:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00+00:00"),
    ("Africa/Cairo", "2026-04-23T22:00+00:00"),
    ("UTC", "2026-03-29T01:00+00:00"),
    ("Asia/Kathmandu", "2026-03-29T01:00+00:00"),
]


def walk(
    zone: ZoneInfo, begin: int, end: int, step: int, matches: Callable[[datetime], bool], *, every_hour: bool
) -> Iterator[int]:
    """Look at the clock on the wall at every step: the slow way to know when an expression fires."""
    before = datetime.fromtimestamp(begin, zone)
    for now in range(begin + step, end + 1, step):
        shown = datetime.fromtimestamp(now, zone)
        old, new = before.utcoffset(), shown.utcoffset()
        assert old is not None
        assert new is not None
        wall = shown.replace(tzinfo=None, fold=0)
        skipped = new - old
        due = matches(wall) and (not shown.fold or every_hour)
        if skipped > timedelta(0) and not (every_hour and skipped % timedelta(hours=1) == timedelta(0)):
            due = due or any(
                matches(wall - skipped + timedelta(seconds=later))
                for later in range(0, skipped // timedelta(seconds=1), step)
            )
        if due:
            yield now * 1000
        before = shown


def compare(cron: Cron, expected: list[int], begin: int, end: int) -> None:
    """Let the expression find the same instants, one after the other and the last one."""
    found, instant = [], begin * 1000
    while (instant := cron.next(instant)) <= end * 1000:
        found.append(instant)
    assert found == expected
    assert cron.latest(begin * 1000, end * 1000) == (expected[-1] if expected else None)


NIGHT = st.integers(0, 4).flatmap(
    lambda first: st.integers(first, 4).map(lambda last: Field(f"{first}-{last}", frozenset(range(first, last + 1))))
)
HOURS = st.one_of(fields(0, 23), NIGHT, st.just(Field("*", frozenset(range(24)))))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CHANGES), fields(0, 59), HOURS, st.integers(0, 52 * 60))
def test_minutes_as_the_clock_on_the_wall_shows_them(
    change: tuple[str, str], minutes: Field, hours: Field, start: int
) -> None:
    """Over two days around a change of the clocks, no instant is lost, doubled or out of order."""
    middle = at(change[1]) // 1000
    begin, end = middle - 26 * 3600 + start * 60, middle + 27 * 3600
    zone = ZoneInfo(change[0])
    every_hour = len(hours.values) == 24
    expected = list(
        walk(
            zone,
            begin,
            end,
            60,
            lambda wall: wall.minute in minutes.values and wall.hour in hours.values,
            every_hour=every_hour,
        )
    )
    compare(Cron(f"{minutes.text} {hours.text} * * *", change[0]), expected, begin, end)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CHANGES), fields(0, 59), fields(0, 59), HOURS, st.integers(0, 2 * 3600))
def test_seconds_as_the_clock_on_the_wall_shows_them(
    change: tuple[str, str], seconds: Field, minutes: Field, hours: Field, start: int
) -> None:
    """The same holds for every second around a change."""
    middle = at(change[1]) // 1000
    begin, end = middle - 3900 + start, middle + 3900
    zone = ZoneInfo(change[0])
    every_hour = len(hours.values) == 24
    expected = list(
        walk(
            zone,
            begin,
            end,
            1,
            lambda wall: wall.second in seconds.values and wall.minute in minutes.values and wall.hour in hours.values,
            every_hour=every_hour,
        )
    )
    compare(Cron(f"{seconds.text} {minutes.text} {hours.text} * * *", change[0]), expected, begin, end)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(fields(1, 31), st.just(Field("L", frozenset())), st.just(Field("15,L", frozenset({15})))),
    fields(1, 12, MONTHS),
    st.one_of(
        fields(0, 7).map(lambda days: Field(days.text, frozenset(value % 7 for value in days.values))),
        st.just(Field("*", frozenset(range(7)))),
        st.builds(
            lambda day, week: Field(f"{DAYS[day]}#{week}", frozenset({day})), st.integers(0, 6), st.integers(1, 4)
        ),
        st.builds(lambda day: Field(f"{day}L", frozenset({day})), st.integers(0, 6)),
    ),
)
def test_days_as_the_calendar_shows_them(days: Field, months: Field, weekdays: Field) -> None:
    """Over five years, the days are those of a calendar that is read page by page."""

    def fits(day: date) -> bool:
        last = calendar.monthrange(day.year, day.month)[1]
        by_month = day.day in days.values or (day.day == last and days.text.endswith("L"))
        by_week = day.isoweekday() % 7 in weekdays.values
        if "#" in weekdays.text:
            by_week = by_week and (day.day - 1) // 7 + 1 == int(weekdays.text[-1])
        if weekdays.text.endswith("L"):
            by_week = by_week and day.day > last - 7
        both = days.text.startswith("*") or weekdays.text.startswith("*")
        return day.month in months.values and ((by_month and by_week) if both else (by_month or by_week))

    first = date(2023, 12, 31)
    calendar_days = [first + timedelta(days=index) for index in range(1, 5 * 365)]
    expected = [
        round(datetime(*day.timetuple()[:3], tzinfo=UTC).timestamp() * 1000) for day in calendar_days if fits(day)
    ]
    begin, end = at(f"{first}T00:00+00:00") // 1000, at(f"{calendar_days[-1]}T00:00+00:00") // 1000
    try:
        cron = Cron(f"0 0 {days.text} {months.text} {weekdays.text}")
    except InvalidArgumentError:
        assert expected == []
    else:
        compare(cron, expected, begin, end)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([zone for zone, _ in CHANGES]),
    fields(0, 59),
    HOURS,
    st.integers(0, 4_000_000_000_000),
    st.integers(1, 400 * 24 * 3_600_000),
)
def test_next_and_latest_agree_over_decades(zone: str, minutes: Field, hours: Field, begin: int, length: int) -> None:
    """Nothing lies between the last instant of a time and the first one after it."""
    cron = Cron(f"{minutes.text} {hours.text} * * *", zone)
    latest = cron.latest(begin, begin + length)
    following = cron.next(begin + length)
    assert following > begin + length
    if latest is None:
        assert cron.next(begin) == following
    else:
        assert begin < latest <= begin + length
        assert cron.next(latest) == following


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("61 * * * *", "the minute of cron expression '61 * * * *': '61' is not understood; allowed are 0 to 59, *"),
        ("* 24 * * *", "the hour of"),
        ("* * 0 * *", "the day of month of"),
        ("* * * 13 *", "the month of"),
        ("* * * foo *", "allowed are 1 to 12 or jan-dec"),
        ("* * * * 8", "the day of week of"),
        ("60 * * * * *", "the second of"),
        ("*/0 * * * *", "the step of '*/0' must be 1 to 59"),
        ("*/90 * * * *", "the step of '*/90' must be 1 to 59"),
        ("*/x * * * *", "the step of"),
        ("30-10 * * * *", "goes backwards (write 30-59,0-10)"),
        ("* * * * fri-mon", "goes backwards (write 5-7,0-1)"),
        ("1,,2 * * * *", "a value is missing"),
        ("-1 * * * *", "the minute of"),
        ("1- * * * *", "the minute of"),
        ("+1 * * * *", "the minute of"),
        ("\u0661 * * * *", "the minute of"),
        ("* * * * fri#6", "needs 1 to 5 after the #"),
        ("* * * * foo#1", "the day of week of"),
        ("* * * * L", "friL for the last one"),
        ("L * * * *", "the minute of"),
        ("* * * *", "has 4 fields; it needs 5"),
        ("* * * * * * *", "has 7 fields"),
        ("", "has 0 fields"),
        ("@reboot", "the names are @hourly, @daily"),
        ("0 0 30 2 *", "'0 0 30 2 *' never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
    ],
)
def test_what_is_wrong_is_named(expression: str, words: str) -> None:
    """The message says which field is wrong and what it may hold."""
    with pytest.raises(InvalidArgumentError) as caught:
        Cron(expression)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Europe/Berln", "unknown time zone 'Europe/Berln'; did you mean 'Europe/Berlin'"),
        ("Europe", "unknown time zone"),
        ("", "unknown time zone"),
        ("../etc/passwd", "unknown time zone"),
        ("/etc/passwd", "unknown time zone"),
        ("\0", "unknown time zone"),
        ("????", "take a name of the IANA database"),
    ],
)
def test_unknown_zones_are_refused(zone: str, words: str) -> None:
    """A zone that does not exist is refused where it is written, with the one that may be meant."""
    with pytest.raises(InvalidArgumentError, match=words):
        Cron("* * * * *", zone)


def test_other_types_are_refused() -> None:
    """Neither the expression nor the zone may be anything but text, and time neither negative nor endless."""
    with pytest.raises(InvalidTypeError, match="must be a str, not int"):
        Cron(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="timezone must be"):
        Cron("* * * * *", None)  # type: ignore[arg-type]
    for after in (-1, 10**15):
        with pytest.raises(InvalidArgumentError, match="before the year 9000"):
            Cron("* * * * *").next(after)


# Intervals -----------------------------------------------------------------------------------------------------------


@given(st.integers(100, 10**9), st.integers(0, 10**13), st.integers(0, 10**10))
def test_intervals_count_from_1970(interval: int, after: int, length: int) -> None:
    """Whoever asks means the same instants, and none lies between."""
    every = Every(timedelta(milliseconds=interval))
    following = every.next(after)
    assert following % every.interval == 0
    assert 0 < following - after <= every.interval
    latest = every.latest(after, after + length)
    assert (latest is None) == (following > after + length)
    if latest is not None:
        assert latest <= after + length < every.next(latest)


def test_intervals_have_a_least_length() -> None:
    """An interval too short to be meant is refused."""
    assert str(Every(1.5)) == "every 1.5 s"
    with pytest.raises(InvalidArgumentError, match=r"at least 0.1 seconds, not 0.05"):
        Every(0.05)
    with pytest.raises(InvalidArgumentError, match="interval must be"):
        Every(-1)
