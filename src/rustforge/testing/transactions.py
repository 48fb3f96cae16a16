"""One transaction around a whole test: what the application commits is a savepoint in it, and goes with it at the end.

All sessions and connections of the engine share one connection to the database. Each transaction of theirs is a
savepoint, and as savepoints lie within each other, they take turns: one that another task has begun is waited for. A
transaction that is begun within another one, by the same task or by one that it has started, lies within it.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import deque
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util.concurrency import await_, greenlet_spawn, in_greenlet

from rustforge.boot import LazyDatabase
from rustforge.jobs.outbox import OutboxFlusher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping

    from sqlalchemy import Connection

    from rustforge.db import Database
    from rustforge.jobs import Queue

__all__ = ["PATIENCE", "OneTransaction", "TransactionError"]

PATIENCE = 10.0
"""Seconds for which a transaction waits for one before it that does not end."""

_WITH = re.compile(r"\s*WITH\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_READS = re.compile(r"\s*(SELECT|VALUES|SHOW|EXPLAIN|PRAGMA|SAVEPOINT|RELEASE|ROLLBACK)\b", re.IGNORECASE)
_FORBIDDEN = re.compile(
    r"\s*(BEGIN|COMMIT|END|ABORT|START\s+TRANSACTION|ROLLBACK(?!\s+(TRANSACTION\s+|WORK\s+)?TO\b))\b", re.IGNORECASE
)
_TO_OUTBOX = re.compile(r'\s*INSERT\s+INTO\s+"?outbox_jobs\b', re.IGNORECASE)


_WRONG_ORDER = (
    "a transaction cannot be rolled back while one that was begun later is open and has written: in a test the later "
    "one lies within it; end them in the opposite order"
)
_LOST_OUTER = (
    "a transaction was rolled back while another one, begun before, had written since: in a test the later one lies "
    "around that, which is lost with it; end the later one first"
)
_LOST_INNER = (
    "a transaction was rolled back within which another one had committed: in a test the inner one is lost with it; "
    "end the outer one before you begin the inner one"
)


class TransactionError(InvalidRequestError):
    """Something that cannot be done where all transactions of a test lie within one."""


@dataclass(eq=False, slots=True)
class _Transaction:
    """One transaction of the application.

    Attributes:
        name: Its savepoint.
        task: Who has begun it.
        parent: The one in which it lies.
        ended: Whether it was committed or rolled back; it may have to wait for those that lie within it.
        given_up: Whether it is to be rolled back, by whoever comes next.
        wrote: Whether it may have changed something.
        mixed: Whether an outer one has written since, which would go with it.
        holds: Whether an inner one has written and committed, which would go with it.
        pushed: Whether it has written jobs to the outbox.
    """

    name: str
    task: asyncio.Task[Any]
    parent: _Transaction | None
    ended: bool = False
    given_up: bool = False
    wrote: bool = False
    mixed: bool = False
    holds: bool = False
    pushed: bool = False

    def belongs_to(self, task: asyncio.Task[Any]) -> bool:
        """Tell whether this task has begun it, or one that is done, such as that of a fixture."""
        return self.task is task or self.task.done()


_innermost: ContextVar[_Transaction | None] = ContextVar("rustforge_transaction", default=None)


class _View:
    """What the engine takes for a connection of its own: one transaction at a time on the shared connection."""

    def __init__(self, whole: OneTransaction) -> None:
        self._whole = whole
        self._autocommits = False
        self.transaction: _Transaction | None = None

    def begin(self) -> None:
        if self._autocommits:
            msg = "AUTOCOMMIT cannot be undone at the end of a test: let the application use a transaction here"
            raise TransactionError(msg)
        self.transaction = await_(self._whole.begin())

    def execute(self, statement: str) -> None:
        if self.transaction is not None:
            await_(self._whole.enter(self.transaction, statement))

    def cursor(self, *args: Any, **options: Any) -> Any:
        await_(self._whole.open())  # the engine asks for a cursor before it begins a transaction
        return self._whole.connection.cursor(*args, **options)

    def commit(self) -> None:
        self._end(self._whole.commit)

    def rollback(self) -> None:
        self._end(self._whole.rollback)

    def _end(self, ending: Callable[[_Transaction], Awaitable[None]]) -> None:
        if self.transaction is not None:
            try:
                await_(ending(self.transaction))
            finally:
                if self.transaction.ended:  # else it was cancelled, and is to be terminated
                    self.transaction = None

    def close(self) -> None:
        self.rollback()

    def terminate(self) -> None:
        """End it in the middle, as when its task was cancelled."""
        if self.transaction is not None:
            ended, self.transaction = self.transaction, None
            self._whole.give_up(ended)
            if in_greenlet():
                await_(self._whole.clean())

    def set_isolation_level(self, level: str) -> None:
        """Take note: the level of the transaction around everything counts."""
        self._autocommits = level.lower() == "autocommit"

    @property
    def isolation_level(self) -> str | None:
        """What the driver for SQLite calls it."""
        return ""

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        self.set_isolation_level("autocommit" if level is None else level)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole.connection, name)


@dataclass(eq=False)
class OneTransaction:
    """The transaction around a test, on one connection that is opened when it is first needed.

    Attributes:
        home: The database.
        compiled: Statements that were compiled, by this test or those before it.
        patience: Seconds after which waiting for another transaction is an error.
        db: The database as the application sees it.
    """

    home: Database
    compiled: MutableMapping[Any, Any] = field(default_factory=dict[Any, Any])
    patience: float = PATIENCE
    db: Database = field(init=False)

    def __post_init__(self) -> None:
        """Make the engine; nothing is opened."""
        self._loop = asyncio.get_running_loop()
        self._fairy: Any = None
        self._opening = asyncio.Lock()
        self._order = asyncio.Lock()
        self._stack: list[_Transaction] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._names = itertools.count(1)
        self._closed = False
        inner = self.home.engine.sync_engine
        view: Any = lambda: _View(self)  # noqa: E731 - what a pool takes for a driver's connect()
        pool = AsyncAdaptedQueuePool(view, pool_size=0, dialect=inner.dialect)
        engine = Engine(
            pool,
            inner.dialect,
            inner.url,
            echo=bool(inner.echo),
            hide_parameters=inner.hide_parameters,
            execution_options={"compiled_cache": self.compiled},
        )
        event.listen(engine, "begin", _begins)
        event.listen(engine, "before_cursor_execute", _executes)
        self.db = self.home.over(AsyncEngine(engine))

    @property
    def connection(self) -> Any:
        """The driver's connection."""
        if self._fairy is None:
            msg = "a connection of the engine was used before a transaction was begun on it"
            raise TransactionError(msg)
        return self._fairy.dbapi_connection

    @property
    def holds_jobs(self) -> bool:
        """Whether a transaction that may yet be rolled back has written to the outbox."""
        return any(one.pushed and not one.ended for one in self._stack)

    async def close(self) -> None:
        """Take back everything, and close the connection."""
        self._closed = True
        self._wake()
        if self._fairy is not None:
            try:
                await greenlet_spawn(self._fairy.rollback)
                await greenlet_spawn(self._fairy.close)
            except self.home.engine.dialect.loaded_dbapi.Error:  # a task of the application still uses it
                await greenlet_spawn(self._fairy.invalidate)
            finally:
                await self.home.dispose()

    # -- what the engine asks for --------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the connection, where it is not open yet."""
        if self._closed:
            raise _over()
        if asyncio.get_running_loop() is not self._loop:
            msg = (
                "the database of a test belongs to the test's event loop, and this is another one: use "
                "rustforge_client, and not a client that runs the application in a thread"
            )
            raise TransactionError(msg)
        if self._fairy is None:
            async with self._opening:
                if self._fairy is None:
                    fairy = await self.home.engine.raw_connection()
                    if self.home.is_sqlite:
                        await greenlet_spawn(_execute, fairy, ["BEGIN IMMEDIATE"])
                    self._fairy = fairy

    async def begin(self) -> _Transaction:
        """Begin a transaction, when it is its turn."""
        await self.open()
        task = _this_task()
        while True:
            async with self._order:
                await self._tidy()
                parent = self._innermost()
                top = self._stack[-1] if self._stack else None
                if top is None or top is parent or top.belongs_to(task):
                    return await self._begin(task, parent)
            await self._wait(top)

    async def _begin(self, task: asyncio.Task[Any], parent: _Transaction | None) -> _Transaction:
        begun = _Transaction(f"rustforge_{next(self._names)}", task, parent)
        self._stack.append(begun)
        _innermost.set(begun)
        try:
            await self._run(f"SAVEPOINT {begun.name}")
        except BaseException:
            self.give_up(begun)
            raise
        return begun

    async def enter(self, transaction: _Transaction, statement: str) -> None:
        """Let a statement of a transaction run, when it is its turn."""
        if _FORBIDDEN.match(statement):
            msg = (
                f"{statement.strip()[:40]!r} would end the test's own transaction; use begin(), commit() and rollback()"
            )
            raise TransactionError(msg)
        async with self._turn(transaction) as within:
            if _may_write(statement):
                transaction.wrote = True
                transaction.pushed = transaction.pushed or _TO_OUTBOX.match(statement) is not None
                for one in within:
                    one.mixed = True

    async def commit(self, transaction: _Transaction) -> None:
        """Keep what it has done, as a part of what lies around it."""
        async with self._turn(transaction):
            transaction.ended = True
            if transaction.wrote or transaction.holds:
                for one in self._stack[: self._stack.index(transaction)]:
                    one.holds = True
            await self._settle()

    async def rollback(self, transaction: _Transaction) -> None:
        """Undo what it has done."""
        if self._closed:
            return
        async with self._turn(transaction) as within:
            transaction.ended = True
            if not transaction.wrote:
                if not (within or transaction.holds or transaction.mixed):
                    await self._undo(transaction)  # there may be more to it than we can see
                await self._settle()
                return
            if any(one.wrote or one.mixed for one in within):
                transaction.given_up = True
                raise TransactionError(_WRONG_ORDER)
            await self._undo(transaction)
            for one in within:
                await self._run(f"SAVEPOINT {one.name}")
            await self._settle()
        if transaction.mixed:
            raise TransactionError(_LOST_OUTER)
        if transaction.holds and transaction.task is _this_task():
            raise TransactionError(_LOST_INNER)

    def give_up(self, transaction: _Transaction) -> None:
        """Have a transaction rolled back by whoever comes next."""
        transaction.ended = transaction.given_up = True
        self._wake()

    async def clean(self) -> None:
        """Roll back what was given up."""
        async with self._order:
            await self._tidy()

    # -- turns ---------------------------------------------------------------------------------------------------

    def _innermost(self) -> _Transaction | None:
        """Find the transaction within which this task works."""
        found = _innermost.get()
        while found is not None and found.ended:
            found = found.parent
        return found if found in self._stack else None

    @asynccontextmanager
    async def _turn(self, transaction: _Transaction) -> AsyncGenerator[list[_Transaction]]:
        """Wait until no other task works within a transaction; give those of the same task that lie within it."""
        task = _this_task()
        while True:
            async with self._order:
                await self._tidy()
                if self._closed or transaction not in self._stack:
                    raise _over()
                within = self._stack[self._stack.index(transaction) + 1 :]
                other = next((one for one in within if not one.belongs_to(task)), None)
                if other is None:
                    yield within
                    return
            await self._wait(other)

    async def _wait(self, other: _Transaction) -> None:
        """Wait until some transaction has ended."""
        woken = self._loop.create_future()
        self._waiting.append(woken)
        try:
            async with asyncio.timeout(self.patience):
                await woken
        except TimeoutError:
            raise TransactionError(_says_who(other, self.patience)) from None

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            if not one.done():
                one.set_result(None)

    # -- the connection ------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Release what is at the top and has ended."""
        while self._stack and self._stack[-1].ended and not self._stack[-1].given_up:
            ended = self._stack.pop()
            try:
                await self._run(f"RELEASE SAVEPOINT {ended.name}")
            except self.home.engine.dialect.loaded_dbapi.Error:  # PostgreSQL, after an error: a commit rolls back then
                await self._run(f"ROLLBACK TO SAVEPOINT {ended.name}", f"RELEASE SAVEPOINT {ended.name}")
        self._wake()

    async def _undo(self, transaction: _Transaction) -> None:
        self._stack.remove(transaction)
        await self._run(f"ROLLBACK TO SAVEPOINT {transaction.name}", f"RELEASE SAVEPOINT {transaction.name}")
        self._wake()

    async def _tidy(self) -> None:
        """Finish what was given up, or was cancelled before it was finished."""
        while self._stack and self._stack[-1].ended and not self._closed:
            if self._stack[-1].given_up:
                await self._undo(self._stack[-1])
            await self._settle()

    async def _run(self, *statements: str) -> None:
        """Run statements of ours to their end, even where the task is cancelled meanwhile."""
        running = asyncio.ensure_future(greenlet_spawn(_execute, self._fairy, statements))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise


def _begins(connection: Connection) -> None:
    _view_of(connection).begin()


def _executes(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
    del cursor
    _view_of(connection).execute(statement)


def _view_of(connection: Connection) -> _View:
    view: Any = connection.connection.dbapi_connection
    return view  # type: ignore[no-any-return]


def _execute(fairy: Any, statements: Iterable[str]) -> None:
    cursor = fairy.cursor()
    try:
        for statement in statements:
            cursor.execute(statement)
    finally:
        cursor.close()


def _may_write(statement: str) -> bool:
    """Tell whether a statement may change something, as far as its text says."""
    return _READS.match(statement) is None and (_WITH.match(statement) is None or _WRITES.search(statement) is not None)


def _over() -> TransactionError:
    return TransactionError("the test has ended, and its transaction with it")


def _says_who(other: _Transaction, seconds: float) -> str:
    """Say for whom a transaction has waited in vain."""
    frames = other.task.get_stack(limit=1)
    where = f", which is at {frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else ""
    return (
        f"a transaction has waited {seconds:g} s for that of task {other.task.get_name()!r}{where}. In a test, all "
        "transactions share one connection and take turns; end that one before you wait for what needs another"
    )


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - coroutines have one
    return task


class FlusherInTurn(OutboxFlusher):
    """Brings jobs from the outbox into the queue before the commit returns that has let them go."""

    def __init__(self, ctx: Any, whole: OneTransaction) -> None:
        """Say from where to where, and within what."""
        super().__init__(ctx)
        self._whole = whole
        self._again = False
        self._busy = False

    def wake(self) -> None:
        """Flush now, unless an outer transaction may still take jobs back; then its end brings them."""
        if in_greenlet() and not self._whole.holds_jobs:
            await_(self._deliver())

    async def _deliver(self) -> None:
        self._again = True
        if self._busy:  # by another task, which looks once more
            return
        self._busy = True
        try:
            while self._again:
                self._again = False
                await self._try()
        finally:
            self._busy = False


class DatabaseOfTest(LazyDatabase):
    """The database of a test's context."""

    def __init__(self, whole: OneTransaction, queue: Queue) -> None:
        """Let jobs of its outbox go to a queue."""
        super().__init__(whole.db.url, queue, migrate=False)
        self._made = whole.db
        self._flusher = FlusherInTurn(_Parts(whole.db, queue), whole)
        self._flusher.listen(asyncio.get_running_loop())


@dataclass(frozen=True, slots=True)
class _Parts:
    db: Database
    queue: Queue
