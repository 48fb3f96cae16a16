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
from tools.serve import Preview, Server, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONFIG = """
site_name: Test
theme: mkdocs
plugins: []
validation: {links: {not_found: warn}}
markdown_extensions: [pymdownx.snippets: {base_path: [%s], check_paths: true}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project of two pages, one of which shows an example, built once."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# First\n")
    (tmp_path / "docs" / "other.md").write_text('# Other\n\n--8<-- "shown.py"\n')
    (tmp_path / "shown.py").write_text("print(1)\n")
    (tmp_path / "mkdocs.yml").write_text(CONFIG % tmp_path)
    build(tmp_path / "mkdocs.yml", tmp_path / "site", "http://127.0.0.1/")
    return tmp_path


@contextmanager
def serving(project: Path) -> Iterator[str]:
    """Serve a project on a free port, as `main` does."""
    server = Server(project / "mkdocs.yml", project / "site", 0)
    for source in ("docs", "shown.py", "mkdocs.yml"):
        server.watch(str(project / source))
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

    def slow(config_file: Path, site: Path, url: str) -> Preview:
        running.set()
        assert go_on.wait(10)
        return build(config_file, site, url)

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


def test_an_edit_makes_only_the_pages_again_that_it_touches(project: Path) -> None:
    """A page, or the page that shows a file, is made again from what is in memory; a template asks for the whole."""
    preview = build(project / "mkdocs.yml", project / "site", "http://127.0.0.1/")
    index, other = project / "site" / "index.html", project / "site" / "other" / "index.html"
    before = other.stat().st_mtime_ns
    (project / "docs" / "index.md").write_text("# Second\n")
    assert preview.refresh({project / "docs" / "index.md"})
    assert "Second" in index.read_text()
    assert other.stat().st_mtime_ns == before
    (project / "shown.py").write_text("print(2)\n")
    assert preview.refresh({project / "shown.py"})
    assert "print(2)" in other.read_text()
    (project / "docs" / "new.md").write_text("# New\n")
    assert not preview.refresh({project / "docs" / "new.md"})
    assert not preview.refresh({project / "mkdocs.yml"})


def test_the_whole_is_built_behind_an_edit(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once an edit is shown, the whole site is made by another process, strictly."""
    caplog.set_level("INFO")
    with serving(project) as url:
        wait_until(lambda: "Reloading" in caplog.text)
        (project / "docs" / "index.md").write_text("# Fifth\n")
        wait_until(lambda: "Fifth" in read(url))
        wait_until(lambda: "The whole site was built" in caplog.text, 60)
        assert "Fifth" in read(url)


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
