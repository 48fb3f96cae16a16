"""The pytest plugin, in runs of pytest of their own: in any order, side by side, on each database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from rustforge.db import Database
from tests.support.plugin import run_pytest
from tests.support.servers import talk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgres import PostgresServer
    from tests.support.servers import RedisServer


pytestmark = pytest.mark.timeout(150)


async def databases(url: str) -> list[str]:
    """List the databases of a server."""
    async with Database(url) as db, db.reading() as session:
        return sorted(await session.scalars(text("SELECT datname FROM pg_database WHERE NOT datistemplate")))


@pytest.mark.parametrize(
    ("mode", "lines", "mark"),
    [
        ("strict", "", "asyncio"),
        ("auto", 'asyncio_default_test_loop_scope = "session"', ""),
        ("strict", "", "anyio"),
        ("off", "", "anyio"),
    ],
    ids=["strict", "one loop for all tests", "anyio beside asyncio", "anyio"],
)
def test_plugins_that_run_tests(tmp_path: Path, mode: str, lines: str, mark: str) -> None:
    """pytest-asyncio in either mode and with any loop, and AnyIO's plugin, run tests and fixtures alike."""
    marks = [f"import pytest\n\npytestmark = pytest.mark.{mark}\n"] if mark else []
    if mark == "anyio":
        marks += ['\n\n@pytest.fixture(scope="module")\ndef anyio_backend() -> str:\n    return "asyncio"\n']
    run = run_pytest(tmp_path, "modes", mode=mode, lines=lines, ending="".join(marks))
    assert run.counts == {"passed": 5}, run


def test_what_is_wrong_is_said_once(tmp_path: Path, redis_server: RedisServer) -> None:
    """A request that the application has swallowed fails the test at its end; one that was raised is said once."""
    run = run_pytest(tmp_path, "wrong", "--rustforge-redis-url", redis_server.url, common=False)
    assert run.counts == {"passed": 2, "failed": 2, "error": 2}, run
    for message in (
        "the test has tried to reach what it has not declared: GET https://example.com/swallowed",
        "GET https://example.com/raised was not declared, so it does not leave the test",
        "rustforge_client needs an application: write a fixture rustforge_app that returns it",
        "the time of a Redis server cannot be moved: ask for rustforge_time as an argument of the test",
    ):
        assert message in run.text, run


def test_a_run_that_uses_nothing_loads_nothing(tmp_path: Path) -> None:
    """The plugin is loaded with every run, so it must weigh nothing."""
    run = run_pytest(tmp_path, "light", mode="off", common=False)
    assert run.counts == {"passed": 1}, run


def test_tests_that_would_interfere_on_sqlite(tmp_path: Path) -> None:
    """Side by side, each test finds nothing of another one; the named file is not touched, and no other one is left."""
    (tmp_path / "shop.db").write_text("not to be touched")
    lines = f'rustforge_database_url = "sqlite:///{tmp_path}/shop.db"'
    run = run_pytest(tmp_path, "interfering", "-n", "4", lines=lines)
    assert run.counts == {"passed": 9}, run
    assert (tmp_path / "shop.db").read_text() == "not to be touched"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "conftest.py",
        "pytest.toml",
        "shop.db",
        "test_interfering.py",
    ]


def test_tests_that_would_interfere_on_servers(
    tmp_path: Path, postgres_server: PostgresServer, redis_server: RedisServer
) -> None:
    """On PostgreSQL and Redis, side by side, it is the same; no database, no row and no key is left."""
    url = postgres_server.create_database()
    before = asyncio.run(databases(url))
    run = run_pytest(
        tmp_path, "interfering", "-n", "2", "--rustforge-database-url", url, TEST_REDIS_URL=redis_server.url
    )
    assert run.counts == {"passed": 9}, run
    assert asyncio.run(databases(url)) == before
    assert talk(redis_server.port, "DBSIZE").strip() == ":0"


def test_a_project_without_a_database(tmp_path: Path) -> None:
    """Who has not installed SQLAlchemy has a context all the same."""
    run = run_pytest(tmp_path, "bare", common=False)
    assert run.counts == {"passed": 1}, run
