"""What axe-core finds wrong with the pages: each on a phone and a desktop, light and dark.

A page is loaded once and looked at four times. The first time every rule runs; then those whose answer can change with
the colours or the width.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from tools.browser import open_browser, serve
from tools.published import paths_of
from tools.quality.results import Row
from tools.screens import SCHEMES, SIZES, use_scheme, wait_for_script

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Browser, Page

TITLE = "For everyone"
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
VERSION = AXE[: AXE.index("\n")].removeprefix("/*! axe v")
SLOW = ("color-contrast", "link-in-text-block")
CHANGING = (*SLOW, "aria-hidden-focus", "scrollable-region-focusable", "target-size")
"""The rules whose answer depends on the colours or the width."""

# What is far down is laid out, too, and nothing moves.
_STILL = """*, ::before, ::after {
    animation: none !important;
    content-visibility: visible !important;
    transition: none !important;
}"""
_RUN = """async ([only, without]) => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
    const off = Object.fromEntries(without.map((rule) => [rule, { enabled: false }]))
    const found = await axe.run({
        ...(only.length ? { runOnly: only } : { rules: { "target-size": { enabled: true }, ...off } }),
        preload: false,
        resultTypes: ["violations"],
        selectors: false,
    })
    return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)}`))
}"""


def _prepare(tab: Page) -> None:
    wait_for_script(tab)
    tab.add_style_tag(content=_STILL)
    tab.evaluate(AXE)


def look_quickly(tab: Page) -> list[str]:
    """List what is wrong with the page as it is shown, by the rules that are quick; nothing of it moves any more."""
    _prepare(tab)
    found: list[str] = tab.evaluate(_RUN, [[], SLOW])
    return found


def look(tab: Page, url: str) -> Iterator[tuple[str, list[str]]]:
    """Open a page and give, for each device and scheme, what is wrong with it there."""
    tab.set_viewport_size(SIZES["phone"])
    tab.emulate_media(color_scheme="light")
    tab.goto(url)
    _prepare(tab)
    rules: tuple[str, ...] = ()
    for device, size in SIZES.items():
        tab.set_viewport_size(size)
        for scheme in SCHEMES:
            use_scheme(tab, scheme)
            yield f"{device}, {scheme}", tab.evaluate(_RUN, [rules, []])
            rules = CHANGING


def find_violations(browser: Browser, address: str, paths: Sequence[str]) -> dict[str, list[str]]:
    """Look at pages, and give what is wrong by page, device and scheme."""
    tab = browser.new_page()
    found = {f"{path} ({how})": wrong for path in paths for how, wrong in look(tab, address + path)}
    tab.context.close()
    return {where: wrong for where, wrong in found.items() if wrong}


def measure(site: Path) -> list[Row]:
    """Look at every page of the site."""
    paths = paths_of(site)
    with serve(site) as address, open_browser() as browser:
        found = find_violations(browser, address, paths)
    for where, wrong in found.items():
        print(where, *wrong, sep="\n  ")
    what = f"Violations that axe-core {VERSION} finds on {len(paths)} pages, on a phone and a desktop, light and dark"
    count = sum(map(len, found.values()))
    return [Row(what, str(count), "0", reached=not count)]
