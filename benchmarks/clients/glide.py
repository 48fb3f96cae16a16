"""valkey-glide."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from glide import GlideClient, GlideClientConfiguration, NodeAddress

from benchmarks.data import KEYS, TEXT, Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["get"]


@asynccontextmanager
async def get(url: str) -> AsyncIterator[Target]:
    """GET."""
    place = urlsplit(url)
    client = await GlideClient.create(GlideClientConfiguration([NodeAddress(place.hostname, place.port)]))
    for key in KEYS:
        await client.set(key, TEXT)
    yield Target(client.get, KEYS, TEXT.encode())
    await client.close()
