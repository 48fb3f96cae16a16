"""The examples of the site, which run on `memory://`, do the same on a real server."""

from __future__ import annotations

import multiprocessing
import os
import re
import runpy
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import RedisServer, talk

if TYPE_CHECKING:
    from collections.abc import Iterator

SNIPPETS = Path(__file__).resolve().parents[2] / "examples" / "snippets"
REDIS = re.compile(r'(?<!Storage\.)\bconnect\("memory://\w*"')
"""Where an example connects to what a Redis server can take the place of; a storage in memory stays one."""
SCRIPTS = sorted(
    script for script in SNIPPETS.glob("*/*.py") if REDIS.search(script.read_text()) or "boot()" in script.read_text()
)

FORKS = multiprocessing.get_context("forkserver")
"""Processes that do not import the library and its dependencies once more each; that the scripts import all that they
need is seen where they run as programs, for their pages."""
FORKS.set_forkserver_preload(
    [__name__, *(f"rustforge.{part}" for part in ("attachments", "boot", "db", "http", "notify", "storage", "testing"))]
)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """Run a server that is emptied before each example."""
    with RedisServer() as running:
        yield running


def execute(script: str, printed: str, environment: dict[str, str]) -> None:
    """Run a script as a program, in a process that is its own and has imported what scripts import."""
    os.environ.update(environment)
    os.chdir(Path(script).parent)
    warnings.simplefilter("error")
    sys.path[0] = str(Path(script).parent)
    with Path(printed).open("w", encoding="utf-8") as file, redirect_stdout(file):
        runpy.run_path(script, run_name="__main__")


def run(script: Path, folder: Path, server: RedisServer) -> str:
    """Run a script with the server's address where it names memory://, and return what it prints."""
    copy = folder / script.name
    copy.write_text(REDIS.sub(f'connect("{server.url}"', script.read_text()))
    printed = folder / "printed"
    environment = {"REDIS_URL": server.url, "PYTHONASYNCIODEBUG": "1"}
    process = FORKS.Process(target=execute, args=(str(copy), str(printed), environment))
    process.start()
    process.join(30)
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode == 0, f"{script} failed: what it says is above"
    return printed.read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=[f"{script.parent.name}/{script.stem}" for script in SCRIPTS])
def test_examples_do_the_same_on_redis(script: Path, server: RedisServer, tmp_path: Path) -> None:
    """Each example prints on a real server what its page shows, which was printed without one."""
    talk(server.port, "FLUSHALL")
    kept = script.with_suffix(".out")  # missing where nothing is printed
    assert run(script, tmp_path, server) == (kept.read_text() if kept.exists() else "")


def test_quick_start_finds_its_value_again(server: RedisServer, tmp_path: Path) -> None:
    """The quick start loads once on Redis, and in a second run not at all, as the page says; the key is as shown."""
    talk(server.port, "FLUSHALL")
    script = SNIPPETS / "start" / "quick_start.py"
    assert run(script, tmp_path, server) == "loading\nHello\nHello\n"
    assert run(script, tmp_path, server) == "Hello\nHello\n"
    assert '{"id":7,"title":"Hello"}' in talk(server.port, "GET", "rustforge:article:7")
