"""The navigation of the site: read and extended as the text of `mkdocs.yml`, so that its comments and form stay."""

from __future__ import annotations

import json
import re
from pathlib import Path

__all__ = ["ROOT", "add_page", "read_nav"]

ROOT = Path(__file__).resolve().parent.parent
_SECTION = re.compile(r"^  - (?P<title>[^:\n]+):(?: (?P<page>\S+\.md))?\n(?P<pages>(?: {6,}- .*\n)*)", re.MULTILINE)


def read_nav(text: str) -> dict[str, list[str]]:
    """Give the pages of each section and of those in it, by its title; a page that stands alone is one of its own.

    Args:
        text: What `mkdocs.yml` holds.
    """
    nav = text.partition("\nnav:\n")[2].partition("\n\n")[0] + "\n"
    return {
        found["title"]: [found["page"]] if found["page"] else re.findall(r"(\S+\.md)$", found["pages"], re.MULTILINE)
        for found in _SECTION.finditer(nav)
    }


def add_page(text: str, path: str, title: str) -> str:
    """Add a page to the end of the section that its folder belongs to.

    Args:
        text: What `mkdocs.yml` holds.
        path: The page, below `docs/`.
        title: What the navigation shows.

    Raises:
        LookupError: No section has pages of that folder.
    """
    folder = path.rpartition("/")[0]
    last = [page for pages in read_nav(text).values() for page in pages if folder and page.startswith(f"{folder}/")]
    if not last:
        folders = {page.partition("/")[0] for pages in read_nav(text).values() for page in pages if "/" in page}
        msg = f"no section of the navigation has pages of {folder or 'docs'}/: take one of {', '.join(sorted(folders))}"
        raise LookupError(msg)
    plain = re.fullmatch(r"[A-Za-z][\w .,()/'-]*", title)
    line = f"- {title if plain else json.dumps(title, ensure_ascii=False)}: {path}\n"
    before = rf"^( +)- (?:.*: )?{re.escape(last[-1])}\n"
    return re.sub(before, lambda found: found[0] + found[1] + line, text, count=1, flags=re.MULTILINE)
