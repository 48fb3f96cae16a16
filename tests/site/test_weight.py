"""What keeps the pages light. What each of them weighs is in test_pages.py."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.site.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


def test_the_search_comes_when_it_is_asked_for(page: Page, address: str) -> None:
    """Opening the search fetches its worker and its index, once."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path.rpartition("/")[2]))
    page.goto(address)
    box = page.locator(".md-search__input")
    with page.expect_response("**/search_index.json"):
        box.click()
    box.press_sequentially("remember")
    page.locator(".md-search-result__link").first.wait_for()
    assert asked.count("search_index.json") == 1


def test_pictures_have_their_room(site: Path) -> None:
    """Every picture of a text has its size, loads when it is near, and is drawn or in a modern format."""
    bad: list[str] = []
    for file in site.rglob("*.html"):
        article = file.read_text().partition("<article")[2].partition("</article>")[0]
        for tag in re.findall(r"<img\s[^>]*>", article):
            found = dict(re.findall(r'([a-z]+)="([^"]*)"', tag))
            modern = found.get("src", "").partition("#")[0].endswith((".svg", ".webp", ".avif"))
            sized = found.get("width") and found.get("height")
            if not (modern and sized and found.get("alt") and found.get("loading") == "lazy"):
                bad.append(tag)
    assert bad == []


def test_entries_link_to_their_source(site: Path) -> None:
    """Each class and function of the reference leads to the lines that define it, which are not repeated there."""
    count = 0
    for file in (site / "reference").rglob("*.html"):
        text = file.read_text()
        assert "mkdocstrings-source" not in text
        for path, first, last in re.findall(
            r'class="rf-source"><a href="[^"]*/blob/main/([^"#]+)#L(\d+)-L(\d+)"', text
        ):
            lines = (ROOT / path).read_text().splitlines()
            assert re.match(r"\s*(@|class |def |async def )", lines[int(first) - 1]), (path, first)
            assert int(first) <= int(last) <= len(lines)
            count += 1
    assert count > 100


@pytest.mark.parametrize(
    "anchor", ["reference/jobs/#rustforge.jobs.Worker.run", "reference/cache/#rustforge.cache.Cache.remember"]
)
def test_a_link_arrives(page: Page, address: str, anchor: str) -> None:
    """A link to an entry far down shows it, although what is between has not been laid out."""
    page.goto(address + anchor, wait_until="networkidle")
    page.wait_for_function(
        "id => { const { top } = document.getElementById(id).getBoundingClientRect(); return top >= 0 && top < 250 }",
        arg=anchor.partition("#")[2],
    )
