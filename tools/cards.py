"""Draw the picture that stands beside a link to a page where people share it (Open Graph), with our own fonts."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SIZE", "draw", "path_of", "save"]

SIZE = (1200, 630)
"""Width and height in pixels, as Open Graph's readers have it."""

_ASSETS = Path(__file__).resolve().parent.parent / "docs" / "assets"
_FONT = _ASSETS / "fonts" / "inter.woff2"
_LOGO = _ASSETS / "images" / "logo.png"
_MARGIN = 80
_IRON, _WHITE, _GREY, _EMBER = "#22262e", "#ffffff", "#c3c7cf", "#ff9a55"
_COLOURS = 64


def path_of(folder: str) -> str:
    """Name the picture of a page, below the site's own folder.

    Args:
        folder: The page's folder, such as `async/caching/`.
    """
    return f"assets/cards/{folder.strip('/').replace('/', '-') or 'index'}.png"


def save(file: Path, *words: str, cache: Path) -> None:
    """Draw a card into a file, unless the same was drawn before.

    Args:
        file: Where it goes.
        words: The arguments of `draw`.
        cache: Where those that were drawn are kept.
    """
    parts = [Path(__file__).read_bytes(), _FONT.read_bytes(), _LOGO.read_bytes(), "\0".join(words).encode()]
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    kept = cache / f"{digest}.png"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        draw(*words).save(kept, optimize=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept, file)


def draw(section: str, title: str, description: str, place: str) -> Image.Image:
    """Draw a card.

    Args:
        section: The part of the site.
        title: The page's title; at most two lines of it are shown.
        description: What the page is about; at most four lines of it are shown.
        place: Where the site is.
    """
    card = Image.new("RGB", SIZE, _IRON)
    pen = ImageDraw.Draw(card)
    pen.rectangle((0, 0, 16, SIZE[1]), fill=_EMBER)
    height = float(_MARGIN)
    if section:
        pen.text((_MARGIN, height), section.upper(), _EMBER, _font(28, "SemiBold"))
        height += 56
    height = _write(pen, title, height, _font(76, "Bold"), _WHITE, most=2)
    _write(pen, description, height + 24, _font(34, "Regular"), _GREY, most=4)
    with Image.open(_LOGO) as opened:
        logo = opened.convert("RGBA").resize((56, 56), Image.Resampling.LANCZOS)
    base = SIZE[1] - _MARGIN - 40
    card.paste(logo, (_MARGIN, base), logo)
    pen.text((_MARGIN + 76, base + 10), f"Rustforge · {place}", _GREY, _font(28, "Medium"))
    return card.quantize(_COLOURS)


def _font(size: int, weight: str) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(str(_FONT), size)
    font.set_variation_by_name(weight)
    return font


def _write(
    pen: ImageDraw.ImageDraw, text: str, height: float, font: ImageFont.FreeTypeFont, colour: str, *, most: int
) -> float:
    """Write lines, and return where the next one goes."""
    lines = list(_wrap(" ".join(text.split()), font))
    if len(lines) > most:
        lines = [*lines[: most - 1], re.sub(r"\W*(\w+\W*)?$", "…", lines[most - 1], count=1)]
    for line in lines:
        pen.text((_MARGIN, height), line, colour, font)
        height += font.size * 1.3
    return height


def _wrap(text: str, font: ImageFont.FreeTypeFont) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > SIZE[0] - 2 * _MARGIN:
            yield line
            longer = word
        line = longer
    yield line
