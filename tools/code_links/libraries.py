"""Write down what the examples and our signatures use of other libraries: where it is documented, and what it gives.

python -m tools.code_links.libraries [--python objects.inv]

`libraries.toml` says which page of which library has an entry for a name. From it and from the libraries as they are
installed come `docs/includes/libraries.inv`, an inventory for mkdocstrings and for the links in code, and
`libraries.json`, which says what names stand for, so that the build of the site need not read the libraries.
`docs/includes/python.inv` is cut out of Python's own inventory, which Debian's package python3-doc has, to the modules
that are used. It is to be run again after a change of the table, or when a test says that names are missing.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import importlib
import inspect
import json
import re
import sys
import tomllib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocstrings import Inventory, InventoryItem
from mypy import nodes
from mypy.types import CallableType, Instance, Overloaded, TypeVarType, UnionType, get_proper_type

from tools.code_links.examples import ROOT, Program, check_examples

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
TABLE = HERE / "libraries.toml"
NAMES = HERE / "libraries.json"
LIBRARIES = ROOT / "docs" / "includes" / "libraries.inv"
PYTHON = ROOT / "docs" / "includes" / "python.inv"
DEBIAN = Path("/usr/share/doc/python3/html/objects.inv")
_LONGEST = 160
_ROLE = re.compile(r":[\w:+.]+:`[~!.]*([^`<]+?)(?: *<[^`]*>)?`")
# What is called by Python itself, and tells what a block or an iteration gets.
_SILENT = ("__aenter__", "__await__", "__enter__")
_KEPT = re.compile(
    r"typing\.(Awaitable|Coroutine|(Async)?(Generator|Iterator|Iterable)|Sequence)|contextlib\.Abstract.*"
)


def entries() -> dict[str, str]:
    """Read the table: the address of each name, without its scheme."""
    found: dict[str, str] = {}
    for base, pages in tomllib.loads(TABLE.read_text()).items():
        for page, names in pages.items():
            whole = ""
            for name in names:
                whole = whole if name.startswith(".") else name
                path = whole + name if name.startswith(".") else name
                found[path] = f"{base}/{page}#{path}"
    return found


def load(path: str) -> Any:
    """Import a module, and give what has a path in it."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = inspect.getattr_static(found, part) if inspect.isclass(found) else getattr(found, part)
        return found
    return getattr(builtins, path)


def role_of(path: str, symbol: nodes.SymbolNode | None) -> str:
    """Tell what a name is, in the words of an inventory, by what mypy knows of it, or else by what it is."""
    found = None if symbol is not None else load(path)
    if isinstance(symbol, nodes.TypeInfo) or inspect.isclass(found):
        bases = {one.fullname for one in symbol.mro} if isinstance(symbol, nodes.TypeInfo) else set[str]()
        return "exception" if "builtins.BaseException" in bases else "class"
    held = path.rpartition(".")[0].rpartition(".")[2][:1].isupper()
    plain = isinstance(symbol, nodes.Decorator) and symbol.var.is_property
    if not plain and (isinstance(symbol, (nodes.FuncDef, nodes.OverloadedFuncDef, nodes.Decorator)) or callable(found)):
        return "method" if held else "function"
    return "attribute" if held else "data"


def tooltip_of(path: str) -> str:
    """Describe a name: how it is called, and what it does."""
    try:
        found = load(path)
    except (ImportError, AttributeError):
        return path
    found = getattr(found, "__func__", found)  # of a class method
    name = path.rpartition(".")[2]
    if inspect.ismodule(found) or not (callable(found) or inspect.isdatadescriptor(found)):
        return path
    try:
        parameters = [one for one in inspect.signature(found).parameters.values() if one.name not in {"self", "cls"}]
        plain = [one.replace(annotation=inspect.Parameter.empty) for one in parameters if not one.name.startswith("_")]
        signature = f"{name}{inspect.Signature(plain)}"
    except (TypeError, ValueError):
        signature = f"{name}(…)" if callable(found) else name
    if len(signature) > _LONGEST or " at 0x" in signature:
        signature = f"{name}(…)"
    paragraphs = (inspect.getdoc(found) or "").split("\n\n")
    summary = next((one for one in paragraphs if not one.startswith(("!!!", "..", name + "("))), "").partition("\n..")[
        0
    ]
    summary = _ROLE.sub(r"\1", " ".join(summary.split())).replace("`", "").replace("*", "")
    summary = re.sub(r"\b_[a-z]+\.(?=\w)", "", summary)
    cut = summary if len(summary) <= _LONGEST else summary[:_LONGEST].rpartition(" ")[0] + " …"
    return f"{signature}\n{cut}" if cut else signature


class _Names:
    """What mypy knows of the names that have an entry."""

    def __init__(self, program: Program, known: dict[str, str]) -> None:
        self.program = program
        self.public: dict[str, str] = {}
        for name in sorted(known, key=lambda one: (one.count("."), one), reverse=True):
            defined = program.path_of(name)
            if defined:
                self.public[defined] = name
        self.known = known
        self.found: dict[str, dict[str, Any]] = {}

    def add(self, name: str) -> None:
        """Describe a name, and the class that it gives."""
        if name in self.found or name not in self.known:
            return
        about = self.found[name] = {}
        symbol = self.program.symbol_of(name)
        if isinstance(symbol, nodes.TypeInfo):
            bases = [self.public[one.fullname] for one in symbol.mro[1:] if one.fullname in self.public]
            if bases := [one for one in bases if one not in {"object", name}]:
                about["bases"] = bases
            for silent in _SILENT:
                if gives := self._gives(self.program.symbol_of(f"{name}.{silent}")):
                    self._give(self.found.setdefault(f"{name}.{silent}", {}), gives)
        elif gives := self._gives(symbol):
            self._give(about, gives)
        for one in about.get("bases", ()):
            self.add(one)

    def _give(self, about: dict[str, Any], gives: str) -> None:
        about["gives"] = gives
        for one in re.findall(r"[\w.]+", gives):
            self.add(one)

    def _gives(self, symbol: nodes.SymbolNode | None) -> str | None:
        if isinstance(symbol, nodes.Decorator):
            kind: Any = symbol.var.type
            if symbol.var.is_property and isinstance(kind, CallableType):
                return self._written(kind.ret_type)
        else:
            kind = getattr(symbol, "type", None)
        kind = get_proper_type(kind) if kind is not None else None
        if isinstance(kind, Overloaded):
            several = {self._written(one.ret_type) for one in kind.items}
            return several.pop() if len(several) == 1 else None
        if isinstance(kind, CallableType):
            return self._written(kind.ret_type)
        return self._written(kind) if kind is not None and isinstance(symbol, nodes.Var) else None

    def _written(self, given: Any) -> str | None:
        """Write a type as an expression of public names."""
        kind = get_proper_type(given)
        if isinstance(kind, TypeVarType):
            return "Self" if kind.name == "Self" or kind.id.is_self() else None
        if isinstance(kind, UnionType):
            several = {self._written(one) for one in kind.relevant_items()}
            return several.pop() if len(several) == 1 else None
        if not isinstance(kind, Instance):
            return None
        name = kind.type.fullname
        if "GeneratorContextManager" in name:
            name = f"contextlib.Abstract{'Async' if 'Async' in name else ''}ContextManager"
        if _KEPT.fullmatch(name):
            inner = [self._written(one) or "None" for one in kind.args]
            return f"{name}[{', '.join(inner)}]" if any(one != "None" for one in inner) else None
        return self.public.get(name)


def imported(folder: Path) -> Iterator[str]:
    """List what the files of a folder import from elsewhere, as they name it."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from (f"{node.module}.{one.name}" for one in node.names)
                yield node.module
            elif isinstance(node, ast.Import):
                yield from (one.name for one in node.names)


def cut_python(file: Path, modules: set[str]) -> None:
    """Cut Python's inventory to the modules that are used, and to what needs no import."""
    with file.open("rb") as opened:
        whole = Inventory.parse_sphinx(opened, domain_filter=["py"]).values()
    wanted = [
        item
        for item in whole
        if item.uri.startswith("library/")
        and (item.name.partition(".")[0] in modules or re.match(r"library/(exceptions|functions|stdtypes)\.", item.uri))
    ]
    _write(PYTHON, "Python", [(one.name, one.role, one.uri.replace("$", one.name)) for one in wanted])


def mark_of(file: Path) -> str:
    """Return what mkdocs.yml adds to an inventory's address, as MkDocs keeps for a day what it has read from one."""
    return f"{zlib.crc32(file.read_bytes()):08x}"


def _write(file: Path, project: str, items: list[tuple[str, str, str]]) -> None:
    inventory = Inventory(
        [InventoryItem(name, "py", role, uri, priority=1, dispname="-") for name, role, uri in sorted(items)],
        project=project,
        version="",
    )
    file.write_bytes(inventory.format_sphinx())
    place = file.relative_to(ROOT).as_posix()
    settings = ROOT / "mkdocs.yml"
    settings.write_text(re.sub(rf"file:{place}#\w+", f"file:{place}#{mark_of(file)}", settings.read_text()))


def read_inventory(file: Path) -> dict[str, str]:
    """Read the names of an inventory, with the address of each."""
    with file.open("rb") as opened:
        return {item.name: item.uri for item in Inventory.parse_sphinx(opened, domain_filter=["py"]).values()}


def main() -> None:
    """Write the inventories and the names."""
    parser = argparse.ArgumentParser(prog="python -m tools.code_links.libraries", description=__doc__)
    parser.add_argument("--python", type=Path, default=DEBIAN, help="Python's inventory; without it, ours stays")
    options = parser.parse_args()
    imports = sorted({*imported(ROOT / "examples"), *imported(ROOT / "src")})
    if options.python.exists():
        cut_python(options.python, {one.partition(".")[0] for one in imports} & sys.stdlib_module_names)
    ours = entries()
    program = check_examples()
    names = _Names(program, {**read_inventory(PYTHON), **ours})
    # `import sqlalchemy as sa` and `sa.String` name what is documented elsewhere.
    imports += sorted({f"{one.partition('.')[0]}.{one.rpartition('.')[2]}" for one in ours})
    aliases = {
        one: names.public[defined]
        for one in imports
        if (defined := program.path_of(one)) in names.public
        and one not in names.known
        and names.public[defined].rpartition(".")[2] == one.rpartition(".")[2]  # not another name for a type
    }
    for places in program.places.values():
        for path in places.values():
            if path and (name := names.public.get(path.removeprefix("builtins."), names.public.get(path, ""))):
                names.add(name)
    for name in (*ours, *aliases.values()):
        names.add(name)
    items = [(name, role_of(name, program.symbol_of(name)), uri) for name, uri in ours.items()]
    items += [
        (one, role_of(name, program.symbol_of(name)), ours[name]) for one, name in aliases.items() if name in ours
    ]
    _write(LIBRARIES, "The libraries of Rustforge", items)
    for name, about in names.found.items():
        if name in names.known and (tooltip := tooltip_of(name)) != name:
            about["tooltip"] = tooltip
    found: dict[str, Any] = {**names.found, **{one: {"is": name} for one, name in aliases.items()}}
    lines = (f"  {json.dumps(name)}: {json.dumps(about, ensure_ascii=False)}" for name, about in sorted(found.items()))
    NAMES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
