"""Write what machines and agents read of the site, beside its HTML, into a site that MkDocs has built.

python -m tools.machine_readable site

* `index.md` beside each page's `index.html`: the page as Markdown, with its snippets and its reference entries in it
* `llms.txt`, which lists the pages, and `llms-full.txt`, which holds all of them (https://llmstxt.org)
* `errors.json`: every `error_code` with its status, title and class
* `changelog.xml`: the versions of the changelog as RSS 2.0
* `assets/cards/`: the picture of each page for those who share it
* `search/search_index.json` and its worker: see `tools.search_index`
* pages that redirect from former addresses: see `tools.redirects`
"""

from __future__ import annotations

import argparse
import json
import posixpath
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import griffe
import markdown  # type: ignore[import-untyped] # its stubs are a package of their own
from mkdocs.config import load_config
from mkdocs.utils.meta import get_data

from rustforge.http.app_error import AppError, title_of
from tools import cards, redirects, search_index
from tools.code_links.reference import DIRECTIVE, Reference, signature_of
from tools.quality.page import fill

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mkdocs.config.defaults import MkDocsConfig

__all__ = ["Guide", "write"]

ROOT = Path(__file__).resolve().parent.parent
_CODE = re.compile(
    r"^ *(?P<fence>```+|~~~+).*?^ *(?P=fence) *$|(?P<mark>`+)(?!`)(?:(?!\n\n).)+?(?<!`)(?P=mark)(?!`)",
    re.MULTILINE | re.DOTALL,
)
_CROSS_REFERENCE = re.compile(r"\[((?:[^\]\[]|\[[^\]]*\])+)\]\[([\w.]*)\]")
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)\s]+)\)")
_ATTRIBUTES = re.compile(r" *\{ *[#.:][^}\n]*\} *$", re.MULTILINE)
_VERSION = re.compile(
    r"^## \[(?P<version>\d[^\]]*)\] - (?P<date>\d{4}-\d\d-\d\d)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        section: The part of the navigation that it stands in; empty for those that stand alone.
        title: Its title.
        description: What it is about.
        url: Its address.
        folder: Its folder below the site's own, such as `async/caching/`.
        text: Its Markdown, with everything in it.
    """

    section: str
    title: str
    description: str
    url: str
    folder: str
    text: str


class Guide:
    """The pages of a working copy, as Markdown that stands by itself."""

    def __init__(self, root: Path = ROOT, config: MkDocsConfig | None = None) -> None:
        """Read what `mkdocs.yml` names, or another configuration."""
        self._root = root
        self._config: Any = config or load_config(str(root / "mkdocs.yml"))
        self._reference = Reference.of(root)
        options = dict(self._config["mdx_configs"]["pymdownx.snippets"])
        options["base_path"] = [str(root / path) for path in options["base_path"]]
        reader = markdown.Markdown(extensions=["pymdownx.snippets"], extension_configs={"pymdownx.snippets": options})
        self._snippets = reader.preprocessors["snippet"]

    @property
    def name(self) -> str:
        """The site's name."""
        return str(self._config["site_name"])

    @property
    def description(self) -> str:
        """The site's description."""
        return str(self._config["site_description"])

    @property
    def url(self) -> str:
        """The site's address."""
        return str(self._config["site_url"])

    def pages(self) -> Iterator[Page]:
        """Give the pages, in the order of the navigation."""
        for section, title, path in _walk(self._config["nav"]):
            text, meta = get_data((self._root / "docs" / path).read_text())
            folder = "" if path == "index.md" else path.removesuffix("index.md").removesuffix(".md").rstrip("/") + "/"
            yield Page(
                section,
                str(meta.get("title") or title),
                str(meta.get("description") or ""),
                self.url + folder,
                folder,
                self._expand(text, PurePosixPath(path).parent),
            )

    def _expand(self, text: str, folder: PurePosixPath) -> str:
        """Put snippets and reference entries where the page names them, and make links absolute."""
        text = "\n".join(self._snippets.run(fill(text).splitlines()))
        text = re.sub(r"\n\n( *```)$", r"\n\1", text, flags=re.MULTILINE)
        text = DIRECTIVE.sub(self._describe, text)
        code = iter([match[0] for match in _CODE.finditer(text)])  # is left as it is
        text = _ATTRIBUTES.sub("", _CROSS_REFERENCE.sub(r"\1", _CODE.sub("\0", text)))
        text = _LINK.sub(lambda link: f"]({self._absolute(folder, link[1])})", text)
        return re.sub("\0", lambda _: next(code), text).strip() + "\n"

    def _absolute(self, folder: PurePosixPath, link: str) -> str:
        """Make a link from a file of this folder one to an address."""
        path, mark, anchor = link.partition("#")
        target = re.sub(r"(^|/)index\.md$|\.md$", "/", posixpath.normpath(folder / path)).lstrip("/")
        return f"{self.url}{target}{mark}{anchor}"

    def _describe(self, directive: re.Match[str]) -> str:
        found = self._reference.find(directive["path"])
        if found is None or "members: []" in directive["options"]:
            return (found.docstring.value + "\n") if found is not None and found.docstring else ""
        return "\n".join(self._entries(found, directive["path"], max(len(directive["level"]), 2)))

    def _entries(self, found: griffe.Object, path: str, level: int) -> Iterator[str]:
        """Write an entry of the reference, and those below it."""
        shown = path.rpartition(".")[2] if found.parent is not None and found.parent.is_class else path
        yield f"{'#' * level} {shown}\n"
        if not found.is_module:
            yield f"```text\n{signature_of(found, 2000, types=True)}\n```\n"
        if found.docstring:
            yield f"{found.docstring.value.strip()}\n"
        for member in found.members.values():
            if isinstance(member, griffe.Object) and self._reference.identifier_of(member.canonical_path):
                yield from self._entries(member, f"{path}.{member.name}", level + 1)


def _walk(nav: Sequence[Any], section: str = "") -> Iterator[tuple[str, str, str]]:
    """Give section, title and file of each page of the navigation."""
    for item in nav:
        for title, below in item.items() if isinstance(item, dict) else [("", item)]:
            if isinstance(below, list):
                yield from _walk(below, section or title)
            else:
                yield section, title, below


def error_codes() -> list[dict[str, Any]]:
    """List what an `error_code` can be, with its status, its title and the classes that are raised for it."""
    found: dict[str, dict[str, Any]] = {}
    waiting = [cls for cls in AppError.__subclasses__() if cls.__module__.startswith("rustforge.")]
    while waiting:
        cls = waiting.pop(0)
        waiting += cls.__subclasses__()
        facts = {"error_code": cls.error_code, "status": cls.status, "title": title_of(cls.status), "classes": []}
        found.setdefault(cls.error_code, facts)["classes"].append(cls.__name__)
    return sorted(found.values(), key=lambda one: int(one["status"]))


def feed_of(changelog: str, url: str, name: str) -> str:
    """Write the versions of a changelog as RSS 2.0."""
    rss = ET.Element("rss", version="2.0")
    channel = ET.SubElement(rss, "channel")
    page = f"{url}project/changelog/"
    for tag, text in (("title", f"{name}: changes"), ("link", page), ("description", f"The versions of {name}.")):
        ET.SubElement(channel, tag).text = text
    for version in _VERSION.finditer(changelog):
        item = ET.SubElement(channel, "item")
        moment = datetime.fromisoformat(version["date"]).replace(tzinfo=UTC)
        for tag, text in (
            ("title", f"{name} {version['version']}"),
            ("link", page),
            ("description", version["text"].strip()),
            ("pubDate", format_datetime(moment)),
        ):
            ET.SubElement(item, tag).text = text
        ET.SubElement(item, "guid", isPermaLink="false").text = f"{name} {version['version']}"
    ET.indent(rss)
    return ET.tostring(rss, encoding="unicode", xml_declaration=True) + "\n"


def write(site: Path, root: Path = ROOT, *, config: MkDocsConfig | None = None, pictures: bool = True) -> None:
    """Write all of it into a built site.

    Args:
        site: The site.
        root: The working copy.
        config: What it was built with, if not with `mkdocs.yml`.
        pictures: Whether the cards are drawn, too.
    """
    search_index.write(site)
    guide = Guide(root, config)
    pages = list(guide.pages())
    lines = [f"# {guide.name}", "", f"> {guide.description}"]
    section = None
    for page in pages:
        if page.section != section:
            section = page.section
            lines += ["", f"## {section or guide.name}", ""]
        about = f": {' '.join(page.description.split())}" if page.description else ""
        lines.append(f"- [{page.title}]({page.url}index.md){about}")
        (site / page.folder / "index.md").write_text(page.text)
        if pictures:
            words = page.section, page.title, page.description, urlsplit(guide.url).netloc
            cards.save(site / cards.path_of(page.folder), *words, cache=root / ".cache" / "cards")
    (site / "llms.txt").write_text("\n".join(lines) + "\n")
    (site / "llms-full.txt").write_text("\n\n".join(f"<!-- {page.url} -->\n\n{page.text}" for page in pages))
    (site / "errors.json").write_text(json.dumps(error_codes(), indent=2) + "\n")
    redirects.write(site, guide.url, redirects.read(root))
    (site / "changelog.xml").write_text(feed_of((root / "CHANGELOG.md").read_text(), guide.url, guide.name))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write it into the site that was built."""
    parser = argparse.ArgumentParser(prog="python -m tools.machine_readable", description="Write what machines read.")
    parser.add_argument("site", type=Path)
    write(parser.parse_args(arguments).site)


if __name__ == "__main__":
    main()
