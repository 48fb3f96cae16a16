"""A Python-Markdown extension that puts the figures into the Quality page, as MkDocs and Zensical build it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markdown import Extension  # type: ignore[import-untyped] # its stubs are a package of their own
from markdown.preprocessors import Preprocessor  # type: ignore[import-untyped]
from typing_extensions import override

from tools.quality.page import fill

if TYPE_CHECKING:
    from markdown import Markdown

__all__ = ["Figures", "makeExtension"]

_BEFORE_SNIPPETS = 40


class _Fill(Preprocessor):  # type: ignore[misc]
    """Runs before anything else reads the text."""

    @override
    def run(self, lines: list[str]) -> list[str]:
        """Put the figures into a page."""
        return fill("\n".join(lines)).split("\n")


class Figures(Extension):  # type: ignore[misc]
    """The extension."""

    @override
    def extendMarkdown(self, md: Markdown) -> None:
        """Add the step."""
        md.preprocessors.register(_Fill(md), "figures", _BEFORE_SNIPPETS)


def makeExtension(**options: Any) -> Figures:  # noqa: N802 - Python-Markdown's name
    """Make the extension."""
    return Figures(**options)
