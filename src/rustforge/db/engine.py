"""One database: its engine, tuned for what it is, and its transactions."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextlib import asynccontextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from rustforge.db.migrations import upgrade_connection
from rustforge.errors import DatabaseError
from rustforge.settings import without_credentials

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sqlalchemy import URL, Connection

__all__ = ["Database"]

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
_KINDS = "the database must be SQLite (sqlite+aiosqlite:///shop.db) or PostgreSQL (postgresql+asyncpg://host/shop)"
_UNREADABLE = "it cannot be taken apart; write special characters of the password as %XX"
_SOURCES = {"aiosqlite": "'rustforge[sql]'", "asyncpg": "'rustforge[postgres]'"}
_TURN_SECONDS = 0.01
_upgrading = threading.Lock()
_CONNECT_SECONDS = 10
_BEGIN = "sqlite_begin"


class Database:
    """An SQL database: SQLite by aiosqlite, PostgreSQL by asyncpg.

    Nothing is opened before the first use. On SQLite, transactions are explicit and hold: readers go on beside one
    writer (WAL), foreign keys count, and who finds the database busy waits. Errors and logs show neither the password
    nor the parameters of statements.

    Attributes:
        url: The address without user, password and options, as messages name it.
        engine: SQLAlchemy's engine, also for sessions of the application's own making.

    Example:
        ```python
        async with Database("sqlite+aiosqlite:///shop.db") as db:
            await db.upgrade()
            async with db.transaction() as session:
                session.add(order)
                await JobBuffer(session).push(SendReceipt(order_id=order.id))
        ```
    """

    def __init__(
        self, url: str, *, pool_size: int = 10, busy_timeout: float = 10, echo: bool = False, migrate: bool = False
    ) -> None:
        """Make the engine.

        Args:
            url: An SQLAlchemy URL. `sqlite://`, `postgresql://` and `postgres://` take the async drivers, and
                `sslmode` may be written as for libpq.
            pool_size: How many connections stay open, and may be used at the same time; twice as many at peaks.
            busy_timeout: On SQLite, how many seconds a writer waits for another one.
            echo: Log each statement.
            migrate: Bring Rustforge's tables up to date before the first transaction.

        Raises:
            DatabaseError: The URL cannot be used, or its driver is not installed.
        """
        self.url: str = without_credentials(url)
        self._migrate = migrate
        self._turn = asyncio.Lock()
        self._busy_ms = int(busy_timeout * 1000)
        self._secrets: list[str] = []
        options: dict[str, Any] = {"echo": echo, "hide_parameters": True}
        try:
            parsed = _with_driver(make_url(url))
            if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
                raise ArgumentError(_KINDS)
            if parsed.get_backend_name() == "sqlite":
                options["poolclass"] = AsyncAdaptedQueuePool
                alone = parsed.database in {None, "", ":memory:"}  # each connection would have a database of its own
                options |= {"pool_size": 1, "max_overflow": 0} if alone else {"pool_size": pool_size}
            else:
                parsed, arguments = _connect_arguments(parsed)
                options |= {"pool_size": pool_size, "pool_pre_ping": True, "connect_args": arguments}
            self.engine: AsyncEngine = create_async_engine(parsed, **options)
        except NoSuchModuleError:
            raise self._error(_KINDS) from None
        except ValueError:  # its text may hold a part of the password
            raise self._error(_UNREADABLE) from None
        except (SQLAlchemyError, TypeError) as error:
            raise self._error(error) from None
        except ModuleNotFoundError as error:
            source = _SOURCES.get(error.name or "", error.name)
            msg = f"{error.name} is not installed; it comes with: pip install {source}"
            raise self._error(msg) from None
        self._secrets += [str(parsed.password)] if parsed.password else []
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", self._tune)
            event.listen(self.engine.sync_engine, "begin", _begin)
            event.listen(self.engine.sync_engine, "invalidate", _roll_back)
        self._writing = self.engine.execution_options(**{_BEGIN: "IMMEDIATE"})

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite."""
        return self.engine.dialect.name == "sqlite"

    @property
    def is_postgresql(self) -> bool:
        """Whether it is PostgreSQL."""
        return self.engine.dialect.name == "postgresql"

    async def open(self) -> None:
        """Connect once, to find out whether it works.

        Raises:
            DatabaseError: It does not. The message is one line that names `DATABASE_URL` and the address.
        """
        try:
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError, TimeoutError, ValueError, TypeError) as error:
            raise self._error(error) from None
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "asyncpg":
                raise
            raise self._error(error) from None

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """Begin a transaction that is committed at the end of the block, and rolled back by an exception.

        On SQLite it is one that writes (`BEGIN IMMEDIATE`): writers take turns from the beginning, so that none fails
        in the middle because another was faster.

        Yields:
            The session. Objects stay readable after the commit.
        """
        await self._ready()
        async with AsyncSession(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """Begin a transaction that only reads, and on SQLite waits for no writer; it is rolled back at the end.

        Yields:
            The session.
        """
        await self._ready()
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    async def upgrade(self) -> None:
        """Bring Rustforge's tables up to date, in one transaction; processes that do it at once take turns.

        An application that has these migrations in its own Alembic history does not call this.
        """
        async with self._turn:
            await self._upgrade()

    def over(self, engine: AsyncEngine) -> Database:
        """Return this database on another engine of the same dialect, as tests do whose transactions lie within one.

        Args:
            engine: The engine.
        """
        other = copy(self)
        other._migrate = False  # noqa: SLF001 - it is one of these
        other._turn = asyncio.Lock()  # noqa: SLF001
        other.engine = engine
        other._writing = engine.execution_options(**{_BEGIN: "IMMEDIATE"})  # noqa: SLF001
        return other

    async def _ready(self) -> None:
        if self._migrate:
            async with self._turn:
                if self._migrate:
                    await self._upgrade()

    async def _upgrade(self) -> None:
        # Alembic works for one database of a process at a time.
        while not _upgrading.acquire(blocking=False):  # noqa: ASYNC110 - other threads and loops, too
            await asyncio.sleep(_TURN_SECONDS)
        try:
            async with self._writing.begin() as connection:
                await connection.run_sync(upgrade_connection)
        finally:
            _upgrading.release()
        self._migrate = False

    async def dispose(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    async def __aenter__(self) -> Self:
        """Connect once, as `open` does."""
        try:
            await self.open()
        except BaseException:
            await self.dispose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.dispose()

    def __repr__(self) -> str:
        """Show the address without credentials."""
        return f"<Database {self.url}>"

    def _error(self, reason: Exception | str) -> DatabaseError:
        if isinstance(reason, DBAPIError):
            reason = str(reason.orig)
        elif isinstance(reason, Exception):
            reason = str(reason) or type(reason).__name__
        line = reason.strip().splitlines()[0] if reason.strip() else "it cannot be opened"
        for secret in self._secrets:
            line = line.replace(secret, "...")
        return DatabaseError(f"DATABASE_URL={self.url}: {line}")

    def _tune(self, connection: Any, record: Any) -> None:
        """Set up a connection to SQLite."""
        del record
        connection.isolation_level = None  # transactions begin where we say so, not before the first write
        cursor = connection.cursor()
        for pragma in (f"busy_timeout = {self._busy_ms}", "journal_mode = WAL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def _begin(connection: Connection) -> None:
    """Begin a transaction on SQLite."""
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(_BEGIN, 'DEFERRED')}")


def _roll_back(connection: Any, record: Any, error: BaseException | None) -> None:
    """Begin a rollback before a connection to SQLite is closed that was given up, as when its task was cancelled.

    A result that nobody has read to its end keeps a closed connection alive, and with it the lock of its transaction.
    Nobody waits for the rollback: it runs in the connection's own thread, before the close.
    """
    del record, error
    with contextlib.suppress(Exception):  # it is closed already
        beginning = connection.driver_connection.rollback()
        beginning.send(None)
        beginning.close()


def _with_driver(url: URL) -> URL:
    """Take the async driver where the URL names none."""
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def _connect_arguments(url: URL) -> tuple[URL, dict[str, Any]]:
    """Write what a URL for libpq says in the driver's own words."""
    arguments: dict[str, Any] = {"timeout": _CONNECT_SECONDS} if url.get_driver_name() == "asyncpg" else {}
    if url.get_driver_name() == "asyncpg" and "sslmode" in url.query:
        arguments["ssl"] = url.query["sslmode"]
        url = url.difference_update_query(["sslmode"])
    return url, arguments
