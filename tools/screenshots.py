"""Take the screenshots that the pages show, of the demo as it runs, light and dark: `make screenshots`.

python -m tools.screenshots

They go to `docs/assets/images/`, as WebP, and a digest of what they were made from is kept: a test fails when that
has changed since. Times and ids, which differ from run to run, are replaced.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tools.browser import open_browser
from tools.screens import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page, ViewportSize

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "assets" / "images"
DIGEST = ROOT / "docs" / "includes" / "screenshots.txt"
SOURCES = ("examples/shop/demo/outside.py", "examples/shop/demo/page.html", "tools/screenshots.py")
SIZE: ViewportSize = {"width": 800, "height": 600}
SCALE = 1
"""Of a pixel of the page: more would make the page that shows them too heavy for a phone."""

# Before the page's own script: its times, and what a browser does not do twice in the same way.
_STEADY = """
Date.prototype.toLocaleTimeString = () => "12:00:00";
addEventListener("DOMContentLoaded", () => document.head.append(Object.assign(document.createElement("style"), {
  textContent: `@font-face { font-family: Steady; src: url(data:font/woff2;base64,FONT); font-weight: 100 900 }
    :root { font-family: Steady, sans-serif !important } ::-webkit-scrollbar { display: none }
    * { animation: none !important; transition: none !important; caret-color: transparent !important }`})));
"""
# The first letters of an order's id, wherever they stand, by the order in which they are met.
_IDS = """() => {
const names = ["5f0c2a91", "b7d41e08", "20e6c35d"], seen = new Map();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replace(/\\b[0-9a-f]{8}\\b/g, (id) => {
  if (!seen.has(id)) seen.set(id, names[seen.size % names.length]);
  return seen.get(id);
});
}"""
_STOP = "() => { document.activeElement.blur(); Object.defineProperty(document, 'hidden', { value: true }) }"


def digest(root: Path = ROOT) -> str:
    """Name what the pictures are made from."""
    return hashlib.sha256(b"\0".join((root / source).read_bytes() for source in SOURCES)).hexdigest()[:16]


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo in a process of its own, and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "examples"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "shop.demo", "--port", str(port)]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout
        try:
            opened = re.search(r"http://\S+", process.stdout.readline())
            assert opened, "the demo did not start"
            yield opened[0]
        finally:
            process.terminate()


def _place(page: Page) -> None:
    """Place an order as a visitor does."""
    page.locator("input[name=lamp]").fill("1")
    page.get_by_role("button", name="Place the order").click()


def _wait(page: Page, orders: int, counts: str) -> None:
    """Wait until the page shows that much."""
    page.locator("#counts", has_text=counts).wait_for(timeout=60_000)
    page.locator("#orders b").nth(orders - 1).wait_for()


def _placed(page: Page) -> None:
    """One order, and what came of it."""
    _place(page)
    _wait(page, 1, "4 sent, 0 pending, 0 failed")
    page.locator("#arrived .pill.ok").nth(1).wait_for()


def _failing(page: Page) -> None:
    """A second one, while the mail server refuses mail."""
    _placed(page)
    page.get_by_label("The mail server refuses mail").check()
    _place(page)
    _wait(page, 2, "7 sent, 0 pending, 1 failed")
    page.locator(".last").evaluate("(last) => { last.style.display = 'none' }")  # where nothing fails


SCENES: dict[str, Callable[[Page], None]] = {"shop-placed": _placed, "shop-failing": _failing}


def take(browser: Browser, scene: str) -> dict[str, Image.Image]:
    """Play a scene in a demo of its own, and take its picture in each scheme."""
    font = base64.b64encode((ROOT / "docs" / "assets" / "fonts" / "inter.woff2").read_bytes()).decode()
    pictures: dict[str, Image.Image] = {}
    with demo() as address:
        page = browser.new_page(viewport=SIZE, device_scale_factor=SCALE, reduced_motion="reduce")
        page.add_init_script(_STEADY.replace("FONT", font))
        page.goto(address)
        page.locator("#live.on").wait_for()
        SCENES[scene](page)
        page.evaluate(_STOP)
        page.wait_for_function("!busy")  # from here on it does not refresh
        page.evaluate(_IDS)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            pictures[scheme] = Image.open(io.BytesIO(page.screenshot(full_page=True)))
        page.context.close()
    return pictures


def main() -> None:
    """Take all of them."""
    with open_browser() as browser:
        for scene in SCENES:
            for scheme, picture in take(browser, scene).items():
                file = FOLDER / f"{scene}-{scheme}.webp"
                picture.convert("RGB").save(file, quality=70, method=6)
                print(f"{file.relative_to(ROOT)}: {picture.width} x {picture.height}, {file.stat().st_size} bytes")
    DIGEST.write_text(digest() + "\n")


if __name__ == "__main__":
    main()
