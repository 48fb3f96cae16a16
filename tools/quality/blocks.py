"""Every code block of the site, by how it is proven."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from tools.quality.results import Row
from tools.snippets import Kind, Project, find_unproven

if TYPE_CHECKING:
    from pathlib import Path

TITLE = "Code blocks"


def measure(site: Path) -> list[Row]:
    """Check every block, run every snippet again, and search the built pages for other code."""
    project = Project()
    problems, proofs = project.problems_of_pages()
    unproven = find_unproven(site, proofs)
    stale = project.problems_of_runs()
    print(*problems, *unproven, *stale, sep="\n", end="\n", file=sys.stderr)
    kinds = Counter(proof.kind for proof in proofs)
    return [
        Row("Blocks", str(len(proofs))),
        *(Row(f"Blocks that are {kind}", str(kinds[kind])) for kind in Kind),
        Row("Blocks that are none of these, or wrong", str(len(problems)), "0", not problems),
        Row("Code on built pages that is no such block, letter for letter", str(len(unproven)), "0", not unproven),
        Row("Snippets that print something else than is shown", str(len(stale)), "0", not stale),
    ]
