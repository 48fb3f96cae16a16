"""The databases of a test run: one for each process, made when it is first needed and removed at the end."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.util import LRUCache

from rustforge.db import Database
from rustforge.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from sqlalchemy import MetaData

    TableMaker = Callable[[Database], Awaitable[object]]

__all__ = ["DatabaseOfRun", "DatabasesOfRun", "TablesOf"]

T = TypeVar("T")

_LONGEST_NAME = 63
_STATEMENTS = 500


class DatabaseOfRun:
    """An empty database, made next to the one that a URL names.

    Attributes:
        url: Its URL.
        home: The database, without connections between tests.
        compiled: Statements that were compiled for it.
    """

    def __init__(self, near: str, process: str, folder: Path) -> None:
        """Name it; nothing is made yet.

        Args:
            near: The URL beside whose database it is made, under the same name with the process's behind it; empty for
                a file in the folder.
            process: The name of this process among those that run tests side by side.
            folder: An empty folder of this process.
        """
        self._near = make_url(near or "sqlite://")
        self._is_file = self._near.get_backend_name() == "sqlite"
        name = self._near.database or ""
        if self._is_file:
            path = folder / "test.db" if name in {"", ":memory:"} else Path(name)
            self._path = path.with_name(f"{path.stem}_{process}{path.suffix}")
            self._name = str(self._path)
        else:
            self._name = f"{name[: _LONGEST_NAME - len(process) - 1]}_{process}"
        self.url: str = _text(self._near.set(database=self._name))
        self.home: Database = Database(self.url)
        self.compiled: LRUCache[Any, Any] = LRUCache(_STATEMENTS)

    def make(self, make_tables: TableMaker) -> None:
        """Make it anew, with its tables."""
        _in_a_thread(self._make(make_tables))

    def remove(self) -> None:
        """Remove it."""
        _in_a_thread(self._drop())

    async def _make(self, make_tables: TableMaker) -> None:
        await self._drop()
        if not self._is_file:
            await self._administer(f"CREATE DATABASE {_quoted(self._name)}")
        async with self.home:
            await make_tables(self.home)

    async def _drop(self) -> None:
        if self._is_file:
            for ending in ("", "-wal", "-shm"):
                Path(f"{self._path}{ending}").unlink(missing_ok=True)  # noqa: ASYNC240 - in a thread of its own
        else:
            await self._administer(f"DROP DATABASE IF EXISTS {_quoted(self._name)}")

    async def _administer(self, statement: str) -> None:
        async with Database(_text(self._near)) as db:
            alone = db.engine.execution_options(isolation_level="AUTOCOMMIT")
            try:
                async with alone.connect() as connection:
                    await connection.exec_driver_sql(statement)
            except SQLAlchemyError as error:
                reason = str(getattr(error, "orig", error)).splitlines()[0]
                msg = f"{db.url}: {statement}: {reason}"
                raise DatabaseError(msg) from None


class DatabasesOfRun:
    """The databases of a run: one for each way to make tables, as projects may be tested in one run."""

    def __init__(self, near: str, process: str, folder: Path) -> None:
        """Take what each of them takes."""
        self._near = near
        self._process = process
        self._folder = folder
        self._made: dict[TableMaker, DatabaseOfRun] = {}

    def of(self, make_tables: TableMaker) -> DatabaseOfRun:
        """Return the database of this function, which is called when it comes for the first time."""
        if make_tables not in self._made:
            process = f"{self._process}_{len(self._made) + 1}" if self._made else self._process
            database = DatabaseOfRun(self._near, process, self._folder)
            database.make(make_tables)
            self._made[make_tables] = database
        return self._made[make_tables]

    def remove(self) -> None:
        """Remove them."""
        for database in self._made.values():
            database.remove()


@dataclass(frozen=True)
class TablesOf:
    """Makes the tables of metadata, and Rustforge's."""

    metadata: tuple[MetaData, ...]

    async def __call__(self, db: Database) -> None:
        """Make them."""
        async with db.engine.begin() as connection:
            for one in self.metadata:
                await connection.run_sync(one.create_all)
        await db.upgrade()


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _in_a_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end what needs an event loop, whether one runs here or not."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
