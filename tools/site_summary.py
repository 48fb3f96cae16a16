"""Say in Markdown what a change does to the site: its pages, its size, how long it takes to build, what is measured.

python -m tools.site_summary base head > summary.md

Both are folders as a working copy is after `make site`: with `site/`, with `docs/includes/`, and with the seconds that
the build took in `build-seconds`, where that is known.
"""

from __future__ import annotations

import argparse
import gzip
import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tools import redirects
from tools.published import addresses_of, missing
from tools.quality.results import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.quality.results import Row

__all__ = ["MARK", "summary_of"]

MARK = "<!-- site-summary -->"
"""By which the comment of an earlier run is found."""

_LIMIT = 40  # of lines in a list
_PART = re.compile(r"<link\b[^>]*\brel=\"?(?:stylesheet|preload|icon)\b[^>]*>|<script\b[^>]*\bsrc=[^>]*>")
_ADDRESS = re.compile(r"\b(?:href|src)=\"?([^\"\s>]+)")


def _first_view(site: Path, folder: str) -> int:
    """Add up a page and what it names to be fetched with it, compressed."""
    page = site / folder / "index.html"
    text = page.read_text()
    names = {urlsplit(address[1]).path for part in _PART.findall(text) if (address := _ADDRESS.search(part))}
    files = {page, *((page.parent / name).resolve() for name in names)}
    return sum(len(gzip.compress(file.read_bytes(), 6)) for file in files if file.is_file())


def _text(site: Path, folder: str) -> list[str]:
    """Read what a page says, without what surrounds it and without the address of the site."""
    file = site / folder / "index.md"
    return (file if file.is_file() else site / folder / "index.html").read_text().splitlines()


def _difference(before: list[str], after: list[str]) -> str:
    """Count the lines that came and went; empty where the two are the same."""
    if before == after:
        return ""
    steps = [step for step in SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if step[0] != "equal"]
    return f"+{sum(step[4] - step[3] for step in steps)} -{sum(step[2] - step[1] for step in steps)}"


def _list(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"\n**{title}** ({len(lines)})\n"
        yield from (f"- {line}" for line in lines[:_LIMIT])
        if len(lines) > _LIMIT:
            yield f"- and {len(lines) - _LIMIT} more"


def _size(number: float) -> str:
    return f"{number / 1024:,.0f} KiB"


def _seconds(root: Path) -> str:
    file = root / "build-seconds"
    return f"{file.read_text().strip()} s" if file.is_file() else "not measured"


def _measured(root: Path) -> dict[tuple[str, str], Row]:
    return {(one.title, row.what): row for one in load(root / "docs" / "includes" / "quality") for row in one.rows}


def _figures(base: Path, head: Path, pages: tuple[Sequence[str], Sequence[str]]) -> Iterator[str]:
    """Write the table."""
    sites = base / "site", head / "site"
    views = [{folder: _first_view(site, folder) for folder in of} for site, of in zip(sites, pages, strict=True)]
    heaviest = [max(view, key=view.__getitem__) for view in views]
    whole = [sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) for site in sites]
    yield "| | Before | After |\n|---|---|---|"
    yield f"| Pages | {len(pages[0])} | {len(pages[1])} |"
    yield f"| Whole site | {_size(whole[0])} | {_size(whole[1])} |"
    shown = [f"{_size(view[folder])} (`/{folder}`)" for view, folder in zip(views, heaviest, strict=True)]
    yield f"| Heaviest first view, compressed | {shown[0]} | {shown[1]} |"
    means = [sum(view.values()) / len(view) for view in views]
    yield f"| Mean first view, compressed | {_size(means[0])} | {_size(means[1])} |"
    yield f"| Strict build | {_seconds(base)} | {_seconds(head)} |"
    before, after = _measured(base), _measured(head)
    for key, row in after.items():
        old = before[key].value if key in before else "not measured"
        if old != row.value or not row.reached:
            goal = f", goal {row.goal} missed" if not row.reached else ""
            yield f"| {key[0]}: {row.what} | {old} | {row.value}{goal} |"


def summary_of(base: Path, head: Path) -> str:
    """Compare two working copies with their built sites."""
    there = addresses_of(base / "site"), addresses_of(head / "site")
    before, after = sorted(there[0]), sorted(there[1])
    changed = {
        folder: difference
        for folder in after
        if folder in there[0]
        and (difference := _difference(_text(base / "site", folder), _text(head / "site", folder)))
    }
    gone = missing(*there, redirects.read(head))
    lines = [
        f"{MARK}\n## The documentation, with this change\n",
        *_figures(base, head, (before, after)),
        *_list("Pages added", [f"`/{folder}`" for folder in after if folder not in there[0]]),
        *_list("Pages changed", [f"`/{folder}` ({difference} lines)" for folder, difference in changed.items()]),
        *_list("Pages removed", [f"`/{folder}`" for folder in before if folder not in there[1]]),
        *_list("Addresses that would lead nowhere", [f"`/{address}`" for address in gone]),
    ]
    if before == after and not changed:
        lines.append("\nNo page changes.")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the summary."""
    parser = argparse.ArgumentParser(prog="python -m tools.site_summary", description="Compare two built sites.")
    parser.add_argument("base", type=Path)
    parser.add_argument("head", type=Path)
    options = parser.parse_args(arguments)
    print(summary_of(options.base, options.head), end="")


if __name__ == "__main__":
    main()
