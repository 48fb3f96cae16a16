"""The plain text of an HTML mail, for readers that show no HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

__all__ = ["PlainText"]

_SKIPPED = frozenset({"head", "script", "style", "template"})
_BLOCKS = frozenset(
    {"address", "article", "blockquote", "div", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "ol", "p"}
    | {"pre", "section", "table", "ul"}
)
_LINES = frozenset({"br", "dd", "dt", "li", "tr"})


class PlainText(HTMLParser):
    """Reads HTML: paragraphs become paragraphs, items get a dash, and links are followed by where they lead.

    Attributes:
        text: The plain text.
        title: What stands in `<title>`; empty where there is none.
    """

    def __init__(self, html: str) -> None:
        """Read it."""
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._title: list[str] = []
        self._skipping = 0
        self._in_title = False
        self._links: list[tuple[str, int]] = []
        self.feed(html)
        self.close()
        joined = re.sub(r" *\n *", "\n", re.sub(r"[ \t]+", " ", "".join(self._parts)))
        self.text: str = re.sub(r"\n{3,}", "\n\n", joined).strip() + "\n"
        self.title: str = " ".join("".join(self._title).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a paragraph, a line, a link or something that is not shown."""
        given = dict(attrs)
        if tag in _SKIPPED:
            self._skipping += 1
        elif tag == "body":  # it ends a head that nobody has closed
            self._skipping = 0
        self._in_title = tag == "title"
        self._break(tag)
        if tag == "li":
            self._parts.append("- ")
        elif tag in {"td", "th"}:
            self._parts.append(" ")
        elif tag == "img" and not self._skipping:
            self._parts.append(given.get("alt") or "")
        elif tag == "a":
            self._links.append((given.get("href") or "", len(self._parts)))

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        if tag in _SKIPPED and self._skipping:
            self._skipping -= 1
        self._in_title = False
        if tag == "a" and self._links:
            href, start = self._links.pop()
            if href.startswith(("http://", "https://")) and href not in "".join(self._parts[start:]):
                self._parts.append(f" ({href})")
        if tag in _BLOCKS:
            self._break(tag)

    def handle_data(self, data: str) -> None:
        """Take text, with each run of blanks as one."""
        if self._in_title:
            self._title.append(data)
        elif not self._skipping:
            self._parts.append(re.sub(r"\s+", " ", data))

    def _break(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._parts.append("\n\n")
        elif tag in _LINES:
            self._parts.append("\n")
