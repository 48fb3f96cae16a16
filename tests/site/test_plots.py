"""The plots of the benchmarks: they say what was measured, and they are those of the results that are kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tests.site.conftest import ROOT
from tools.plots import make_files

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

SVG = "{http://www.w3.org/2000/svg}"
ROWS = [
    {"group": "Reads & writes", "client": "redis-py <8>", "ops_per_second": 10_000.4, "ratio": 1.0},
    {"group": "Reads & writes", "client": "Rustforge", "ops_per_second": 200_000.0, "ratio": 20.0},
    {"group": "Locks", "client": "Rustforge", "ops_per_second": 5, "ratio": 1.0},
]


def make(root: Path) -> dict[str, str]:
    """Make the plots of `ROWS`."""
    results = root / "benchmarks" / "results"
    results.mkdir(parents=True)
    (results / "cache.json").write_text(json.dumps({"meta": {}, "rows": ROWS}))
    return {path.relative_to(root).as_posix(): text for path, text in make_files(root).items()}


def test_bars_are_as_long_as_the_numbers(tmp_path: Path) -> None:
    """The fastest comes first and fills the width, the others in proportion; texts say the numbers."""
    files = make(tmp_path)
    assert sorted(files) == [
        "docs/assets/plots/cache-locks.svg",
        "docs/assets/plots/cache-reads-writes.svg",
        "docs/includes/plots/cache-locks.md",
        "docs/includes/plots/cache-reads-writes.md",
    ]
    plot = ET.fromstring(files["docs/assets/plots/cache-reads-writes.svg"])
    assert [rect.get("width") for rect in plot.iter(f"{SVG}rect")] == ["480", "24"]
    texts = [text.text for text in plot.iter(f"{SVG}text")]
    assert texts == ["Rustforge", "200,000/s \xd720.0", "redis-py <8>", "10,000/s \xd71.0"]
    assert plot.get("aria-label") == "Reads & writes"


def test_tables_have_the_same_numbers(tmp_path: Path) -> None:
    """The table beside a plot has a row for each bar, in the same order."""
    table = make(tmp_path)["docs/includes/plots/cache-reads-writes.md"]
    assert table.splitlines()[2:] == ["| Rustforge | 200,000 | 20.0 |", "| redis-py <8> | 10,000 | 1.0 |"]


def test_plots_take_the_colours_of_the_page(page: Page, tmp_path: Path) -> None:
    """A plot within a page is drawn in the page's colour of text."""
    page.set_content(f'<body style="color: rgb(1, 2, 3)">{make(tmp_path)["docs/assets/plots/cache-locks.svg"]}</body>')
    assert page.locator("text").first.evaluate("(text) => getComputedStyle(text).fill") == "rgb(1, 2, 3)"


def test_kept_plots_are_those_of_the_kept_results() -> None:
    """Every plot and table of the site is what the tool makes of the results, and none is left over."""
    made = make_files(ROOT)
    folders = (ROOT / "docs" / "assets" / "plots", ROOT / "docs" / "includes" / "plots")
    kept = {file: file.read_text() for folder in folders if folder.is_dir() for file in folder.iterdir()}
    assert kept == made, "run: python -m tools.plots"
