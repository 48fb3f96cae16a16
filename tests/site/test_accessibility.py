"""The site for everyone: what axe-core finds, the keyboard, less motion, and print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.quality import accessibility
from tools.screens import SIZES, wait_for_script

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

KINDS = ("", "404.html", "start/quick-start/", "project/changelog/", "reference/settings/")
"""A page of each kind. test_pages.py looks at all of them in part, and `make quality ARGS=accessibility` in full."""


def test_pages_of_each_kind_have_none_either_way(browser: Browser, address: str) -> None:
    """By all rules axe finds nothing, on a phone and a desktop, light and dark."""
    assert accessibility.find_violations(browser, address, KINDS) == {}


def test_a_violation_is_found(page: Page, address: str) -> None:
    """The check can fail: what is wrong with a page is listed, in the scheme and on the device where it is wrong."""
    page.add_init_script(
        """addEventListener("DOMContentLoaded", () => {
            document.querySelector("h1").insertAdjacentHTML("afterend", "<img src=x><p style='color: #333'>Dark</p>")
        })"""
    )
    found = dict(accessibility.look(page, f"{address}project/changelog/"))
    assert [one.partition(":")[0] for one in found["phone, light"]] == ["image-alt"]
    assert [one.partition(":")[0] for one in found["phone, dark"]] == ["color-contrast"]


def test_tab_reaches_what_can_be_used(page: Page, address: str) -> None:
    """Tab goes from the skip link through the header to the text, and each stop can be seen."""
    page.goto(f"{address}async/caching/", wait_until="networkidle")
    stops: list[str] = []
    for _ in range(14):
        page.keyboard.press("Tab")
        stops.append(
            page.evaluate(
                """() => {
                    const { activeElement: element } = document
                    const shown = element.matches(".md-option")
                        ? element.parentElement.querySelector("label:not([hidden])") : element
                    const style = getComputedStyle(shown)
                    const marked = style.outlineStyle !== "none" && style.outlineWidth !== "0px"
                    return `${marked || element.matches(".md-search__input")} ${element.className}`
                }"""
            )
        )
    assert stops[0].startswith("true md-skip")
    for name in ("md-logo", "md-option", "md-search__input", "md-source", "md-tabs__link"):
        assert any(name in stop for stop in stops), (name, stops)
    assert [stop for stop in stops if not stop.startswith("true")] == []


def test_the_search_is_used_by_key(page: Page, address: str) -> None:
    """A slash opens the search, arrows and Enter choose, Escape closes it."""
    page.goto(address)
    wait_for_script(page)
    page.keyboard.press("/")
    page.wait_for_function("document.activeElement.matches('.md-search__input')")
    page.keyboard.type("remember")
    page.locator(".md-search-result__link").first.wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("!document.getElementById('__search').checked")
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 10))")  # the theme's timer for the focus is 1 ms
    page.keyboard.press("/")
    page.wait_for_function("document.getElementById('__search').checked")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.activeElement.matches('.md-search-result__link')")
    page.keyboard.press("Enter")
    page.wait_for_url("**h=remember**")


def test_the_drawer_is_used_by_key(page: Page, address: str) -> None:
    """On a phone Enter opens the navigation and Escape closes it; while it is closed, Tab does not go there."""
    page.set_viewport_size(SIZES["phone"])
    page.goto(f"{address}async/caching/", wait_until="networkidle")
    opener = page.locator(".md-header__button[for=__drawer]")
    opener.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.getElementById('__drawer').checked")
    page.locator(".md-sidebar--primary .md-nav__link:visible").first.wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("!document.getElementById('__drawer').checked")
    assert opener.evaluate("element => element === document.activeElement")
    page.wait_for_function(
        "!document.querySelector('.md-sidebar--primary a').checkVisibility({ visibilityProperty: true })"
    )


def test_names_explain_themselves_on_focus(page: Page, address: str) -> None:
    """A linked name shows what it stands for when it has the focus, as for the pointer; Escape hides it."""
    page.goto(f"{address}async/caching/", wait_until="networkidle")
    name = page.locator(".highlight a[title]", has_text="remember").first
    tip = page.locator("[role=tooltip]")
    title = name.get_attribute("title")
    name.evaluate("element => element.focus()")
    assert tip.inner_text() == title
    assert page.evaluate("document.activeElement.getAttribute('aria-describedby')") == tip.get_attribute("id")
    page.keyboard.press("Escape")
    tip.wait_for(state="detached")
    name.hover()
    assert tip.inner_text() == title
    tip.hover()
    assert tip.is_visible()
    page.mouse.move(0, 0)
    tip.wait_for(state="detached")
    assert name.get_attribute("title") == title


def test_wide_tables_scroll_by_key(page: Page, address: str) -> None:
    """A table that is wider than a phone takes the focus, so that arrows scroll it; one that fits does not."""
    page.set_viewport_size(SIZES["phone"])
    page.goto(f"{address}start/testing/", wait_until="networkidle")
    page.locator(".md-typeset__scrollwrap[tabindex]").first.wait_for(state="attached")
    page.set_viewport_size({"width": 2400, "height": 900})
    page.locator(".md-typeset__scrollwrap[tabindex]").first.wait_for(state="detached")


def test_nothing_moves_for_who_asks_for_that(page: Page, address: str) -> None:
    """With less motion asked for, nothing is animated, eased or scrolled to slowly."""
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{address}async/caching/")
    moving = page.evaluate(
        """() => [document.documentElement, ...document.body.querySelectorAll("*")].filter((element) =>
            ["", "::before", "::after"].some((part) => {
                const style = getComputedStyle(element, part)
                const eased = style.transitionProperty !== "none" && parseFloat(style.transitionDuration) > 0
                return eased || style.animationName !== "none" || style.scrollBehavior === "smooth"
            })).map((element) => element.outerHTML.slice(0, 80))"""
    )
    assert moving == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_print_is_for_paper(page: Page, address: str, scheme: str) -> None:
    """On paper there is the text, black on white, with where links lead and no navigation; code wraps."""
    page.emulate_media(media="print", color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{address}project/contributing/")
    page.wait_for_selector("body[data-md-color-scheme]")
    for part in (".md-header", ".md-tabs", ".md-sidebar", ".md-footer", ".headerlink", ".md-content__button"):
        assert not page.locator(part).first.is_visible(), part
    look = page.evaluate(
        """() => {
            const of = (element, name) => getComputedStyle(element)[name]
            const code = document.querySelector("article pre > code")
            const link = document.querySelector("article :is(p, td) > a[href^='http']")
            return {
                ground: of(document.body, "backgroundColor"),
                text: of(document.querySelector("article"), "color"),
                code: [of(code, "backgroundColor"), of(code, "color"), of(code, "whiteSpace")],
                address: getComputedStyle(link, "::after").content,
            }
        }"""
    )
    white, black = "rgb(255, 255, 255)", "rgb(0, 0, 0)"
    assert look["ground"] in {white, "rgba(0, 0, 0, 0)"}
    assert look["text"] == black
    assert look["code"] == [white, black, "pre-wrap"]
    assert "http" in look["address"]


def test_the_navigation_needs_no_script(browser: Browser, address: str) -> None:
    """Without JavaScript a phone's drawer opens and leads on."""
    context = browser.new_context(java_script_enabled=False, viewport=SIZES["phone"])
    tab = context.new_page()
    tab.goto(f"{address}start/installation/")
    tab.locator(".md-header__button[for=__drawer]").click()
    tab.locator(".md-sidebar--primary a:visible", has_text="Quick start").click()
    tab.wait_for_url("**/start/quick-start/")
    context.close()
