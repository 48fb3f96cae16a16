"""What the storage and the attachments want to reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.goals import TIMES, Goal, Results, find_row
from benchmarks.storage.uploads import BASELINE, PLACES, WAYS

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = tuple(way for way in WAYS if way != BASELINE)


def _memory(place: str) -> Callable[[Results], float]:
    return lambda results: max(
        find_row(results["uploads"], key=f"{way}.{place}")["memory"]["highest"] / 1e6 for way in OURS
    )


def _throughput(way: str, place: str) -> Callable[[Results], float]:
    return lambda results: 100 * float(find_row(results["uploads"], key=f"{way}.{place}")["ratio"]["median"])


def _images(results: Results) -> float:
    return float(find_row(results["images"], key="rustforge")["ratio"]["median"])


GOALS = (
    *(
        Goal(f"{label}: memory of an upload, most of all ways and rounds", 32, " MB", _memory(place), at_least=False)
        for place, label in PLACES.items()
    ),
    *(
        Goal(f"{label}: throughput of `Storage.put`, to obstore's multipart put", 80, " %", _throughput("put", place))
        for place, label in PLACES.items()
    ),
    Goal("An image of 12 megapixels made smaller, to Pillow by hand", 0.97, TIMES, _images),
)
