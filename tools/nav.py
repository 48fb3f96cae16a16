"""The navigation of the site: read and extended as the text of `mkdocs.yml`, so that its comments and form stay."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["ROOT", "read_nav"]

ROOT = Path(__file__).resolve().parent.parent
_SECTION = re.compile(r"^  - (?P<title>[^:\n]+):(?: (?P<page>\S+\.md))?\n(?P<pages>(?: {6}- .*\n)*)", re.MULTILINE)


def read_nav(text: str) -> dict[str, list[str]]:
    """Give the pages of each section, by its title; a page that stands alone is a section of its own.

    Args:
        text: What `mkdocs.yml` holds.
    """
    nav = text.partition("\nnav:\n")[2].partition("\n\n")[0] + "\n"
    return {
        found["title"]: [found["page"]] if found["page"] else re.findall(r"(\S+\.md)$", found["pages"], re.MULTILINE)
        for found in _SECTION.finditer(nav)
    }
