"""MkDocs and Zensical build the same site from this tree: pages, anchors, links and the entries of the search."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING

import pytest

from tests.site.test_build import read_inventory
from tools.quality.engines import EXPLAINED, build_zensical, compare, read

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(importlib.util.find_spec("zensical") is None, reason="ZENSICAL IS NOT INSTALLED")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the tree with Zensical; a warning fails every test here."""
    return build_zensical(tmp_path_factory.mktemp("zensical"))


def test_the_two_differ_only_where_it_is_explained(site: Path, other: Path) -> None:
    """What only one of the two has is on a short list with reasons, and each reason is still needed."""
    mine, theirs = read(site), read(other)
    assert len(mine.anchors) > 40
    assert all(len(found) > 1000 for found in (mine.search, set.union(*mine.anchors.values())))
    found = [" ".join(one) for one in compare(mine, theirs)]
    assert [one for one in found if not any(re.fullmatch(pattern, one) for pattern in EXPLAINED)] == []
    assert [pattern for pattern in EXPLAINED if not any(re.fullmatch(pattern, one) for one in found)] == []


def test_both_name_the_same_in_the_inventory(site: Path, other: Path) -> None:
    """Other sites find the same names in what either has built."""
    assert read_inventory(other) == read_inventory(site)


def test_zensical_keeps_to_the_host_and_to_one_heading(other: Path) -> None:
    """Its own template asks no other host, and leaves each page one heading of the first rank."""
    for page in other.rglob("*.html"):
        text = page.read_text()
        assert text.count("<h1") == 1, page
        assert not re.search(r'(?:href|src)="[^"]*(?:googleapis|unpkg)', text), page
