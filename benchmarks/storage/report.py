"""The tables of the storage for the benchmarks page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.storage.goals import GOALS
from benchmarks.tables import goals, machine, number, ours, spread, summary, tabulate

if TYPE_CHECKING:
    from pathlib import Path


def make_tables(results: dict[str, Any]) -> dict[str, str]:
    """Make every table, by its name."""
    meta = results["meta"]
    return {
        "storage-summary": summary(meta),
        "storage-goals": goals(results, GOALS),
        "storage-uploads": _uploads(results["uploads"]),
        "storage-images": _images(results["images"]),
        "storage-machine": _machine(meta),
    }


def _uploads(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["Where", "How", "MB a second", "Ratio to obstore", "Lowest to highest", "CPU a GB", "Memory, highest"],
        [
            [
                row["place"],
                ours(row),
                number(row["megabytes_per_second"]["median"]),
                number(row["ratio"]["median"]),
                spread(row["ratio"]),
                f"{number(row['cpu_seconds_per_gigabyte']['median'])} s",
                _megabytes(row["memory"]),
            ]
            for row in rows
        ],
        words=2,
    )


def _images(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["How", "Milliseconds", "Ratio to Pillow", "Middle half", "The same of CPU", "Memory, highest"],
        [
            [
                ours(row),
                number(row["milliseconds"]["median"]),
                f"{row['ratio']['median']:.3f}",
                f"{row['ratio']['lowest']:.3f}\N{EN DASH}{row['ratio']['highest']:.3f}",
                f"{row['cpu_ratio']['median']:.3f}",
                _megabytes(row["memory"]),
            ]
            for row in rows
        ],
    )


def _megabytes(summary: dict[str, Any]) -> str:
    return f"{summary['highest'] / 1e6:.1f} MB"


def _machine(meta: dict[str, Any]) -> str:
    versions = meta["versions"]
    named = ("obstore", "pillow", "python-multipart", "uvicorn")
    return machine(
        meta,
        {
            "S3": f"{meta['server']} on the same machine, in a process of its own",
            "Libraries": ", ".join(f"{name} {versions[name]}" for name in named),
            "Uploads": f"{meta['upload'] / 1e6:,.0f} MB, {meta['rounds']} times in each way",
            "Images": f"{meta['pixels'] / 1e6:.1f} megapixels, {meta['images']} times in each way",
        },
    )


def make_files(folder: Path, results: dict[str, Any]) -> dict[Path, str]:
    """Make the tables, by the file that each belongs in."""
    return {folder / f"{name}.md": text for name, text in make_tables(results).items()}
