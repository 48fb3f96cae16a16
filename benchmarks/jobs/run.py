"""Measure the job queues, and describe with what."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from benchmarks import machine
from benchmarks.jobs.bench import JobBench
from benchmarks.jobs.peers import BY_MODULE, PEERS
from benchmarks.jobs.running import CONCURRENCY, TROUBLES, interpreter
from benchmarks.jobs.topics import ours, quiet, throughput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from benchmarks.jobs.scale import JobScale

    Topic = Callable[[JobBench], Awaitable[dict[str, list[dict[str, Any]]]]]

TOPICS: dict[str, Topic] = {
    "jobs-throughput": throughput.measure,
    "jobs-delays": quiet.measure_delays,
    "jobs-idle": quiet.measure_idle,
    "jobs-workers": ours.measure_workers,
    "jobs-depth": ours.measure_depth,
    "jobs-memory": ours.measure_memory,
    "jobs-recovery": ours.measure_recovery,
}
PARTS = ("rows", "costs", "delays", "idle", "workers", "depth", "memory", "recovery")
"""What the topics give, together."""
_VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""


async def measure(
    scale: JobScale, topics: Collection[str] = tuple(TOPICS), modules: Collection[str] = tuple(BY_MODULE)
) -> dict[str, Any]:
    """Measure topics one after the other.

    Args:
        scale: How much.
        topics: The names of the topics.
        modules: The adapters of the queues that take part.
    """
    bench = JobBench(scale, frozenset(modules))
    TROUBLES.clear()
    meta = machine.describe() | {
        "scale": scale.name,
        "rounds": scale.rounds,
        "jobs": scale.jobs,
        "concurrency": CONCURRENCY,
        "delays": scale.delays,
        "pause": scale.pause,
        "idle_seconds": scale.idle_seconds,
        "peers": {peer.module: versions(peer.module) for peer in PEERS if peer.module in modules},
        "load_before": machine.load(),
    }
    results: dict[str, Any] = {"meta": meta, **{part: [] for part in PARTS}}
    began = time.monotonic()
    for name, topic in TOPICS.items():
        if name in topics:
            topic_began = time.monotonic()
            print(f"{name} ...", end=" ", flush=True)
            results |= await topic(bench)
            print(f"{time.monotonic() - topic_began:.0f} s", flush=True)
    meta["took_seconds"] = round(time.monotonic() - began, 1)
    meta["load_after"] = machine.load()
    meta["skipped"] = bench.skipped | {
        f"{label} was measured, but logged errors": why for label, why in TROUBLES.items()
    }
    return results


def versions(module: str) -> dict[str, str | None]:
    """Ask a queue's environment for the versions of its packages; nothing where it was not made."""
    with suppress(OSError, subprocess.CalledProcessError):
        command = [str(interpreter(module)), "-c", _VERSIONS, *BY_MODULE[module].distributions]
        found: dict[str, str | None] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return found
    return {}
