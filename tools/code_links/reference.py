"""What has an entry in a reference: our own names, as the pages show them, and those of the vendored inventories."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import griffe
import yaml  # type: ignore[import-untyped] # its stubs are a package of their own
from mkdocstrings import Inventory

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BASES", "DIRECTIVE", "Reference", "Stamps", "signature_of", "stamps_of"]

Stamps: TypeAlias = dict[str, int]
"""When each of some files was written, by its path."""

BASES = {"docs/includes/libraries.inv": "https:/", "docs/includes/python.inv": "https://docs.python.org/3"}
"""The vendored inventories, as in mkdocs.yml, and what their addresses begin with."""

DIRECTIVE = re.compile(
    r"^(?P<level>#*) *::: (?P<path>[\w.]+)$\n?(?P<options>(?:    .*(?:\n|\Z)|\n(?=    ))*)", re.MULTILINE
)
"""How a page asks for an entry."""

_HERE = Path(__file__).parent
_LONGEST_SUMMARY = 160
_LONGEST_SIGNATURE = 200


@dataclass
class Reference:
    """The entries of the reference.

    Attributes:
        root: The working copy.
        package: The library, as Griffe reads it.
        entries: For the place where a name is defined, the name under which its entry stands.
        roles: For each name of an inventory, what it is, such as `"py:class"`.
        addresses: For each name of an inventory, where it is described.
        modules: The modules whose members the inventories have.
        libraries: What is known of the names of other libraries, as `tools.code_links.libraries` has found out.
    """

    root: Path
    package: griffe.Module
    entries: dict[str, str] = field(default_factory=dict[str, str])
    roles: dict[str, str] = field(default_factory=dict[str, str])
    addresses: dict[str, str] = field(default_factory=dict[str, str])
    modules: set[str] = field(default_factory=set[str])
    libraries: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @classmethod
    def of(cls, root: Path) -> Reference:
        """Return that of a working copy, which is read again when a file has changed."""
        docs = root / "docs"
        folders = ((root / "src", ".py"), (docs / "reference", ".md"), (docs / "includes", ".inv"), (_HERE, ".json"))
        stamps: Stamps = {}
        for folder in folders:
            stamps |= stamps_of(*folder)
        if root not in _read or _read[root][0] != stamps:
            _read[root] = stamps, cls.read(root)
        return _read[root][1]

    @classmethod
    def read(cls, root: Path) -> Reference:
        """Read the library, the reference pages and the inventories of a working copy."""
        package = griffe.load("rustforge", search_paths=[root / "src"], docstring_parser="google")
        assert isinstance(package, griffe.Module)
        found = cls(root, package)
        for page in sorted((root / "docs" / "reference").glob("*.md")):
            for directive in DIRECTIVE.finditer(page.read_text()):
                found._add(directive["path"], directive["options"])
        for file, base in BASES.items():
            with (root / file).open("rb") as opened:
                items = Inventory.parse_sphinx(opened, domain_filter=["py"]).values()
            found.roles |= {item.name: f"{item.domain}:{item.role}" for item in items}
            found.addresses |= {item.name: f"{base}/{item.uri}" for item in items}
        for name in found.roles:
            parts = name.split(".")
            found.modules.update(".".join(parts[:length]) for length in range(1, len(parts)))
        found.libraries = json.loads((_HERE / "libraries.json").read_text())
        return found

    def _add(self, path: str, options: str) -> None:
        """Add what a directive shows: an object, and its members unless it says otherwise."""
        found = self.find(path)
        if found is None:
            return
        self.entries[found.canonical_path] = path
        chosen = (yaml.safe_load(options) or {}).get("options", {}) if options.strip() else {}
        if chosen.get("members") != []:
            self._add_members(found, path)

    def _add_members(self, found: griffe.Object, path: str) -> None:
        """Add what stands below an object."""
        for name, member in found.members.items():
            if not name.startswith("_") and isinstance(member, griffe.Object) and member.has_docstring:
                self.entries[member.canonical_path] = f"{path}.{name}"
                if member.is_class:
                    self._add_members(member, f"{path}.{name}")

    def find(self, path: str) -> griffe.Object | None:
        """Find an object of the library by any of its paths."""
        if path == self.package.path:
            return self.package
        head, _, rest = path.partition(".")
        if head != self.package.path or not rest:
            return None
        try:
            found = self.package[rest]
            return found.final_target if isinstance(found, griffe.Alias) else found
        except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError):
            return None

    def identifier_of(self, path: str) -> str | None:
        """Return under which name an object has an entry; `None` where it has none.

        Args:
            path: Where it is defined, or where an inventory has it.
        """
        return self.entries.get(path) or (path if path in self.roles else None)

    def tooltip_of(self, path: str) -> str:
        """Describe an object of the library in a line or two: its signature, and what it does."""
        found = self.find(path)
        if found is None:
            return str(self.libraries.get(path, {}).get("tooltip", path))
        summary = found.docstring.value.strip().partition("\n\n")[0] if found.docstring else ""
        summary = re.sub(r"\[([^\]]+)\]\[[^\]]*\]", r"\1", " ".join(summary.split())).replace("`", "")
        signature = signature_of(found).replace("->", "→")
        return "\n".join(part for part in (signature, summary[:_LONGEST_SUMMARY]) if part)


_read: dict[Path, tuple[Stamps, Reference]] = {}


def stamps_of(folder: Path, suffix: str) -> Stamps:
    """Tell when each file below a folder was written."""
    found: Stamps = {}
    folders = [str(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(suffix):
                    found[entry.path] = entry.stat().st_mtime_ns
                elif entry.is_dir():
                    folders.append(entry.path)
    return found


def signature_of(found: griffe.Object, longest: int = _LONGEST_SIGNATURE, *, types: bool = False) -> str:
    """Write how something is called.

    Args:
        found: What is called.
        longest: With more characters, it is written without its parameters.
        types: Whether the parameters have their types.
    """
    function = found
    if isinstance(found, griffe.Class):
        init = found.members.get("__init__")
        if not isinstance(init, griffe.Function):
            return found.name
        function = init
    if not isinstance(function, griffe.Function):
        annotation = getattr(found, "annotation", None)
        return f"{found.name}: {annotation}" if annotation else found.name
    parts = ", ".join(_parameters(function, types=types))
    returns = f" -> {function.returns}" if function.returns and function is found else ""
    text = f"{found.name}({parts}){returns}"
    return text if len(text) <= longest else f"{found.name}(…){returns}"


def _parameters(function: griffe.Function, *, types: bool) -> Iterator[str]:
    keyword_only = False
    for parameter in function.parameters:
        if parameter.name in {"self", "cls"}:
            continue
        kind = parameter.kind
        if kind is griffe.ParameterKind.var_positional:
            keyword_only = True
            yield f"*{parameter.name}"
        elif kind is griffe.ParameterKind.var_keyword:
            yield f"**{parameter.name}"
        else:
            if kind is griffe.ParameterKind.keyword_only and not keyword_only:
                keyword_only = True
                yield "*"
            kind_of = f": {parameter.annotation}" if types and parameter.annotation else ""
            equals = " = " if kind_of else "="
            default = "" if parameter.default is None else f"{equals}{_plain(parameter.default, function.module)}"
            yield f"{parameter.name}{kind_of}{default}"


def _plain(default: object, module: griffe.Module) -> str:
    """Write a default; a private constant by its value, as its name says nothing to readers."""
    text = str(default)
    constant = module.members.get(text) if text.startswith("_") else None
    value = getattr(constant, "value", None)
    return text if value is None else str(value)
