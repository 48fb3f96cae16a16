"""Whether the addresses that were published still lead somewhere: pages, and anchors of headings and terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools import published, redirects
from tools.quality.results import Row

if TYPE_CHECKING:
    from pathlib import Path

TITLE = "Addresses that stay"


def measure(site: Path) -> list[Row]:
    """Look for each published address in the built site and among the redirects."""
    before = published.load(published.LIST.read_text())
    gone = published.missing(before, published.addresses_of(site), redirects.read())
    count = len(before) + sum(map(len, before.values()))
    return [
        Row("Published pages and anchors", f"{count:,}"),
        Row("Of them gone, without a redirect", str(len(gone)), "0", reached=not gone),
    ]
