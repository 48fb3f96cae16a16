"""Measure everything, keep the results, and draw them for the site.

python -m benchmarks                         # all of it, from the cache to notifications (make bench)
BENCH_QUICK=1 python -m benchmarks           # a quick look; the site keeps what it has
python -m benchmarks --only cache            # the cache alone; so do `jobs`, `http`, `storage` and `notify`
python -m benchmarks --only throughput flush --clients rustforge redis_py
python -m benchmarks --only jobs-throughput jobs-idle --peers rustforge dramatiq
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import machine, report
from benchmarks.bench import Bench
from benchmarks.clients import BY_MODULE
from benchmarks.goals import GOALS, judge
from benchmarks.http import report as http_report
from benchmarks.http import run as http
from benchmarks.http.goals import GOALS as HTTP_GOALS
from benchmarks.http.scale import SCALES as HTTP_SCALES
from benchmarks.jobs import report as jobs_report
from benchmarks.jobs import run as jobs
from benchmarks.jobs.goals import GOALS as JOB_GOALS
from benchmarks.jobs.peers import BY_MODULE as PEERS
from benchmarks.jobs.scale import SCALES as JOB_SCALES
from benchmarks.notify import report as notify_report
from benchmarks.notify import run as notify
from benchmarks.notify.goals import GOALS as NOTIFY_GOALS
from benchmarks.notify.scale import SCALES as NOTIFY_SCALES
from benchmarks.scale import SCALES, Scale
from benchmarks.storage import report as storage_report
from benchmarks.storage import run as storage
from benchmarks.storage.goals import GOALS as STORAGE_GOALS
from benchmarks.storage.scale import SCALES as STORAGE_SCALES
from benchmarks.topics import flush, imports, limit, memory, stampede, throughput
from tools import figures, plots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence

    from benchmarks.goals import Goal

    Topic = Callable[[Bench], Awaitable[list[dict[str, Any]]]]

TOPICS: dict[str, tuple[str, Topic]] = {
    "throughput": ("rows", throughput.measure),
    "limit": ("limit", limit.measure),
    "flush": ("flush", flush.measure),
    "stampede": ("stampede", stampede.measure),
    "imports": ("imports", imports.measure),
    "memory": ("memory", memory.measure),
}
"""Every topic of the cache, with the part of the results that it gives."""


@dataclass(frozen=True)
class Area:
    """A part of Rustforge that is measured, and has a result of its own.

    Attributes:
        topics: The names of its topics.
        kept: The place of its results that the site shows.
        goals: What it wants to reach.
        measure: Measures the topics that the command line chooses.
        tables: Makes the tables of its results.
        everybody: Whether the command line leaves out none of those that take part.
    """

    topics: tuple[str, ...]
    kept: Path
    goals: Iterable[Goal]
    measure: Callable[[argparse.Namespace, Collection[str]], Coroutine[Any, Any, dict[str, Any]]]
    tables: Callable[[dict[str, Any]], dict[str, str]]
    everybody: Callable[[argparse.Namespace], bool] = lambda _: True


AREAS = {
    "cache": Area(
        tuple(TOPICS),
        report.RESULT,
        GOALS,
        lambda options, topics: measure(SCALES[options.scale], topics, options.clients),
        report.make_tables,
        lambda options: set(options.clients) == set(BY_MODULE),
    ),
    "jobs": Area(
        tuple(jobs.TOPICS),
        report.JOBS_RESULT,
        JOB_GOALS,
        lambda options, topics: jobs.measure(JOB_SCALES[options.scale], topics, options.peers),
        jobs_report.make_tables,
        lambda options: set(options.peers) == set(PEERS),
    ),
    "http": Area(
        http.TOPICS,
        report.HTTP_RESULT,
        HTTP_GOALS,
        lambda options, topics: http.measure(HTTP_SCALES[options.scale], topics),
        http_report.make_tables,
    ),
    "storage": Area(
        tuple(storage.TOPICS),
        report.STORAGE_RESULT,
        STORAGE_GOALS,
        lambda options, topics: storage.measure(STORAGE_SCALES[options.scale], topics),
        storage_report.make_tables,
    ),
    "notify": Area(
        tuple(notify.TOPICS),
        report.NOTIFY_RESULT,
        NOTIFY_GOALS,
        lambda options, topics: notify.measure(NOTIFY_SCALES[options.scale], topics),
        notify_report.make_tables,
    ),
}


async def measure(
    scale: Scale, topics: Collection[str] = tuple(TOPICS), modules: Collection[str] = tuple(BY_MODULE)
) -> dict[str, Any]:
    """Measure topics of the cache one after the other.

    Args:
        scale: How much.
        topics: The names of the topics.
        modules: The adapters of the clients that take part.
    """
    bench = Bench(scale, frozenset(modules))
    meta = machine.describe() | {"scale": scale.name, "rounds": scale.rounds, "seconds": scale.seconds}
    meta["load_before"] = machine.load()
    results: dict[str, Any] = {"meta": meta, **{part: [] for part, _ in TOPICS.values()}}
    began = time.monotonic()
    for name, (part, topic) in TOPICS.items():
        if name in topics:
            topic_began = time.monotonic()
            print(f"{name} ...", end=" ", flush=True)
            results[part] = await topic(bench)
            print(f"{time.monotonic() - topic_began:.0f} s", flush=True)
    meta["took_seconds"] = round(time.monotonic() - began, 1)
    meta["load_after"] = machine.load()
    meta["skipped"] = bench.skipped
    return results


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    quick = os.environ.get("BENCH_QUICK", "0") not in {"", "0"}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Rustforge beside its peers.")
    parser.add_argument("--scale", choices=SCALES, default="quick" if quick else "full")
    choices = (*AREAS, *(topic for area in AREAS.values() for topic in area.topics))
    parser.add_argument(
        "--only", choices=choices, nargs="+", default=list(AREAS), metavar="TOPIC", help=", ".join(choices)
    )
    parser.add_argument("--clients", choices=BY_MODULE, nargs="+", default=list(BY_MODULE), metavar="CLIENT")
    parser.add_argument("--peers", choices=PEERS, nargs="+", default=list(PEERS), metavar="PEER")
    parser.add_argument("--output", type=Path, help="where to keep the results; the site shows those of the full run")
    options = parser.parse_args(arguments)
    options.topics = {
        name: [topic for topic in area.topics if name in options.only or topic in options.only]
        for name, area in AREAS.items()
    }
    if options.output and sum(map(bool, options.topics.values())) > 1:
        parser.error(f"--output keeps one result: choose one of {', '.join(AREAS)}, or topics of one, by --only")
    return options


def keep(results: dict[str, Any], *, full: bool, output: Path | None, kept: Path) -> bool:
    """Keep the results of one area; return whether the site shows them.

    Args:
        results: The results.
        full: Whether all of that area was measured.
        output: Where to keep them; `None` takes the place that the site shows, or one beside it where not all of it
            was measured.
        kept: The place that the site shows.
    """
    results["meta"]["command"] = "make bench" if full else f"make bench (scale {results['meta']['scale']})"
    path = output or report.ROOT / (kept if full else Path(".cache/benchmarks") / kept.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nThe results are in {os.path.relpath(path)}.")
    return path.resolve() == report.ROOT / kept


def show(results: dict[str, Any], tables: Mapping[str, str], goals: Iterable[Goal]) -> None:
    """Print the tables, and what came of the goals."""
    for name, table in tables.items():
        if table.count("\n") > 2:  # else it has no rows, as its topic was not measured
            print(f"\n## {name}\n\n{table}", end="")
    print()
    for outcome in judge(results, goals):
        word = "reached" if outcome.reached else "MISSED "
        print(f"{word} {outcome.figure:10.2f}{outcome.goal.unit:4} (goal {outcome.goal.bound:g})  {outcome.goal.text}")


def main() -> None:
    """Do what the command line says."""
    options = parse()
    published = False
    for name, area in AREAS.items():
        if topics := options.topics[name]:
            results = asyncio.run(area.measure(options, topics))
            full = options.scale == "full" and len(topics) == len(area.topics) and area.everybody(options)
            published |= keep(results, full=full, output=options.output, kept=area.kept)
            show(results, area.tables(results), area.goals)
    if published:
        report.main()
        plots.main()
        figures.main()


if __name__ == "__main__":
    main()
