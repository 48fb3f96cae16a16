"""The transaction around a test: the application commits, rolls back and nests as usual, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

import pytest
from sqlalchemy import delete, event, func, insert, select, text
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rustforge.attachments import AttachmentInput, AttachmentRules, Attachments, PurgeObject, hooks, single_slot
from rustforge.db import Database
from rustforge.jobs import Job, JobBuffer, JobContext, Queue
from rustforge.storage import new_key
from rustforge.testing import FakeQueue, FakeStorage, TransactionError
from rustforge.testing.databases import DatabaseOfRun, TablesOf
from rustforge.testing.transactions import DatabaseOfTest, OneTransaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Base(DeclarativeBase):
    """The tables of these tests."""


class Note(Base):
    """A row."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(unique=True)
    cover = single_slot(AttachmentRules(allowed=["image/*"]))


class Announce(Job):
    """A job of the outbox."""

    NAME: ClassVar[str] = "testing.announce"

    body: str

    async def handle(self, ctx: JobContext) -> None:
        """Do nothing."""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseOfRun]:
    """Make a database of each kind for all of these tests: each has to leave it as it was."""
    near = "" if request.param == "sqlite" else request.getfixturevalue("postgres_server").create_database()
    database = DatabaseOfRun(near, "tests", tmp_path_factory.mktemp("place"))
    database.make(TablesOf((Base.metadata,)))
    yield database
    database.remove()


@pytest.fixture
async def home(place: DatabaseOfRun) -> AsyncIterator[Database]:
    """Give the database, outside of any test's transaction."""
    async with Database(place.url) as db:
        yield db
        assert await bodies(db) == []


@asynccontextmanager
async def in_a_test(home: Database, patience: float = 5) -> AsyncIterator[OneTransaction]:
    """Begin and end what the plugin puts around a test."""
    whole = OneTransaction(home, patience=patience)
    try:
        yield whole
    finally:
        await whole.close()


@pytest.fixture
async def whole(home: Database) -> AsyncIterator[OneTransaction]:
    """Give the transaction around a test."""
    async with in_a_test(home) as whole:
        yield whole


@pytest.fixture
def db(whole: OneTransaction) -> Database:
    """Give the database as the application has it."""
    return whole.db


async def bodies(db: Database) -> list[str]:
    """Read all rows."""
    async with db.reading() as session:
        return list(await session.scalars(select(Note.body).order_by(Note.body)))


async def write(db: Database, *texts: str) -> None:
    """Write rows, in one transaction."""
    async with db.transaction() as session:
        session.add_all(Note(body=one) for one in texts)


async def test_a_commit_is_seen_by_all_and_gone_at_the_end(home: Database) -> None:
    """What one transaction has committed the next ones see, however they are made; afterwards there is nothing."""
    async with in_a_test(home) as whole:
        await write(whole.db, "a")
        async with AsyncSession(whole.db.engine) as session:
            session.add(Note(body="b"))
            await session.commit()
        async with async_sessionmaker(whole.db.engine)() as session, session.begin():
            session.add(Note(body="c"))
        async with whole.db.engine.begin() as connection:
            await connection.execute(insert(Note).values(body="d"))
        async with whole.db.engine.connect() as connection:
            assert await connection.scalar(select(func.count()).select_from(Note)) == 4
        assert await bodies(whole.db) == ["a", "b", "c", "d"]
    assert await bodies(home) == []


async def write_and_fail(db: Database, text: str) -> None:
    """Write a row in a transaction that comes to nothing."""
    async with db.transaction() as session:
        session.add(Note(body=text))
        await session.flush()
        await asyncio.sleep(0)
        raise ZeroDivisionError


async def test_a_rollback_takes_back_its_own_work_alone(db: Database) -> None:
    """An exception undoes its transaction and leaves what was committed before."""
    await write(db, "before")
    with pytest.raises(ZeroDivisionError):
        await write_and_fail(db, "lost")
    async with AsyncSession(db.engine) as session:
        session.add(Note(body="lost, too"))
        await session.flush()
        await session.rollback()
        session.add(Note(body="after"))
        await session.commit()
    assert await bodies(db) == ["after", "before"]


async def test_savepoints_of_the_application(db: Database) -> None:
    """begin_nested() is undone by itself, and the transaction goes on and commits."""
    async with db.transaction() as session:
        session.add(Note(body="kept"))
        await session.flush()
        with pytest.raises(IntegrityError):  # noqa: PT012 - the savepoint is undone by the error
            async with session.begin_nested():
                session.add(Note(body="kept"))
                await session.flush()
        async with session.begin_nested():
            session.add(Note(body="also kept"))
    assert await bodies(db) == ["also kept", "kept"]


async def test_an_error_of_the_database_ends_one_transaction_only(db: Database) -> None:
    """After a violated constraint, which on PostgreSQL spoils a transaction, the next one works."""
    await write(db, "a")
    with pytest.raises(IntegrityError):
        await write(db, "b", "a")
    await write(db, "c")
    assert await bodies(db) == ["a", "c"]


async def test_a_commit_after_an_error_is_as_without_a_test(home: Database) -> None:
    """PostgreSQL rolls back at the commit of a transaction in which a statement has failed; SQLite keeps the rest."""

    async def fail_and_commit(db: Database) -> list[str]:
        async with db.engine.connect() as connection:
            await connection.execute(insert(Note).values(body="first"))
            with pytest.raises(IntegrityError):
                await connection.execute(insert(Note).values(body="first"))
            await connection.commit()
        return await bodies(db)

    async with in_a_test(home) as whole:
        within = await fail_and_commit(whole.db)
    assert within == await fail_and_commit(home)
    async with home.transaction() as session:
        await session.execute(delete(Note))


async def test_fifty_tasks_at_once(db: Database) -> None:
    """Fifty tasks that read, write and read again in transactions of their own neither mix nor block each other."""
    await write(db, "0")

    async def add_one(number: int) -> None:
        async with db.transaction() as session:
            count = await session.scalar(select(func.count()).select_from(Note))
            await asyncio.sleep(0)
            session.add(Note(body=f"{number} of {count}"))
            await session.flush()
            async with db.reading() as other:  # within the first one, by the same task
                assert await other.scalar(select(func.count()).select_from(Note)) == (count or 0) + 1
        if number % 5 == 0:
            with pytest.raises(ZeroDivisionError):
                await write_and_fail(db, f"lost {number}")

    await asyncio.gather(*[add_one(number) for number in range(50)])
    found = await bodies(db)
    assert sorted(int(body.rpartition(" ")[2]) for body in found if "of" in body) == list(range(1, 51))
    assert len(found) == 51


async def test_tasks_within_a_transaction(db: Database) -> None:
    """Tasks that a transaction's task starts work within it, one after the other, and see what it has written."""
    async with db.transaction() as outer:
        outer.add(Note(body="outer"))
        await outer.flush()

        async def inner(number: int) -> None:
            async with db.transaction() as session:
                assert await session.scalar(select(Note.body).where(Note.body == "outer")) == "outer"
                await asyncio.sleep(0)
                session.add(Note(body=f"inner {number}"))

        tasks = [asyncio.create_task(inner(number)) for number in range(10)]
        await asyncio.sleep(0)
        outer.add(Note(body="outer again"))
        await outer.flush()  # waits for the task that is at work
        await asyncio.gather(*tasks)
    assert await bodies(db) == [*[f"inner {number}" for number in range(10)], "outer", "outer again"]


async def test_a_session_that_is_held_open(db: Database) -> None:
    """A session that has read something and stays open, as in a fixture, keeps nobody waiting, and sees the rest."""
    session = AsyncSession(db.engine, expire_on_commit=False)

    async def first_read() -> None:
        assert (await session.scalars(select(Note))).all() == []

    await asyncio.create_task(first_read())  # a task of its own, as plugins run fixtures
    await asyncio.gather(*[write(db, str(number)) for number in range(3)])
    assert len((await session.scalars(select(Note))).all()) == 3
    await session.close()
    assert await bodies(db) == ["0", "1", "2"]


async def test_two_sessions_of_one_task_in_any_order(db: Database) -> None:
    """Sessions that overlap commit in any order; one that only read may be closed at any time."""
    first, second = AsyncSession(db.engine), AsyncSession(db.engine)
    first.add(Note(body="first"))
    await first.flush()
    second.add(Note(body="second"))
    await second.flush()
    await first.commit()
    await second.commit()
    assert (await first.scalars(select(Note.body))).all() == ["first", "second"]
    second.add(Note(body="third"))
    await second.flush()
    await first.close()
    await second.commit()
    assert await bodies(db) == ["first", "second", "third"]


async def test_an_earlier_one_rolls_back_beneath_one_that_has_read(db: Database) -> None:
    """The later session has written nothing, so it goes on as before."""
    first, second = AsyncSession(db.engine), AsyncSession(db.engine)
    first.add(Note(body="lost"))
    await first.flush()
    assert await second.scalar(select(func.count()).select_from(Note)) == 1
    await first.rollback()
    assert await second.scalar(select(func.count()).select_from(Note)) == 0
    second.add(Note(body="kept"))
    await second.commit()
    await first.close()
    assert await bodies(db) == ["kept"]


async def test_what_cannot_be_told_apart_is_an_error(db: Database) -> None:
    """Of two sessions of one task that have both written, the earlier one cannot be rolled back alone, nor be lost."""
    first, second = AsyncSession(db.engine), AsyncSession(db.engine)
    first.add(Note(body="first"))
    await first.flush()
    second.add(Note(body="second"))
    await second.flush()
    with pytest.raises(TransactionError, match="end them in the opposite order"):
        await first.rollback()
    await second.rollback()

    async with AsyncSession(db.engine) as first, AsyncSession(db.engine) as second:
        first.add(Note(body="first"))
        await first.flush()
        await second.execute(select(Note))
        first.add(Note(body="within the second one"))
        await first.flush()
        second.add(Note(body="second"))
        await second.flush()
        first.add(Note(body="within the second one, too"))
        await first.flush()
        with pytest.raises(TransactionError, match="end the later one first"):
            await second.rollback()
        await first.rollback()

    async with AsyncSession(db.engine) as outer:
        outer.add(Note(body="outer"))
        await outer.flush()
        await write(db, "inner")
        with pytest.raises(TransactionError, match="end the outer one before you begin the inner one"):
            await outer.rollback()


async def test_waiting_for_each_other_is_an_error_that_says_for_whom(home: Database) -> None:
    """Two tasks of which each waits for the other's transaction would hang; the one that waits gets an error."""
    async with in_a_test(home, patience=0.05) as whole:
        begun = asyncio.Event()
        release = asyncio.Event()

        async def hold() -> None:
            async with whole.db.transaction() as session:
                await session.execute(select(Note))
                begun.set()
                await release.wait()

        task = asyncio.create_task(hold(), name="holder")
        await begun.wait()
        with pytest.raises(TransactionError, match=r"waited 0\.05 s for that of task 'holder', which is at .*\.py:\d+"):
            await write(whole.db, "never")
        release.set()
        await task
        await write(whole.db, "now")


async def test_a_cancelled_transaction_leaves_nothing(db: Database) -> None:
    """A task that is cancelled anywhere leaves nothing of its transaction, and the next one works at once."""
    await write(db, "before")

    async def work() -> None:
        async with db.transaction() as session:
            session.add(Note(body="lost"))
            await session.flush()
            await session.execute(select(Note))
            await asyncio.sleep(30)

    for steps in range(1, 40):
        task = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await bodies(db) == ["before"], steps


async def test_a_commit_that_is_cancelled_while_it_waits(db: Database) -> None:
    """A task whose commit has to wait for one within it, and that is cancelled meanwhile, leaves nothing."""
    begun, release = asyncio.Event(), asyncio.Event()
    children: list[asyncio.Task[None]] = []

    async def inner() -> None:
        async with db.transaction() as session:
            await session.execute(select(Note))
            begun.set()
            await release.wait()

    async def outer() -> None:
        async with db.transaction() as session:
            session.add(Note(body="lost"))
            await session.flush()
            children.append(asyncio.create_task(inner()))
            await begun.wait()

    task = asyncio.create_task(outer())
    await begun.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    await children[0]
    assert await bodies(db) == []


async def test_a_cancelled_statement(db: Database) -> None:
    """A task that is cancelled while the database works gives its turn back."""
    slow = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 300000) SELECT max(x) FROM c"
    started = asyncio.Event()

    async def work() -> None:
        async with db.transaction() as session:
            session.add(Note(body="lost"))
            await session.flush()
            event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *_: started.set())
            await session.execute(text(slow))

    gc.disable()
    try:
        task = asyncio.create_task(work())
        await started.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await bodies(db) == []
    finally:
        gc.enable()


@pytest.mark.parametrize("statement", ["COMMIT", "begin", " ROLLBACK", "END", "START  TRANSACTION"])
async def test_statements_that_would_end_the_test_are_refused(db: Database, statement: str) -> None:
    """Transactions by hand would commit the test's own."""
    async with db.engine.connect() as connection:
        with pytest.raises(TransactionError, match="the test's own transaction"):
            await connection.exec_driver_sql(statement)


async def test_isolation_levels(db: Database) -> None:
    """A level is taken note of, and no more; AUTOCOMMIT is refused, as it could not be undone."""
    serializable = db.engine.execution_options(isolation_level="SERIALIZABLE")
    async with serializable.begin() as connection:
        await connection.execute(insert(Note).values(body="a"))
    assert await bodies(db) == ["a"]
    async with db.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        with pytest.raises(TransactionError, match="AUTOCOMMIT"):
            await connection.execute(select(Note))


async def test_tables_made_by_a_test_go_with_it(home: Database) -> None:
    """Statements that change tables are taken back, too."""
    async with in_a_test(home) as whole:
        async with whole.db.engine.begin() as connection:
            await connection.execute(text("CREATE TABLE extra (n integer)"))
        async with whole.db.transaction() as session:
            await session.execute(text("INSERT INTO extra VALUES (1)"))
    async with home.engine.connect() as connection:
        with pytest.raises(Exception, match="extra"):
            await connection.execute(text("SELECT n FROM extra"))


async def test_after_the_test_the_database_is_closed(home: Database) -> None:
    """A task that outlives its test gets an error that says so, and writes nothing."""
    async with in_a_test(home) as whole:
        await write(whole.db, "a")
    with pytest.raises(InvalidRequestError, match="the test has ended"):
        await write(whole.db, "b")


async def test_a_session_that_was_never_closed(home: Database) -> None:
    """What a test leaves open does not keep its end from taking everything back."""
    async with in_a_test(home) as whole:
        session = AsyncSession(whole.db.engine)
        session.add(Note(body="open"))
        await session.flush()
    assert await bodies(home) == []
    await session.close()


async def test_nothing_is_opened_before_it_is_needed(home: Database) -> None:
    """A test that does not use the database costs no connection."""
    await home.dispose()
    async with in_a_test(home):
        pass
    assert home.engine.pool.checkedin() == 0  # type: ignore[attr-defined]


# -- what happens after a commit --------------------------------------------------------------------------------------


@pytest.fixture
async def queue(prefix: str) -> AsyncIterator[Queue]:
    """Give a queue in this process."""
    async with Queue.connect(f"memory://{prefix}", prefix=prefix) as queue:
        yield queue


@pytest.fixture
async def fake(whole: OneTransaction, queue: Queue) -> AsyncIterator[FakeQueue]:
    """Have the outbox lead to a fake."""
    database = DatabaseOfTest(whole, queue)
    with queue.fake() as fake:
        yield fake
    await database.aclose()


async def test_jobs_come_with_the_commit(db: Database, fake: FakeQueue) -> None:
    """When the commit returns, its jobs are in the queue; before, and after a rollback, there are none."""
    async with db.transaction() as session:
        await Announce(body="a").dispatch(JobBuffer(session))
        fake.assert_nothing_pushed()
    fake.assert_pushed(Announce, times=1)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction is undone by the error
        async with db.transaction() as session:
            await Announce(body="lost").dispatch(JobBuffer(session))
            raise ZeroDivisionError
    await write(db, "b")
    fake.assert_pushed(Announce, times=1)


async def test_jobs_of_a_connection_and_of_a_savepoint(db: Database, fake: FakeQueue) -> None:
    """Without a session it is the same; and a job of a savepoint that is undone does not come."""
    async with db.engine.begin() as connection:
        await Announce(body="a").dispatch(JobBuffer(connection))
    fake.assert_pushed(Announce, times=1)
    async with db.transaction() as session:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the savepoint is undone by the error
            async with session.begin_nested():
                await Announce(body="lost").dispatch(JobBuffer(session))
                raise ZeroDivisionError
        await Announce(body="b").dispatch(JobBuffer(session))
    fake.assert_pushed(Announce, times=2)


async def test_jobs_of_a_transaction_within_another(db: Database, fake: FakeQueue) -> None:
    """The jobs of the inner one come with its commit, unless the outer one has jobs that it may yet take back."""
    async with db.transaction() as outer:
        await outer.execute(select(Note))
        async with db.transaction() as inner:
            await Announce(body="inner").dispatch(JobBuffer(inner))
        fake.assert_pushed(Announce, times=1)
        await Announce(body="outer").dispatch(JobBuffer(outer))
        async with db.transaction() as inner:
            await Announce(body="inner again").dispatch(JobBuffer(inner))
        fake.assert_pushed(Announce, times=1)
    fake.assert_pushed(Announce, times=3)


async def test_jobs_of_fifty_tasks(db: Database, fake: FakeQueue) -> None:
    """Each commit's jobs are in the queue when all have returned, each once; those that were rolled back are not."""

    async def work(number: int) -> None:
        async with db.transaction() as session:
            await Announce(body=str(number)).dispatch(JobBuffer(session))
            if number % 10 == 0:
                raise ZeroDivisionError

    results = await asyncio.gather(*[work(number) for number in range(50)], return_exceptions=True)
    assert [result for result in results if result and not isinstance(result, ZeroDivisionError)] == []
    assert sorted(int(job.body) for job in fake.pushed(Announce)) == [n for n in range(50) if n % 10]


async def test_jobs_of_inner_transactions_of_many_tasks(db: Database, fake: FakeQueue) -> None:
    """A flush that has to wait for another task's transaction keeps nobody waiting who is within it."""

    async def work(number: int) -> None:
        async with db.transaction() as outer:
            await outer.execute(select(Note))
            async with db.transaction() as inner:
                await Announce(body=str(number)).dispatch(JobBuffer(inner))
            await asyncio.sleep(0)

    async def push(number: int) -> None:
        async with db.transaction() as session:
            await Announce(body=str(number)).dispatch(JobBuffer(session))

    await asyncio.gather(*[work(n) if n % 2 else push(n) for n in range(20)])
    assert sorted(int(job.body) for job in fake.pushed(Announce)) == list(range(20))


async def test_files_go_with_the_commit(db: Database, fake: FakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects are removed after the commit that takes their row, and after a rollback if they were new; else not."""
    monkeypatch.setattr(hooks, "GRACE", 0)
    storage = FakeStorage()

    async def attach(body: str) -> str:
        file = AttachmentInput(new_key("notes", "cover", "png"), "image/png", 1)
        await storage.put(file.path, b"x")
        async with db.transaction() as session:
            note = Note(body=body)
            session.add(note)
            await session.flush()
            await Attachments(session, storage).set(note, Note.cover, file)
            if body == "lost":
                raise ZeroDivisionError
        return file.path

    async def delete_note(*, fails: bool) -> None:
        async with db.transaction() as session:
            await session.delete((await session.scalars(select(Note))).one())
            await session.flush()
            if fails:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await attach("lost")
    await asyncio.gather(*hooks._tasks)
    await storage.assert_count(0)
    path = await attach("kept")
    with pytest.raises(ZeroDivisionError):
        await delete_note(fails=True)
    fake.assert_not_pushed(PurgeObject)
    await delete_note(fails=False)
    fake.assert_pushed(PurgeObject, times=1, where=lambda job: job.path == path)
    await storage.assert_exists(path)  # until the job runs
