"""Serve the site with live reload, at once: what an edit touches is shown in a moment, the whole is built behind it.

python -m tools.serve [--port 8000]

`mkdocs serve` answers only when its first build is done, makes every page again for each edit, and shows nothing while
a page is wrong. Here the last build is on show from the start. After an edit the pages that it touches are made again,
from what the last whole build left in memory, and then, by a process of its own, the whole site, strictly. What fails
says so in the terminal, and the last good build stays on show.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.livereload import LiveReloadServer
from mkdocs.plugins import BasePlugin
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jinja2 import Environment
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import File, Files
    from mkdocs.structure.nav import Navigation

log = logging.getLogger("serve")

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("mkdocs.yml", "docs", "src", "examples", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
_ASIDE = re.compile(r"/__pycache__/|/\.|~$")  # what Python and editors keep beside the sources
POLL = 0.2
"""How many seconds pass between two looks at the files."""


class _Kept(BasePlugin):  # type: ignore[type-arg,no-untyped-call] # it has no options
    """Keeps what a build makes, as a plugin that only this program adds."""

    nav: Navigation
    env: Environment
    files: Files

    @override
    def on_nav(self, nav: Navigation, /, *, config: MkDocsConfig, files: Files) -> Navigation:
        self.nav = nav
        return nav

    @override
    def on_env(self, env: Environment, /, *, config: MkDocsConfig, files: Files) -> Environment:
        self.env, self.files = env, files
        return env


class Preview:
    """A whole build that is kept in memory, so that single pages can be made again."""

    def __init__(self, config: MkDocsConfig, kept: _Kept, site: Path) -> None:
        """Keep it, with the folder in which the site now lies."""
        self._config = config
        self._nav, self._env, self._files = kept.nav, kept.env, kept.files
        self._root = Path(config.config_file_path).parent
        config.site_dir = str(site)

    def refresh(self, changed: set[Path]) -> bool:
        """Make the pages again that changed files touch; tell whether that is known, or the whole must be built.

        Raises:
            mkdocs.exceptions.Abort: There was a warning, and nothing was written; the log says which.
        """
        from mkdocs.commands.build import _build_page, _populate_page  # noqa: PLC0415 - nothing public makes one page
        from mkdocs.exceptions import Abort  # noqa: PLC0415
        from mkdocs.structure.files import Files  # noqa: PLC0415
        from mkdocs.utils import CountHandler  # noqa: PLC0415

        from tools.code_links.extension import LINKER  # noqa: PLC0415

        config = self._config
        touched: dict[str, File] = {}
        for path in changed:
            files = self._touched_by(path)
            if files is None:
                return False
            touched |= {file.src_uri: file for file in files}
        if any(path.is_relative_to(self._root / "src") for path in changed):
            self._forget_code()
        for file in touched.values():
            file.abs_dest_path = str(Path(config.site_dir, file.dest_uri))
        pages = [file.page for file in touched.values() if file.page]
        counter = CountHandler(level=logging.WARNING)
        logging.getLogger("mkdocs").addHandler(counter)
        LINKER.holds = True  # its tooltips are those of the last whole build
        try:
            for page in pages:
                _populate_page(page, config, self._files)
            config.plugins.on_env(self._env, config=config, files=Files([page.file for page in pages]))
            for page in pages:
                page.validate_anchor_links(files=self._files, log_level=config.validation.links.anchors)
        finally:
            logging.getLogger("mkdocs").removeHandler(counter)
            LINKER.holds = False
        if counter.get_counts():
            msg = "a page has a warning"
            raise Abort(msg)
        for page in pages:
            _build_page(page, config, self._files.documentation_pages(), self._nav, self._env)
        for file in touched.values():
            if not file.page:
                file.copy_file()
        return True

    def _touched_by(self, path: Path) -> Iterable[File] | None:
        """Find what a changed file is, or is on; `None` where that is not known, as of a template."""
        from mkdocs.structure.files import InclusionLevel  # noqa: PLC0415

        docs = Path(self._config.docs_dir)
        of_docs = path.is_relative_to(docs)
        file = self._files.get_file_from_path(path.relative_to(docs).as_posix()) if of_docs else None
        if not path.exists() or path == Path(self._config.config_file_path):
            return None
        if file and file.inclusion is InclusionLevel.INCLUDED:
            return [file]
        pages = self._files.documentation_pages()
        if path.is_relative_to(self._root / "src"):
            return [file for file in pages if self._describes(file, path)]
        options = self._config.mdx_configs.get("pymdownx.snippets") or {}
        bases = [self._root / base for base in options.get("base_path", ["."])]
        names = [path.relative_to(base).as_posix() for base in bases if path.is_relative_to(base)]
        marks = [f'"{name}{end}' for name in names for end in ('"', ":")]
        found = [file for file in pages if any(mark in file.content_string for mark in marks)]
        return found if found or not of_docs else None

    def _describes(self, page: File, path: Path) -> bool:
        """Tell whether a page of the reference describes what stands in a file of the source."""
        from tools.code_links.extension import LINKER  # noqa: PLC0415
        from tools.code_links.reference import DIRECTIVE  # noqa: PLC0415

        found = (LINKER.reference.find(one["path"]) for one in DIRECTIVE.finditer(page.content_string))
        return any(one is not None and one.filepath == path for one in found)

    def _forget_code(self) -> None:
        """Let mkdocstrings read the source again; its templates, which take as long, are kept."""
        plugin: Any = self._config.plugins.get("mkdocstrings")
        for handler in plugin.handlers.seen_handlers if plugin else ():
            handler._modules_collection.members.clear()  # noqa: SLF001 - nothing public forgets less than all


def make(config_file: Path, site: Path, url: str) -> tuple[MkDocsConfig, _Kept]:
    """Build the site strictly into a folder.

    Raises:
        mkdocs.exceptions.Abort: There was a warning or an error; the log says which.
    """
    # Loading these takes a moment, for which the first answer need not wait.
    from mkdocs.commands.build import build as build_site  # noqa: PLC0415
    from mkdocs.config import load_config  # noqa: PLC0415

    from tools.machine_readable import write as write_machine_readable  # noqa: PLC0415

    config = load_config(str(config_file), site_dir=str(site), site_url=url, strict=True)
    config.plugins["kept"] = kept = _Kept()
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build_site(config)
        if config_file.parent == ROOT:
            write_machine_readable(site, pictures=False)
    finally:
        config.plugins.on_shutdown()
    return config, kept


def show(site: Path) -> None:
    """Let the build beside the one on show take its place."""
    new, old = beside(site), site.with_name(site.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if site.exists():
        site.rename(old)
    new.rename(site)
    shutil.rmtree(old, ignore_errors=True)


def beside(site: Path) -> Path:
    """Name the folder in which a build is made."""
    return site.with_name(site.name + ".new")


def build(config_file: Path, site: Path, url: str) -> Preview:
    """Build the site strictly beside the one on show, then take its place.

    Raises:
        mkdocs.exceptions.Abort: There was a warning or an error; the log says which.
    """
    config, kept = make(config_file, beside(site), url)
    show(site)
    return Preview(config, kept, site)


class Server(LiveReloadServer):
    """MkDocs' own server, except that it goes on answering while a build runs and after one that failed."""

    def __init__(self, config_file: Path, site: Path, port: int) -> None:
        """Prepare to serve what lies in `site`."""
        super().__init__(self._rebuild, "127.0.0.1", port, root=str(site), polling_interval=POLL)
        self._config_file = config_file
        self._site = site
        self._want_rebuild = site.exists()
        self._preview: Preview | None = None
        self._seen: dict[Path, int] = {}
        self._behind: subprocess.Popen[bytes] | None = None
        self.error_handler = self._error_page

    def _error_page(self, code: int) -> bytes | None:
        page = self._site / f"{code}.html"
        return page.read_bytes() if page.exists() else None

    def build(self) -> bool:
        """Make what has changed, or the whole; where that fails, say why in the log."""
        changed = self._look()
        self._end_behind()
        try:
            if self._preview is not None and self._preview.refresh(changed):
                self._build_behind()
            else:
                self._preview = None
                self._preview = build(self._config_file, self._site, self.url)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a docstring being written may break any part
            log.error("The site was not built: %s", str(error).strip() or repr(error))  # noqa: TRY400
            return False
        return True

    def _look(self) -> set[Path]:
        """Find the files that were written, made or removed since the last time."""
        before, self._seen = self._seen, {}
        for watched in self._watched_paths:
            top = Path(watched)
            for file in top.rglob("*") if top.is_dir() else [top]:
                with contextlib.suppress(FileNotFoundError):  # an editor's, gone again
                    if not _ASIDE.search(f"/{file.relative_to(top.parent)}") and file.is_file():
                        self._seen[file] = file.stat().st_mtime_ns
        return {file for file in before.keys() | self._seen.keys() if before.get(file) != self._seen.get(file)}

    def _build_behind(self) -> None:
        """Build the whole in a process of its own, which the next edit ends."""
        command = [sys.executable, "-m", "tools.serve", "--make", str(self._config_file), str(self._site), self.url]
        self._behind = running = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        threading.Thread(target=self._await_behind, args=(running,), daemon=True).start()

    def _await_behind(self, running: subprocess.Popen[bytes]) -> None:
        failed = running.wait()
        with self._rebuild_cond:
            if self._behind is not running:  # ended by an edit
                return
            self._behind = None
            if failed:
                log.error("The site was not built: it shows the pages that were edited, and is otherwise as it was")
            else:
                show(self._site)
                log.info("The whole site was built, too")

    def _end_behind(self) -> None:
        with self._rebuild_cond:
            running, self._behind = self._behind, None
        if running is not None and running.poll() is None:
            running.terminate()
            running.wait()

    def _rebuild(self) -> None:
        self._wanted_epoch = self._visible_epoch  # requests wait while the two differ
        if self.build():
            self._wanted_epoch += 1  # browsers reload

    @override
    def shutdown(self, wait: bool = False) -> None:
        """End, and what runs behind, too."""
        self._end_behind()
        super().shutdown(wait)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until Ctrl+C."""
    parser = argparse.ArgumentParser(prog="python -m tools.serve", description="Serve the site with live reload.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)  # what is built behind
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s - %(message)s")
    if options.make:
        logging.getLogger().setLevel(logging.WARNING)
        os.nice(5)
        config_file, site, url = options.make
        make(Path(config_file), beside(Path(site)), url)
        return
    site = ROOT / ".cache" / "site"
    server = Server(ROOT / "mkdocs.yml", site, options.port)
    site.parent.mkdir(exist_ok=True)
    try:
        for source in SOURCES:
            if (ROOT / source).exists():
                server.watch(str(ROOT / source))
        if not site.exists() and not server.build():
            sys.exit(1)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve()  # type: ignore[no-untyped-call] # as MkDocs has it
    finally:
        server.shutdown()


if __name__ == "__main__":
    main()
