"""What Rustforge wants to reach, and whether the results say that it does."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Results = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """A figure with a bound.

    Attributes:
        text: What is measured.
        bound: The bound.
        unit: What is written behind the figure and the bound.
        at_least: Whether the figure must be at least the bound; else at most.
        read: Finds the figure in the results.
    """

    text: str
    bound: float
    unit: str
    read: Callable[[Results], float]
    at_least: bool = True


@dataclass(frozen=True)
class Outcome:
    """What came out."""

    goal: Goal
    figure: float

    @property
    def reached(self) -> bool:
        """Whether the figure keeps to the bound."""
        return self.figure >= self.goal.bound if self.goal.at_least else self.figure <= self.goal.bound


def judge(results: Results, goals: Iterable[Goal] | None = None) -> Iterator[Outcome]:
    """Read the figure of every goal whose parts were measured; the goals of the cache unless others are given."""
    for goal in GOALS if goals is None else goals:
        try:
            yield Outcome(goal, goal.read(results))
        except LookupError:
            continue


def find_row(rows: list[dict[str, Any]], words: str = "", **fields: object) -> dict[str, Any]:
    """Find the first row that has these fields, and these words in its group."""
    return [row for row in rows if fields.items() <= row.items() and words in row.get("group", "")][0]  # noqa: RUF015


def _ratio(key: str, words: str, *others: str) -> Callable[[Results], float]:
    """Compare with redis-py, or with the fastest of others: each round by itself, then the median."""

    def read(results: Results) -> float:
        own = find_row(results["rows"], words, key=key)
        if not others:
            return float(own["ratio"])
        rows = [row for row in results["rows"] if row["key"] in others and words in row["group"]]
        best = max(rows, key=lambda row: row["ops_per_second"], default=None)
        if best is None:
            raise LookupError(others)
        return float(median(a / b for a, b in zip(own["speed"]["rounds"], best["speed"]["rounds"], strict=True)))

    return read


def _flush(name: str) -> Callable[[Results], float]:
    return lambda results: float(find_row(results["flush"], key="rustforge.flush")[name]["median"])


def _calls(results: Results) -> float:
    row = find_row(results["stampede"], key="rustforge.stampede", holder_killed=False)
    return float(row["factory_calls"]["highest"])


def _import(results: Results) -> float:
    return float(find_row(results["imports"], key="rustforge.imports")["ratio"]["median"])


TIMES = "\N{MULTIPLICATION SIGN}"
GOALS = (
    Goal(
        "`Cache.get`, 100 tasks, to redis-py",
        12,
        TIMES,
        _ratio("rustforge.get", "GET of 100 bytes, 100"),
    ),
    Goal(
        "`Cache.get`, 100 tasks, to cashews",
        15,
        TIMES,
        _ratio("rustforge.get", "bytes, 100 tasks", "cashews.get"),
    ),
    Goal(
        "`Cache.get`, 100 tasks, to aiocache",
        15,
        TIMES,
        _ratio("rustforge.get", "bytes, 100 tasks", "aiocache.get"),
    ),
    Goal("`Cache.get`, one task, to redis-py", 1.8, TIMES, _ratio("rustforge.get", "bytes, one task")),
    Goal(
        "`remember` of a model that is there, 100 tasks, to the faster way of cashews",
        10,
        TIMES,
        _ratio("rustforge.remember", "A model", "cashews.get_or_set", "cashews.decorated"),
    ),
    Goal(
        "`Cache.get` from the near cache, to a GET by redis-py",
        30,
        TIMES,
        _ratio("rustforge.near", "Near cache"),
    ),
    Goal(
        "`flush_prefix`: what the server's longest command took",
        5,
        " ms",
        _flush("longest_command_ms"),
        at_least=False,
    ),
    Goal(
        "`flush_prefix`: how long another client waited at most",
        5,
        " ms",
        _flush("max_ms"),
        at_least=False,
    ),
    Goal("Factory calls for one missing key, most of all rounds", 1, "", _calls, at_least=False),
    Goal(
        "Import of `rustforge.cache`, to redis.asyncio and pydantic",
        1.2,
        TIMES,
        _import,
        at_least=False,
    ),
)
