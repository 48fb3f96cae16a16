"""Publish a version of the site: build it, and put it beside the others on the branch `gh-pages`.

python -m tools.publish dev            # main, as it is
python -m tools.publish 0.2.1          # a release, in the folder of its minor version: 0.2

mike keeps the list of the versions, which Material's selector reads. The newest release is in `latest/`, too, and so is
`dev` as long as there is no release. That is where search engines are led; the addresses without a version lead there,
and its files for machines, its sitemap and its 404 page are at the root as well. One call is one commit, so that it can
be taken back (`tools/rollback.py`).
"""

from __future__ import annotations

import argparse
import re
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mike import commands, git_utils  # type: ignore[import-untyped] # it has no types
from mkdocs.commands.build import build as build_site
from mkdocs.config import load_config

from tools import machine_readable
from tools.published import addresses_of
from tools.redirects import page_of
from tools.rollback import BRANCH, fetch, git, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mkdocs.config.defaults import MkDocsConfig

__all__ = ["publish"]

ROOT = Path(__file__).resolve().parent.parent
DEV, LATEST = "dev", "latest"
AT_ROOT = ("404.html", "changelog.xml", "errors.json", "llms-full.txt", "llms.txt", "objects.inv", "sitemap.xml")
_DRAFT = f"{BRANCH}-draft"
_TEXT = {".html", ".json", ".md", ".txt", ".xml"}


def build(config: MkDocsConfig) -> None:
    """Build the site."""
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build_site(config)
    finally:
        config.plugins.on_shutdown()


def finish(config: MkDocsConfig) -> None:
    """Write what machines read of it."""
    machine_readable.write(Path(config.site_dir), config=config)


def publish(
    release: str, load: Callable[..., MkDocsConfig] | None = None, finish: Callable[[MkDocsConfig], None] = finish
) -> None:
    """Build a version and commit it to the branch.

    Args:
        release: `dev`, or the number of a release.
        load: Loads the configuration of the site.
        finish: Does what is to be done after the build.
    """
    load = load or (lambda **changes: load_config(str(ROOT / "mkdocs.yml"), **changes))
    version = release if release == DEV else ".".join(release.split(".")[:2])
    aliases = [LATEST] if _is_latest(version, [str(one.version) for one in commands.list_versions(BRANCH)]) else []
    told = f"Publish {release} from {git('rev-parse', '--short', 'HEAD')}"
    before = ""
    with suppress(CalledProcessError):
        before = git("rev-parse", "--quiet", "--verify", f"refs/heads/{BRANCH}")
        git("update-ref", f"refs/heads/{_DRAFT}", before)
    try:
        with TemporaryDirectory() as folder:
            home = str(load().site_url)
            extra = {"version": {"provider": "mike", "name": version}}
            config = load(site_url=f"{home}{version}/", site_dir=folder, extra=extra, strict=True)
            options = {"update_aliases": True, "alias_type": commands.AliasType.copy, "allow_empty": True}
            with commands.deploy(config, version, release, aliases, branch=_DRAFT, message=told, **options):
                build(config)
                finish(config)
                _name_canonical(Path(folder), home, version)
            if aliases:
                with git_utils.Commit(_DRAFT, told, allow_empty=True) as commit:
                    for path, content in _of_latest(Path(folder), home, version):
                        commit.add_file(git_utils.FileInfo(path, content))
        parents = ("-p", before) if before else ()
        git("update-ref", f"refs/heads/{BRANCH}", git("commit-tree", f"{_DRAFT}^{{tree}}", *parents, "-m", told))
    finally:
        git("update-ref", "-d", f"refs/heads/{_DRAFT}")


def _is_latest(version: str, others: Sequence[str]) -> bool:
    released = [tuple(map(int, one.split("."))) for one in others if one != DEV]
    return not released if version == DEV else all(tuple(map(int, version.split("."))) >= one for one in released)


def _name_canonical(site: Path, home: str, version: str) -> None:
    """Say on each page that the newest version is the one to be found."""
    named = re.compile(rf'((?:rel="canonical" href|property="og:url" content)="{re.escape(home)}){re.escape(version)}/')
    for file in site.rglob("*.html"):
        file.write_text(named.sub(rf"\g<1>{LATEST}/", file.read_text()))


def _of_latest(site: Path, home: str, version: str) -> Iterator[tuple[str, bytes]]:
    """Give the files of `latest/` that hold addresses, and those of the root."""
    path = urlsplit(home).path
    for file in sorted(file for file in site.rglob("*") if file.is_file()):
        name, content = file.relative_to(site).as_posix(), file.read_bytes()
        if file.suffix in _TEXT:
            content = content.replace(f"{path}{version}/".encode(), f"{path}{LATEST}/".encode())
            yield f"{LATEST}/{name}", content
        if name in AT_ROOT:
            yield name, content
    for folder in addresses_of(site):
        up = "../" * folder.count("/")
        yield f"{folder}index.html", page_of(f"{up}{LATEST}/{folder}", f"{home}{LATEST}/{folder}").encode()


def _release(given: str) -> str:
    """Take `dev`, or the number of a release, which may be a tag; before a release there is none."""
    if given != DEV and not re.fullmatch(r"v?\d+\.\d+\.\d+", given):
        raise ValueError
    return given.removeprefix("v")


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.publish", description="Publish a version of the site.")
    parser.add_argument("version", type=_release, help=f"{DEV}, or the number of a release")
    parser.add_argument("--push", action="store_true", help="begin with the branch of the remote, and push it")
    options = parser.parse_args(arguments)
    if options.push:
        fetch()
    publish(options.version)
    if options.push:
        push()


if __name__ == "__main__":
    main()
