"""What the responses want to reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.goals import TIMES, Goal, Results, find_row
from benchmarks.http.run import ARTICLE, SMALL

if TYPE_CHECKING:
    from collections.abc import Callable


def _fewer(what: str) -> Callable[[Results], float]:
    return lambda results: 100 * (1 - _of_installed(results, what)["ratio"]["median"])


def _more_cpu(what: str) -> Callable[[Results], float]:
    return lambda results: 100 * (_of_installed(results, what)["cpu_ratio"]["median"] - 1)


def _of_installed(results: Results, what: str) -> Results:
    return find_row(results["install"], key="installed", what=what)


def _envelope(kind: str) -> Callable[[Results], float]:
    return lambda results: float(find_row(results["responses"], key="envelope")[kind]["median"])


GOALS = (
    *(
        goal
        for what, of in ((ARTICLE, "a model of 1 KB"), (SMALL, "15 bytes"))
        for goal in (
            Goal(f"`install`: fewer requests a second, {of}", 3, " %", _fewer(what), at_least=False),
            Goal(f"`install`: more processor time a request, {of}", 3, " %", _more_cpu(what), at_least=False),
        )
    ),
    Goal("`ApiResponse`: requests a second, to FastAPI's `response_model`", 0.97, TIMES, _envelope("ratio")),
    Goal(
        "`ApiResponse`: processor time of a request, to FastAPI's `response_model`",
        1.03,
        TIMES,
        _envelope("cpu_ratio"),
        at_least=False,
    ),
)
