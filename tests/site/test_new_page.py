"""`make new-page`: what it makes builds strictly and passes what pages are held to, and bad input changes nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.site.conftest import ROOT
from tools import prose
from tools.nav import add_page, read_nav
from tools.new_page import KINDS, PageError, begin
from tools.snippets import Project

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {"how-to": "async/locks.md", "tutorial": "async/a-tour.md", "explanation": "async/why.md"}
REFERENCE = "reference/clock.md"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Make a working copy with three pages only, which is quickly built."""
    nav = "  - Home: index.md\n  - Async:\n      - Jobs: async/jobs.md\n  - Reference:\n      - reference/index.md\n"
    config = re.sub(r"(?<=\nnav:\n).*?\n(?=\n)", nav, (ROOT / "mkdocs.yml").read_text(), count=1, flags=re.DOTALL)
    (tmp_path / "mkdocs.yml").write_text(config.replace("  - tools.code_links.extension\n", ""))  # no reference to link
    for page in ("index", "async/jobs", "reference/index"):
        file = tmp_path / "docs" / f"{page}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"---\ntitle: {page}\ndescription: A page.\n---\n\n# {page}\n")
    (tmp_path / "examples" / "snippets").mkdir(parents=True)
    shared = ("docs/assets", "docs/includes", "docs/overrides", "examples/snippets/ruff.toml", "pyproject.toml")
    for path in (*shared, "src", "tools"):
        (tmp_path / path).symlink_to(ROOT / path)
    return tmp_path


def test_new_pages_are_in_order(copy: Path) -> None:
    """A page of each kind is built without a warning, its example runs and is formatted, its words are ours."""
    assert {*PAGES, "reference"} == set(KINDS)
    before = (copy / "mkdocs.yml").read_text()
    for kind, page in PAGES.items():
        begin(page, "Locks: all of them" if kind == "how-to" else "", kind, copy)
    begin(REFERENCE, "", "reference", copy)

    added = '      - "Locks: all of them": async/locks.md\n      - A tour: async/a-tour.md\n      - Why: async/why.md\n'
    config = (copy / "mkdocs.yml").read_text()
    assert config.replace(added, "").replace("      - rustforge.clock: reference/clock.md\n", "") == before
    assert read_nav(config)["Async"] == ["async/jobs.md", "async/locks.md", "async/a-tour.md", "async/why.md"]

    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    for command in (
        (sys.executable, "-m", "mkdocs", "build", "--strict"),
        (sys.executable, "-m", "ruff", "check", "examples"),
        (sys.executable, "-m", "ruff", "format", "--check", "examples"),
    ):
        done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    built = (copy / "site" / "async" / "locks" / "index.html").read_text()
    assert '<h1 id="locks-all-of-them">Locks: all of them' in built
    assert ">hello\n" in built
    assert 'id="rustforge.clock.SystemClock"' in (copy / "site" / "reference" / "clock" / "index.html").read_text()

    project = Project(copy)
    assert project.problems_of_pages()[0] == []
    words = prose.Terms.of(ROOT)
    assert [found for page in project.pages for found in words.problems(page.read_text())] == []


@pytest.mark.parametrize(
    ("page", "kind", "problem"),
    [
        ("async/locks.md", "guide", "no kind 'guide' of pages: take one of explanation, how-to, reference, tutorial"),
        ("", "how-to", "name the page by its path below docs/"),
        ("../locks.md", "how-to", "name the page by its path below docs/"),
        ("async/My locks.md", "how-to", "name the page by its path below docs/"),
        ("locks.md", "how-to", "name the page by its path below docs/"),
        ("sync/locks.md", "how-to", "no section of the navigation has pages of sync/: take one of async, reference"),
        ("async/jobs.md", "how-to", "docs/async/jobs.md exists already"),
        ("async/taken.md", "how-to", "examples/snippets/taken/first.py exists already"),
        ("reference/locks.md", "reference", "there is no rustforge.locks"),
        ("reference/shown.md", "reference", "there is no rustforge.shown"),
        ("reference/boot.md", "reference", "docs/reference/index.md shows rustforge.boot already"),
    ],
)
def test_bad_input_is_refused(copy: Path, page: str, kind: str, problem: str) -> None:
    """The message says what is wrong and what would be right, and nothing is written."""
    (copy / "examples" / "snippets" / "taken").mkdir()
    (copy / "examples" / "snippets" / "taken" / "first.py").touch()
    (copy / "docs" / "reference" / "index.md").write_text("# Reference\n\n::: rustforge.boot\n")
    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    with pytest.raises(PageError, match=re.escape(problem)):
        begin(page, "", kind, copy)
    assert {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()} == before


def test_a_page_is_added_to_its_section() -> None:
    """Its line comes after the last of its folder, as deep as that, and the rest of the file stays as it is."""
    text = (ROOT / "mkdocs.yml").read_text()
    found = add_page(text, "http/more.md", "More")
    assert found.replace("      - More: http/more.md\n", "") == text
    assert read_nav(found)["HTTP"][-1] == "http/more.md"
    nested = "\nnav:\n  - All:\n      - a/index.md\n      - Deep:\n          - One: a/one.md\n\n"
    assert add_page(nested, "a/two.md", "Two") == nested[:-1] + "          - Two: a/two.md\n\n"
    assert read_nav(nested) == {"All": ["a/index.md", "a/one.md"]}


def test_every_page_is_read_from_the_navigation() -> None:
    """No page is left out, however deep its section."""
    pages = [page for pages in read_nav((ROOT / "mkdocs.yml").read_text()).values() for page in pages]
    files = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert set(pages) == {file for file in files if not file.startswith(("includes/", "overrides/"))}
    assert len(pages) == len(set(pages))
