"""The Guarantees page: every promise has a number, an anchor, and tests that exist."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

import pytest

from tests.site.conftest import ROOT

PAGE = ROOT / "docs" / "project" / "guarantees.md"
BLOB = "https://github.com/rustforge/rustforge-python/blob/main/"


@dataclass(frozen=True)
class Promise:
    """One promise of the page."""

    number: str
    proofs: tuple[tuple[str, str], ...]


def read_promises(text: str) -> list[Promise]:
    """Read the promises of the page, each with the function and the file of its proofs."""
    promises = []
    for found in re.finditer(
        r"^\*\*([A-Z]\d+)\. .*\*\* \{ #\1 \}\n(:   .*\n(?:    .*\n|\n(?=    ))*)", text, re.MULTILINE
    ):
        proofs = re.findall(r"\[`(\w+)`\]\(" + re.escape(BLOB) + r"([\w/.]+)\)", found[2])
        promises.append(Promise(found[1], tuple(proofs)))
    return promises


PROMISES = read_promises(PAGE.read_text())


def test_promises_are_numbered() -> None:
    """The promises are numbered without a gap, in each part, and each has its number as its anchor."""
    numbers = [promise.number for promise in PROMISES]
    assert len(numbers) > 20
    for letter in {number[0] for number in numbers}:
        part = [int(number[1:]) for number in numbers if number[0] == letter]
        assert part == list(range(1, len(part) + 1)), letter
    assert len(re.findall(r"\{ #[A-Z]\d+ \}", PAGE.read_text())) == len(PROMISES)


@pytest.mark.parametrize("promise", PROMISES, ids=[promise.number for promise in PROMISES])
def test_promises_have_proofs(promise: Promise) -> None:
    """Each promise links to at least one test, and each of these tests exists, with a docstring that says something."""
    assert promise.proofs, f"{promise.number} has no proof"
    for function, file in promise.proofs:
        assert file.startswith("tests/"), file
        tree = ast.parse((ROOT / file).read_text())
        nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        found = [node for node in nodes if node.name == function]
        assert len(found) == 1, f"{promise.number}: {file} has {len(found)} functions {function}"
        assert function.startswith("test_")
        assert ast.get_docstring(found[0])


def test_other_pages_link_to_promises_that_exist() -> None:
    """A page that names a promise by its number names one that the page has."""
    numbers = {promise.number for promise in PROMISES}
    for page in (ROOT / "docs").rglob("*.md"):
        for number in re.findall(r"guarantees\.md#([A-Z]\d+)", page.read_text()):
            assert number in numbers, f"{page.name}: {number}"
