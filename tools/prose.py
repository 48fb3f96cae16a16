"""Check that pages and docstrings use the words of the glossary, and write them as it does.

python -m tools.prose

`docs/includes/terms.toml` says what is checked besides, and where another word is right, with the reason.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Terms", "check"]

ROOT = Path(__file__).resolve().parent.parent
_ENTRY = re.compile(r"^\*\*(.+?)\*\* \{ #", re.MULTILINE)
# What is not prose: front matter, blocks and pieces of code, what is inserted, comments, tags, targets, attributes, and
# the names of parameters in docstrings.
_APART = re.compile(
    r"\A---\n.*?^---$|^(?P<indent> *)(?P<fence>```+|~~~+).*?^(?P=indent)(?P=fence)$|^ *:::.*\n(?:(?: {4}.*)?\n)*"
    r"|<!--.*?-->|<[^<>]*>|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)|(?<=\])(?:\([^)]*\)|\[[\w.]*\])|^\[[^\]]+\]: .*$"
    r"|\{[^}\n]*\}|\w+://\S+|^ +\**\w+:(?= )",
    re.MULTILINE | re.DOTALL,
)


class Terms:
    """How words are written: the terms of the glossary, names, and what is written in place of another word."""

    def __init__(self, glossary: Sequence[str], names: Sequence[str], instead: Mapping[str, str]) -> None:
        """Take the words; those that are not in the glossary are told with what is written in their place."""
        right = {word.lower(): word.lower() for word in glossary if re.search(r"[ -]", word)} | dict(instead)
        self._rights = [right[word] for word in sorted(right, key=len, reverse=True)]
        ways = [
            r"(?:-|\s+|)".join(map(re.escape, re.split("[ -]", word))) for word in sorted(right, key=len, reverse=True)
        ]
        self._words = re.compile(
            rf"(?<![\w./-])(?:{'|'.join(f'({way})' for way in ways)})(?=s?(?![\w/-]))", re.IGNORECASE
        )
        self._names = {name.lower(): name for name in names}
        joined = "|".join(map(re.escape, self._names))
        self._name = re.compile(rf"(?<![\w./@+-])(?:{joined})(?![\w/=(-]|\.\w)", re.IGNORECASE)

    @classmethod
    def of(cls, root: Path = ROOT) -> Terms:
        """Read those of a working copy."""
        entries = _ENTRY.findall((root / "docs" / "project" / "glossary.md").read_text())
        told = read_told(root)
        return cls([word for entry in entries for word in entry.split(", ")], told["names"], told["instead"])

    def problems(self, text: str) -> Iterator[tuple[int, str, str]]:
        """Give what is written otherwise: the line, what stands there, what to write."""
        prose = _APART.sub(lambda apart: re.sub(r"[^\n]", " ", apart[0]), text)
        for found in self._words.finditer(prose):
            word, right = " ".join(found[0].split()), self._rights[(found.lastindex or 1) - 1]
            if word.lower() != right.lower():
                yield prose.count("\n", 0, found.start()) + 1, word, right
        for found in self._name.finditer(prose):
            if found[0] != (right := self._names[found[0].lower()]):
                yield prose.count("\n", 0, found.start()) + 1, found[0], right


def read_told(root: Path) -> dict[str, Any]:
    """Read the words and the exceptions."""
    return tomllib.loads((root / "docs" / "includes" / "terms.toml").read_text())


def _texts(root: Path) -> Iterator[tuple[Path, int, str]]:
    """Give the pages and the docstrings: the file, the lines before the text, the text."""
    for file in (*root.glob("*.md"), *sorted(root.glob("docs/**/*.md"))):
        if "includes" not in file.parts:  # which programs write
            yield file, 0, file.read_text()
    for file in sorted(root.glob("src/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node, clean=False)
                if text:
                    yield file, node.body[0].lineno - 1, text


def check(root: Path = ROOT) -> list[str]:
    """Give what is written otherwise, a line each, and the exceptions that nothing needs."""
    terms, found = Terms.of(root), []
    needless = {(one.get("file", ""), one["word"]) for one in read_told(root)["except"]}
    exceptions = frozenset(needless)
    for file, before, text in _texts(root):
        path = file.relative_to(root).as_posix()
        for line, word, right in terms.problems(text):
            places = exceptions & {("", word.lower()), (path, word.lower())}
            needless -= places
            if not places:
                found.append(f'{path}:{before + line}: "{word}": write "{right}"')
    return [
        *found,
        *(f'docs/includes/terms.toml: no "{word}" in {file or "any file"}' for file, word in sorted(needless)),
    ]


if __name__ == "__main__":
    problems = check()
    print(*problems, sep="\n")
    sys.exit(bool(problems))
