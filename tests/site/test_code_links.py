"""The links in code: each name leads to the entry of what it stands for, and mypy agrees on what that is."""

from __future__ import annotations

import functools
import importlib
import io
import os
import re
import types
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mypy import build, nodes
from mypy.config_parser import parse_config_file
from mypy.modulefinder import BuildSource
from mypy.options import Options
from mypy.types import CallableType, Instance, Overloaded, TypeType, get_proper_type

from tests.site.conftest import ROOT
from tools.code_links.extension import Linker, find_lines
from tools.code_links.names import names_of

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = sorted((ROOT / "examples" / "snippets").rglob("*.py"))
_BLOCK = re.compile(r'<div class="language-python[^"]*">.*?<code>(.*?)</code>', re.DOTALL)
# What refers to something else, such as to the definition of a name.
_ELSEWHERE = {"alias_deps", "analyzed", "defn", "imports", "info", "names", "node", "plugin_deps", "tree", "type"}


@pytest.fixture(scope="module")
def linker() -> Linker:
    """Read the reference once."""
    return Linker(ROOT)


@functools.cache
def _parts_of(cls: Any) -> tuple[str, ...]:
    """List the attributes of a kind of nodes that may hold other nodes."""
    names = (name for name in dir(cls) if not name.startswith("_") and name not in _ELSEWHERE)
    return tuple(name for name in names if isinstance(getattr(cls, name, None), types.GetSetDescriptorType))


def _walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    """Give the nodes of a tree; mypy's own visitors are compiled, and cannot be subclassed."""
    seen: set[int] = set()
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (list, tuple)):
            waiting.extend(node)
        elif isinstance(node, nodes.Node) and id(node) not in seen:
            seen.add(id(node))
            yield node
            kind: Any = type(node)
            for name in _parts_of(kind):
                try:
                    waiting.append(getattr(node, name))
                except AttributeError:  # not set on this one
                    continue


def _member_of(found: Any, name: str) -> str | None:
    """Name where a member of a value is defined, by the type that mypy has inferred for the value."""
    kind = get_proper_type(found) if found is not None else None
    if isinstance(kind, TypeType):
        return _member_of(kind.item, name)
    if isinstance(kind, (CallableType, Overloaded)) and kind.is_type_obj():
        classes = kind.type_object().mro
    elif isinstance(kind, Instance):
        classes = kind.type.mro
    else:
        return None
    return next((f"{one.fullname}.{name}" for one in classes if name in one.names), None)


@pytest.fixture(scope="module")
def inferred() -> dict[Path, dict[tuple[int, int], str | None]]:
    """Ask mypy what each name in each example stands for, by line and column."""
    options = Options()
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        parse_config_file(options, lambda: None, "pyproject.toml", io.StringIO(), io.StringIO())
        options.export_types = options.preserve_asts = True
        # Names that no cache knows, so that the files are read, and not what a cache says of them.
        sources = [BuildSource(str(file), f"_linked{os.getpid()}_{n}") for n, file in enumerate(EXAMPLES)]
        result = build.build(sources, options)
    finally:
        os.chdir(before)
        for left in (ROOT / options.cache_dir).rglob(f"_linked{os.getpid()}_*"):
            left.unlink()
    assert result.errors == []
    found: dict[Path, dict[tuple[int, int], str | None]] = {}
    for file, source in zip(EXAMPLES, sources, strict=True):
        places = found[file] = {}
        tree = result.graph[source.module].tree
        assert tree is not None
        for node in _walk(tree):
            if isinstance(node, nodes.NameExpr):
                places[node.line, node.column] = node.fullname
            elif isinstance(node, nodes.MemberExpr) and node.end_line and node.end_column:
                place = node.end_line, node.end_column - len(node.name)
                places[place] = node.fullname or _member_of(result.types.get(node.expr), node.name)
    return found


def _same(ours: str, theirs: str) -> bool:
    """Tell whether two paths mean the same; the standard library defines much elsewhere than it shows it."""
    if ours == theirs.removeprefix("builtins."):
        return True
    inner = (
        ours.split(".", maxsplit=1)[0] != "rustforge"
        and ours.split(".", maxsplit=1)[0] == theirs.split(".", maxsplit=1)[0]
    )
    return inner and ours.rsplit(".", maxsplit=1)[-1] == theirs.rsplit(".", maxsplit=1)[-1]


def test_no_link_is_wrong(linker: Linker, inferred: dict[Path, dict[tuple[int, int], str | None]]) -> None:
    """Wherever mypy knows what a name stands for, the link leads there."""
    wrong: list[str] = []
    compared = 0
    for file, places in inferred.items():
        for place, name in linker.names(file).items():
            theirs = places.get(place)
            if theirs and linker.identifier_of(name) is not None:
                compared += 1
                if not _same(name.path, theirs):
                    wrong.append(f"{file.relative_to(ROOT)}:{place[0]}: {name.text} is {theirs}, not {name.path}")
    assert wrong == []
    assert compared > 1500


def test_hardly_a_name_is_left_out(linker: Linker, inferred: dict[Path, dict[tuple[int, int], str | None]]) -> None:
    """Of all names of ours that mypy knows and that have an entry, 98 of 100 are links."""
    known = {
        (file, place)
        for file, places in inferred.items()
        for place, path in places.items()
        if path and path.startswith("rustforge.") and linker.reference.identifier_of(path)
    }
    linked = {(file, place) for file in EXAMPLES for place in linker.names(file)}
    assert len(known & linked) / len(known) > 0.98, sorted(known - linked)


def test_imports_lead_to_what_they_import(linker: Linker) -> None:
    """What stands in an import is the object that Python gets by it."""
    for file in EXAMPLES:
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
    ],
)
def test_what_names_stand_for(linker: Linker, source: str, expected: list[tuple[str, str]]) -> None:
    """Imports, annotations, calls and classes are followed; what is not sure, or is hidden by another, is left."""
    last = source.count("\n") + 1
    found = [(name.text, name.path) for name in names_of(source, linker.reference) if name.line == last]
    assert [one for one in found if one in expected or one[0] in {"get", "dispatch", "print"}] == expected


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
