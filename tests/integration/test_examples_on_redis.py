"""The examples of the site, which run on `memory://`, do the same on a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
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


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """Run a server that is emptied before each example."""
    with RedisServer() as running:
        yield running


def run(script: Path, folder: Path, server: RedisServer) -> str:
    """Run a script with the server's address where it names memory://, and return what it prints."""
    text = REDIS.sub(f'connect("{server.url}"', script.read_text())
    copy = folder / script.name
    copy.write_text(text)
    env = {**os.environ, "REDIS_URL": server.url}
    command = [sys.executable, "-X", "dev", "-W", "error", str(copy)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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
