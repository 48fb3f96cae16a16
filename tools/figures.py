"""Write the figures of the home page from the kept results of the benchmarks and the page of guarantees.

python -m tools.figures       # -> docs/includes/figures.md
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.goals import find_row, judge
from benchmarks.http.goals import GOALS as HTTP_GOALS
from benchmarks.jobs.bench import is_peer
from benchmarks.jobs.goals import GOALS as JOB_GOALS
from benchmarks.jobs.peers import OURS
from benchmarks.jobs.topics.throughput import PROCESSED
from benchmarks.notify.goals import GOALS as NOTIFY_GOALS
from benchmarks.report import HTTP_RESULT, JOBS_RESULT, NOTIFY_RESULT, RESULT, STORAGE_RESULT
from benchmarks.storage.goals import GOALS as STORAGE_GOALS
from benchmarks.tables import number
from tools.guarantees import count_guarantees

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("docs/includes/figures.md")
AREAS = (
    (RESULT, None),
    (JOBS_RESULT, JOB_GOALS),
    (HTTP_RESULT, HTTP_GOALS),
    (STORAGE_RESULT, STORAGE_GOALS),
    (NOTIFY_RESULT, NOTIFY_GOALS),
)


def _read(root: Path, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / path).read_text())
    return found


def make(root: Path = ROOT) -> str:
    """Write the figures of a working copy."""
    cache, jobs = _read(root, RESULT), _read(root, JOBS_RESULT)
    run = find_row(jobs["rows"], group=PROCESSED, key=OURS)
    peers = {row["key"].partition(".")[0] for row in jobs["rows"] if is_peer(row["key"])}
    get = find_row(cache["rows"], "100 tasks", key="rustforge.get")
    killed = jobs["recovery"][0]["seconds"]["highest"]
    outcomes = [outcome for path, goals in AREAS for outcome in judge(_read(root, path), goals)]
    reached = sum(outcome.reached for outcome in outcomes)
    proven, tests = count_guarantees(root)
    return f"""\
<div class="rf-figures" markdown>

-   **{number(run["ratio"])}\N{MULTIPLICATION SIGN}** [the jobs a second](project/benchmarks.md#jobs-run) of the
    fastest of {len(peers)} other queues: {number(run["ops_per_second"])} in one process
-   **{number(get["ratio"])}\N{MULTIPLICATION SIGN}** [the reads a second](project/benchmarks.md#100-tasks-at-a-time) of
    redis-py, by 100 tasks: {number(get["ops_per_second"])}
-   **{killed:.1f} s** until the job of [a killed worker](project/benchmarks.md#jobs-recovery) runs again elsewhere
-   **{proven}** [promises](project/guarantees.md), each with the tests that prove it, {tests} in all

</div>

Cache of {cache["meta"]["date"]}, jobs of {jobs["meta"]["date"]}, on {jobs["meta"]["cores"]} cores. Of
{len(outcomes)} figures that we hold ourselves to, we reached {reached}: [Benchmarks](project/benchmarks.md) has all of
them, and one command repeats it.
{{ .rf-figures-note }}
"""


def main() -> None:
    """Write the figures of this working copy."""
    (ROOT / PAGE).write_text(make())


if __name__ == "__main__":
    main()
