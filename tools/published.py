"""Keep a list of the addresses that were published, so that a test sees when one of them is gone.

python -m tools.published site

adds what the site has and the list has not: pages, and the anchors of their headings and terms. Nothing is ever taken
off it. An address that was published stays, or is given a redirect (`docs/includes/redirects.toml`).
"""

from __future__ import annotations

import argparse
import re
import sys
from html import unescape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tools import redirects
from tools.redirects import REDIRECT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LIST", "Addresses", "addresses_of", "dump", "load", "missing", "paths_of"]

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "docs" / "includes" / "published.txt"
_ANCHOR = re.compile(r'<(?:h[1-6]|dt)\b[^<>]*?\sid="([^"]+)"')

Addresses = dict[str, set[str]]
"""The anchors of each page, by its folder."""


def paths_of(site: Path) -> list[str]:
    """List every page of a built site by its address below the site's own; not those that lead to others."""
    files = (file for file in site.rglob("*.html") if REDIRECT not in file.read_text())
    return sorted(file.relative_to(site).as_posix().removesuffix("index.html") for file in files)


def addresses_of(site: Path) -> Addresses:
    """Find the pages of a built site and their anchors."""
    texts = {file.parent.relative_to(site).as_posix(): file.read_text() for file in site.rglob("index.html")}
    return {
        "" if folder == "." else f"{folder}/": {unescape(anchor) for anchor in _ANCHOR.findall(text)}
        for folder, text in texts.items()
        if REDIRECT not in text
    }


def load(text: str) -> Addresses:
    """Read a list."""
    found: Addresses = {}
    anchors: set[str] = set()
    for line in text.splitlines():
        if line.startswith("/"):
            anchors = found.setdefault(line[1:], set())
        elif line.startswith("  "):
            first, *rest = line.split()
            stem = first if first.endswith(".") else ""
            anchors.update(stem + name for name in (rest if stem else [first, *rest]))
    return found


def dump(addresses: Mapping[str, set[str]]) -> str:
    """Write a list: a page, then its anchors, those of the reference by what they stand in."""
    lines = [
        "# The addresses that were published. `make published` adds new ones; none is taken off (tools/published.py)."
    ]
    for folder, anchors in sorted(addresses.items()):
        lines.append(f"/{folder}")
        pairs = sorted((stem + dot, name) for stem, dot, name in (anchor.rpartition(".") for anchor in anchors))
        for stem, group in groupby(pairs, key=lambda pair: pair[0]):
            names = [name for _, name in group]
            lines += [f"  {stem} {' '.join(names)}"] if stem else [f"  {name}" for name in names]
    return "\n".join(lines) + "\n"


def missing(published: Mapping[str, set[str]], there: Mapping[str, set[str]], moved: Mapping[str, str]) -> list[str]:
    """List what was published and is neither there nor redirected."""
    return [
        address
        for folder, anchors in sorted(published.items())
        for address in (folder, *(f"{folder}#{anchor}" for anchor in sorted(anchors)))
        if not _is_there(address, there) and address not in moved and not _moved_along(address, there, moved)
    ]


def _is_there(address: str, there: Mapping[str, set[str]]) -> bool:
    folder, _, anchor = address.partition("#")
    return folder in there and (not anchor or anchor in there[folder])


def _moved_along(address: str, there: Mapping[str, set[str]], moved: Mapping[str, str]) -> bool:
    """Tell whether a section went with its page, which keeps the anchor."""
    folder, _, anchor = address.partition("#")
    target = moved.get(folder, "")
    return bool(target) and "#" not in target and anchor in there.get(target, ())


def main(arguments: Sequence[str] | None = None) -> int:
    """Add what a site has; return 1 where it lacks what was published."""
    parser = argparse.ArgumentParser(prog="python -m tools.published", description="List the addresses of a site.")
    parser.add_argument("site", type=Path)
    parser.add_argument("--list", type=Path, default=LIST)
    options = parser.parse_args(arguments)
    published = load(options.list.read_text()) if options.list.exists() else {}
    there = addresses_of(options.site)
    gone = missing(published, there, redirects.read())
    for folder, anchors in there.items():
        published.setdefault(folder, set()).update(anchors)
    options.list.write_text(dump(published))
    if gone:
        print(
            "These were published and are gone; docs/includes/redirects.toml can lead on from them:", *gone, sep="\n  "
        )
    return bool(gone)


if __name__ == "__main__":
    sys.exit(main())
