"""The tables of the responses for the benchmarks page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.http.goals import GOALS
from benchmarks.tables import goals, machine, number, ours, summary, tabulate

if TYPE_CHECKING:
    from pathlib import Path


def make_tables(results: dict[str, Any]) -> dict[str, str]:
    """Make every table, by its name."""
    meta = results["meta"]
    return {
        "http-summary": summary(meta),
        "http-goals": goals(results, GOALS),
        "http-install": _turns(results["install"]),
        "http-responses": _turns(results["responses"]),
        "http-machine": _machine(meta),
    }


def _turns(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["Answer", "Application", "Requests a second", "Ratio", "Middle half", "CPU a request", "Ratio", "Middle half"],
        [
            [
                row["what"],
                ours(row),
                number(row["speed"]["median"]),
                f"{row['ratio']['median']:.3f}",
                _precise(row["ratio"]),
                f"{number(row['cpu']['median'])} \N{MICRO SIGN}s",
                f"{row['cpu_ratio']['median']:.3f}",
                _precise(row["cpu_ratio"]),
            ]
            for row in rows
        ],
        words=2,
    )


def _precise(summary: dict[str, Any]) -> str:
    return f"{summary['lowest']:.3f}\N{EN DASH}{summary['highest']:.3f}"


def _machine(meta: dict[str, Any]) -> str:
    versions = meta["versions"]
    named = ("fastapi", "starlette", "pydantic")
    return machine(
        meta,
        {
            "Server": f"{meta['server']}, in one process",
            "Libraries": ", ".join(f"{name} {versions[name]}" for name in named),
            "Load": f"{meta['connections']} connections that stay open, one request at a time on each",
            "Rounds": f"{meta['rounds']}, in {meta['processes']} server processes; in each, every application answers "
            f"{meta['requests']:,} requests",
        },
    )


def make_files(folder: Path, results: dict[str, Any]) -> dict[Path, str]:
    """Make the tables, by the file that each belongs in."""
    return {folder / f"{name}.md": text for name, text in make_tables(results).items()}
