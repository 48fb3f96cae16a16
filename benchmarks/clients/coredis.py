"""coredis."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from coredis import Redis
from coredis.patterns.cache import LRUCache

from benchmarks.data import KEYS, TEXT, Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["get", "near"]


@asynccontextmanager
async def get(url: str, **options: Any) -> AsyncIterator[Target]:
    """GET."""
    async with Redis.from_url(url, **options) as client:
        for key in KEYS:
            await client.set(key, TEXT)
            await client.get(key)
        yield Target(client.get, KEYS, TEXT.encode())


@asynccontextmanager
async def near(url: str) -> AsyncIterator[Target]:
    """GET with the client-side cache."""
    async with get(url, cache=LRUCache()) as target:
        yield target
