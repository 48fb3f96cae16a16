"""How builds are measured: a peer is built and edited as it stands, but for what is switched off; a failure says so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.site.conftest import ROOT
from tools.quality.build_times import EDITS, PEERS, Peer, measure_peer, without

if TYPE_CHECKING:
    import pytest

CONFIG = """
site_name: Peer
theme: mkdocs
plugins:
  # what is read
  - search
  - of-the-network:
      cards: true

      fonts: all
  - autorefs
hooks:
  - docs/hook.py
nav:
  - Home: index.md
  - deep/page.md
"""


def test_what_is_switched_off_is_left_out_with_what_stands_below_it() -> None:
    """Keys and entries go with everything below them; the rest stays as it is."""
    left = without(CONFIG, ("of-the-network", "hooks"))
    assert left.split("plugins:\n")[1] == (
        "  # what is read\n  - search\n  - autorefs\nnav:\n  - Home: index.md\n  - deep/page.md\n"
    )


def test_a_peer_is_built_and_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row counts its pages, says what is not as they do it, and the edit is put back."""
    page = tmp_path / "docs" / "deep" / "page.md"
    page.parent.mkdir(parents=True)
    page.write_text("# Deep\n")
    (tmp_path / "docs" / "index.md").write_text("# First\n")
    (tmp_path / "mkdocs.yml").write_text(CONFIG)
    monkeypatch.setitem(
        PEERS, "Small", Peer("docs/deep/page.md", off=("of-the-network", "hooks"), note="Without cards.")
    )
    built, edited = measure_peer("Small", tmp_path, sys.executable, 1)
    assert "for 3 pages" in built.value  # the 404 page, too
    assert built.note == "Without cards."
    assert edited.value.endswith(" s")
    assert page.read_text() == "# Deep\n"
    monkeypatch.setitem(PEERS, "Broken", Peer("docs/deep/page.md"))
    (failed,) = measure_peer("Broken", tmp_path, sys.executable, 1)
    assert failed.value == "failed"
    assert "of-the-network" in failed.note


def test_every_edit_is_possible() -> None:
    """The words after which the own files are edited stand there."""
    for name, after, page in EDITS.values():
        assert after in Path(ROOT, name).read_text()
        assert Path(ROOT, "docs", page.rstrip("/") + ".md").exists()
