"""Write the tables of the benchmarks page, so that the page and the results cannot differ.

python -m benchmarks.report       # benchmarks/results/*.json -> docs/includes/benchmarks/*.md
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.clients import CLIENTS
from benchmarks.http import report as http
from benchmarks.jobs import report as jobs
from benchmarks.notify import report as notify
from benchmarks.storage import report as storage
from benchmarks.tables import MIB, goals, machine, number, ours, slug, spread, summary, tabulate
from benchmarks.topics.limit import LIMIT_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parent.parent
RESULT = Path("benchmarks/results/cache.json")
JOBS_RESULT = Path("benchmarks/results/jobs.json")
HTTP_RESULT = Path("benchmarks/results/http.json")
STORAGE_RESULT = Path("benchmarks/results/storage.json")
NOTIFY_RESULT = Path("benchmarks/results/notify.json")
TABLES = Path("docs/includes/benchmarks")


def make_tables(results: dict[str, Any]) -> dict[str, str]:
    """Make every table, by its name."""
    tables = {slug(group): _throughput(list(rows)) for group, rows in groupby(results["rows"], lambda r: r["group"])}
    return tables | {
        "summary": summary(results["meta"]),
        "goals": goals(results),
        "limit": _limit(results),
        "flush": _flush(results["flush"]),
        "stampede": _stampede(row for row in results["stampede"] if not row["holder_killed"]),
        "stampede-killed": _stampede(row for row in results["stampede"] if row["holder_killed"]),
        "imports": _imports(results["imports"]),
        "memory": _memory(results["memory"]),
        "machine": machine(results["meta"], _how(results["meta"])),
        "clients": _clients(results["meta"]),
    }


def _throughput(rows: list[dict[str, Any]]) -> str:
    rows.sort(key=lambda row: -row["ops_per_second"])
    return tabulate(
        ["Client", "Calls a second", "Lowest to highest", "Ratio to redis-py", "Lowest to highest", "CPU a call"],
        [
            [
                ours(row),
                number(row["ops_per_second"]),
                spread(row["speed"]),
                number(row["ratio"]),
                spread(row["ratios"]),
                f"{number(row['cpu_microseconds']['median'])} \N{MICRO SIGN}s",
            ]
            for row in rows
        ],
    )


def _limit(results: dict[str, Any]) -> str:
    """Put the server's limit beside what clients reach of it."""
    limits = {row["name"]: row for row in results["limit"]}
    if not limits:
        return f"Not measured: {results['meta']['skipped'].get(LIMIT_LABEL, 'left out')}.\n"
    lines = []
    for name, words in (("one", "one task"), ("pool", "100 tasks"), ("pipeline", "100 tasks")):
        limit = limits[name]
        speeds = {
            row["key"]: row["ops_per_second"]
            for row in results["rows"]
            if row["group"].startswith("GET of") and row["group"].endswith(f", {words}")
        }
        shares = [
            f"{100 * speeds[key] / limit['median']:.0f} %" if key in speeds else "-"
            for key in ("rustforge.get", "rustforge.call", "redis_py.get")
        ]
        lines.append([limit["label"], number(limit["median"]), *shares])
    return tabulate(
        ["The server's own benchmark", "Requests a second", "`Cache.get`", "Bare client", "redis-py"], lines
    )


def _flush(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["Flushed by", "Seconds", "Median", "99 %", "99.9 %", "Longest", "Longest command", "Memory"],
        [
            [
                ours(row),
                f"{row['seconds']['median']:.2f}",
                *(f"{row[name]['median']:.2f} ms" for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")),
                f"{row['longest_command_ms']['median']:.2f} ms",
                f"{row['heap_bytes'] / MIB:.2f} MiB" if row["heap_bytes"] else "",
            ]
            for row in rows
        ],
    )


def _stampede(rows: Iterable[dict[str, Any]]) -> str:
    return tabulate(
        ["Client", "Factory calls", "Lowest to highest", "Until all have it", "Callers with an error"],
        [
            [
                ours(row),
                _number_of(row["factory_calls"]["median"]),
                f"{row['factory_calls']['lowest']:,.0f}\N{EN DASH}{row['factory_calls']['highest']:,.0f}",
                f"{row['seconds']['median']:.2f} s",
                _number_of(row["errors"]["median"]),
            ]
            for row in rows
        ],
    )


def _number_of(value: float) -> str:
    return f"{value:,g}"


def _imports(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["Import", "Milliseconds", "Lowest to highest", "Ratio"],
        [
            [
                ours(row),
                number(row["milliseconds"]["median"]),
                spread(row["milliseconds"]),
                number(row["ratio"]["median"]),
            ]
            for row in rows
        ],
    )


def _memory(rows: list[dict[str, Any]]) -> str:
    """Put the clients side by side."""
    lines = []
    for label, group in groupby(rows, lambda row: row["label"]):
        sizes = {row["client"]: _size(row["bytes"]) for row in group}
        lines.append([label, sizes.get("Rustforge", ""), sizes.get("redis-py", "")])
    return tabulate(["What", "**Rustforge**", "redis-py"], lines)


def _size(count: float) -> str:
    if count >= MIB:
        return f"{count / MIB:.2f} MiB"
    return f"{count / 1024:.1f} KiB" if count >= 10_240 else f"{count:,.0f} bytes"


def _how(meta: dict[str, Any]) -> dict[str, str]:
    return {
        "Server": f"{meta['server']} on the same machine, without persistence",
        "Rounds": f"{meta['rounds']}, of {meta['seconds']:g} s for each client and number of tasks",
    }


def _clients(meta: dict[str, Any]) -> str:
    return tabulate(
        ["Client", "Version", "How it was set up"],
        [[client.label, meta["versions"][client.distribution] or "not installed", client.setup] for client in CLIENTS],
        words=3,
    )


def make_files(root: Path) -> dict[Path, str]:
    """Make the tables of a working copy, by the file that each belongs in."""
    results = json.loads((root / RESULT).read_text())
    files = {root / TABLES / f"{name}.md": text for name, text in make_tables(results).items()}
    areas = ((jobs, JOBS_RESULT), (http, HTTP_RESULT), (storage, STORAGE_RESULT), (notify, NOTIFY_RESULT))
    for area, result in areas:
        files |= area.make_files(root / TABLES, json.loads((root / result).read_text()))
    return files


def main() -> None:
    """Write the tables of this working copy, and remove those that are no more."""
    files = make_files(ROOT)
    (ROOT / TABLES).mkdir(parents=True, exist_ok=True)
    for path in set((ROOT / TABLES).iterdir()) - set(files):
        path.unlink()
    for path, text in files.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
