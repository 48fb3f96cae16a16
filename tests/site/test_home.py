"""The home page: its figures are those of the kept results, and README.md begins as it does."""

from __future__ import annotations

from tests.site.conftest import ROOT
from tests.site.test_guarantees import PROMISES
from tools import figures
from tools.snippets import find_blocks, read_sections

HOME = ROOT / "docs" / "index.md"
README = ROOT / "README.md"


def test_figures_are_those_of_the_kept_results() -> None:
    """No figure is typed by hand, and every promise and proof is counted."""
    made = figures.make(ROOT)
    assert (ROOT / figures.PAGE).read_text() == made, "run: python -m tools.figures"
    assert f"**{len(PROMISES)}** [promises]" in made
    assert f"{len({proof for promise in PROMISES for proof in promise.proofs})} in all" in made


def test_readme_begins_as_the_home_page() -> None:
    """Both say in the same words what Rustforge is, and show the same program."""
    lead = HOME.read_text().partition("# Rustforge for Python\n")[2].split("\n\n")[0].split()
    assert README.read_text().partition("# Rustforge\n")[2].split("\n\n")[0].split() == lead
    program = read_sections((ROOT / "examples" / "snippets" / "home" / "first.py").read_text())["first"]
    assert next(block.body.strip() for block in find_blocks(README) if block.language == "python") == program
