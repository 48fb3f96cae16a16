"""The same tree, built by MkDocs and by Zensical, and what the two make differently.

`EXPLAINED` lists the differences that are known, each with its reason; `tests/site/test_engines.py` fails for any
other, and for a reason that nothing needs any more.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from typing_extensions import override

from tools.quality.results import ROOT, Row

__all__ = ["EXPLAINED", "TITLE", "Built", "Difference", "build_zensical", "compare", "copy_tree", "measure", "read"]

TITLE = "Two engines"
_HOST = "https://site.invalid/"
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Difference(NamedTuple):
    """What one of the two has and the other has not.

    Attributes:
        kind: `page`, `anchor`, `link`, `use` or `search`.
        engine: Which has it.
        page: Where.
        what: The anchor, the link's target, or the entry of the search.
    """

    kind: str
    engine: str
    page: str
    what: str


EXPLAINED: dict[str, str] = {
    r"anchor Zensical \S* __skip": "Zensical's link that skips the navigation has a target of its own.",
    r"link MkDocs \S* \S*index\.md": "The button that copies a page is in MkDocs' template only.",
    r"search MkDocs   Rustforge for Python": "MkDocs finds the home page by its heading,",
    r"search Zensical   Home": "Zensical by its name in the navigation.",
    r"use MkDocs \S* \S+/#([\w-]+|rustforge[a-z.]+)": "Where a name is used MkDocs names the page's heading,",
    r"use Zensical \S* \S+/": "Zensical the page.",
}
"""For a pattern that the text of a difference matches in whole, why the two differ."""


class _Content(HTMLParser):
    """The anchors and links of a page's own content, which is in its `article`."""

    def __init__(self, url: str, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.uses: set[str] = set()
        self._url = url
        self._depth = 0
        self._uses_from = 0
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "article" or self._depth:
            self._depth += tag not in _VOID
        if not self._depth:
            return
        given = dict(attrs)
        if given.get("id"):
            self.anchors.add(str(given["id"]))
        if "doc-backlinks" in (given.get("class") or "").split() and not self._uses_from:
            self._uses_from = self._depth
        link = urljoin(_HOST + self._url, given.get("href") or "")
        if tag == "a" and given.get("href") and link.startswith(_HOST):
            target = urlsplit(link)
            (self.uses if self._uses_from else self.links).add(
                unquote(target.path.lstrip("/") + (f"#{target.fragment}" if target.fragment else ""))
            )

    @override
    def handle_endtag(self, tag: str) -> None:
        if self._depth:
            if self._uses_from == self._depth:
                self._uses_from = 0
            self._depth -= 1


@dataclass
class Built:
    """What an engine has made.

    Attributes:
        anchors: The anchors of each page.
        links: The addresses within the site to which each page links.
        uses: The addresses that each page lists as places where its names are used.
        search: The entries of the search, each its address and its title.
    """

    anchors: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    links: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    uses: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    search: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def count(self) -> str:
        """Say how much it is."""
        anchors, links = (sum(map(len, found.values())) for found in (self.anchors, self.links))
        return f"{len(self.anchors)} pages, {anchors} anchors, {links} links, {len(self.search)} search entries"


def read(site: Path) -> Built:
    """Read what an engine has made."""
    built = Built()
    for file in sorted(site.rglob("*.html")):
        url = file.relative_to(site).as_posix().removesuffix("index.html")
        content = _Content(url, file.read_text())
        built.anchors[url], built.links[url], built.uses[url] = content.anchors, content.links, content.uses
    mine, theirs = site / "search" / "search_index.json", site / "search.json"
    index = json.loads((mine if mine.exists() else theirs).read_text())
    entries = index.get("docs") or index["items"]
    built.search = {(entry["location"], re.sub("<[^>]*>", "", entry["title"])) for entry in entries}
    return built


def compare(mkdocs: Built, zensical: Built) -> list[Difference]:
    """List what only one of the two has."""
    found: list[Difference] = []
    for engine, one, other in (("MkDocs", mkdocs, zensical), ("Zensical", zensical, mkdocs)):
        found += [Difference("page", engine, page, page) for page in one.anchors.keys() - other.anchors.keys()]
        for page in one.anchors.keys() & other.anchors.keys():
            found += [Difference("anchor", engine, page, what) for what in one.anchors[page] - other.anchors[page]]
            found += [Difference("link", engine, page, what) for what in one.links[page] - other.links[page]]
            found += [Difference("use", engine, page, what) for what in one.uses[page] - other.uses[page]]
        found += [
            Difference("search", engine, where.partition("#")[0], f"{where} {title}")
            for where, title in one.search - other.search
        ]
    return sorted(found)


def copy_tree(folder: Path) -> None:
    """Copy what the site is built from."""
    for name in ("docs", "examples", "src", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for file in (ROOT / "mkdocs.yml", *ROOT.glob("*.md")):
        shutil.copy(file, folder)


def build_zensical(folder: Path) -> Path:
    """Build this tree with Zensical, strictly, in a folder of its own, and return where the site is.

    Raises:
        RuntimeError: It did not build it.
    """
    copy_tree(folder)  # as Zensical writes into its project only
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return folder / "site"


def measure(site: Path) -> list[Row]:
    """Build the tree with Zensical, and count what is the same."""
    with tempfile.TemporaryDirectory() as folder:
        other = read(build_zensical(Path(folder)))
    mine = read(site)
    found = compare(mine, other)
    unexplained = [one for one in found if not any(re.fullmatch(pattern, " ".join(one)) for pattern in EXPLAINED)]
    reasons = " ".join(EXPLAINED.values())
    return [
        Row("MkDocs builds", mine.count()),
        Row("Zensical builds", other.count()),
        Row("Differences, explained", str(len(found) - len(unexplained)), note=reasons),
        Row("Differences, not explained", str(len(unexplained)), "0", reached=not unexplained),
    ]
