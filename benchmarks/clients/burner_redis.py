"""burner-redis: a Redis in the process, with a core in Rust."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from burner_redis import BurnerRedis

from benchmarks.data import KEYS, TEXT, Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["memory"]


@asynccontextmanager
async def memory(_: str) -> AsyncIterator[Target]:
    """GET."""
    client = BurnerRedis()
    for key in KEYS:
        await client.set(key, TEXT)
    yield Target(client.get, KEYS, TEXT.encode())
