"""Addresses that were published: each is still there, or leads to where its page or section went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools import published, redirects
from tools.browser import serve

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

URL = "https://example.com/docs/"
MOVED = {
    "old/page/": "new/",
    "old/page/#elsewhere": "other/#there",
    "split/#half": "other/#there",
    "new/#former": "new/#present",
    "new/#cache.Cache.left": "other/#there",
    "new/#right": "",
}


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """Build a site of three pages, from which others have moved to them."""
    for folder, anchor in (("", "home"), ("new", "present"), ("other", "there")):
        (tmp_path / folder).mkdir(exist_ok=True)
        body = (
            f'<article><h1>{folder}</h1><div style="height: 3000px"></div><h2 class="a" id="{anchor}">B</h2></article>'
        )
        (tmp_path / folder / "index.html").write_text(f"<!doctype html><title>{folder}</title>{body}")
    for _ in range(2):  # as a server does that builds a page again
        redirects.write(tmp_path, URL, MOVED)
    return tmp_path


def test_former_addresses_lead_on(moved: Path, page: Page) -> None:
    """Pages that moved take what was asked for along; sections have ways of their own."""
    with serve(moved) as url:
        for former, target in {**MOVED, "old/page/#present": "new/#present", "old/page/?q=1#x": "new/?q=1#x"}.items():
            page.goto("about:blank")  # else a page that is open would not be loaded again
            page.goto(url + former)
            if former == "new/#former":
                section = page.locator("h2:has(#former)")
                assert section.get_attribute("id") == "present"
                assert section.evaluate("(heading) => scrollY > 0 && heading.getBoundingClientRect().top < innerHeight")
            else:
                page.wait_for_url(url + target)


def test_former_addresses_lead_on_without_javascript(moved: Path, browser: Browser) -> None:
    """A page leads to where most of it went, and a section that went to another page is a link to it."""
    with serve(moved) as url, browser.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        for former, target in {"old/page/#elsewhere": "new/", "split/#half": "other/"}.items():
            tab.goto(url + former)
            tab.wait_for_url(url + target)
        tab.goto(f"{url}new/#cache.Cache.left")
        tab.get_by_role("link", name="cache.Cache.left").click()
        tab.wait_for_url(f"{url}other/#there")


def test_a_page_that_moved_says_so_to_machines(moved: Path) -> None:
    """Its canonical address is the new one, and it is in no index."""
    text = (moved / "old/page/index.html").read_text()
    assert '<link rel="canonical" href="https://example.com/docs/new/">' in text
    assert '<meta name="robots" content="noindex">' in text
    assert published.addresses_of(moved) == {"": {"home"}, "new/": {"present"}, "other/": {"there"}}


@pytest.mark.parametrize(
    ("former", "target", "words"),
    [
        ("gone/", "nowhere/", "which is not there"),
        ("gone/", "new/#nothing", "which is not there"),
        ("new/", "other/", "is still there"),
        ("new/#present", "other/#there", "is still there"),
    ],
)
def test_a_wrong_redirect_fails(moved: Path, former: str, target: str, words: str) -> None:
    """A redirect to nowhere, or from what is there, fails."""
    with pytest.raises(ValueError, match=words):
        redirects.write(moved, URL, {former: target})


def test_what_is_gone_is_found() -> None:
    """A page or an anchor that is neither there nor redirected is missing."""
    there = {"": {"a"}, "new/": {"b"}}
    before = {"": {"a", "x"}, "old/": {"b", "c", "d"}, "lost/": {"e"}}
    moved = {"old/": "new/", "old/#d": "#a"}
    assert published.missing(before, there, moved) == ["#x", "lost/", "lost/#e", "old/#c"]


def test_the_list_is_read_as_it_is_written() -> None:
    """Pages, anchors, and the names of the reference survive."""
    addresses = {
        "": {"home"},
        "empty/": set[str](),
        "reference/": {"r.Cache", "r.Cache.get", "r.Cache.set", "top", "r"},
    }
    text = published.dump(addresses)
    assert published.load(text) == addresses
    assert "  r.Cache. get set\n" in text


def test_the_list_grows_and_tells_what_is_gone(moved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`make published` adds what is new, keeps what is gone, and fails for it."""
    file = tmp_path / "published.txt"
    assert published.main([str(moved), "--list", str(file)]) == 0
    assert "/new/\n  present\n" in file.read_text()
    file.write_text(file.read_text() + "/gone/\n  away\n")
    assert published.main([str(moved), "--list", str(file)]) == 1
    assert "gone/\n  gone/#away" in capsys.readouterr().out
    assert "/gone/\n  away\n" in file.read_text()


def test_no_published_address_has_vanished(site: Path) -> None:
    """Each page and each anchor that was ever published is in the site, or has a redirect."""
    before = published.load(published.LIST.read_text())
    assert len(before) > 40
    assert published.missing(before, published.addresses_of(site), redirects.read()) == [], (
        "published, and gone: keep it, or lead on from it in docs/includes/redirects.toml"
    )
