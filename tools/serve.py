"""Serve the site with live reload, at once: the last build is shown while a strict one of today's files is made.

python -m tools.serve [--port 8000]

`mkdocs serve` answers only when its first build is done, and not at all while a page is wrong. Here a build that fails
says so in the terminal, and the last good one stays on show.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.livereload import LiveReloadServer

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger("serve")

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("mkdocs.yml", "docs", "src", "examples", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")


def build(config_file: Path, site: Path, url: str) -> None:
    """Build the site strictly beside the one on show, then take its place.

    Raises:
        mkdocs.exceptions.Abort: There was a warning or an error; the log says which.
    """
    # Loading these takes a moment, for which the first answer need not wait.
    from mkdocs.commands.build import build as build_site  # noqa: PLC0415
    from mkdocs.config import load_config  # noqa: PLC0415

    from tools.machine_readable import write as write_machine_readable  # noqa: PLC0415

    new, old = site.with_name(site.name + ".new"), site.with_name(site.name + ".old")
    config = load_config(str(config_file), site_dir=str(new), site_url=url, strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build_site(config)
        if config_file.parent == ROOT:
            write_machine_readable(new, pictures=False)
    finally:
        config.plugins.on_shutdown()
    shutil.rmtree(old, ignore_errors=True)
    if site.exists():
        site.rename(old)
    new.rename(site)
    shutil.rmtree(old, ignore_errors=True)


class Server(LiveReloadServer):
    """MkDocs' own server, except that it goes on answering while a build runs and after one that failed."""

    def __init__(self, config_file: Path, site: Path, port: int) -> None:
        """Prepare to serve what lies in `site`."""
        super().__init__(self._rebuild, "127.0.0.1", port, root=str(site))
        self._config_file = config_file
        self._site = site
        self._want_rebuild = site.exists()
        self.error_handler = self._error_page

    def _error_page(self, code: int) -> bytes | None:
        page = self._site / f"{code}.html"
        return page.read_bytes() if page.exists() else None

    def build(self) -> bool:
        """Build the site; where that fails, say why in the log."""
        try:
            build(self._config_file, self._site, self.url)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a docstring being written may break any part
            log.error("The site was not built: %s", str(error).strip() or repr(error))  # noqa: TRY400
            return False
        return True

    def _rebuild(self) -> None:
        self._wanted_epoch = self._visible_epoch  # requests wait while the two differ
        if self.build():
            self._wanted_epoch += 1  # browsers reload


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until Ctrl+C."""
    parser = argparse.ArgumentParser(prog="python -m tools.serve", description="Serve the site with live reload.")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s - %(message)s")
    site = ROOT / ".cache" / "site"
    server = Server(ROOT / "mkdocs.yml", site, options.port)
    site.parent.mkdir(exist_ok=True)
    try:
        if not site.exists() and not server.build():
            sys.exit(1)
        for source in SOURCES:
            if (ROOT / source).exists():
                server.watch(str(ROOT / source))
        with contextlib.suppress(KeyboardInterrupt):
            server.serve()  # type: ignore[no-untyped-call] # as MkDocs has it
    finally:
        server.shutdown()


if __name__ == "__main__":
    main()
