"""A Python-Markdown extension that makes the names in Python blocks links to their reference.

MkDocs and Zensical both run it. A block is known by its text: all of them are sections of files in `examples/`, which
`tools.snippets` holds, so the whole file tells what a name in it stands for. The links are written as `<autoref>`
elements, which both engines resolve as they do those of the reference itself.
"""

from __future__ import annotations

import html
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from markdown import Extension  # type: ignore[import-untyped] # its stubs are a package of their own
from markdown.postprocessors import Postprocessor  # type: ignore[import-untyped]
from typing_extensions import override

from tools.code_links.names import Shared, names_of
from tools.code_links.reference import Reference, stamps_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown import Markdown

    from tools.code_links.names import Found
    from tools.code_links.reference import Stamps

__all__ = ["LINKER", "CodeLinks", "Linker", "Place", "find_lines", "makeExtension"]

ROOT = Path(__file__).resolve().parent.parent.parent
_MARKER = re.compile(r"^.*-8<-+ +\[(?P<edge>start|end):(?P<name>[a-z][\w-]*)\].*$")
_START = '<div class="language-python'
_BLOCK = re.compile(
    rf'({_START}[^"]*">(?:<span class="filename">.*?</span>)?<pre[^>]*>.*?<code>)(.*?)(</code>)',
    re.DOTALL,
)
_PIECE = re.compile(r"<[^>]*>|[^<]+")
_HEADING = re.compile(r'<h[1-6][^>]* id="([^"]+)"')
_AFTER_RAW_HTML = 10
# mkdocs-autorefs reads attributes and writes them again without escaping, so they must have nothing to escape.
_IN_ATTRIBUTES = str.maketrans({'"': "'", "<": "(", ">": ")", "&": "+"})


class Place(NamedTuple):
    """Where a line of a block comes from.

    Attributes:
        file: The file.
        line: Its line there, from 1.
        indentation: By how many characters it is indented there more than in the block.
    """

    file: Path
    line: int
    indentation: int


class _Example:
    """A file of the examples, as it was read."""

    def __init__(self, file: Path) -> None:
        self.source = file.read_text()
        self.names: dict[tuple[int, int], Found] | None = None
        self.sections: dict[str, list[Place]] = {}
        for lines in _sections(self.source.splitlines()):
            text = textwrap.dedent("\n".join(line for _, line in lines)).strip("\n")
            first = next((index for index, (_, line) in enumerate(lines) if line.strip()), 0)
            places = [
                Place(file, number, _indentation(line) - _indentation(shown))
                for (number, line), shown in zip(lines[first:], text.splitlines(), strict=False)
            ]
            self.sections.setdefault(text, places)


class Linker:
    """Knows the examples, and what the names in them stand for."""

    def __init__(self, root: Path = ROOT) -> None:
        """Find them; nothing is read yet."""
        self.root = root
        self.holds = False
        self._reference: Reference | None = None
        self._stamps: Stamps = {}
        self._shared = Shared()
        self._examples: dict[Path, _Example] = {}
        self._blocks: dict[str, list[Place]] = {}
        self._tooltips: dict[str, str] = {}

    @property
    def reference(self) -> Reference:
        """What has an entry."""
        if self._reference is None:
            self.refresh()
        assert self._reference is not None
        return self._reference

    def refresh(self) -> None:
        """Read again what has changed; not the reference where it `holds` the one that it has."""
        found = self._reference if self.holds and self._reference else Reference.of(self.root)
        if found is not self._reference:
            self._reference = found
            self._tooltips = {}
            for example in self._examples.values():
                example.names = None
            self._shared = Shared(self.root / "examples")
        stamps = stamps_of(self.root / "examples", ".py")
        if stamps != self._stamps:
            self._shared = Shared(self.root / "examples")
            for example in self._examples.values():
                if "from shop" in example.source:  # it may import what has changed
                    example.names = None
            self._examples = {
                file: self._examples[file] if self._stamps.get(str(file)) == stamps[str(file)] else _Example(file)
                for file in sorted(map(Path, stamps))
            }
            blocks: dict[str, list[Place]] = {}
            for example in self._examples.values():
                blocks = {**example.sections, **blocks}
            self._stamps, self._blocks = stamps, blocks

    def blocks(self) -> dict[str, list[Place]]:
        """Give the lines of each section, and of each whole file, by its text."""
        if not self._blocks:
            self.refresh()
        return self._blocks

    def names(self, file: Path) -> dict[tuple[int, int], Found]:
        """Give the names in a file by line and column."""
        if not self._examples:
            self.refresh()
        example = self._examples[file]
        if example.names is None:
            example.names = {
                (one.line, one.column): one for one in names_of(example.source, self.reference, self._shared)
            }
        return example.names

    def link(self, page: str) -> str:
        """Write the links into a page.

        Args:
            page: Its HTML.
        """
        return _BLOCK.sub(lambda match: match[1] + self._link_block(match, page) + match[3], page)

    def _link_block(self, match: re.Match[str], page: str) -> str:
        text = html.unescape(re.sub(r"<[^>]*>", "", match[2]))
        places = find_lines(text.strip("\n"), self.blocks())
        headings = _HEADING.findall(page, 0, match.start())
        anchor = headings[-1] if headings else ""
        line, column = len(text.lstrip("\n")) - len(text), 0
        pieces: list[str] = []
        for piece in _PIECE.findall(match[2]):
            written = piece
            if not piece.startswith("<"):
                plain = html.unescape(piece)
                place = places[line] if 0 <= line < len(places) else None
                sign = "@" if re.match(r"@\w", plain) else ""  # a decorator is one piece with its sign
                where = (place.line, column + len(sign) + place.indentation) if place else (0, 0)
                name = self.names(place.file).get(where) if place else None
                if name and sign + name.text == plain:
                    written = sign + self._autoref(name, piece.removeprefix(sign), anchor)
                newlines = plain.count("\n")
                line += newlines
                column = len(plain) - plain.rfind("\n") - 1 if newlines else column + len(plain)
            pieces.append(written)
        return "".join(pieces)

    def identifier_of(self, name: Found) -> str | None:
        """Return under which name there is an entry for a name; an attribute may stand in that of its class."""
        found = self.reference.identifier_of(name.path)
        return self.reference.identifier_of(name.owner) if found is None and name.owner else found

    def _autoref(self, name: Found, text: str, anchor: str) -> str:
        identifier = self.identifier_of(name)
        if identifier is None:
            return text
        elsewhere = self.reference.addresses.get(identifier)
        if elsewhere:  # by its address, as a heading may have the name of a module or a built-in for its anchor
            title = html.escape(self.reference.tooltip_of(identifier)).replace("\n", "&#10;")
            return f'<a class="autorefs autorefs-external" href="{elsewhere}" title="{title}">{text}</a>'
        tooltip = self._tooltips.get(name.path)
        if tooltip is None:
            tooltip = self.reference.tooltip_of(name.path).translate(_IN_ATTRIBUTES).replace("\n", "&#10;")
            self._tooltips[name.path] = tooltip
        backlink = f' backlink-type="referenced-by" backlink-anchor="{anchor}"' if anchor else ""
        return f'<autoref identifier="{identifier}" title="{tooltip}"{backlink}>{text}</autoref>'


def find_lines(text: str, blocks: dict[str, list[Place]]) -> list[Place | None]:
    """Find where each line of a block comes from, which is one section or several, with blank lines between.

    Args:
        text: The block's text.
        blocks: What `Linker.blocks` gives.
    """
    if text in blocks:
        return list(blocks[text])
    gaps = [gap for gap in re.finditer(r"\n{2,}", text) if text[: gap.start()] in blocks]
    if not gaps:
        return [None] * len(text.splitlines())
    last = gaps[-1]
    return [
        *blocks[text[: last.start()]],
        *[None] * (len(last[0]) - 1),
        *find_lines(text[last.end() :], blocks),
    ]


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _sections(lines: list[str]) -> Iterator[list[tuple[int, str]]]:
    """Cut a file into its sections, each without markers, and the whole of it."""
    numbered = list(enumerate(lines, 1))
    yield [(number, line) for number, line in numbered if not _MARKER.match(line)]
    opened: dict[str, list[tuple[int, str]]] = {}
    for number, line in numbered:
        marker = _MARKER.match(line)
        if marker and marker["edge"] == "start":
            opened[marker["name"]] = []
        elif marker:
            yield opened.pop(marker["name"], [])
        else:
            for one in opened.values():
                one.append((number, line))


LINKER = Linker()
"""That of this process, which keeps what it has read."""


class _Links(Postprocessor):  # type: ignore[misc]
    """Runs when the HTML of code blocks is in its place."""

    def __init__(self, md: Markdown) -> None:
        """Prepare for a page; both engines make an instance for each."""
        super().__init__(md)
        self._fresh = False

    @override
    def run(self, text: str) -> str:
        """Write the links into a page, or into a docstring on it."""
        if _START not in text:
            return text
        if not self._fresh:
            LINKER.refresh()
            self._fresh = True
        return LINKER.link(text)


class CodeLinks(Extension):  # type: ignore[misc]
    """The extension."""

    @override
    def extendMarkdown(self, md: Markdown) -> None:
        """Add the step."""
        md.postprocessors.register(_Links(md), "code-links", _AFTER_RAW_HTML)


def makeExtension(**options: Any) -> CodeLinks:  # noqa: N802 - Python-Markdown's name
    """Make the extension."""
    return CodeLinks(**options)
