"""`tools.serve`: it answers at once, goes on answering while a build runs, and survives a page that is wrong."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tools import serve
from tools.serve import Server, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONFIG = "site_name: Test\ntheme: mkdocs\nplugins: []\nvalidation: {links: {not_found: warn}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project of one page, built once."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# First\n")
    (tmp_path / "mkdocs.yml").write_text(CONFIG)
    build(tmp_path / "mkdocs.yml", tmp_path / "site", "http://127.0.0.1/")
    return tmp_path


@contextmanager
def serving(project: Path) -> Iterator[str]:
    """Serve a project on a free port, as `main` does."""
    server = Server(project / "mkdocs.yml", project / "site", 0)
    server.watch(str(project / "docs"))
    thread = threading.Thread(target=server.serve)
    thread.start()
    wait_until(lambda: server.server_address[1] != 0)
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown(wait=True)
        thread.join()


def wait_until(done: Callable[[], object], seconds: float = 10) -> None:
    """Ask again until it is so."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read(url: str) -> str:
    """Get a page; nothing in the moment in which one build takes the place of another."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as missing:
        missing.close()
        if missing.code != 404:
            raise
        return ""


def test_the_last_build_is_shown_while_a_new_one_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is answered at once although a build is running, and is the new one when that is done."""
    running, go_on = threading.Event(), threading.Event()

    def slow(config_file: Path, site: Path, url: str) -> None:
        running.set()
        assert go_on.wait(10)
        build(config_file, site, url)

    monkeypatch.setattr(serve, "build", slow)
    (project / "docs" / "index.md").write_text("# Second\n")
    with serving(project) as url:
        assert running.wait(10)
        assert "First" in read(url)
        go_on.set()
        wait_until(lambda: "Second" in read(url))


def test_a_wrong_page_leaves_the_last_good_build(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A build that fails is named in the log and changes nothing; the next good one is shown."""
    page = project / "docs" / "index.md"
    with serving(project) as url:
        wait_until(lambda: "Reloading" in caplog.text or "First" in read(url))
        page.write_text("# Third\n\n[nowhere](nowhere.md)\n")
        wait_until(lambda: "The site was not built" in caplog.text)
        assert "First" in read(url)
        page.write_text("# Fourth\n")
        wait_until(lambda: "Fourth" in read(url))


def test_a_build_that_fails_leaves_no_half_of_it(project: Path) -> None:
    """A build takes the place of the last one only when it is whole."""
    (project / "docs" / "index.md").write_text("[nowhere](nowhere.md)\n")
    with pytest.raises(SystemExit):
        build(project / "mkdocs.yml", project / "site", "http://127.0.0.1/")
    assert "First" in (project / "site" / "index.html").read_text()


def test_without_a_build_to_show_a_wrong_page_ends_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start, with nothing to show yet and a page that is wrong, ends with a failure."""
    (project / "docs" / "index.md").write_text("[nowhere](nowhere.md)\n")
    monkeypatch.setattr(serve, "ROOT", project)
    with pytest.raises(SystemExit) as ended:
        serve.main(["--port", "0"])
    assert ended.value.code == 1
