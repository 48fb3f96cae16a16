"""The database: transactions that hold, migrations that make what the metadata says, errors without passwords."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.exc import IntegrityError

from rustforge.db import VERSIONS, Database, metadata
from rustforge.db.migrations import VERSION_TABLE
from rustforge.errors import DatabaseError
from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from pathlib import Path

TABLES = {"attachments", "deliveries", "failed_jobs", "outbox_jobs", "webhook_endpoints"}


async def tables(db: Database) -> set[str]:
    """List the tables of a database."""
    async with db.engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def counter(db: Database) -> int:
    """Make a table with one number, or read the number."""
    async with db.transaction() as session:
        await session.execute(text("CREATE TABLE IF NOT EXISTS counter (n integer)"))
        found = await session.scalar(text("SELECT n FROM counter"))
        if found is None:
            await session.execute(text("INSERT INTO counter VALUES (0)"))
        return found or 0


async def test_a_transaction_commits_or_leaves_nothing(db: Database) -> None:
    """The end of the block commits; an exception takes everything back, tables included."""
    await counter(db)
    async with db.transaction() as session:
        await session.execute(text("UPDATE counter SET n = 1"))

    async def fail() -> None:
        async with db.transaction() as session:
            await session.execute(text("CREATE TABLE more (n integer)"))
            await session.execute(text("UPDATE counter SET n = 2"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await counter(db) == 1
    assert "more" not in await tables(db)


async def test_reading_writes_nothing(db: Database) -> None:
    """What a reading transaction writes is taken back."""
    await counter(db)
    async with db.reading() as session:
        await session.execute(text("UPDATE counter SET n = 7"))
    assert await counter(db) == 0


async def test_writers_on_sqlite_take_turns(tmp_path: Path) -> None:
    """Twenty tasks, and two engines, read a number and write it back plus one; none fails, none is lost."""
    url = f"sqlite:///{tmp_path}/shop.db"
    async with Database(url) as first, Database(url) as second:
        await counter(first)

        async def add_one(db: Database) -> None:
            async with db.transaction() as session:
                n = await session.scalar(text("SELECT n FROM counter"))
                await session.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

        await asyncio.gather(*[add_one(db) for db in (first, second) for _ in range(10)])
        assert await counter(first) == 20


async def test_readers_on_sqlite_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    """While a transaction writes, another one reads what was there before."""
    async with Database(f"sqlite:///{tmp_path}/shop.db", busy_timeout=0.1) as db:
        await counter(db)
        async with db.transaction() as writer:
            await writer.execute(text("UPDATE counter SET n = 5"))
            async with db.reading() as reader:
                assert await reader.scalar(text("SELECT n FROM counter")) == 0


async def test_a_cancelled_transaction_on_sqlite_lets_go(tmp_path: Path) -> None:
    """A task that is cancelled within a statement leaves no lock, although nobody has collected its garbage yet."""
    slow = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200000) SELECT max(x) FROM c"
    started = asyncio.Event()

    async def work(db: Database) -> None:
        async with db.transaction() as session:
            await session.execute(text("UPDATE counter SET n = 3"))
            event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *_: started.set())
            await session.execute(text(slow))

    async with Database(f"sqlite:///{tmp_path}/shop.db", busy_timeout=1) as db:
        await counter(db)
        gc.disable()
        try:
            task = asyncio.create_task(work(db))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await counter(db) == 0
        finally:
            gc.enable()


async def test_foreign_keys_count_on_sqlite(tmp_path: Path) -> None:
    """A row that points nowhere is refused."""
    async with Database(f"sqlite:///{tmp_path}/shop.db") as db:
        async with db.transaction() as session:
            await session.execute(text("CREATE TABLE a (id integer primary key)"))
            await session.execute(text("CREATE TABLE b (a integer references a)"))
        with pytest.raises(IntegrityError):
            async with db.transaction() as session:
                await session.execute(text("INSERT INTO b VALUES (1)"))


async def test_sqlite_in_memory_is_one_database() -> None:
    """Transactions of many tasks see the same tables, one after the other."""
    async with Database("sqlite://") as db:
        await counter(db)

        async def add_one() -> None:
            async with db.transaction() as session:
                n = await session.scalar(text("SELECT n FROM counter"))
                await asyncio.sleep(0)
                await session.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

        await asyncio.gather(*[add_one() for _ in range(5)])
        assert await counter(db) == 5


async def test_migrations_make_what_the_metadata_says(db: Database) -> None:
    """Comparing the migrated schema with the metadata finds no difference, indexes and types included."""

    def differences(connection: Connection) -> list[object]:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    assert await tables(db) == {*TABLES, VERSION_TABLE}
    async with db.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_upgrading_at_once(database_url: str) -> None:
    """Several processes may upgrade at the same time, and again."""
    async with Database(database_url) as first, Database(database_url) as second:
        await asyncio.gather(first.upgrade(), second.upgrade(), first.upgrade())
        assert await tables(first) == {*TABLES, VERSION_TABLE}


async def test_upgrading_several_databases_at_once(tmp_path: Path) -> None:
    """A process may do it for databases that have nothing to do with each other, in several threads."""

    async def upgrade(number: int) -> None:
        async with Database(f"sqlite+aiosqlite:///{tmp_path}/{number}.db", migrate=True) as db:
            assert await tables(db) == set()
            async with db.reading() as session:
                await session.execute(text("SELECT 1 FROM outbox_jobs"))

    async def upgrade_some(first: int) -> None:
        await asyncio.gather(*[upgrade(number) for number in range(first, first + 3)])

    await asyncio.gather(*[asyncio.to_thread(asyncio.run, upgrade_some(first)) for first in (0, 3, 6)])


async def test_an_upgrade_that_fails_leaves_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables come together or not at all."""
    async with Database(database_url) as db:
        async with db.transaction() as session:
            await session.execute(text("CREATE TABLE failed_jobs (n integer)"))  # the second one to be created
        with pytest.raises(Exception, match="failed_jobs"):
            await db.upgrade()
        assert await tables(db) == {"failed_jobs"}


INI = """
[alembic]
script_location = {folder}
path_separator = newline
version_locations =
    {folder}/versions
    rustforge.db:migrations/versions
"""
ENV = """
from alembic import context
from sqlalchemy import Column, Integer, MetaData, Table
import rustforge.db
own = MetaData()
Table("orders", own, Column("id", Integer, primary_key=True))
context.configure(connection=context.config.attributes["connection"], target_metadata=[own, rustforge.db.metadata])
with context.begin_transaction():
    context.run_migrations()
"""
ORDERS = """
from alembic import op
import sqlalchemy as sa
revision = "orders"
down_revision = None
depends_on = "rustforge_0001"
def upgrade():
    op.create_table("orders", sa.Column("id", sa.Integer(), primary_key=True))
def downgrade():
    op.drop_table("orders")
"""


@pytest.fixture
def history(tmp_path: Path) -> Config:
    """Make an application's Alembic history that has Rustforge's in it."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    (folder / "versions" / "orders.py").write_text(ORDERS)
    (tmp_path / "alembic.ini").write_text(INI.format(folder=folder))
    return Config(tmp_path / "alembic.ini")


async def test_within_the_history_of_an_application(database_url: str, history: Config) -> None:
    """`alembic upgrade heads` brings both, `alembic check` finds nothing, and downgrading removes all."""

    def run(connection: Connection, what: str) -> None:
        history.attributes["connection"] = connection
        {
            "upgrade": lambda: command.upgrade(history, "heads"),
            "branch": lambda: command.upgrade(history, "rustforge@head"),
            "check": lambda: command.check(history),
            "downgrade": lambda: command.downgrade(history, "rustforge@base"),
        }[what]()

    first = ScriptDirectory.from_config(history).get_revision("rustforge_0001")
    assert first is not None
    assert first.path.startswith(VERSIONS)
    async with Database(database_url) as db:
        for what, expected in (
            ("branch", {*TABLES, "alembic_version"}),
            ("upgrade", {*TABLES, "alembic_version", "orders"}),
            ("check", {*TABLES, "alembic_version", "orders"}),
            ("downgrade", {"alembic_version"}),
        ):
            async with db.engine.begin() as connection:
                await connection.run_sync(run, what)
            assert await tables(db) == expected


@pytest.mark.usefixtures("postgres_server")
async def test_the_password_of_postgresql_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Right passwords are taken; a wrong one, or one of a database that is not there, is not shown."""
    with PostgresServer(password="s3cr3t") as server:
        for scheme in ("postgres", "postgresql+asyncpg"):
            url = server.url().replace("postgresql", scheme)
            async with Database(f"{url}?sslmode=disable") as db, db.reading() as session:
                assert await session.scalar(text("SELECT 1")) == 1
            assert "s3cr3t" not in f"{db!r} {db.engine!r} {db.url}"
        for url in (server.url(password="s3cr3t!"), server.url("nowhere"), f"{server.url()}?s3cr3t=1"):
            with pytest.raises(DatabaseError) as caught:
                await Database(url).__aenter__()
            message = str(caught.value)
            assert message.startswith(f"DATABASE_URL=postgresql://127.0.0.1:{server.port}/")
            assert "s3cr3t" not in f"{message} {caught.value.__cause__!r}"
            assert "\n" not in message
    assert "s3cr3t" not in caplog.text


async def test_errors_do_not_show_parameters(db: Database) -> None:
    """An error of a statement does not hold what was to be written."""
    with pytest.raises(IntegrityError) as caught:
        async with db.transaction() as session:
            await session.execute(
                text("INSERT INTO failed_jobs (id, payload) VALUES (:id, :payload)"), {"id": "1", "payload": "s3cr3t"}
            )
    assert "[SQL parameters hidden" in str(caught.value)
