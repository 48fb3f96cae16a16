"""What a pull request is told about the site: pages, sizes, the build, what is measured, addresses that end."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from tools import site_summary
from tools.quality.results import Result, Row
from tools.site_summary import MARK, summary_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def make(
    root: Path, pages: dict[str, str], seconds: str = "", rows: list[Row] | None = None, redirects: str = ""
) -> Path:
    """Make a working copy with a built site."""
    for folder, text in pages.items():
        page = root / "site" / folder / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * folder.count("/")
        links = (
            f'<link rel="stylesheet" href="{up}a.css"><script src="{up}a.js?v=1"></script><script src="https://h/x.js">'
        )
        page.write_text(f'<html>{links}<h1 id="{text.split()[0]}">{text}</h1><p>{folder}{len(pages)}</html>')
        page.with_name("index.md").write_text(text.replace(" ", "\n"))
    for name in ("a.css", "a.js"):
        (root / "site" / name).write_bytes(bytes(range(256)) * 40)
    quality = root / "docs" / "includes" / "quality"
    quality.mkdir(parents=True)
    quality.with_name("redirects.toml").write_text(redirects)
    if seconds:
        (root / "build-seconds").write_text(f"{seconds}\n")
    if rows:
        result = Result("search", "Search", "make quality", "2026-11-30", "here", tuple(rows))
        (quality / "search.json").write_text(json.dumps(asdict(result)))
    return root


def test_the_summary(tmp_path: Path) -> None:
    """Pages are compared by what they say; what was not measured before, or does not reach its goal, is shown."""
    first = Row("First", "90%", "98%", reached=False)
    base = make(
        tmp_path / "base",
        {"": "home one two", "same/": "same text", "old/": "old text", "away/": "away text"},
        "50",
        [first, Row("Pages", "3"), Row("Steady", "1")],
    )
    head = make(
        tmp_path / "head",
        {"": "start one 2 three", "same/": "same text", "new/": "new text"},
        rows=[first, Row("Pages", "4"), Row("Steady", "1"), Row("Fresh", "7")],
        redirects='"away/" = "new/"\n"away/#away" = "new/#new"\n',
    )
    lines = summary_of(base, head).splitlines()
    assert lines[0] == MARK
    assert "| Pages | 4 | 3 |" in lines
    assert "| Strict build | 50 s | not measured |" in lines
    assert "| Search: First | 90% | 90%, goal 98% missed |" in lines
    assert "| Search: Pages | 3 | 4 |" in lines
    assert "| Search: Fresh | not measured | 7 |" in lines
    assert not any("Steady" in line for line in lines)
    assert "\n".join(lines[lines.index("**Pages added** (1)") :]) == (
        "**Pages added** (1)\n\n- `/new/`\n\n"
        "**Pages changed** (1)\n\n- `/` (+3 -2 lines)\n\n"
        "**Pages removed** (2)\n\n- `/away/`\n- `/old/`\n\n"
        "**Addresses that would lead nowhere** (3)\n\n- `/#home`\n- `/old/`\n- `/old/#old`"
    )


def test_the_first_view_is_what_a_page_names(tmp_path: Path) -> None:
    """It has the page, its styles and scripts, compressed, and nothing of other hosts."""
    base = make(tmp_path, {"deep/down/": "text"})
    whole = site_summary._first_view(base / "site", "deep/down/")
    page = site_summary._first_view(make(tmp_path / "b", {"": "text"}) / "site", "")
    (base / "site" / "a.js").unlink()
    assert 400 < site_summary._first_view(base / "site", "deep/down/") < whole < 1500
    assert abs(whole - page) < 40


def test_without_a_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so."""
    make(tmp_path, {"": "home"})
    site_summary.main([str(tmp_path), str(tmp_path)])
    assert capsys.readouterr().out.endswith("\nNo page changes.\n")


def test_long_lists_are_cut(tmp_path: Path) -> None:
    """A comment has a limit."""
    base, head = (
        make(tmp_path / "a", {"": "home"}),
        make(tmp_path / "b", {"": "home"} | {f"{n}/": "x" for n in range(50)}),
    )
    assert "\n- and 10 more\n" in summary_of(base, head) + "\n"
