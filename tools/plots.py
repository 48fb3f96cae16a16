"""Draw the results of the benchmarks for the site.

python -m tools.plots       # benchmarks/results/*.json -> docs/assets/plots/*.svg and docs/includes/plots/*.md

Each group of a result becomes bars, to be shown inside a page so that they take its colours, and the same numbers as a
table:

    <figure class="rf-plot">
    --8<-- "docs/assets/plots/cache-reads.svg"
    </figure>

    --8<-- "docs/includes/plots/cache-reads.md"
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

ROOT = Path(__file__).resolve().parent.parent
WIDTH, ROW, BAR = 480, 46, 12


@dataclass(frozen=True)
class Row:
    """What one client did in one group of a benchmark."""

    group: str
    client: str
    ops_per_second: float
    ratio: float


def read_rows(text: str) -> list[Row]:
    """Read a result: the groups in their order, and in each the fastest client first."""
    found = json.loads(text).get("rows", ())  # what has none is shown as tables alone
    rows = [Row(row["group"], row["client"], row["ops_per_second"], row["ratio"]) for row in found]
    order = list(dict.fromkeys(row.group for row in rows))
    return sorted(rows, key=lambda row: (order.index(row.group), -row.ops_per_second))


def draw(title: str, rows: list[Row]) -> str:
    """Draw horizontal bars as SVG: ours in ember, the others in grey, each with its number."""
    most = max(row.ops_per_second for row in rows)
    numbers = "; ".join(f"{row.client}: {row.ops_per_second:,.0f} a second" for row in rows)
    size = f'viewBox="0 0 {WIDTH} {ROW * len(rows)}" font-family="inherit" font-size="15" fill="currentColor"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label={quoteattr(title)} {size}>',
        f"<desc>{escape(numbers)}</desc>",
    ]
    for place, row in enumerate(rows):
        ours = row.client.lower().startswith("rustforge")
        colour = "var(--rf-ember, #b4430f)" if ours else "var(--md-default-fg-color--lighter, #7d8492)"
        weight = 700 if ours else 400
        y = place * ROW
        length = max(2, round(WIDTH * row.ops_per_second / most))
        number = f"{row.ops_per_second:,.0f}/s \N{MULTIPLICATION SIGN}{row.ratio:.1f}"
        parts += [
            f'<text y="{y + 17}" font-weight="{weight}">{escape(row.client)}</text>',
            f'<text x="{WIDTH}" y="{y + 17}" text-anchor="end" font-weight="{weight}">{number}</text>',
            f'<rect y="{y + 24}" width="{length}" height="{BAR}" rx="2" fill="{colour}"/>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def tabulate(rows: list[Row]) -> str:
    """Write the same numbers as a table."""
    lines = ["| Client | Operations a second | Ratio |", "|---|--:|--:|"]
    lines += [f"| {row.client} | {row.ops_per_second:,.0f} | {row.ratio:.1f} |" for row in rows]
    return "\n".join([*lines, ""])


def make_files(root: Path) -> dict[Path, str]:
    """Make every plot and table of a working copy, by the file it belongs in."""
    files = {}
    for result in sorted((root / "benchmarks" / "results").glob("*.json")):
        for group, rows in groupby(read_rows(result.read_text()), attrgetter("group")):
            name = re.sub(r"[^a-z0-9]+", "-", f"{result.stem} {group}".lower()).strip("-")
            members = list(rows)
            files[root / "docs" / "assets" / "plots" / f"{name}.svg"] = draw(group, members)
            files[root / "docs" / "includes" / "plots" / f"{name}.md"] = tabulate(members)
    return files


def main() -> None:
    """Write the plots and tables of this working copy."""
    for path, text in make_files(ROOT).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
