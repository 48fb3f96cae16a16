"""Begin a page of the site: the page, an example that runs, what it prints, and the entry in the navigation.

python -m tools.new_page async/locks.md --title Locks --kind how-to     # make new-page PAGE=async/locks.md TITLE=Locks

The kinds are those of Diátaxis: a tutorial, a how-to, a reference of a module, or an explanation. What is made builds
strictly and passes the tests, so that there is something to change from the first minute.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from tools.code_links.reference import DIRECTIVE
from tools.nav import ROOT, add_page
from tools.snippets import Project

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["KINDS", "PageError", "begin"]

TEMPLATES = Path(__file__).with_name("page_templates")
KINDS = tuple(sorted(file.stem for file in TEMPLATES.glob("*.md")))


class PageError(Exception):
    """A page cannot be begun; the message says why."""


def begin(path: str, title: str, kind: str, root: Path = ROOT) -> list[Path]:
    """Write what a new page needs.

    Args:
        path: The page, below `docs/`: `async/locks.md`.
        title: Its title; from its name where it is empty.
        kind: One of `KINDS`.
        root: The working copy.

    Returns:
        The files that are new.

    Raises:
        PageError: One of the arguments does not fit, or something is there already. Nothing was written.
    """
    if kind not in KINDS:
        msg = f"there is no kind {kind!r} of pages: take one of {', '.join(KINDS)}"
        raise PageError(msg)
    if not re.fullmatch(r"(?:[a-z][a-z0-9-]*/)+[a-z0-9][a-z0-9-]*\.md", path):
        msg = f"name the page by its path below docs/, in small letters: async/locks.md, not {path!r}"
        raise PageError(msg)
    name = Path(path).stem
    module = f"rustforge.{name.replace('-', '.')}"
    if kind == "reference":
        title = module
        _check_module(module, root)
    title = title or name.replace("-", " ").capitalize()
    page = root / "docs" / path
    script = root / "examples" / "snippets" / name.replace("-", "_") / "first.py"
    for file in (page, script):
        if file.exists():
            msg = f"{file.relative_to(root)} exists already"
            raise PageError(msg)
    config = root / "mkdocs.yml"
    try:
        nav = add_page(config.read_text(), path, title)
    except LookupError as error:
        raise PageError(str(error)) from error

    for file, template in ((page, f"{kind}.md"), (script, "first.py")):
        file.parent.mkdir(exist_ok=True)
        text = Template((TEMPLATES / template).read_text())
        file.write_text(text.substitute(title=title, folder=script.parent.name, module=module))
    output = script.with_suffix(".out")
    output.write_text(Project(root).run(script))
    config.write_text(nav)
    return [page, script, output]


def _check_module(module: str, root: Path) -> None:
    """Refuse a module that there is not, or that has its page."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        msg = f"a reference is named after its module, with hyphens for dots, and there is no {module}"
        raise PageError(msg)
    for page in sorted((root / "docs" / "reference").glob("*.md")):
        if any(shown["path"] == module for shown in DIRECTIVE.finditer(page.read_text())):
            msg = f"{page.relative_to(root)} shows {module} already"
            raise PageError(msg)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tools.new_page", description="Begin a page of the site.")
    parser.add_argument("page", help="its path below docs/, such as async/locks.md")
    parser.add_argument("--title", default="")
    parser.add_argument("--kind", default="how-to", help=f"one of {', '.join(KINDS)}")
    options = parser.parse_args(arguments)
    try:
        files = begin(options.page, options.title, options.kind)
    except PageError as error:
        print(f"No page was made: {error}.", file=sys.stderr)
        return 1
    print("New:", *(file.relative_to(ROOT) for file in files), "and a line in mkdocs.yml")
    print("Now write: `make serve` shows the page, docs/project/writing.md says how.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
