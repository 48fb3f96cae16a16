"""What the page of responses states, compared with the code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from rustforge import http
from rustforge.http import AppError, ErrorResponse
from tests.site.test_claims import DOCS, read_table

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "http/responses.md"
SOURCES = DOCS.parent / "src" / "rustforge" / "http"
EXAMPLES = DOCS.parent / "examples" / "snippets" / "responses"


def test_every_kind_of_error_is_listed() -> None:
    """The table of errors names each kind with its status and its code."""
    kinds = {
        name: kind
        for name in http.__all__
        if isinstance(kind := getattr(http, name), type) and issubclass(kind, AppError) and kind is not AppError
    }
    rows = read_table(PAGE, "| Error | Status |")
    listed = {re.findall(r"`(\w+)`", row[0])[0]: (int(row[1]), row[2].strip("`")) for row in rows}
    assert listed == {name: (kind.status, kind.error_code) for name, kind in kinds.items()}


def test_every_field_is_listed() -> None:
    """The table of fields names those of both envelopes."""
    rows = read_table(PAGE, "| Field | In |")
    listed = {(row[0].strip("`"), row[1]) for row in rows}
    expected = {(name, "success") for name in http.ApiResponse.model_fields}
    assert listed == expected | {(name, "error") for name in ErrorResponse.model_fields}


def test_texts_that_can_be_translated() -> None:
    """Each text that the page says can be translated is passed through `t`, and there are no others."""
    rows = read_table(PAGE, "| Text of Rustforge |")
    listed = {text for row in rows if "titles" not in row[0] for text in re.findall(r"`([^`]+)`", row[0])}
    passed: set[str] = set()
    for file in SOURCES.glob("*.py"):
        if file.name != "locale.py":
            passed |= set(re.findall(r'\bt\("([^"]+)"\)', file.read_text()))
    assert listed == passed


def answers(file: str) -> list[tuple[str, dict[str, object]]]:
    """Read the captured answers of an application: the status line and the body of each."""
    found = []
    for text in re.findall(r"\[start:[\w-]+\]\n(.*?)\n### --8<--", (EXAMPLES / file).read_text(), re.DOTALL):
        head, _, body = text.partition("\n\n")
        found.append((head.partition("\n")[0], json.loads(body)))
    return found


def test_captured_answers_have_the_shapes_of_the_page() -> None:
    """No answer that the page shows has a field that the page does not list."""
    files: list[Path] = sorted(EXAMPLES.glob("*.answers.http"))
    assert files
    for status, body in (one for file in files for one in answers(file.name)):
        fields = set(body)
        if status.split()[1].startswith("2"):
            assert {"data"} <= fields <= {"data", "message"}, status
        elif "title" not in body:
            assert {"message", "error_code"} <= fields <= {"message", "error_code", "errors"}, status
