"""Every code block of the site, by how it is proven."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from coverage import Coverage

from tools.quality.results import ROOT, Row
from tools.snippets import Kind, Project, find_unproven

if TYPE_CHECKING:
    from collections.abc import Iterable

TITLE = "Code blocks"


def measure(site: Path) -> list[Row]:
    """Check every block, run every snippet again, and search the built pages for other code."""
    project = Project()
    problems, proofs = project.problems_of_pages()
    unproven = find_unproven(site, proofs)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "coverage")
        stale = run_measured(data)
        statements, unrun = count_statements(data, project.scripts)
    print(*problems, *unproven, *stale, sep="\n", file=sys.stderr)
    kinds = Counter(proof.kind for proof in proofs)
    missing = sum(len(lines) for lines in unrun.values())
    where = ", ".join(f"{file.parent.name}/{file.name}:{lines[0]}" for file, lines in unrun.items())
    return [
        Row("Blocks", str(len(proofs))),
        *(Row(f"Blocks that are {kind}", str(kinds[kind])) for kind in Kind),
        Row("Blocks that are none of these, or wrong", str(len(problems)), "0", not problems),
        Row("Code on built pages that is no such block, letter for letter", str(len(unproven)), "0", not unproven),
        Row("Snippets that fail, or print something else than is shown", str(len(stale)), "0", not stale),
        Row("Statements of the snippets that run", f"{statements - missing} of {statements}"),
        Row("Statements of the snippets that are only type-checked", str(missing), note=where and f"In {where}."),
    ]


def run_measured(data: Path) -> list[str]:
    """Run every snippet again, note which statements run, and return what is wrong.

    Args:
        data: Where to note it; each process has a file whose name begins like this.
    """
    command = [sys.executable, "-m", "coverage", "run", "-m", "tools.snippets", "compare"]
    env = {**os.environ, "COVERAGE_FILE": str(data)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    problems = re.findall(r"^examples/snippets/.*", done.stderr, re.MULTILINE)
    return problems or ([done.stderr] if done.returncode else [])


def count_statements(data: Path, scripts: Iterable[Path]) -> tuple[int, dict[Path, list[int]]]:
    """Count the statements of scripts that were run, and list the lines of those that were not.

    Raises:
        LookupError: A script was not run at all, so that nothing is known of it.
    """
    found = Coverage(data_file=str(data), config_file=str(ROOT / "pyproject.toml"))
    found.combine([str(data.parent)], keep=True)
    measured = found.get_data().measured_files()
    statements, unrun = 0, dict[Path, list[int]]()
    for script in scripts:
        if str(script) not in measured:
            msg = f"{script} was not measured"
            raise LookupError(msg)
        _, all_of_it, _, lines, _ = found.analysis2(str(script))
        statements += len(all_of_it)
        if lines:
            unrun[script] = lines
    return statements, unrun
