"""The page of error messages shows what the library says, word for word."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.site.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "reference" / "messages.md"
FIELD = re.compile(r"%(\.\d)?[a-z]")
OF_REDIS = ("READONLY ", "OOM ")
"""How the messages begin that are not ours: Redis' own."""


def texts() -> Iterator[str]:
    """Find every text in the library, with `…` in place of what is put into it."""
    for file in (ROOT / "src" / "rustforge").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield FIELD.sub("…", node.value)


def test_the_messages_are_those_of_the_library() -> None:
    """Each message of the page is in the source as it stands there, with what differs left out."""
    said = set(texts())
    shown = re.findall(r"^`(.+)`$", PAGE.read_text(), re.MULTILINE)
    assert len(shown) > 40
    assert [one for one in shown if one not in said and not one.startswith(OF_REDIS)] == []
