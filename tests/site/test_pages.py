"""What a reader meets: every page in a real browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.site.conftest import ROOT
from tools.browser import MOUNT, serve
from tools.quality import accessibility
from tools.quality.weight import LIMIT, Scale
from tools.screens import SCHEMES, SIZES, use_scheme
from tools.snippets import read_sections

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CONTRAST = Path(__file__).with_name("contrast.js").read_text()


@dataclass
class Visit:
    """What was seen of one page on a phone."""

    title: str = ""
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    overflow: int = 0
    shift: float = 0
    sizes: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    pale: dict[str, list[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def visits(browser: Browser, address: str, paths: list[str]) -> dict[str, Visit]:
    """Open every page once on a phone, light and dark, and note what happened."""
    seen: dict[str, Visit] = {}
    tab = browser.new_page(viewport=SIZES["phone"])
    scale = Scale(tab)
    requests: list[str] = []
    errors: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("requestfailed", lambda request: errors.append(f"{request.url}: {request.failure}"))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    for path in paths:
        requests.clear()
        errors.clear()
        scale.clear()
        tab.goto(address + path)
        overflow = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        visit = seen[path] = Visit(tab.title(), overflow=overflow, shift=scale.shift(), sizes=scale.sizes())
        visit.wrong = accessibility.look_quickly(tab)
        for scheme in SCHEMES:
            use_scheme(tab, scheme)
            visit.pale[scheme] = tab.evaluate(CONTRAST)
        visit.requests, visit.errors = list(requests), list(errors)
    tab.context.close()
    return seen


def test_no_request_leaves_the_host(visits: dict[str, Visit], address: str) -> None:
    """No page asks any host but its own for anything: no fonts, scripts, icons or counters of others."""
    host = urlsplit(address).netloc
    foreign = {path: [url for url in visit.requests if urlsplit(url).netloc != host] for path, visit in visits.items()}
    assert {path: urls for path, urls in foreign.items() if urls} == {}
    assert all(visit.requests for visit in visits.values())


def test_no_errors_in_the_console(visits: dict[str, Visit]) -> None:
    """No page logs an error, lacks a file, or has a script that fails."""
    assert {path: visit.errors for path, visit in visits.items() if visit.errors} == {}


def test_pages_fit_a_phone(visits: dict[str, Visit]) -> None:
    """No page is wider than a phone of 390 pixels."""
    assert {path: visit.overflow for path, visit in visits.items() if visit.overflow > 0} == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_is_readable(visits: dict[str, Visit], scheme: str) -> None:
    """Every text has the contrast of WCAG AA with what is behind it, in light and in dark."""
    assert {path: visit.pale[scheme] for path, visit in visits.items() if visit.pale[scheme]} == {}


def test_axe_finds_nothing(visits: dict[str, Visit]) -> None:
    """No page has a violation that axe-core finds by the rules that are quick, on a phone, light."""
    assert {path: visit.wrong for path, visit in visits.items() if visit.wrong} == {}


def test_first_views_are_light(visits: dict[str, Visit]) -> None:
    """With fonts, styles and scripts, no first view brings more than 150 KB, nor anything for a search."""
    totals = {path: sum(visit.sizes.values()) for path, visit in visits.items()}
    assert {path: total for path, total in totals.items() if total > LIMIT} == {}
    assert min(totals.values()) > LIMIT / 3  # so they were weighed
    assert [url for visit in visits.values() for url in visit.sizes if "search" in url] == []


def test_nothing_moves_while_a_page_loads(visits: dict[str, Visit]) -> None:
    """No text shifts: fonts and pictures have their room from the start."""
    assert {path: visit.shift for path, visit in visits.items() if visit.shift} == {}


def test_nothing_moves_over_a_slow_line(browser: Browser, site: Path) -> None:
    """No row of a table, and no word of a list, moves what was painted before it came."""
    tab = browser.new_page(viewport=SIZES["phone"])
    scale = Scale(tab)
    shifts = {}
    with serve(site, pace=0.02) as slow:
        for path in ("project/writing/", "reference/boot/"):
            tab.goto(slow + path)
            shifts[path] = scale.shift()
    tab.context.close()
    assert shifts == {"project/writing/": 0, "reference/boot/": 0}


def test_titles_differ(visits: dict[str, Visit]) -> None:
    """Every page has a title, and no two have the same."""
    titles = [visit.title for visit in visits.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


def test_search_finds_and_highlights(page: Page, address: str) -> None:
    """The search box finds `remember`, completes a word begun, and the page found shows where the word is."""
    page.goto(address)
    box = page.locator(".md-search__input")
    box.click()
    box.press_sequentially("rememb")
    page.locator("[data-md-component=search-suggest]", has_text="remember").wait_for(state="attached")
    box.press("ArrowRight")
    assert box.input_value().startswith("remember")
    box.press("Control+A")
    box.press_sequentially("remember")
    page.locator(".md-search-result__link[href*='h=remember']").first.click()
    page.wait_for_url("**h=remember**")
    page.locator("mark[data-md-highlight]").first.wait_for(state="attached")


def test_colours_can_be_chosen(page: Page, address: str) -> None:
    """The colours follow the system until the reader chooses; the choice lasts for the next page."""
    body = page.locator("body")
    page.emulate_media(color_scheme="dark")
    page.goto(address)
    assert body.get_attribute("data-md-color-scheme") == "slate"
    page.locator("form[data-md-component=rf-palette] label:visible").click()
    assert body.get_attribute("data-md-color-scheme") == "default"
    page.goto(address + "async/caching/")
    assert body.get_attribute("data-md-color-scheme") == "default"
    page.locator("form[data-md-component=rf-palette] label:visible").click()
    assert body.get_attribute("data-md-color-scheme") == "slate"


def test_code_is_copied(page: Page, address: str) -> None:
    """A click copies the code of a block, which is the file that the page shows."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(address)
    shown = read_sections((ROOT / "examples" / "snippets" / "home" / "first.py").read_text())["first"]
    block = page.locator(".language-python.highlight").first
    block.hover()
    block.locator("button[data-md-type=copy]").click()
    page.wait_for_function("navigator.clipboard.readText().then((text) => text.length > 0)")
    assert str(page.evaluate("navigator.clipboard.readText()")).rstrip() == shown


def test_links_load_in_place(page: Page, address: str, site: Path) -> None:
    """A link within the site replaces the text without loading the page anew."""
    sitemap = (site / "sitemap.xml").read_text().replace(f"https://rustforge.github.io{MOUNT}", address)
    page.route("**/sitemap.xml", lambda route: route.fulfill(body=sitemap, content_type="text/xml"))
    page.goto(address, wait_until="networkidle")
    page.evaluate("window.same = true")
    page.locator(".md-tabs__link", has_text="Get started").click()
    page.wait_for_url("**/start/installation/")
    page.locator("h1", has_text="Installation").wait_for()
    assert page.evaluate("window.same") is True


def test_the_keyboard_reaches_the_text_first(page: Page, address: str) -> None:
    """The first press of Tab offers to skip the navigation."""
    page.goto(address + "reference/cache/")
    page.keyboard.press("Tab")
    assert "md-skip" in str(page.evaluate("document.activeElement.className"))


def test_fonts_are_our_own(page: Page, address: str) -> None:
    """Text and code are set in the fonts that the site brings."""
    page.goto(address)
    page.evaluate("document.fonts.ready")
    loaded = page.evaluate("[...document.fonts].filter((font) => font.status === 'loaded').map((font) => font.family)")
    assert {name.strip('"') for name in loaded} >= {"Inter", "JetBrains Mono"}


def test_everything_reads_without_javascript(browser: Browser, address: str, paths: list[str]) -> None:
    """Without JavaScript every page shows its heading, its text and its navigation."""
    context = browser.new_context(java_script_enabled=False, viewport=SIZES["desktop"])
    tab = context.new_page()
    for path in paths:
        tab.goto(address + path)
        assert tab.locator("h1").is_visible(), path
        assert tab.locator("article").inner_text().strip(), path
        assert tab.locator(".md-tabs a").first.is_visible(), path
    context.close()


def test_a_missing_page_says_so(page: Page, address: str) -> None:
    """An address that does not exist shows the site's own page, complete with its navigation."""
    answer = page.goto(address + "no/such/page/")
    assert answer is not None
    assert answer.status == 404
    assert page.locator("h1").inner_text() == "Page not found"
    assert page.locator(".md-tabs a").first.is_visible()
