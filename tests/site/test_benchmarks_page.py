"""The benchmarks page: its numbers are those of the results that are kept, and it shows all of them."""

from __future__ import annotations

import json
import re

from benchmarks import report
from benchmarks.tables import slug
from tests.site.conftest import ROOT

PAGE = ROOT / "docs" / "project" / "benchmarks.md"


def test_tables_are_those_of_the_kept_results() -> None:
    """Every table of the page is what the results say, and none is left over."""
    folder = ROOT / report.TABLES
    kept = {file: file.read_text() for file in folder.iterdir()} if folder.is_dir() else {}
    assert kept == report.make_files(ROOT), "run: python -m benchmarks.report"


def test_page_shows_every_table_and_plot() -> None:
    """Nothing that was measured is left out of the page."""
    shown = re.findall(r'^--8<-- "(.*)"$', PAGE.read_text(), re.MULTILINE)
    tables = [path.relative_to(ROOT).as_posix() for path in report.make_files(ROOT)]
    plots = [
        f"docs/assets/plots/{result.stem}-{slug(group)}.svg"
        for result in (report.RESULT, report.JOBS_RESULT)
        for group in dict.fromkeys(row["group"] for row in json.loads((ROOT / result).read_text())["rows"])
    ]
    assert sorted(shown) == sorted(tables + plots)
