"""What the first visit to each page costs: every byte that comes over the wire, and how far the text moves.

The site is served compressed, as on its host. Each page is opened in a Chromium that has seen no other, with the screen
of a phone; it is left alone until nothing is asked for any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tools.browser import open_browser, serve
from tools.quality.results import Row
from tools.screens import SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

TITLE = "Weight"
LIMIT = 150_000

_SHIFT = """window.shift = 0
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.shift += entry.value
}).observe({ type: "layout-shift", buffered: true })"""


@dataclass(frozen=True)
class Visit:
    """A first visit to a page.

    Attributes:
        path: The page, below the site's address.
        sizes: What came over the wire, by address, in bytes with headers.
        shift: How far the layout shifted: Cumulative Layout Shift, over the whole visit.
    """

    path: str
    sizes: dict[str, int]
    shift: float

    @property
    def total(self) -> int:
        """All bytes together."""
        return sum(self.sizes.values())


def visit(browser: Browser, address: str, path: str) -> Visit:
    """Open a page as somebody who was never here."""
    context = browser.new_context(viewport=SIZES["phone"])
    context.add_init_script(_SHIFT)
    tab = context.new_page()
    session = context.new_cdp_session(tab)
    session.send("Network.enable")
    urls: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def asked(event: dict[str, str | dict[str, str]]) -> None:
        request = event["request"]
        assert isinstance(request, dict)
        urls[str(event["requestId"])] = request["url"]

    session.on("Network.requestWillBeSent", asked)
    session.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    tab.goto(address + path, wait_until="networkidle")
    tab.wait_for_selector("html.js")
    shift = float(tab.evaluate("shift"))
    context.close()
    return Visit(path, {url: sizes.get(id_, 0) for id_, url in urls.items() if not url.startswith("data:")}, shift)


def measure(site: Path) -> list[Row]:
    """Visit every page."""
    paths = sorted(file.relative_to(site).as_posix().removesuffix("index.html") for file in site.rglob("*.html"))
    with serve(site) as address, open_browser() as browser:
        visits = [visit(browser, address, path) for path in paths]
    host = urlsplit(address).netloc
    totals = sorted(one.total for one in visits)
    heaviest = max(visits, key=lambda one: one.total)
    foreign = sum(urlsplit(url).netloc != host for one in visits for url in one.sizes)
    shift = max(one.shift for one in visits)
    return [
        Row(
            f"Heaviest first view of {len(visits)} pages, compressed, with fonts and scripts",
            f"{heaviest.total / 1000:.0f} KB",
            "150 KB",
            reached=heaviest.total <= LIMIT,
            note=f"`{heaviest.path}`; the median is {totals[len(totals) // 2] / 1000:.0f} KB.",
        ),
        Row("Requests to another host", str(foreign), "0", reached=not foreign),
        Row("Largest layout shift while a page loads", f"{shift:.3f}", "0.000", reached=not shift),
    ]
