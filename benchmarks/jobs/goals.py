"""What the job queue wants to reach, and whether the results say that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.goals import TIMES, Goal, Results, find_row
from benchmarks.jobs.bench import is_peer
from benchmarks.jobs.peers import OURS
from benchmarks.jobs.topics.throughput import ENQUEUED, PROCESSED

if TYPE_CHECKING:
    from collections.abc import Callable

GROUPED = f"{OURS}.grouped"
TRACED = f"{OURS}.traced"


def _has_peer(rows: list[dict[str, object]]) -> None:
    """Refuse to compare with nobody."""
    if not any(is_peer(str(row["key"])) for row in rows):
        raise LookupError


def _ratio(group: str, key: str) -> Callable[[Results], float]:
    def read(results: Results) -> float:
        rows = [row for row in results["rows"] if row["group"] == group]
        _has_peer(rows)
        return float(find_row(rows, key=key)["ratio"])

    return read


def _groups(results: Results) -> float:
    """Compare with the same jobs without groups."""
    rows = [row for row in results["rows"] if row["group"] == PROCESSED]
    grouped, plain = find_row(rows, key=GROUPED), find_row(rows, key=OURS)
    return 100 * float(grouped["ops_per_second"]) / float(plain["ops_per_second"])


def _delay(name: str) -> Callable[[Results], float]:
    """Compare with the peer that has the shortest."""

    def read(results: Results) -> float:
        rows = results["delays"]
        _has_peer(rows)
        best = min(row[name]["median"] for row in rows if is_peer(row["key"]))
        return float(find_row(rows, key=OURS)[name]["median"] / best)

    return read


def _cost(name: str) -> Callable[[Results], float]:
    return lambda results: float(find_row(results["costs"], key=OURS)[name]["median"])


def _idle(results: Results) -> float:
    return float(find_row(results["idle"], key=OURS)["sent_per_second"])


def _recovery(results: Results) -> float:
    return float(results["recovery"][0]["seconds"]["highest"])


GOALS = (
    Goal("Jobs run by one worker process, to the fastest peer", 15, TIMES, _ratio(PROCESSED, OURS)),
    Goal("The same with middleware and tracing", 8, TIMES, _ratio(PROCESSED, TRACED)),
    Goal("Jobs enqueued by 100 tasks, each acknowledged, to the fastest peer", 10, TIMES, _ratio(ENQUEUED, OURS)),
    Goal("Jobs run in 10,000 groups, to those without groups", 60, " %", _groups),
    Goal("Light load: median from call to handler, to the best peer", 1, TIMES, _delay("p50_ms"), at_least=False),
    Goal("Light load: 99 % from call to handler, to the best peer", 1, TIMES, _delay("p99_ms"), at_least=False),
    Goal("Commands that an idle worker sends a second", 1, "", _idle, at_least=False),
    Goal("Commands for each job, those in scripts included", 0.3, "", _cost("commands"), at_least=False),
    Goal("Memory of the server for each job that waits", 200, " bytes", _cost("bytes"), at_least=False),
    Goal("Keys that are left when all is done", 0, "", _cost("keys"), at_least=False),
    Goal("Killed worker: until its job runs again, longest of all rounds", 11, " s", _recovery, at_least=False),
)
