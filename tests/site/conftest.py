"""The site, built strictly once, behind a file server and in front of a real browser."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools import machine_readable
from tools.browser import find_chromium, open_browser, serve
from tools.published import paths_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests the time that a build, a browser and many programs take on a busy machine."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site into a folder of its own; any warning of MkDocs fails every test that looks at it.

    Where `make test` has just built one, strictly as well, it is that one.
    """
    built = os.environ.get("RUSTFORGE_SITE", "")
    if built and (Path(built) / "changelog.xml").exists():  # which is written last
        return Path(built)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    machine_readable.write(folder)
    return folder


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Serve the built site as a plain file server does, below the folder it has on its host."""
    with serve(site) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium for a file of tests; no longer, as no async test can run in the process meanwhile."""
    if find_chromium() is None:
        pytest.skip("NO BROWSER: install Chromium or set CHROMIUM, else nobody has looked at the site")
    with open_browser() as chromium:
        yield chromium


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open an empty tab on a desktop."""
    tab = browser.new_page(viewport={"width": 1280, "height": 800})
    yield tab
    tab.context.close()


@pytest.fixture(scope="session")
def paths(site: Path) -> list[str]:
    """List every page of the site by its address below the site's own; not those that lead to others."""
    found = paths_of(site)
    assert "" in found
    assert "async/caching/" in found
    return found
