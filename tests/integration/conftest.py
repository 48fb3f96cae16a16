"""The caches and databases that the tests work with, on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rustforge.clock import ManualClock
from rustforge.db import Database
from rustforge.jobs import Queue
from tests.support.attaching import Desk, open_desk
from tests.support.caches import Backend
from tests.support.jobs import Stage
from tests.support.outbox import Context
from tests.support.postgres import PostgresServer, binaries
from tests.support.processes import Crew
from tests.support.storages import KINDS, S3Server, make_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from rustforge.cache import Cache
    from rustforge.storage import Storage
    from tests.support.servers import RedisServer
    from tests.support.storages import Place

BACKENDS = ("memory", "redis", "cluster")


def _place(name: str, request: pytest.FixtureRequest) -> tuple[str, list[int]]:
    if name == "redis":
        server = request.getfixturevalue("redis_server")
        return server.url, [server.port]
    if name == "cluster":
        cluster = request.getfixturevalue("redis_cluster")
        return cluster.url, [node.port for node in cluster.nodes]
    return f"memory://{request.getfixturevalue('prefix')}", []


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, prefix: str) -> AsyncIterator[Backend]:
    """Give one backend after the other; at the end nothing may be left in it."""
    url, ports = _place(request.param, request)
    place = Backend(request.param, url, prefix, ports)
    yield place
    await place.close()


@pytest.fixture
async def cache(backend: Backend) -> Cache:
    """Connect a cache with the test's prefix."""
    return await backend.connect()


@pytest.fixture
async def memory_cache(prefix: str) -> AsyncIterator[Cache]:
    """Connect a cache in this process, for what no server has a part in."""
    place = Backend("memory", f"memory://{prefix}", prefix)
    yield await place.connect()
    await place.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run one PostgreSQL for the whole session."""
    try:
        binaries()
    except LookupError as error:
        pytest.skip(str(error))
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database on SQLite, then one on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shop.db"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """Open it, with Rustforge's tables."""
    async with Database(database_url) as database:
        await database.upgrade()
        yield database


@pytest.fixture(params=BACKENDS)
async def stage(request: pytest.FixtureRequest, prefix: str) -> AsyncIterator[Stage]:
    """Give queues and workers on one backend after the other; at the end no key of a job may be left."""
    url, ports = _place(request.param, request)
    stage = await Stage(request.param, url, prefix, ports).open()
    yield stage
    await stage.close()


@pytest.fixture
async def memory_stage(prefix: str) -> AsyncIterator[Stage]:
    """Give queues and workers in this process, with a clock that the test moves."""
    stage = await Stage("memory", f"memory://{prefix}", prefix, [], ManualClock()).open()
    yield stage
    await stage.close()


@pytest.fixture
async def redis_stage(redis_server: RedisServer, prefix: str) -> AsyncIterator[Stage]:
    """Give queues and workers on a real server, for what memory:// cannot show."""
    stage = await Stage("redis", redis_server.url, prefix, [redis_server.port]).open()
    yield stage
    await stage.close()


@pytest.fixture
async def ctx(db: Database, prefix: str) -> AsyncIterator[Context]:
    """Give a database of each kind, and queues in this process."""
    async with Queue.connect(f"memory://{prefix}", prefix=prefix) as queue:
        yield Context(db, queue)


@pytest.fixture
async def real(db: Database, database_url: str, redis_server: RedisServer, prefix: str) -> AsyncIterator[Context]:
    """Give a database of each kind, and queues in a real Redis."""
    async with Queue.connect(redis_server.url, prefix=prefix) as queue:
        yield Context(db, queue, {"database": database_url, "redis": redis_server.url, "prefix": prefix})


@pytest.fixture
async def desk(database_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """Give a database of each kind with models that have slots, queues in this process, and a folder for objects."""
    async with open_desk(database_url, prefix, f"file:{tmp_path}/storage") as desk:
        yield desk


@pytest.fixture(scope="module")
def crashes() -> Iterator[Crew]:
    """Have a process at hand that crashes at set points."""
    crew = Crew("tests.support.crashes")
    yield crew
    crew.dismiss()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Run one server that speaks S3 for the whole session."""
    with S3Server() as server:
        yield server


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give an empty place for objects of each kind."""
    server = request.getfixturevalue("s3_server") if request.param == "s3" else None
    return make_place(request.param, tmp_path / "objects", server)


@pytest.fixture
async def storage(place: Place) -> AsyncIterator[Storage]:
    """Open it; at the end nothing unfinished may be left."""
    async with place.connect() as storage:
        yield storage
    assert place.leftovers() == []
