"""The screenshots: made from the demo as it is, shown in both schemes, small, and described in words."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tools.screens import SCHEMES
from tools.screenshots import DIGEST, FOLDER, SCALE, SCENES, SIZE, digest, take

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser


def test_screenshots_are_fresh() -> None:
    """Nothing that they are made from has changed since they were."""
    assert DIGEST.read_text().strip() == digest(), "run: make screenshots"


@pytest.mark.parametrize("scene", SCENES)
def test_a_screenshot_is_shown_in_both_schemes(site: Path, scene: str) -> None:
    """A page shows it light and dark, with its size, loaded when it is needed, and says what there is to see."""
    pages = [file.read_text() for file in site.rglob("index.html")]
    for scheme in SCHEMES:
        file = FOLDER / f"{scene}-{scheme}.webp"
        assert file.stat().st_size < 60_000
        tags = {tag for page in pages for tag in re.findall(rf"<img [^>]*{file.name}#only-{scheme}[^>]*>", page)}
        assert len(tags) == 1, f"{file.name} is shown in {len(tags)} ways"
        found = dict(re.findall(r'([\w-]+)="([^"]*)"', unescape(tags.pop())))
        with Image.open(file) as picture:
            assert (int(found["width"]), int(found["height"])) == (SIZE["width"], round(picture.height / SCALE))
        assert found["loading"] == "lazy"
        assert len(found["alt"]) > 40


def test_the_demo_can_be_pictured(browser: Browser) -> None:
    """A scene is played in the demo of today, and its picture is as large as the one that is shown."""
    pictures = take(browser, "shop-placed")
    assert set(pictures) == set(SCHEMES)
    for scheme, picture in pictures.items():
        with Image.open(FOLDER / f"shop-placed-{scheme}.webp") as kept:
            assert picture.width == kept.width
            assert abs(picture.height - kept.height) < kept.height / 10  # other machines have other fonts
