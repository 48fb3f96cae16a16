"""The caches that the tests work with, on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.caches import Backend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rustforge.cache import Cache

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
