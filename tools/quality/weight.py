"""What the first visit to each page costs: every byte that comes over the wire, and how far the text moves.

The site is served compressed, as on its host. Each page is opened with the screen of a phone, in a Chromium that keeps
nothing of the page before, until it asks for nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.browser import open_browser, serve
from tools.published import paths_of
from tools.quality.results import Row
from tools.screens import SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

TITLE = "Weight"
LIMIT = 150_000

_SHIFT = """window.shift = 0
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.shift += entry.value
}).observe({ type: "layout-shift", buffered: true })"""


class Scale:
    """Weighs what a tab loads, each page as for somebody who was never here."""

    def __init__(self, tab: Page) -> None:
        """Watch a tab."""
        self._tab = tab
        self._urls: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        tab.add_init_script(_SHIFT)
        session = tab.context.new_cdp_session(tab)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        session.on("Network.requestWillBeSent", self._ask)
        session.on("Network.loadingFinished", self._finish)

    def _ask(self, event: dict[str, Any]) -> None:
        self._urls[event["requestId"]] = event["request"]["url"]

    def _finish(self, event: dict[str, Any]) -> None:
        self._sizes[event["requestId"]] = event["encodedDataLength"]

    def clear(self) -> None:
        """Forget the page before."""
        self._urls.clear()
        self._sizes.clear()

    def sizes(self) -> dict[str, int]:
        """Give what came over the wire, by address: bytes, with headers."""
        urls = ((url, self._sizes.get(request, 0)) for request, url in self._urls.items())
        return {url: size for url, size in urls if not url.startswith("data:")}

    def shift(self) -> float:
        """Give the Cumulative Layout Shift of the page until now."""
        return float(self._tab.evaluate("shift"))


def measure(site: Path) -> list[Row]:
    """Visit every page."""
    paths = paths_of(site)
    totals: dict[str, int] = {}
    shift = 0.0
    with serve(site) as address, open_browser() as browser:
        tab = browser.new_page(viewport=SIZES["phone"])
        scale = Scale(tab)
        foreign: set[str] = set()
        for path in paths:
            scale.clear()
            tab.goto(address + path, wait_until="networkidle")
            totals[path] = sum(scale.sizes().values())
            shift = max(shift, scale.shift())
            foreign |= {url for url in scale.sizes() if not url.startswith(address)}
    heaviest = max(totals, key=lambda path: totals[path])
    median = sorted(totals.values())[len(totals) // 2]
    return [
        Row(
            f"Heaviest first view of {len(paths)} pages, compressed, with fonts and scripts",
            f"{totals[heaviest] / 1000:.0f} KB",
            "150 KB",
            reached=totals[heaviest] <= LIMIT,
            note=f"`{heaviest}`; the median is {median / 1000:.0f} KB.",
        ),
        Row("Requests to another host", str(len(foreign)), "0", reached=not foreign),
        Row("Largest layout shift while a page loads", f"{shift:.3f}", "0.000", reached=not shift),
    ]
