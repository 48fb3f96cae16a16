"""Take screenshots of the built site, for our own eyes: on a phone and a desktop, light and dark.

python -m tools.screens OUT [--site site] [--full] [page ...]      # a page is its path: async/caching/
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from tools.browser import open_browser, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

SIZES: dict[str, ViewportSize] = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1440, "height": 900}}
Scheme: TypeAlias = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def use_scheme(tab: Page, scheme: Scheme) -> None:
    """Ask a page for a colour scheme, and wait until it has it."""
    tab.emulate_media(color_scheme=scheme)
    tab.wait_for_selector(f"body[data-md-color-scheme={'slate' if scheme == 'dark' else 'default'}]")


def wait_for_script(tab: Page) -> None:
    """Wait until the theme's script has run, and answers keys."""
    tab.wait_for_function("window.component$")


def main() -> None:
    """Take the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tools.screens", description=__doc__)
    parser.add_argument("out", type=Path, help="the folder for the pictures")
    parser.add_argument("pages", nargs="*", default=[""], help="paths below the site's address; the home page if none")
    parser.add_argument("--site", type=Path, default=Path("site"), help="the built site")
    parser.add_argument("--full", action="store_true", help="the whole page, not only what the first screen shows")
    options = parser.parse_intermixed_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with serve(options.site) as address, open_browser() as browser:
        for device, size in SIZES.items():
            for scheme in SCHEMES:
                page = browser.new_page(viewport=size, color_scheme=scheme)
                for path in options.pages:
                    page.goto(address + path)
                    page.evaluate("document.fonts.ready")
                    name = path.strip("/").replace("/", "-").replace("#", "-") or "home"
                    page.screenshot(path=options.out / f"{name}.{device}.{scheme}.png", full_page=options.full)
                page.close()


if __name__ == "__main__":
    main()
