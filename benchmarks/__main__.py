"""Measure everything, keep the results, and draw them for the site.

python -m benchmarks                         # all of it, in less than ten minutes (make bench)
BENCH_QUICK=1 python -m benchmarks           # a quick look; the site keeps what it has
python -m benchmarks --only throughput flush --clients rustforge redis_py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import machine, report
from benchmarks.bench import Bench
from benchmarks.clients import BY_MODULE
from benchmarks.goals import judge
from benchmarks.scale import SCALES, Scale
from benchmarks.topics import flush, imports, limit, memory, stampede, throughput
from tools import plots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    Topic = Callable[[Bench], Awaitable[list[dict[str, Any]]]]

TOPICS: dict[str, tuple[str, Topic]] = {
    "throughput": ("rows", throughput.measure),
    "limit": ("limit", limit.measure),
    "flush": ("flush", flush.measure),
    "stampede": ("stampede", stampede.measure),
    "imports": ("imports", imports.measure),
    "memory": ("memory", memory.measure),
}
"""Every topic, with the part of the results that it gives."""


async def measure(
    scale: Scale, topics: Collection[str] = tuple(TOPICS), modules: Collection[str] = tuple(BY_MODULE)
) -> dict[str, Any]:
    """Measure topics one after the other.

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
    parser.add_argument("--only", choices=TOPICS, nargs="+", default=list(TOPICS), metavar="TOPIC")
    parser.add_argument("--clients", choices=BY_MODULE, nargs="+", default=list(BY_MODULE), metavar="CLIENT")
    parser.add_argument("--output", type=Path, help="where to keep the results; the site shows those of the full run")
    return parser.parse_args(arguments)


def main() -> None:
    """Do what the command line says."""
    options = parse()
    scale = SCALES[options.scale]
    full = options.scale == "full" and set(options.only) == set(TOPICS) and set(options.clients) == set(BY_MODULE)
    output: Path = options.output or report.ROOT / (report.RESULT if full else Path(".cache/benchmarks/cache.json"))
    results = asyncio.run(measure(scale, options.only, options.clients))
    results["meta"]["command"] = "make bench" if full else f"make bench (scale {scale.name})"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n")
    for name, table in report.make_tables(results).items():
        if table.count("\n") > 2:  # else it has no rows, as its topic was not measured
            print(f"\n## {name}\n\n{table}", end="")
    print()
    for outcome in judge(results):
        word = "reached" if outcome.reached else "MISSED "
        print(f"{word} {outcome.figure:10.2f}{outcome.goal.unit:4} (goal {outcome.goal.bound:g})  {outcome.goal.text}")
    print(f"\nThe results are in {os.path.relpath(output)}.")
    if output.resolve() == report.ROOT / report.RESULT:
        report.main()
        plots.main()


if __name__ == "__main__":
    main()
