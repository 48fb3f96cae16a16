"""The tables of the notifications for the benchmarks page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.notify.goals import GOALS
from benchmarks.tables import goals, machine, number, ours, spread, summary, tabulate

if TYPE_CHECKING:
    from pathlib import Path


def make_tables(results: dict[str, Any]) -> dict[str, str]:
    """Make every table, by its name."""
    meta = results["meta"]
    return {
        "notify-summary": summary(meta),
        "notify-goals": goals(results, GOALS),
        "notify-webhooks": _webhooks(results["webhooks"]),
        "notify-sse": _streams(results.get("sse", [])),
        "notify-machine": _machine(meta),
    }


def _webhooks(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["How", "Deliveries a second", "Ratio to httpx2", "Lowest to highest", "CPU a delivery", "Fan-out"],
        [
            [
                ours(row),
                number(row["speed"]["median"]),
                number(row["ratio"]["median"]),
                spread(row["ratio"]),
                f"{number(row['cpu']['median'])} \N{MICRO SIGN}s",
                f"{number(row['fan_out_ms']['median'])} ms" if row["fan_out_ms"] else "",
            ]
            for row in rows
        ],
    )


def _streams(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["How", "Memory a client", "Half within", "99 % within", "CPU a delivery", "All back, with replay"],
        [
            [
                ours(row),
                f"{number(row['memory_kb']['median'])} KiB",
                f"{number(row['p50_ms']['median'])} ms",
                f"{number(row['p99_ms']['median'])} ms",
                f"{number(row['cpu_us']['median'])} \N{MICRO SIGN}s",
                f"{row['replay_s']['median']:.1f} s" if "replay_s" in row else "no replay",
            ]
            for row in rows
        ],
    )


def _machine(meta: dict[str, Any]) -> str:
    versions = meta["versions"]
    named = ("httpx2", "h11", "sqlalchemy", "aiosqlite", "asyncpg", "fastapi", "starlette", "uvicorn", "redis")
    return machine(
        meta,
        {
            "Server": f"{meta['server']} on the same machine, without persistence",
            "Libraries": ", ".join(f"{name} {versions[name]}" for name in named),
            "Webhooks": f"{meta['events']} events to {meta['endpoints']:,} endpoints, {meta['rounds']} times in each "
            f"way, {meta['concurrency']} at a time",
            "Streams": f"{meta['clients']:,} clients of server-sent events on one process, {meta['messages']} messages "
            "and as many while they are away; Redis with its log on disk, killed and started again under them",
        },
    )


def make_files(folder: Path, results: dict[str, Any]) -> dict[Path, str]:
    """Make the tables, by the file that each belongs in."""
    return {folder / f"{name}.md": text for name, text in make_tables(results).items()}
