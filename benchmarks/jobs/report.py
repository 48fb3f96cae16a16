"""The tables of the job queues for the benchmarks page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.jobs.goals import GOALS
from benchmarks.jobs.peers import BY_MODULE, PEERS
from benchmarks.jobs.topics.throughput import BULK, ENQUEUED, PROCESSED
from benchmarks.tables import MIB, goals, machine, number, ours, spread, summary, tabulate

if TYPE_CHECKING:
    from pathlib import Path

FEW = 10_000
"""With fewer jobs than this in the queue, the bytes of one say nothing."""


def make_tables(results: dict[str, Any]) -> dict[str, str]:
    """Make every table, by its name."""
    meta = results["meta"]
    return {
        "jobs-summary": summary(meta),
        "jobs-goals": goals(results, GOALS),
        "jobs-processed": _processed(results),
        "jobs-enqueued": _speeds(results, ENQUEUED, "Enqueued a second"),
        "jobs-bulk": _speeds(results, BULK, "Enqueued a second"),
        "jobs-costs": _costs(results),
        "jobs-idle": _idle(results["idle"]),
        "jobs-delays": _delays(results["delays"]),
        "jobs-workers": _workers(results["workers"]),
        "jobs-depth": _depth(results["depth"]),
        "jobs-memory": _memory(results["memory"]),
        "jobs-recovery": _recovery(results),
        "jobs-machine": _machine(meta),
        "jobs-peers": _peers(meta),
    }


def _rows(results: dict[str, Any], group: str) -> list[dict[str, Any]]:
    rows = [row for row in results["rows"] if row["group"] == group]
    return sorted(rows, key=lambda row: -row["ops_per_second"])


def _speeds(results: dict[str, Any], group: str, what: str) -> str:
    return tabulate(
        ["Queue", what, "Lowest to highest", "Ratio to the fastest peer", "Lowest to highest"],
        [
            [
                ours(row),
                number(row["ops_per_second"]),
                spread(row["speed"]),
                number(row["ratio"]),
                spread(row["ratios"]),
            ]
            for row in _rows(results, group)
        ],
    )


def _processed(results: dict[str, Any]) -> str:
    cpu = {row["key"]: row["cpu"]["median"] for row in results["costs"]}
    return tabulate(
        ["Queue", "Run a second", "Lowest to highest", "Ratio to the fastest peer", "Lowest to highest", "CPU a job"],
        [
            [
                ours(row),
                number(row["ops_per_second"]),
                spread(row["speed"]),
                number(row["ratio"]),
                spread(row["ratios"]),
                f"{number(cpu[row['key']])} \N{MICRO SIGN}s",
            ]
            for row in _rows(results, PROCESSED)
        ],
    )


def _costs(results: dict[str, Any]) -> str:
    return tabulate(
        [
            "Queue",
            "Commands a job",
            "Bytes of a waiting job",
            "Keys left",
            "Bytes a job left",
        ],
        [
            [
                ours(row),
                number(row["commands"]["median"]),
                number(row["bytes"]["median"]),
                f"{row['keys']['median']:,.0f}",
                f"{row['left']['median']:,.0f}",
            ]
            for row in results["costs"]
        ],
    )


def _idle(rows: list[dict[str, Any]]) -> str:
    rows = sorted(rows, key=lambda row: float(row["commands_per_second"]))
    return tabulate(
        ["Queue", "Sent a second", "Those in scripts included"],
        [[ours(row), f"{row['sent_per_second']:.2f}", f"{row['commands_per_second']:.2f}"] for row in rows],
    )


def _delays(rows: list[dict[str, Any]]) -> str:
    rows = sorted(rows, key=lambda row: float(row["p50_ms"]["median"]))
    return tabulate(
        ["Queue", "Median", "Lowest to highest", "99 %", "Lowest to highest"],
        [
            [
                ours(row),
                *(
                    text
                    for name in ("p50_ms", "p99_ms")
                    for text in (f"{number(row[name]['median'])} ms", spread(row[name]))
                ),
            ]
            for row in rows
        ],
    )


def _workers(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["Worker processes", "Run a second", "Lowest to highest"],
        [[str(row["workers"]), number(row["speed"]["median"]), spread(row["speed"])] for row in rows],
    )


def _depth(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["Jobs that wait", "Enqueued a second", "Run a second", "Bytes a job"],
        [
            [
                f"{row['depth']:,}",
                number(row["enqueued"]),
                number(row["processed"]),
                number(row["bytes"]) if row["depth"] >= FEW else "",
            ]
            for row in rows
        ],
    )


def _memory(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["Jobs run", "Memory of the worker"],
        [[f"{row['jobs']:,}", f"{row['bytes'] / MIB:.1f} MiB"] for row in rows],
    )


def _recovery(results: dict[str, Any]) -> str:
    """Put what was measured of ours beside what the peers' own settings say."""
    measured = [
        f"Measured: {row['seconds']['median']:.1f} s, at most {row['seconds']['highest']:.1f} s."
        for row in results["recovery"]
    ]
    return tabulate(
        ["Queue", "A job whose worker was killed"],
        [
            [ours({"client": peer.label}), " ".join([peer.recovery, *(measured if peer.module == "rustforge" else [])])]
            for peer in PEERS
        ],
        words=2,
    )


def _machine(meta: dict[str, Any]) -> str:
    return machine(
        meta,
        {
            "Server": f"{meta['server']} on the same machine, with an append-only file (`appendfsync everysec`)",
            "Jobs": f"{meta['jobs']:,} in a round, and a multiple of it for faster queues; at most "
            f"{meta['concurrency']} at a time",
            "Light load": f"{meta['delays']} jobs, one every {1000 * meta['pause']:g} ms",
            "Idle": f"watched for {meta['idle_seconds']:g} s",
            "Rounds": str(meta["rounds"]),
        },
    )


def _peers(meta: dict[str, Any]) -> str:
    lines = []
    for module, found in meta["peers"].items():
        peer = BY_MODULE[module]
        versions = [f"{name} {found[name]}" for name in peer.distributions if found.get(name)]
        lines.append([peer.label, ", ".join(versions) or "not installed", peer.setup])
    return tabulate(["Queue", "Versions", "How it was set up"], lines, words=3)


def make_files(folder: Path, results: dict[str, Any]) -> dict[Path, str]:
    """Make the tables, by the file that each belongs in."""
    return {folder / f"{name}.md": text for name, text in make_tables(results).items()}
