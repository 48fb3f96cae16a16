"""What mypy knows of the names in the examples."""

from __future__ import annotations

import functools
import io
import os
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mypy import build, nodes
from mypy.config_parser import parse_config_file
from mypy.modulefinder import BuildSource
from mypy.options import Options
from mypy.types import CallableType, Instance, Overloaded, TypeType, get_proper_type

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
# What refers to something else, such as to the definition of a name.
_ELSEWHERE = {"alias_deps", "analyzed", "defn", "imports", "info", "names", "node", "plugin_deps", "tree", "type"}


class Program:
    """The examples, as mypy read them.

    Attributes:
        places: For each file, what its names stand for, by line and column.
    """

    def __init__(self, result: build.BuildResult, files: dict[Path, str]) -> None:
        """Walk through the files."""
        self._graph = result.graph
        self.places: dict[Path, dict[tuple[int, int], str | None]] = {}
        for file, module in files.items():
            places = self.places[file] = {}
            tree = result.graph[module].tree
            assert tree is not None
            for node in _walk(tree):
                if isinstance(node, nodes.NameExpr):
                    places[node.line, node.column] = node.fullname
                elif isinstance(node, nodes.MemberExpr) and node.end_line and node.end_column:
                    place = node.end_line, node.end_column - len(node.name)
                    places[place] = node.fullname or _member_of(result.types.get(node.expr), node.name)

    def symbol_of(self, path: str) -> nodes.SymbolNode | None:
        """Find what has a path, which may lead through what a module imports and what a class inherits."""
        parts = path.split(".")
        if parts[0] not in self._graph:
            parts = ["builtins", *parts]
        length = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in self._graph), 0)
        found: nodes.SymbolNode | None = self._graph[".".join(parts[:length])].tree if length else None
        for part in parts[length:]:
            tables = [one.names for one in found.mro] if isinstance(found, nodes.TypeInfo) else []
            tables = [found.names] if isinstance(found, nodes.MypyFile) else tables
            found = next((table[part].node for table in tables if part in table), None)
            if isinstance(found, nodes.TypeAlias):
                target = get_proper_type(found.target)
                found = target.type if isinstance(target, Instance) else None
        return found

    def path_of(self, path: str) -> str | None:
        """Return where that is defined."""
        found = self.symbol_of(path)
        return found.fullname if found is not None else None


@functools.cache
def check_examples() -> Program:
    """Let mypy check the examples: snippets, each alone, and the shop."""
    options = Options()
    before = Path.cwd()
    os.chdir(ROOT)
    examples = ROOT / "examples"
    alone = sorted((examples / "snippets").rglob("*.py"))
    files = {file: f"_linked{os.getpid()}_{number}" for number, file in enumerate(alone)}
    for file in sorted((examples / "shop").rglob("*.py")):
        files[file] = ".".join(file.relative_to(examples).with_suffix("").parts).removesuffix(".__init__")
    try:
        parse_config_file(options, lambda: None, "pyproject.toml", io.StringIO(), io.StringIO())
        options.export_types = options.preserve_asts = True
        options.cache_dir = os.environ.get("MYPY_CACHE_DIR", options.cache_dir)
        # With its text, a file is read, and not what the cache says of it.
        sources = [BuildSource(str(file), module, file.read_text()) for file, module in files.items()]
        result = build.build(sources, options)
    finally:
        os.chdir(before)
        for left in (ROOT / options.cache_dir).rglob(f"_linked{os.getpid()}_*"):
            left.unlink()
    assert result.errors == [], result.errors
    return Program(result, files)


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
