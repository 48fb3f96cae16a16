"""The figures of the Quality page, as Markdown: what is counted in the working copy, and what was measured and kept."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tools.code_links.extension import LINKER, Linker, find_lines
from tools.guarantees import count_guarantees
from tools.nav import ROOT, read_nav
from tools.quality.results import load
from tools.snippets import Kind, Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tools.quality.results import Row
    from tools.snippets import Proof

__all__ = ["count_blocks", "count_links", "fill"]

_MARKER = re.compile(r"^<!-- quality: (?P<part>blocks|counts|results) -->$", re.MULTILINE)


def fill(text: str) -> str:
    """Put tables in the places of their markers.

    Args:
        text: A page's Markdown.
    """
    if not _MARKER.search(text):
        return text
    _, proofs = Project(ROOT).problems_of_pages(parse=False)
    parts = {"blocks": _show_blocks(proofs), "counts": _show_counts(proofs), "results": _show_results()}
    return _MARKER.sub(lambda marker: "\n".join(parts[marker["part"]]), text)


def count_blocks(proofs: Iterable[Proof]) -> dict[str, Counter[Kind]]:
    """Count the blocks of each section of the site by how they are proven."""
    sections = {path: title for title, paths in read_nav((ROOT / "mkdocs.yml").read_text()).items() for path in paths}
    found: dict[str, Counter[Kind]] = {title: Counter() for title in dict.fromkeys(sections.values())}
    for proof in proofs:
        page = proof.block.page
        if page.suffix == ".py":
            title = "Reference"  # which shows docstrings
        elif page.is_relative_to(ROOT / "docs"):
            title = sections.get(page.relative_to(ROOT / "docs").as_posix(), "Other pages")
        else:
            title = "README and the like"
        found.setdefault(title, Counter())[proof.kind] += 1
    return {title: kinds for title, kinds in found.items() if kinds}


def count_links(proofs: Iterable[Proof], linker: Linker) -> int:
    """Count the names in the Python blocks of pages that are links to their entry in a reference."""
    blocks = linker.blocks()
    linked: dict[Path, Counter[int]] = {}
    total = 0
    for proof in proofs:
        if proof.block.language == "python" and proof.block.page.is_relative_to(ROOT / "docs"):
            for place in filter(None, find_lines(proof.text.strip("\n"), blocks)):
                if place.file not in linked:
                    names = linker.names(place.file).values()
                    linked[place.file] = Counter(name.line for name in names if linker.identifier_of(name))
                total += linked[place.file][place.line]
    return total


def _show_blocks(proofs: Sequence[Proof]) -> Iterator[str]:
    """Show the blocks by section and kind."""
    sections = count_blocks(proofs)
    together = sum(sections.values(), Counter[Kind]())
    rows = [[title, *(str(kinds[kind]) for kind in Kind), str(kinds.total())] for title, kinds in sections.items()]
    rows.append(["**All**", *(f"**{together[kind]}**" for kind in Kind), f"**{together.total()}**"])
    head = ["Section", *(kind.split()[-1].capitalize() for kind in Kind), "All"]
    yield from _table(head, rows, figures=len(head) - 1)


def _show_counts(proofs: Sequence[Proof]) -> Iterator[str]:
    """Show what else is counted."""
    pages = sum(len(paths) for paths in read_nav((ROOT / "mkdocs.yml").read_text()).values())
    guarantees, tests = count_guarantees()
    rows = [
        ["Pages", str(pages)],
        ["Names in Python blocks that lead to their reference entry", str(count_links(proofs, LINKER))],
        ["Public names with an entry in the reference", str(len(LINKER.reference.entries))],
        ["[Guarantees](guarantees.md)", str(guarantees)],
        ["Tests that prove them", str(tests)],
    ]
    yield from _table(["What", "Count"], rows, figures=1)


def _show_results() -> Iterator[str]:
    """Show what was measured."""
    for result in load():
        yield f"### {result.title} {{ #{result.name.replace('_', '-')} }}"
        yield ""
        yield f"Measured on {result.measured} with `{result.command}`: {result.machine}."
        yield ""
        rows = [
            [f"{row.what}<br><small>{row.note}</small>" if row.note else row.what, row.value, row.goal, _words(row)]
            for row in result.rows
        ]
        yield from _table(["What", "Found", "Goal", "Reached"], rows)
        yield ""


def _words(row: Row) -> str:
    return "" if not row.goal else "yes" if row.reached else "**no**"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, figures: int = 0) -> Iterator[str]:
    """Write a table, of which the last columns are figures."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * (len(head) - figures)}{'--:|' * figures}"
    for row in rows:
        yield f"| {' | '.join(' '.join(cell.replace('|', chr(92) + '|').split()) for cell in row)} |"
