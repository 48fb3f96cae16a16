"""Of a client's file name, what a person can read is kept, and nothing that leads anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.names import clean_name


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("cover.png", "cover.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\Grüße.pdf", "Grüße.pdf"),
        ("a\r\nSet-Cookie: x=1.png", "aSet-Cookie: x=1.png"),
        ("nul\0byte.png", "nulbyte.png"),
        ("\u202egnp.exe", "gnp.exe"),
        ("  spaced .txt ", "spaced .txt"),
        ("e\u0301t\u00e9.txt", "été.txt"),
        ("..", ""),
        (". .", ""),
        ("folder/", ""),
        ("\ud800.png", ".png"),
        ("", ""),
        (None, ""),
        ("a" * 300 + ".png", "a" * 196 + ".png"),
        ("a." + "b" * 300, "a." + "b" * 198),
    ],
)
def test_names(name: str | None, kept: str) -> None:
    """Folders, control characters and what turns the reading direction are dropped; long names keep their ending."""
    assert clean_name(name) == kept


@given(st.text())
def test_any_name(name: str) -> None:
    """Whatever a client calls a file, what is kept is one short line, and cleaning it again changes nothing."""
    kept = clean_name(name)
    assert len(kept) <= 200
    assert kept.isprintable()
    assert not set("/\\") & set(kept)
    assert kept.strip(". ") or not kept
    assert clean_name(kept) == kept
    kept.encode()
