"""How many promises the page of guarantees makes, and how many tests prove them."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["count_guarantees"]

ROOT = Path(__file__).resolve().parent.parent
_GUARANTEE = re.compile(r"^\*\*(?P<id>[A-Z]+\d+)\. .*\{ #(?P=id) \}$", re.MULTILINE)
_PROOF = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")


def count_guarantees(root: Path = ROOT) -> tuple[int, int]:
    """Count the guarantees, and the tests that prove them."""
    text = (root / "docs" / "project" / "guarantees.md").read_text()
    return len(_GUARANTEE.findall(text)), len(set(_PROOF.findall(text)))
