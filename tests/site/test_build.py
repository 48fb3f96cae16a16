"""What the build makes: complete navigation, links that lead somewhere, a reference of every public name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import zlib
from html import unescape
from html.parser import HTMLParser
from types import FunctionType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from mkdocs.config import load_config
from typing_extensions import override

import rustforge
from tests.site.conftest import ROOT
from tools.browser import MOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPOSITORY = "https://github.com/rustforge/rustforge-python/"
HERE = "https://rustforge.github.io"
INTERNAL = {
    "rustforge.cli": "is a program",
    "rustforge.clock": "is seen through rustforge.testing; Clock is among the shared types",
    "rustforge.codec": "serves the cache and the jobs",
    "rustforge.keys": "serves the cache and the jobs",
    "rustforge.names": "serves the settings",
    "rustforge.types": "has types alone: those that are shared are in the index",
}
"""The modules that have no page, and why."""

METHODS = (FunctionType, classmethod, staticmethod, property)


class Document(HTMLParser):
    """The parts of a page that the tests ask for."""

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.headings: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.language: str | None = None
        self.description: str | None = None
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag brings."""
        given = dict(attrs)
        self.ids.update(value for value in (given.get("id"), given.get("name")) if value)
        self.links.extend(value for value in (given.get("href"), given.get("src")) if value)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(tag)
        elif tag == "img":
            self.images.append(given)
        elif tag == "html":
            self.language = given.get("lang")
        elif tag == "meta" and given.get("name") == "description":
            self.description = given.get("content")


@pytest.fixture(scope="module")
def documents(site: Path) -> dict[str, Document]:
    """Read every page of the site, by its path on its host."""
    files = sorted(site.rglob("*.html"))
    return {f"{MOUNT}{file.relative_to(site).as_posix()}": Document(file.read_text()) for file in files}


def nav_pages(entry: object) -> Iterator[str]:
    """List the pages of a part of the navigation."""
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, (dict, list)):
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from nav_pages(part)


def read_inventory(site: Path) -> dict[str, str]:
    """Read the public names of the reference, with the address of each."""
    names = {}
    compressed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    for line in zlib.decompress(compressed).decode().splitlines():
        name, _role, _priority, where, _shown = line.split(" ", 4)
        names[name] = where.replace("$", name)
    return names


def test_every_page_is_in_the_navigation() -> None:
    """The navigation names every page of docs/, and each once."""
    docs = ROOT / "docs"
    apart = (docs / "includes", docs / "overrides")
    pages = sorted(
        page.relative_to(docs).as_posix()
        for page in docs.rglob("*.md")
        if not any(page.is_relative_to(folder) for folder in apart)
    )
    assert sorted(nav_pages(load_config(str(ROOT / "mkdocs.yml")).nav)) == pages


def test_every_link_leads_somewhere(site: Path, documents: dict[str, Document]) -> None:
    """Every link, image, script and anchor within the site exists, and every link to a file of the repository too."""
    broken = []
    for place, document in documents.items():
        for link in document.links:
            target = urlsplit(urljoin(HERE + place, link))
            url = target.geturl()
            if url.startswith(REPOSITORY) and re.match("(edit|raw|blob)/main/", url.removeprefix(REPOSITORY)):
                there = (ROOT / target.path.split("/main/", 1)[1]).exists()
            elif f"{target.scheme}://{target.netloc}" != HERE:
                there = target.scheme in {"https", "mailto", "data"} or target.hostname in {"127.0.0.1", "localhost"}
                there = there or link == "javascript:void(0)"  # the theme's button that shares a search
            else:
                path = unquote(target.path) + ("index.html" if target.path.endswith("/") else "")
                there = path.startswith(MOUNT) and (site / path.removeprefix(MOUNT)).is_file()
                if there and target.fragment and path in documents:
                    there = unquote(target.fragment) in documents[path].ids
            if not there:
                broken.append(f"{place}: {link}")
    assert broken == []


def test_every_page_says_what_it_is(documents: dict[str, Document]) -> None:
    """Every page has a language, a description, one heading of the first rank, and a text for each image."""
    problems = []
    for place, document in documents.items():
        if not document.language or not document.description:
            problems.append(f"{place}: no language or no description")
        if document.headings.count("h1") != 1:
            problems.append(f"{place}: {document.headings.count('h1')} headings of the first rank")
        problems += [f"{place}: {image.get('src')} has no text" for image in document.images if not image.get("alt")]
    assert problems == []


def test_only_pages_are_published(site: Path) -> None:
    """No file that the build alone needs is published: templates, includes, inventories."""
    assert [path.name for name in ("includes", "overrides") for path in site.glob(name)] == []
    assert {path.name for path in site.rglob("*.md")} == {"index.md"}  # each beside its page, for those who read that


def test_fonts_come_with_their_licence(site: Path) -> None:
    """The licence of the fonts is published beside them, and names each of them."""
    fonts = site / "assets" / "fonts"
    licence = (fonts / "LICENSE.txt").read_text()
    files = [font.name for font in fonts.glob("*.woff2")]
    assert files
    assert [name for name in files if name not in licence] == []
    assert "SIL OPEN FONT LICENSE" in licence


def test_every_public_name_has_a_reference(site: Path, documents: dict[str, Document]) -> None:
    """Every exported name, and every public method and field of an exported class, has an anchor on a page."""
    inventory = read_inventory(site)
    pages = [page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md")]
    shown = {name for page in pages for name in re.findall(r"^(?:::: |#.* #)(rustforge[\w.]+)", page, re.MULTILINE)}
    modules = {f"rustforge.{one.name}" for one in pkgutil.iter_modules(rustforge.__path__) if one.name[0] != "_"}
    assert modules - shown == set(INTERNAL)
    missing = []
    for module_name in sorted(shown):
        module: Any = importlib.import_module(module_name)
        assert module.__all__, module_name
        for name in module.__all__:
            item = getattr(module, name)
            wanted = [f"{module_name}.{name}"]
            if inspect.isclass(item):
                methods = [member for member, value in vars(item).items() if isinstance(value, METHODS)]
                fields = inspect.get_annotations(item).keys() & getattr(item, "__pydantic_fields__", {})
                apart = [one for one in fields if f" {one}: " not in (item.__doc__ or "")]  # else the class lists it
                public = (member for member in [*methods, *apart] if not member.startswith("_"))
                # Under the module that defines it, as a class may be exported, and shown, by several.
                wanted += [f"{item.__module__}.{item.__qualname__}.{member}" for member in public]
            missing += [name for name in wanted if name not in inventory]
    assert missing == []
    for where in inventory.values():
        target = urlsplit(where)
        assert target.fragment in documents[f"{MOUNT}{target.path}index.html"].ids, where


def test_every_reference_page_begins_with_its_import() -> None:
    """The first line of each page of the reference imports what the page is about, and works."""
    for page in sorted((ROOT / "docs" / "reference").glob("*.md")):
        if page.name in {"index.md", "messages.md"}:
            continue
        first = page.read_text().partition("\n# ")[2].split("\n\n")[1]
        match = re.fullmatch(r"`from (rustforge[\w.]+) import ([\w, ]+)`", first)
        assert match, page.name
        module = importlib.import_module(match[1])
        assert [name for name in match[2].split(", ") if not hasattr(module, name)] == [], page.name


def test_signatures_show_values(site: Path) -> None:
    """A private constant is shown by its value, as its name says nothing to readers."""
    page = re.sub(r"<[^>]*>", "", (site / "reference" / "cache" / "index.html").read_text())
    assert "_LEASE" not in page


def test_errors_that_are_raised_are_links(documents: dict[str, Document]) -> None:
    """Under `Raises:` an error leads to its reference, also where the module does not import it."""
    links = documents[f"{MOUNT}reference/redis/index.html"].links
    assert "../errors/#rustforge.errors.RedisReplyError" in links


def test_nothing_private_is_documented(site: Path) -> None:
    """No name of the reference starts with an underscore, and no signature shows one."""
    assert [name for name in read_inventory(site) if re.search(r"\._", name)] == []
    for file in (site / "reference").glob("*/index.html"):
        text = unescape(re.sub(r"<[^>]*>", "", file.read_text().partition("<article")[2]))
        assert re.findall(r"(?<![\w.:/'-])_[A-Za-z]\w*", text) == [], file.parent.name
