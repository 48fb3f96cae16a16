"""Versions of the site on the branch that is served: the selector, the banner, the redirects, and the way back."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from mkdocs.config import load_config

from tests.site.conftest import ROOT
from tools import publish, rollback
from tools.browser import MOUNT, serve
from tools.quality.accessibility import find_violations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mkdocs.config.defaults import MkDocsConfig
    from playwright.sync_api import Browser, Page

HOME = f"https://rustforge.github.io{MOUNT}"


class Repository:
    """A working copy of two pages, dressed as the site is."""

    def __init__(self, folder: Path) -> None:
        """Create it, with a first commit."""
        self.folder = folder
        self.docs = folder / "docs"
        self.docs.mkdir(parents=True)
        shutil.copytree(ROOT / "docs" / "assets", self.docs / "assets")
        self.write("index.md", "Home")
        self.write("async/caching.md", "Caching")
        for command in ("init --quiet", "config user.name Tester", "config user.email tester@example.com"):
            self.git(*command.split())
        self.git("commit", "--quiet", "--allow-empty", "-m", "First")

    def git(self, *arguments: str) -> str:
        """Run git."""
        done = subprocess.run(["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, path: str, title: str) -> None:
        """Write a page."""
        file = self.docs / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"---\ntitle: {title}\n---\n\n# {title}\n\n## Part\n\nThe words.\n")

    def load(self, **changes: Any) -> MkDocsConfig:
        """Load the site's configuration, cut to what is fast."""
        nav = [path.relative_to(self.docs).as_posix() for path in sorted(self.docs.rglob("*.md"), reverse=True)]
        cut: dict[str, Any] = {
            "docs_dir": str(self.docs),
            "nav": nav,
            "plugins": ["search"],
            "markdown_extensions": ["toc"],
        }
        return load_config(str(ROOT / "mkdocs.yml"), **cut, **changes)

    def publish(self, version: str) -> None:
        """Publish these pages."""
        publish.publish(version, self.load, lambda _: None)

    def checkout(self, folder: Path) -> Path:
        """Give the files that are served."""
        self.git("worktree", "add", "--quiet", "--detach", str(folder), "gh-pages")
        return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """Publish what is developed, two releases, and a correction of the first."""
    made = Repository(tmp_path_factory.mktemp("repository") / "work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        made.publish("dev")
        made.publish("0.9.0")
        made.write("async/jobs.md", "Jobs")
        made.publish("0.10.0")
        (made.docs / "async/jobs.md").unlink()
        made.publish("0.9.1")
        yield made


@pytest.fixture(scope="module")
def served(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the branch."""
    with serve(repository.checkout(tmp_path_factory.mktemp("served") / "site")) as url:
        yield url


@pytest.fixture
def quiet(page: Page, served: str) -> Iterator[Page]:
    """Open a tab in which nothing may fail, and no other host be asked."""
    seen: list[str] = []
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("console", lambda message: seen.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: None if request.url.startswith(served) else seen.append(request.url))
    yield page
    assert seen == []


def test_the_versions_are_listed(repository: Repository) -> None:
    """Before the first release the newest is what is developed; then it is the highest release, whatever came last."""
    first, last = (
        {
            one["version"]: (one["title"], one["aliases"])
            for one in json.loads(repository.git("show", f"{at}:versions.json"))
        }
        for at in ("gh-pages~3", "gh-pages")
    )
    assert first == {"dev": ("dev", ["latest"])}
    assert last == {"dev": ("dev", []), "0.10": ("0.10.0", ["latest"]), "0.9": ("0.9.1", [])}
    assert list(last) == ["dev", "0.10", "0.9"]
    assert repository.git("rev-list", "--count", "gh-pages") == "4"
    assert repository.git("log", "-1", "--format=%s", "gh-pages").startswith("Publish 0.9.1 from ")
    assert repository.git("for-each-ref", "--format=%(refname)", "refs/heads/gh-pages-draft") == ""


@pytest.mark.parametrize(("path", "target"), [("", "latest/"), ("async/jobs/#part", "latest/async/jobs/#part")])
def test_addresses_without_a_version_lead_to_the_newest(quiet: Page, served: str, path: str, target: str) -> None:
    """So do links that are as old as the first publication."""
    quiet.goto(served + path)
    quiet.wait_for_url(served + target)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("0.9", "This page describes Rustforge 0.9, which is not the newest release."),
        ("dev", "This page describes the development version, which is not released."),
        ("0.10", ""),
    ],
)
def test_the_banner(quiet: Page, served: str, version: str, words: str) -> None:
    """It stands on all versions but the newest, and leads to the same page of that."""
    quiet.goto(f"{served}{version}/async/caching/")
    quiet.locator(".md-version").wait_for()
    banner = quiet.locator("[data-md-component=outdated]")
    assert banner.is_visible() == bool(words)
    if words:
        assert " ".join(banner.inner_text().split()).startswith(words)
        banner.get_by_role("link").click()
        quiet.wait_for_url(f"{served}latest/async/caching/")
        assert not quiet.locator("[data-md-component=outdated]").is_visible()


def test_the_selector_by_keyboard(quiet: Page, served: str) -> None:
    """It lists each version, opens where the focus is, and leads to the same page and section of another one."""
    quiet.goto(f"{served}0.9/async/caching/#part")
    button = quiet.get_by_role("button", name="Select version")
    button.wait_for()
    for _ in range(10):
        quiet.keyboard.press("Tab")
        if button.evaluate("(button) => button === document.activeElement"):
            break
    links = quiet.locator(".md-version__link")
    assert [" ".join(text.split()) for text in links.all_inner_texts()] == ["dev", "0.10.0", "0.9.1"]
    quiet.keyboard.press("Tab")
    quiet.keyboard.press("Tab")
    assert links.nth(1).evaluate(
        "(link) => link === document.activeElement && link.checkVisibility({ opacityProperty: true })"
    )
    quiet.keyboard.press("Enter")
    quiet.wait_for_url(f"{served}0.10/async/caching/#part")


def test_machines_are_led_to_the_newest(repository: Repository) -> None:
    """Canonical addresses, the sitemap and the 404 page are those of the newest release; each version keeps its own."""
    show = repository.git
    for version in ("dev", "0.9", "0.10", "latest"):
        page = show("show", f"gh-pages:{version}/async/caching/index.html")
        assert f'<link rel="canonical" href="{HOME}latest/async/caching/">' in page
        assert f'<meta property="og:url" content="{HOME}latest/async/caching/">' in page
        assert f'<meta property="og:image" content="{HOME}{version}/assets/cards/' in page
        assert f"<loc>{HOME}{version}/async/caching/</loc>" in show("show", f"gh-pages:{version}/sitemap.xml")
    assert show("show", "gh-pages:sitemap.xml") == show("show", "gh-pages:latest/sitemap.xml")
    assert "/0.10/" not in show("show", "gh-pages:404.html")
    assert f'href="{HOME}latest/async/jobs/"' in show("show", "gh-pages:async/jobs/index.html")


@pytest.mark.parametrize(
    ("asked", "suggested"),
    [
        ("0.9/async/cach", ["0.9/async/caching/"]),
        ("0.9/async/jobs/", []),
        ("0.10/deep/down/jobs.html", ["0.10/async/jobs/"]),
        ("asynch/jobs/", ["latest/async/jobs/"]),
        ("wp-login.php", []),
    ],
)
def test_the_404_page_suggests(page: Page, served: str, asked: str, suggested: list[str]) -> None:
    """Whatever the depth, it suggests pages whose addresses resemble the one that was asked for, of that version."""
    with page.expect_response("**/sitemap.xml") if asked.startswith("0.") else page.expect_response("**/versions.json"):
        page.goto(served + asked)
    links = page.locator("[data-suggestions] li a")
    if suggested:
        links.first.wait_for()
    assert links.evaluate_all("(links) => links.map((link) => link.href)") == [served + one for one in suggested]
    assert page.locator("[data-pages] a").last.get_attribute("href") == f"{served}latest/async/caching/"


def test_the_selector_and_the_banner_are_for_everyone(browser: Browser, served: str) -> None:
    """axe-core finds nothing wrong with a page of another version, nor with the page where none is."""
    assert find_violations(browser, served, ["0.9/async/caching/", "nowhere/"]) == {}


def test_a_step_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remote's branch gets the files of the publication before, then of the one before that, without losing any."""
    remote, work = tmp_path / "remote.git", Repository(tmp_path / "work")
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    work.git("remote", "add", "origin", str(remote))
    monkeypatch.chdir(work.folder)
    commits: list[str] = []
    for number in range(3):
        (work.folder / "shown").write_text(str(number))
        work.git("add", "shown")
        parents = ("-p", commits[-1]) if commits else ()
        commits.append(work.git("commit-tree", work.git("write-tree"), *parents, "-m", f"Publish {number}"))
    work.git("push", "--quiet", "origin", f"{commits[-1]}:refs/heads/gh-pages")

    def shown() -> str:
        return subprocess.check_output(["git", "-C", remote, "show", "gh-pages:shown"], text=True)

    rollback.main([])
    assert shown() == "1"
    rollback.main([])
    assert shown() == "0"
    with pytest.raises(subprocess.CalledProcessError):
        rollback.main([])
    rollback.main(["--to", commits[2]])
    assert shown() == "2"
    subjects = work.git("log", "--format=%s", "gh-pages").splitlines()
    told = [f"Roll back to {commits[number][:7]}: Publish {number}" for number in (2, 0, 1)]
    assert subjects == [*told, "Publish 2", "Publish 1", "Publish 0"]


def test_what_cannot_be_built_changes_nothing(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publication that fails leaves the branch as it was."""
    before = repository.git("rev-parse", "gh-pages")

    def fail(_: MkDocsConfig) -> None:
        raise RuntimeError

    monkeypatch.setattr(publish, "build", fail)
    with pytest.raises(RuntimeError):
        repository.publish("dev")
    assert repository.git("rev-parse", "gh-pages") == before
    assert repository.git("for-each-ref", "--format=%(refname)", "refs/heads/gh-pages-draft") == ""
