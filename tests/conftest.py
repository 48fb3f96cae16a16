"""Fixtures of all tests: real servers of the run's own, and a key prefix for each test."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import RedisCluster, RedisServer, talk

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)
_shared: list[RedisServer] = []


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Run one Redis for the whole session; a test that hurts its server starts one of its own."""
    with RedisServer() as server:
        _shared.append(server)
        yield server
        _shared.remove(server)


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """Run one cluster of three nodes for the whole session."""
    cluster = RedisCluster()
    _shared.extend(cluster.nodes)
    yield cluster
    for node in cluster.nodes:
        _shared.remove(node)
    cluster.stop()


@pytest.fixture
def prefix() -> str:
    """Give the test a key prefix that no other test has."""
    return f"t{next(_numbers)}"


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Take back what a test's program made of the logging of this process, which others read."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture(autouse=True)
def _no_key_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a key outside its own prefix on a shared server, then remove what it left inside."""
    allowed = request.getfixturevalue("prefix") if "prefix" in request.fixturenames else None
    yield
    keys: list[str] = []
    for server in _shared:
        server.resume()  # a failed test may have left it paused
        keys += [line for line in talk(server.port, "KEYS", "*").splitlines() if line and line[0] not in "*$"]
        talk(server.port, "FLUSHALL")
    leaked = [key for key in keys if allowed is None or not key.startswith(allowed)]
    assert leaked == [], f"keys left in Redis: {leaked[:10]}"
