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


@given(st.text(), st.integers(min_value=40, max_value=300))
def test_a_bound_in_bytes(name: str, max_bytes: int) -> None:
    """Where only so many bytes may be kept, no character is cut in two, and the rest is as without the bound."""
    kept = clean_name(name, max_bytes)
    assert len(kept.encode()) <= max_bytes
    assert clean_name(kept, max_bytes) == kept
    assert len(clean_name(name).encode()) > max_bytes or kept == clean_name(name)
    assert clean_name("報" * 100 + ".pdf", max_bytes).endswith("報.pdf")


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
