"""`tools.screens`: pictures of pages in every size and scheme."""

from __future__ import annotations

import struct
from contextlib import nullcontext
from typing import TYPE_CHECKING

from tools import screens

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from playwright.sync_api import Browser


def test_a_picture_of_each_size_and_scheme(
    browser: Browser, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One page makes four pictures, each as wide as its screen."""
    monkeypatch.setattr("sys.argv", ["screens", str(tmp_path), "--site", str(site), "async/caching/"])
    monkeypatch.setattr(screens, "open_browser", lambda: nullcontext(browser))
    screens.main()
    widths = {file.name: struct.unpack(">I", file.read_bytes()[16:20])[0] for file in tmp_path.iterdir()}
    assert widths == {
        "async-caching.desktop.dark.png": 1440,
        "async-caching.desktop.light.png": 1440,
        "async-caching.phone.dark.png": 390,
        "async-caching.phone.light.png": 390,
    }
