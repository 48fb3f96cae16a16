"""The links in code: each name leads to the entry of what it stands for, and mypy agrees on what that is."""

from __future__ import annotations

import importlib
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from mypy import nodes

from tests.site.conftest import ROOT
from tools.code_links.examples import Program, check_examples
from tools.code_links.extension import Linker, find_lines
from tools.code_links.libraries import LIBRARIES, entries, load, mark_of, read_inventory
from tools.code_links.names import Found, Shared, names_of
from tools.code_links.reference import BASES

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = re.compile(r'<div class="language-python[^"]*">.*?<code>(.*?)</code>', re.DOTALL)


@pytest.fixture(scope="module")
def linker() -> Linker:
    """Read the reference once."""
    return Linker(ROOT)


@pytest.fixture(scope="module")
def program() -> Program:
    """Ask mypy what each name in each example stands for."""
    return check_examples()


def _same(name: Found, theirs: str, program: Program) -> bool:
    """Tell whether two paths mean the same, which may have several names, or be said of a class that inherits it."""
    if theirs in {name.path, f"builtins.{name.path}", program.path_of(name.path)}:
        return True
    owner, _, attribute = theirs.rpartition(".")
    ours, _, same = name.path.rpartition(".")
    holder = program.symbol_of(owner)
    if isinstance(holder, nodes.TypeInfo):  # plugins of mypy copy fields to the classes that inherit them
        return attribute == same and program.path_of(ours) in {one.fullname for one in holder.mro}
    return load(theirs) is load(name.path)


def test_no_link_is_wrong(linker: Linker, program: Program) -> None:
    """Wherever mypy knows what a name stands for, the link leads there."""
    wrong: list[str] = []
    compared = 0
    for file, places in program.places.items():
        for place, name in linker.names(file).items():
            theirs = places.get(place)
            if theirs and linker.identifier_of(name) is not None:
                compared += 1
                if not _same(name, theirs, program):
                    wrong.append(f"{file.relative_to(ROOT)}:{place[0]}: {name.text} is {theirs}, not {name.path}")
    assert wrong == []
    assert compared > 3000


def test_hardly_a_name_is_left_out(linker: Linker, program: Program) -> None:
    """Of all names that mypy knows and that have an entry, ours and those of libraries, 98 of 100 are links."""
    theirs = {path: name for name in linker.reference.roles if (path := program.path_of(name))}
    known = {
        (file.relative_to(ROOT).as_posix(), place, path)
        for file, places in program.places.items()
        if not file.is_relative_to(ROOT / "examples" / "shop" / "tests")  # of which pages show little
        for place, path in places.items()
        if path and "." in path and linker.reference.identifier_of(theirs.get(path, path))
    }
    left = {one for one in known if one[1] not in linker.names(ROOT / one[0])}
    assert 1 - len(left) / len(known) > 0.98, sorted(left)
    assert len(known) > 2500


def test_libraries_are_as_they_are_written_down(program: Program) -> None:
    """Each name of another library that is documented elsewhere exists; else: python -m tools.code_links.libraries."""
    for name in entries():
        assert program.symbol_of(name) is not None or load(name) is not None, name
    written = read_inventory(LIBRARIES)
    settings = (ROOT / "mkdocs.yml").read_text()
    for file, base in BASES.items():
        assert re.search(rf"{file}#{mark_of(ROOT / file)}.*\n +base_url: {base}", settings), file
    assert {name: uri for name, uri in written.items() if name in entries()} == entries()


def test_imports_lead_to_what_they_import(linker: Linker) -> None:
    """What stands in an import is the object that Python gets by it."""
    for file in sorted((ROOT / "examples" / "snippets").rglob("*.py")):
        for name in linker.names(file).values():
            if name.path.startswith("rustforge.") and name.owner is None and linker.identifier_of(name):
                module, _, attribute = name.path.rpartition(".")
                try:
                    found = importlib.import_module(name.path)
                except ModuleNotFoundError:
                    holder: Any = linker.reference.find(module)
                    assert holder is not None, name
                    assert attribute in holder.members, name
                else:
                    assert found.__name__ == name.path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "from rustforge.cache import Cache\nCache.get",
            [("Cache", "rustforge.cache.cache.Cache"), ("get", "rustforge.cache.cache.Cache.get")],
        ),
        ("from rustforge.cache import Cache as C\nC.get", [("get", "rustforge.cache.cache.Cache.get")]),
        ("import rustforge.cache\nrustforge.cache.Cache", [("Cache", "rustforge.cache.cache.Cache")]),
        ("from rustforge.cache import Cache\nCache = 1\nCache.get", []),
        ("from rustforge.cache import Cache\ndef f(c: 'Cache'):\n    c.get", []),
        (
            "from rustforge.cache import Cache\ndef f(c: Cache | None):\n    c.get",
            [("get", "rustforge.cache.cache.Cache.get")],
        ),
        (
            "from rustforge.cache import Cache\nasync def f():\n    c = await Cache.connect('x')\n    c.get",
            [("get", "rustforge.cache.cache.Cache.get")],
        ),
        (
            "from rustforge.cache import Cache\nasync def f():\n    é = 'é'; Cache.get",
            [("get", "rustforge.cache.cache.Cache.get")],
        ),
        ("from rustforge.jobs import Job\nclass J(Job):\n    def dispatch(self): ...\nJ().dispatch()", []),
        (
            "from rustforge.jobs import Job\nclass J(Job): ...\nJ().dispatch()",
            [("dispatch", "rustforge.jobs.job.Job.dispatch")],
        ),
        ("def print(): ...\nprint()", []),
        ("from shop.state import AppState\ndef f(s: AppState):\n    s.ctx.get", []),
        (
            "from shop.state import AppState\nasync def f(s: AppState):\n    await s.cache.get('x')",
            [("get", "rustforge.cache.cache.Cache.get")],
        ),
        (
            "from shop.jobs.articles import RebuildArticleIndex\nRebuildArticleIndex().dispatch()",
            [("dispatch", "rustforge.jobs.job.Job.dispatch")],
        ),
        (
            "from starlette.requests import Request\ndef f(r: Request):\n    r.json",
            [("json", "fastapi.Request.json")],
        ),
    ],
)
def test_what_names_stand_for(linker: Linker, source: str, expected: list[tuple[str, str]]) -> None:
    """Imports, annotations, calls and classes are followed; what is not sure, or is hidden by another, is left."""
    last = source.count("\n") + 1
    found = [
        (name.text, name.path)
        for name in names_of(source, linker.reference, Shared(ROOT / "examples"))
        if name.line == last
    ]
    assert [one for one in found if one in expected or one[0] in {"get", "dispatch", "json", "print"}] == expected


def test_pages_have_the_links(site: Path, linker: Linker) -> None:
    """A page shows a name of a block as a link to its entry, with what it does; and the entry leads back."""
    page = (site / "async" / "caching" / "index.html").read_text()
    link = re.search(r'<a class="autorefs autorefs-internal"([^>]*)>remember</a>', page)
    assert link is not None
    assert 'href="../../reference/cache/#rustforge.cache.Cache.remember"' in link[1]
    assert "Return a cached value, or compute and store it." in link[1]
    entry = (
        (site / "reference" / "cache" / "index.html").read_text().partition('id="rustforge.cache.Cache.remember"')[2]
    )
    assert "../../async/caching/#" in entry.partition('<h3 id="rustforge')[0]


def test_names_of_libraries_lead_to_their_documentation(site: Path, linker: Linker) -> None:
    """A name of a library leads to its own entry, also where a heading has the name of a module for its anchor."""
    pages = "".join(file.read_text() for file in site.rglob("index.html"))
    links = set(re.findall(r'<a class="autorefs autorefs-external" href="([^"]*)" title="[^"]*">(\w+)</a>', pages))
    assert ("https://fastapi.tiangolo.com/reference/fastapi/#fastapi.FastAPI", "FastAPI") in links
    assert len({address.split("/")[2] for address, _ in links}) > 5
    for address, name in links:
        assert re.search(rf"[.#-]{name}$", address) or address in linker.reference.addresses.values(), (address, name)


def test_every_line_of_every_block_is_known(site: Path, linker: Linker) -> None:
    """Each block is found in the examples, so that none is left without links, and its text is as it stands there."""
    blocks = linker.blocks()
    for page in site.rglob("index.html"):
        for block in re.findall(
            r'<div class="language-python[^"]*">.*?<code>(.*?)</code>', page.read_text(), re.DOTALL
        ):
            text = unescape(re.sub(r"<[^>]*>", "", block)).strip("\n")
            places = find_lines(text, blocks)
            unknown = [line for line, place in zip(text.splitlines(), places, strict=True) if line and place is None]
            assert "reference" in page.parts or unknown == [], f"{page}: {unknown[:3]}"
