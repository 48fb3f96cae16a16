"""How long it takes to build the site, and to see an edit of it; and the same of other libraries' documentation.

python -m tools.quality build_times [--runs 3] [--peer uv=/path/to/checkout:/path/to/python]...

For a peer, its repository is checked out and the packages of its group `docs` are installed for some Python; this
command builds it as it stands there. What needs the network, or code that is not public, is switched off, as `PEERS`
says.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.servers import free_port
from tools.quality.engines import copy_tree
from tools.quality.results import Row

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["EDITS", "PEERS", "TITLE", "Peer", "add_arguments", "measure", "measure_peer", "without"]

TITLE = "Time to build, and to see an edit"
_LONGEST = 900
EDITS = {
    "a page": ("docs/async/caching.md", "# Caching", "async/caching/"),
    "an example": ("examples/snippets/caching/remember.py", "running the query", "async/caching/"),
    "a docstring": ("src/rustforge/cache/cache.py", "An async cache with typed values", "reference/cache/"),
}
"""Which file is edited, after which words of it, and the page that shows it."""


@dataclass(frozen=True)
class Peer:
    """The documentation of another library.

    Attributes:
        page: A page, below the folder of its configuration.
        folder: Where its configuration is, in its repository.
        mount: The folder in which its site is served.
        build: What builds it, in the repository; `{python}`, `{config}` and `{site}` are filled in.
        serve: What serves it, in its folder; `{port}`, too.
        off: Plugins, hooks and extensions that are switched off.
        note: Why, and what else is not as they do it.
    """

    page: str
    folder: str = ""
    mount: str = ""
    build: Sequence[str] = ("{python}", "-P", "-m", "mkdocs", "build", "-f", "{config}", "-d", "{site}")
    serve: Sequence[str] = ("{python}", "-P", "-m", "mkdocs", "serve", "-f", "{config}", "-a", "127.0.0.1:{port}")
    off: Sequence[str] = ()
    note: str = ""


PEERS = {
    "FastAPI": Peer(
        "docs/tutorial/first-steps.md",
        folder="docs/en",
        build=("{python}", "scripts/docs.py", "build-lang", "en"),
        serve=("{python}", "-m", "zensical", "serve", "-f", "{config}", "-a", "127.0.0.1:{port}"),
        note="English only, with Zensical, as they build it.",
    ),
    "Pydantic": Peer(
        "docs/concepts/models.md",
        off=("hooks", "social", "mike", "import", "pydantic_docs.mdext", "strict"),
        note="MkDocs. Without its hooks, cards, versions and inventories, which ask the network or private code.",
    ),
    "uv": Peer(
        "docs/concepts/cache.md",
        mount="uv/",
        off=("git-revision-date-localized",),
        note="MkDocs. Without dates from the history, and without the pages that its Rust code writes.",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    parser.add_argument("--runs", type=int, default=3, help="how often each build and edit is repeated")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=CHECKOUT:PYTHON", help=f"one of {', '.join(PEERS)}"
    )


def measure(site: Path, options: argparse.Namespace) -> list[Row]:  # noqa: ARG001 - every measurement gets it
    """Build the tree in a copy with both engines, edit it while it is served, and do the same for the peers."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_tree(copy)
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(copy / "built")]
        rows.append(_row("Strict build", [_run(command, copy) for _ in range(options.runs)], copy / "built", "20 s"))
        seconds = []
        for _ in range(options.runs):
            shutil.rmtree(copy / ".cache", ignore_errors=True)
            seconds.append(_run([sys.executable, "-m", "zensical", "build", "--strict"], copy))
        rows.append(_row("The same with Zensical", seconds, copy / "site"))
        command = [sys.executable, "-m", "tools.serve", "--port", "{port}"]
        with _serving(command, copy) as address:
            for what, (name, after, page) in EDITS.items():
                times = [_edit(copy / name, after, address + page) for _ in range(options.runs)]
                rows.append(Row(f"From saving {what} to seeing it", f"{statistics.median(times):.1f} s"))
    for given in options.peer:
        name, _, place = given.partition("=")
        checkout, _, python = place.partition(":")
        rows += measure_peer(name, Path(checkout), python, options.runs)
    return rows


def measure_peer(name: str, checkout: Path, python: str, runs: int) -> Iterator[Row]:
    """Build the documentation of another library, and edit a page of it while it is served."""
    peer = PEERS[name]
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%h of %cs"], cwd=checkout, capture_output=True, text=True, check=False
    ).stdout.strip()
    note = f"Commit {commit}. {peer.note}" if commit else peer.note
    config = checkout / peer.folder / "mkdocs.yml"
    if peer.off:
        text = without(config.read_text(), peer.off)
        config = config.with_name("measured.yml")
        config.write_text(text)
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "site")
        fill = {"python": python, "config": str(config), "site": str(site), "port": "{port}"}
        try:
            times = [_run([part.format(**fill) for part in peer.build], checkout, python) for _ in range(runs)]
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip() or "no message").splitlines()[-1]
            yield Row(f"{name}: build", "failed", note=f"{note} It could not be built here: `{last}`")
            return
        built = next(found for found in (site, checkout / "site") if found.exists())
        yield _row(f"{name}: build", times, built, note=note)
        page = config.parent / peer.page
        after = next(line for line in page.read_text().splitlines() if line.startswith("# "))
        url = f"{peer.mount}{peer.page.partition('/')[2].removesuffix('.md')}/"
        with _serving([part.format(**fill) for part in peer.serve], config.parent, python) as address:
            times = [_edit(page, after, address + url) for _ in range(runs)]
        yield Row(f"{name}: from saving a page to seeing it", f"{statistics.median(times):.1f} s")


def without(config: str, names: Sequence[str]) -> str:
    """Leave keys and list entries out of a configuration, with what stands below them.

    Args:
        config: The text of an `mkdocs.yml`; its tags keep it from being read as plain YAML.
        names: The keys and entries.
    """
    kept: list[str] = []
    depth: int | None = None
    for line in config.splitlines():
        indentation = len(line) - len(line.lstrip())
        if depth is not None and line.strip() and indentation <= depth:
            depth = None
        if depth is None and re.match(rf"({'|'.join(map(re.escape, names))})\b", line.lstrip(" -")):
            depth = indentation
        if depth is None:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _row(what: str, times: Sequence[float], built: Path, goal: str = "", note: str = "") -> Row:
    seconds = statistics.median(times)
    pages = len(list(built.rglob("*.html")))
    value = f"{seconds:.1f} s for {pages} pages, {1000 * seconds / pages:.0f} ms a page"
    return Row(what, value, goal, reached=not goal or seconds <= float(goal.split(maxsplit=1)[0]), note=note)


def _environment(python: str) -> dict[str, str]:
    path = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}


def _run(command: Sequence[str], folder: Path, python: str = sys.executable) -> float:
    """Return how long a command takes."""
    begin = time.perf_counter()
    subprocess.run(
        command, cwd=folder, env=_environment(python), capture_output=True, text=True, check=True, timeout=_LONGEST
    )
    return time.perf_counter() - begin


@contextmanager
def _serving(command: Sequence[str], folder: Path, python: str = sys.executable) -> Iterator[str]:
    """Serve a site on a free port, and give its address when its first build is done.

    Raises:
        RuntimeError: The server ended; it holds what the server said.
    """
    port = free_port()
    filled = [part.replace("{port}", str(port)) for part in command]
    with tempfile.TemporaryFile("w+") as output:
        server = subprocess.Popen(filled, cwd=folder, env=_environment(python), stdout=output, stderr=output)
        address = f"http://127.0.0.1:{port}/"
        try:
            _wait(lambda: _read(address) != "" or server.poll() is not None)
            if server.poll() is not None:
                output.seek(0)
                raise RuntimeError(output.read())
            yield address
        finally:
            server.terminate()
            server.wait()


def _edit(file: Path, after: str, url: str) -> float:
    """Write a new word into a file, and return how long it takes until it is served."""
    before = file.read_text()
    assert after in before, file
    word = f"edited{time.monotonic_ns()}"
    begin = time.perf_counter()
    file.write_text(before.replace(after, f"{after} {word}", 1))
    try:
        _wait(lambda: word in _read(url))
        return time.perf_counter() - begin
    finally:
        file.write_text(before)
        _wait(lambda: word not in _read(url))


def _read(url: str) -> str:
    """Get a page; nothing where it is not there yet."""
    try:
        with urllib.request.urlopen(url, timeout=_LONGEST) as answer:  # noqa: S310 - on this machine
            return str(answer.read().decode())
    except (urllib.error.URLError, ConnectionError):
        return ""


def _wait(done: Callable[[], bool]) -> None:
    """Ask again until it is so.

    Raises:
        TimeoutError: It took too long.
    """
    deadline = time.monotonic() + _LONGEST
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
