"""The Quality page and the command that measures: every figure is shown, and each is what the tools count."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from html import unescape
from typing import TYPE_CHECKING

import pytest

from tests.site.conftest import ROOT
from tools.code_links.extension import LINKER
from tools.guarantees import count_guarantees
from tools.quality import __main__ as command
from tools.quality import results
from tools.quality.blocks import count_statements
from tools.quality.page import count_links, fill
from tools.quality.results import Row, load, save
from tools.snippets import Kind, Project

if TYPE_CHECKING:
    from pathlib import Path

    from tools.snippets import Proof


@pytest.fixture(scope="module")
def proofs() -> list[Proof]:
    """Check every block, with the parsers, too."""
    return Project(ROOT).problems_of_pages()[1]


def _rows(page: str) -> list[list[str]]:
    """Read the rows of a page's tables, as text."""
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    return [[_text(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows]


def _text(html: str) -> str:
    """Read HTML as it is shown."""
    return " ".join(unescape(re.sub(r"<[^>]*>", "", html.replace("<br>", " "))).split())


def test_every_figure_is_shown(site: Path, proofs: list[Proof]) -> None:
    """The page shows every row that was kept, with its command and day, and counts of the working copy as it is."""
    page = (site / "project" / "quality" / "index.html").read_text()
    rows = _rows(page)
    for result in load():
        assert f'id="{result.name.replace("_", "-")}"' in page
        assert f"Measured on {result.measured} with {result.command}: {result.machine}." in _text(page)
        for row in result.rows:
            reached = "" if not row.goal else "yes" if row.reached else "no"
            figures = [_plain(row.value), _plain(row.goal), reached]
            assert any(shown[1:] == figures and shown[0].startswith(_plain(row.what)) for shown in rows), row
    together = [str(sum(proof.kind is kind for proof in proofs)) for kind in Kind]
    assert ["All", *together, str(len(proofs))] in rows
    guarantees, tests = count_guarantees()
    assert ["Guarantees", str(guarantees)] in rows
    assert ["Tests that prove them", str(tests)] in rows
    assert ["Names in Python blocks that lead to their reference entry", str(count_links(proofs, LINKER))] in rows
    assert "<!-- quality" not in page + (site / "project" / "quality" / "index.md").read_text()


def _plain(markdown: str) -> str:
    """Read Markdown as it is shown."""
    return " ".join(re.sub(r"\[([^\]]+)\]\([^)]+\)|[`*]", r"\1", markdown).split())


def test_links_are_counted_as_they_are_built(site: Path, proofs: list[Proof]) -> None:
    """The number of names that lead somewhere is that of the links in the blocks of the built pages."""
    built = 0
    for page in site.rglob("index.html"):
        text = re.sub(
            r'<div class="[^"]*doc-signature.*?</pre>|<details class="(?:mkdocstrings-source|example)".*?</details>',
            "",
            page.read_text(),
            flags=re.DOTALL,
        )
        for block in re.findall(r'<div class="language-python[^"]*">.*?<code>(.*?)</code>', text, re.DOTALL):
            built += block.count('<a class="autorefs')
    assert count_links(proofs, LINKER) == built


def test_guarantees_are_counted() -> None:
    """Each guarantee has an anchor of its own name, and at least one test."""
    guarantees, tests = count_guarantees()
    text = (ROOT / "docs" / "project" / "guarantees.md").read_text()
    assert guarantees == len(set(re.findall(r"\{ #([A-Z]+\d+) \}", text)))
    assert tests >= guarantees


def test_pages_without_a_marker_stay() -> None:
    """Nothing is counted for other pages."""
    assert fill("# Title\n\nText\n") == "# Title\n\nText\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep results elsewhere, and give a site."""
    monkeypatch.setattr(results, "FOLDER", tmp_path / "quality")
    (tmp_path / "index.html").touch()
    return tmp_path


def _measurement(monkeypatch: pytest.MonkeyPatch, rows: list[Row]) -> None:
    """Let there be one measurement, which finds this."""
    module = types.ModuleType("tools.quality.speed")
    vars(module).update(TITLE="Speed | of light", measure=lambda _: rows)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(command, "find_names", lambda: ["speed"])


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (Row("Time", "1 s"), 0),
        (Row("Time", "1 s", "2 s"), 0),
        (Row("Time", "3 s", "2 s", reached=False), 1),
        (Row("Time", "3 s", "2 s", reached=False, note="The *disk* | is slow."), 0),
    ],
    ids=["no goal", "reached", "missed", "explained"],
)
def test_what_is_measured_is_kept_and_shown(folder: Path, monkeypatch: pytest.MonkeyPatch, row: Row, code: int) -> None:
    """A measurement is kept with its command, stands on the page, and fails where nobody says why a goal is missed."""
    _measurement(monkeypatch, [row])
    assert command.main(["speed", "--site", str(folder)]) == code
    (result,) = load()
    assert (result.name, result.command, result.rows) == ("speed", "make quality ARGS=speed", (row,))
    page = fill("<!-- quality: results -->\n")
    assert page.startswith("### Speed | of light { #speed }\n")
    note = "<br><small>The *disk* \\| is slow.</small>" if row.note else ""
    reached = "" if not row.goal else "yes" if row.reached else "**no**"
    assert f"| Time{note} | {row.value} | {row.goal} | {reached} |" in page


def test_the_command_refuses_what_it_does_not_know(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that measures nothing, and a folder without a site, are errors that say so."""
    _measurement(monkeypatch, [])
    with pytest.raises(SystemExit):
        command.main(["spede", "--site", str(folder)])
    assert "nothing measures spede; there are speed" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["speed", "--site", str(folder / "gone")])
    assert "run `make site` first" in capsys.readouterr().err


def test_statements_that_run_are_counted(tmp_path: Path) -> None:
    """Of scripts that were run, also in processes of their own, the statements that did not run are named."""
    script = tmp_path / "examples" / "one.py"
    script.parent.mkdir()
    script.write_text("import sys\nif len(sys.argv) > 5:\n    print('many')\nprint('done')\n")
    (tmp_path / "notes").mkdir()
    notes = tmp_path / "notes" / "coverage"
    start = f"import subprocess, sys; subprocess.run([sys.executable, {str(script)!r}], cwd='/', check=True)"
    (tmp_path / "start.py").write_text(start)
    command = [sys.executable, "-m", "coverage", "run", "--rcfile", str(ROOT / "pyproject.toml"), "start.py"]
    env = {**os.environ, "COVERAGE_FILE": str(notes)}
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    assert count_statements(notes, [script]) == (4, {script: [3]})
    with pytest.raises(LookupError, match=r"two\.py was not measured"):
        count_statements(notes, [script.with_name("two.py")])


def test_results_are_read_as_they_were_kept(folder: Path) -> None:
    """A result comes back with its rows, in the order of the names."""
    save("b", "B", "make b", [Row("one", "1")])
    save("a", "A", "make a", [Row("two", "2", "1", reached=False, note="No.")])
    assert [result.name for result in load()] == ["a", "b"]
    assert load()[0].rows == (Row("two", "2", "1", reached=False, note="No."),)
    assert folder.exists()
