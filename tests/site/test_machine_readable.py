"""What machines read of the site: it is complete, stands by itself, and says what the pages say."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from PIL import Image

from rustforge import http as http_module
from rustforge.http import AppError
from tools.cards import SIZE, draw
from tools.machine_readable import Guide, feed_of

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


def _headings(html: str) -> list[str]:
    """Read the headings of a page that somebody wrote, without those of the reference."""
    found = re.findall(r"<h([1-6]) id=[^>]*>(.*?)</h\1>", html, re.DOTALL)
    texts = (re.sub(r'<a class="headerlink".*?</a>|<[^>]*>', "", text) for _, text in found)
    return [" ".join(unescape(text).split()) for text in texts]


def test_each_page_is_there_as_markdown(site: Path) -> None:
    """Beside each page of the navigation is its Markdown, with all of its headings."""
    pages = list(Guide().pages())
    assert len({page.folder for page in pages}) == len(pages) > 20
    for page in pages:
        text = (site / page.folder / "index.md").read_text()
        assert text == page.text
        if not page.folder.startswith("reference/"):
            lines = (line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
            written = {re.sub(r"\]\([^)]*\)|[`*\[\]]", "", line) for line in lines}
            for heading in _headings((site / page.folder / "index.html").read_text()):
                assert re.sub(r"[\[\]]", "", heading) in written, f"{page.folder}: {heading}"


def test_the_markdown_stands_by_itself(site: Path) -> None:
    """Snippets and reference entries are in it, and no link leads to a file that only the source has."""
    for page in Guide().pages():
        text = (site / page.folder / "index.md").read_text()
        prose = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.DOTALL | re.MULTILINE)
        assert not re.search(r"^ *-+8<-", text, re.MULTILINE), page.folder
        assert ":::" not in prose, page.folder
        assert not re.search(r"\]\[[\w.]*\]", prose), page.folder
        assert not re.search(r"\]\((?!https?:|#|mailto:)", prose), page.folder
    entry = (site / "reference" / "cache" / "index.md").read_text()
    assert "### remember\n\n```text\nremember(key: str" in entry


def test_code_of_the_markdown_is_left_alone() -> None:
    """What looks like a link, a reference or an attribute in code is none."""
    code = "```python\nrows[0][1](x)  # { #a }\n```"
    text = f"A [`link`](jobs.md), a [`Cache`][rustforge.cache] and `rows[0][1](x)`.\n\n{code}"
    expected = text.replace("jobs.md", f"{Guide().url}async/jobs/").replace("[`Cache`][rustforge.cache]", "`Cache`")
    assert Guide()._expand(text, PurePosixPath("async")) == expected + "\n"


def test_links_of_the_markdown_exist(site: Path) -> None:
    """Every link of the Markdown to a page of the site leads to one that was built, at an anchor that it has."""
    guide = Guide()
    for page in guide.pages():
        for folder, anchor in re.findall(rf"\]\({re.escape(guide.url)}([^)#]*)(?:#([^)]+))?\)", page.text):
            target = site / folder
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{page.folder}: {folder}"
            if anchor and target.suffix == ".html":
                assert f'id="{anchor}"' in target.read_text(), f"{page.folder}: {folder}#{anchor}"


def test_llms_txt_lists_every_page(site: Path) -> None:
    """llms.txt has the form of llmstxt.org, and each of its links a file; llms-full.txt has all pages."""
    guide = Guide()
    lines = (site / "llms.txt").read_text().splitlines()
    assert lines[0] == f"# {guide.name}"
    assert lines[2] == f"> {guide.description}"
    links = [match for line in lines if (match := re.fullmatch(r"- \[([^\]]+)\]\(([^)]+)\)(: .+)?", line))]
    assert [link[2] for link in links] == [f"{page.url}index.md" for page in guide.pages()]
    assert all(link[3] for link in links), "each page has a description"
    full = (site / "llms-full.txt").read_text()
    assert all(page.text in full for page in guide.pages())


def test_error_codes(site: Path) -> None:
    """errors.json has each class of error of `rustforge.http`, with the code and the status that it has."""
    found = json.loads((site / "errors.json").read_text())
    classes = {name: one for one in found for name in one["classes"]}
    exported = [getattr(http_module, name) for name in http_module.__all__]
    errors = [one for one in exported if isinstance(one, type) and issubclass(one, AppError) and one is not AppError]
    assert set(classes) == {one.__name__ for one in errors}
    for one in errors:
        assert (classes[one.__name__]["error_code"], classes[one.__name__]["status"]) == (one.error_code, one.status)


def test_feed_of_the_changelog(site: Path) -> None:
    """The feed has each version that has a date, with what changed; what is not released is not in it."""
    newer = "## [1.2.0] - 2026-03-01\n\n### Added\n\n- A & B\n\n"
    text = f"# Changelog\n\n## [Unreleased]\n\n- Later\n\n{newer}## [1.1.0] - 2026-02-01\n\n- C\n"
    channel = ET.fromstring(feed_of(text, "https://example.com/", "Rustforge")).find("channel")
    assert channel is not None
    items = channel.findall("item")
    assert [item.findtext("title") for item in items] == ["Rustforge 1.2.0", "Rustforge 1.1.0"]
    assert items[0].findtext("description") == "### Added\n\n- A & B"
    assert items[0].findtext("pubDate") == "Sun, 01 Mar 2026 00:00:00 +0000"
    assert ET.parse(site / "changelog.xml").getroot().tag == "rss"


def test_a_page_is_copied_as_markdown(address: str, page: Page, site: Path) -> None:
    """The button copies the page's Markdown and says so; without JavaScript it is a link to it."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{address}async/caching/")
    page.locator("a.rf-markdown").click()
    page.get_by_text("The page is in the clipboard").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == (site / "async" / "caching" / "index.md").read_text()
    assert page.locator("a.rf-markdown").evaluate("(link) => link.href") == f"{address}async/caching/index.md"


def test_each_page_has_a_picture_for_those_who_share_it(site: Path) -> None:
    """A page names its own title, description, address and picture, and the picture is there in that size."""
    for page in Guide().pages():
        html = (site / page.folder / "index.html").read_text()
        found = dict(re.findall(r'<meta (?:property|name)="([\w:]+)" content="([^"]*)">', html))
        assert unescape(found["og:title"]) == page.title
        assert unescape(found["og:description"]).split() == page.description.split()
        assert found["og:url"] == page.url
        picture = site / found["og:image"].removeprefix(Guide().url)
        with Image.open(picture) as opened:
            assert opened.size == SIZE == (int(found["og:image:width"]), int(found["og:image:height"]))
        assert picture.stat().st_size < 60_000


def test_long_words_of_a_card_are_cut() -> None:
    """A title or a description that is too long ends with an ellipsis, and stays within the card."""
    long = draw("Async", "word " * 100, "text " * 500, "example.com").convert("RGB")
    assert all(long.getpixel((x, y)) == long.getpixel((SIZE[0] - 1, 0)) for x in range(1130, 1200) for y in range(630))
