"""Write the tables of the benchmarks page, so that the page and the results cannot differ.

python -m benchmarks.report       # benchmarks/results/cache.json -> docs/includes/benchmarks/*.md
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.clients import CLIENTS
from benchmarks.goals import judge
from benchmarks.topics.limit import LIMIT_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).resolve().parent.parent
RESULT = Path("benchmarks/results/cache.json")
TABLES = Path("docs/includes/benchmarks")
MIB = 1 << 20

_BUSY = 0.5  # processes that want a core, before the run itself wants any


def make_tables(results: dict[str, Any]) -> dict[str, str]:
    """Make every table, by its name."""
    tables = {slug(group): _throughput(list(rows)) for group, rows in groupby(results["rows"], lambda r: r["group"])}
    return tables | {
        "summary": _summary(results["meta"]),
        "goals": _goals(results),
        "limit": _limit(results),
        "flush": _flush(results["flush"]),
        "stampede": _stampede(row for row in results["stampede"] if not row["holder_killed"]),
        "stampede-killed": _stampede(row for row in results["stampede"] if row["holder_killed"]),
        "imports": _imports(results["imports"]),
        "memory": _memory(results["memory"]),
        "machine": _machine(results["meta"]),
        "clients": _clients(results["meta"]),
    }


def slug(text: str) -> str:
    """Make a file name of a group."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def tabulate(head: Sequence[str], rows: Iterable[Sequence[object]], *, words: int = 1) -> str:
    """Write a table; the first columns hold words, the others numbers."""
    rule = ["---" if column < words else "--:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, rule, *rows)) + "\n"


def _ours(row: dict[str, Any]) -> str:
    client: str = row["client"]
    return f"**{client}**" if "rustforge" in client.lower() else client


def _number(value: float) -> str:
    """Write a number with as many digits as mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _range(summary: dict[str, Any]) -> str:
    return f"{_number(summary['lowest'])}-{_number(summary['highest'])}".replace("-", "\N{EN DASH}")


def _throughput(rows: list[dict[str, Any]]) -> str:
    rows.sort(key=lambda row: -row["ops_per_second"])
    return tabulate(
        ["Client", "Calls a second", "Lowest to highest", "Ratio to redis-py", "Lowest to highest", "CPU a call"],
        [
            [
                _ours(row),
                _number(row["ops_per_second"]),
                _range(row["speed"]),
                _number(row["ratio"]),
                _range(row["ratios"]),
                f"{_number(row['cpu_microseconds']['median'])} \N{MICRO SIGN}s",
            ]
            for row in rows
        ],
    )


def _summary(meta: dict[str, Any]) -> str:
    """Say when and on what, and warn where it was not the whole run."""
    text = f"Measured on {meta['date']} on {meta['cpu']} with {meta['cores']} cores, {meta['server']}, {meta['python']}"
    text = f"{text}; medians of {meta['rounds']} rounds."
    if meta["scale"] != "full":
        title = "A quick look"
        warning = (
            "These figures come from a short run and are rough; `make bench` replaces them by those of a full one."
        )
    elif meta["load_before"] >= _BUSY:
        title = "A busy machine"
        warning = (
            f"The machine was not quiet when the run began (load {meta['load_before']}), so look at *lowest to "
            "highest* and at *CPU a call* too, which suffer least."
        )
    else:
        return f"{text}\n"
    return f'!!! warning "{title}"\n\n    {warning}\n\n{text}\n'


def _goals(results: dict[str, Any]) -> str:
    return tabulate(
        ["What", "Goal", "Measured", "Reached"],
        [
            [
                outcome.goal.text,
                f"{'at least' if outcome.goal.at_least else 'at most'} {outcome.goal.bound:g}{outcome.goal.unit}",
                f"{_number(outcome.figure)}{outcome.goal.unit}",
                "yes" if outcome.reached else "**no**",
            ]
            for outcome in judge(results)
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
        lines.append([limit["label"], _number(limit["median"]), *shares])
    return tabulate(
        ["The server's own benchmark", "Requests a second", "`Cache.get`", "Bare client", "redis-py"], lines
    )


def _flush(rows: list[dict[str, Any]]) -> str:
    return tabulate(
        ["Flushed by", "Seconds", "Median", "99 %", "99.9 %", "Longest", "Longest command", "Memory"],
        [
            [
                _ours(row),
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
                _ours(row),
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
                _ours(row),
                _number(row["milliseconds"]["median"]),
                _range(row["milliseconds"]),
                _number(row["ratio"]["median"]),
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


def _machine(meta: dict[str, Any]) -> str:
    lines = {
        "Date": meta["date"],
        "Processor": f"{meta['cpu']}, {meta['cores']} cores",
        "System": meta["system"],
        "Python": f"{meta['python']}, uvloop {meta['versions']['uvloop']}",
        "Server": f"{meta['server']} on the same machine, without persistence",
        "Command": f"`{meta['command']}`",
        "Sizes": meta["scale"],
        "Rounds": f"{meta['rounds']}, of {meta['seconds']:g} s for each client and number of tasks",
        "Took": f"{meta['took_seconds'] / 60:.1f} minutes",
        "Load before and after": f"{meta['load_before']} and {meta['load_after']}",
        "Left out": "; ".join(f"{name}: {why}" for name, why in meta["skipped"].items()) or "nothing",
    }
    return tabulate(["", ""], lines.items(), words=2)


def _clients(meta: dict[str, Any]) -> str:
    return tabulate(
        ["Client", "Version", "How it was set up"],
        [[client.label, meta["versions"][client.distribution] or "not installed", client.setup] for client in CLIENTS],
        words=3,
    )


def make_files(root: Path) -> dict[Path, str]:
    """Make the tables of a working copy, by the file that each belongs in."""
    results = json.loads((root / RESULT).read_text())
    return {root / TABLES / f"{name}.md": text for name, text in make_tables(results).items()}


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
