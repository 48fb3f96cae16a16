"""The pytest plugin: a context whose database, cache, queue, files, mail and requests are the test's own.

It is loaded with pytest where Rustforge is installed, and loads nothing itself before a test asks for a fixture.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence

    from httpx2 import AsyncClient
    from sqlalchemy import MetaData

    from rustforge.boot import BootContext
    from rustforge.jobs import Queue
    from rustforge.jobs.fake import FakeQueue
    from rustforge.notify.mail import FakeMailer
    from rustforge.settings import Settings
    from rustforge.testing.context import ClockOfTest
    from rustforge.testing.databases import DatabaseOfRun, DatabasesOfRun, TableMaker
    from rustforge.testing.network import OutboundHttp
    from rustforge.testing.storage import FakeStorage
    from rustforge.testing.time import TimeTraveler

__all__ = [
    "rustforge_app",
    "rustforge_client",
    "rustforge_clock",
    "rustforge_ctx",
    "rustforge_database",
    "rustforge_extensions",
    "rustforge_http",
    "rustforge_mails",
    "rustforge_make_tables",
    "rustforge_metadata",
    "rustforge_queue",
    "rustforge_redis_url",
    "rustforge_settings",
    "rustforge_storage",
    "rustforge_time",
]

_FAILED = pytest.StashKey[bool]()
_OPTIONS = {
    "database": "the database beside which those of the tests are made; left out, they are files of SQLite",
    "redis": "the Redis in which each test has a prefix of its own; left out, each has one in its process",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("rustforge")
    for name, text in _OPTIONS.items():
        group.addoption(f"--rustforge-{name}-url", default=None, metavar="URL", help=text)
        parser.addini(f"rustforge_{name}_url", f"{text} (TEST_{name.upper()}_URL)", type="string", default="")


# -- which plugin runs the fixtures -----------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Have the fixtures run by what runs the test: pytest-asyncio in either mode, in the test's loop, or AnyIO."""
    function: Any = fixturedef.func
    if getattr(function, "__module__", "") == __name__ and inspect.isasyncgenfunction(function):
        loop = {"_force_asyncio_fixture": "anyio_backend" not in request.fixturenames}  # as pytest_asyncio.fixture does
        function.__dict__.update(loop, _loop_scope=getattr(request.node, "_loop_scope", None))
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Note that a test has failed already, so that nothing is said twice."""
    if call.excinfo is not None:
        item.stash[_FAILED] = True
    return (yield)


# -- what a project says ----------------------------------------------------------------------------------------------


@pytest.fixture
def rustforge_settings() -> Settings:
    """Give the settings that the application sees: override it.

    The addresses in them are replaced by those of the test. By default all others are the defaults, whatever the
    environment says.
    """
    from rustforge.settings import Settings  # noqa: PLC0415 - see above

    return Settings.model_construct()


@pytest.fixture
def rustforge_metadata() -> MetaData | Sequence[MetaData]:
    """Give the metadata of the application's tables, one or several: override it."""
    return ()


@pytest.fixture
def rustforge_make_tables(rustforge_metadata: MetaData | Sequence[MetaData]) -> TableMaker:
    """Give an async function that makes all tables in a `Database` that it gets: override it to run migrations.

    It is called once in each process of the run, where it is the same function each time.
    """
    from rustforge.testing.databases import TablesOf  # noqa: PLC0415 - see above

    several = isinstance(rustforge_metadata, (list, tuple))
    return TablesOf(tuple(rustforge_metadata) if several else (rustforge_metadata,))  # type: ignore[arg-type]


@pytest.fixture
def rustforge_extensions() -> Mapping[str, object]:
    """Give the services of the application that `ctx.extensions` has: override it."""
    return {}


@pytest.fixture
def rustforge_app() -> Any:
    """Give the ASGI application of `rustforge_client`: override it."""
    msg = "rustforge_client needs an application: write a fixture rustforge_app that returns it"
    raise pytest.UsageError(msg)


# -- what a test gets -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def rustforge_redis_url(pytestconfig: pytest.Config) -> str:
    """Give the Redis of the run; empty for one in the process."""
    return _chosen(pytestconfig, "redis")


@pytest.fixture(scope="session", name="rustforge_databases")
def _databases(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Generator[DatabasesOfRun]:
    from rustforge.testing.databases import DatabasesOfRun  # noqa: PLC0415 - see above

    process: str = getattr(pytestconfig, "workerinput", {}).get("workerid", "main")
    folder = tmp_path_factory.mktemp("rustforge")
    databases = DatabasesOfRun(_chosen(pytestconfig, "database"), process, folder)
    yield databases
    databases.remove()


@pytest.fixture
def rustforge_database(rustforge_databases: DatabasesOfRun, rustforge_make_tables: TableMaker) -> DatabaseOfRun:
    """Give the database of this process, with its tables; it is removed at the end of the run."""
    return rustforge_databases.of(rustforge_make_tables)


@pytest.fixture
def rustforge_clock() -> ClockOfTest:
    """Give the clock of the context: the machine's, unless `rustforge_time` stops it."""
    from rustforge.testing.context import ClockOfTest  # noqa: PLC0415 - see above

    return ClockOfTest()


@pytest.fixture
def rustforge_http(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, rustforge_redis_url: str
) -> Generator[OutboundHttp]:
    """Refuse what would leave the test, except for what it declares; what was refused fails the test at its end."""
    from rustforge.testing.network import OutboundHttp, hosts_of  # noqa: PLC0415 - see above

    http = OutboundHttp()
    http.allow(*hosts_of(_chosen(pytestconfig, "database")), *hosts_of(rustforge_redis_url))
    with http.block():
        yield http
    if http.strays and not request.node.stash.get(_FAILED, False):
        pytest.fail("the test has tried to reach what it has not declared: " + "; ".join(http.strays), pytrace=False)


@pytest.fixture
async def rustforge_ctx(  # noqa: PLR0917 - pytest passes them by name
    request: pytest.FixtureRequest,
    rustforge_settings: Settings,
    rustforge_extensions: Mapping[str, object],
    rustforge_redis_url: str,
    rustforge_clock: ClockOfTest,
    rustforge_http: OutboundHttp,
) -> AsyncGenerator[BootContext]:
    """Open a context as `boot` does, and leave nothing behind.

    Its database takes everything back at the end, commits included. Its cache and queue are in this process, or in a
    Redis under a prefix of their own, but with `rustforge_time` always in this process. Its files are in memory, its
    mail is kept, and its requests are refused.
    """
    import secrets  # noqa: PLC0415 - see above

    from rustforge.boot import LazyDatabase  # noqa: PLC0415
    from rustforge.testing.context import StorageOfTest, open_context  # noqa: PLC0415

    del rustforge_http
    settings, whole = rustforge_settings, None
    if _has_sql():
        from rustforge.testing.transactions import OneTransaction  # noqa: PLC0415

        database: DatabaseOfRun = request.getfixturevalue("rustforge_database")
        settings = settings.model_copy(update={"database_url": database.url})
        whole = OneTransaction(database.home, database.compiled)

    def open_database(queue: Queue) -> LazyDatabase:
        """Make the database of the context, within the test's transaction where there is one."""
        if whole is None:
            return LazyDatabase(settings.database_url, queue, migrate=False)
        from rustforge.testing.transactions import DatabaseOfTest  # noqa: PLC0415

        return DatabaseOfTest(whole, queue)

    try:
        async with open_context(
            settings=settings,
            extensions=rustforge_extensions,
            clock=rustforge_clock,
            redis_url="" if "rustforge_time" in request.fixturenames else rustforge_redis_url,
            prefix=f"test-{secrets.token_hex(6)}",
            database=open_database,
            storage=StorageOfTest("memory://", settings.secret_key.get_secret_value(), rustforge_clock),
        ) as ctx:
            yield ctx
    finally:
        if whole is not None:
            await whole.close()


@pytest.fixture
def rustforge_queue(rustforge_ctx: BootContext) -> Generator[FakeQueue]:
    """Keep what is pushed to `ctx.queue`, and run nothing. Without it the queue is real: see `run_until_empty`."""
    with rustforge_ctx.queue.fake() as fake:
        yield fake


@pytest.fixture
def rustforge_mails(rustforge_ctx: BootContext) -> FakeMailer:
    """Give what `ctx.mailer` was asked to send."""
    return rustforge_ctx.mailer.kept


@pytest.fixture
def rustforge_storage(rustforge_ctx: BootContext) -> FakeStorage:
    """Give `ctx.storage`, with its assertions."""
    storage: Any = rustforge_ctx.storage
    return storage  # type: ignore[no-any-return]


@pytest.fixture
def rustforge_time(rustforge_ctx: BootContext, rustforge_clock: ClockOfTest) -> TimeTraveler:
    """Stop the time of the context, and give what moves it: cache, delays, schedules, signatures."""
    from rustforge.testing.time import TimeTraveler  # noqa: PLC0415 - see above

    if rustforge_ctx.settings.redis_url != "memory://":
        msg = "the time of a Redis server cannot be moved: ask for rustforge_time as an argument of the test"
        raise pytest.UsageError(msg)
    rustforge_clock.stop()
    return TimeTraveler(rustforge_ctx, rustforge_clock)


@pytest.fixture
async def rustforge_client(rustforge_app: Any) -> AsyncGenerator[AsyncClient]:
    """Start the application of `rustforge_app`, and give a client that calls it in the test's event loop."""
    from rustforge.testing.client import open_client  # noqa: PLC0415 - see above

    async with open_client(rustforge_app) as client:
        yield client


def _has_sql() -> bool:
    """Tell whether there can be a database: it comes with an extra."""
    try:
        import_module("sqlalchemy")
    except ModuleNotFoundError:
        return False
    return True


def _chosen(config: pytest.Config, name: str) -> str:
    """Read an option from the command line, the configuration file, or the environment."""
    from rustforge.settings import SettingsOfTests  # noqa: PLC0415 - see above

    given: str | None = config.getoption(f"rustforge_{name}_url")
    written: str = config.getini(f"rustforge_{name}_url")
    outside = SettingsOfTests()
    return given or written or (outside.test_database_url if name == "database" else outside.test_redis_url)
