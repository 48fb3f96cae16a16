"""Measure the notifications, and describe with what."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import machine
from benchmarks.notify import sse, webhooks
from benchmarks.part import measure_topics

if TYPE_CHECKING:
    from collections.abc import Collection

    from benchmarks.notify.scale import NotifyScale

LIBRARIES = (
    "httpx2",
    "h11",
    "sqlalchemy",
    "aiosqlite",
    "asyncpg",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "redis",
)
TOPICS = {"notify-webhooks": webhooks.measure, "notify-sse": sse.measure}


async def measure(scale: NotifyScale, topics: Collection[str] = tuple(TOPICS)) -> dict[str, Any]:
    """Measure topics one after the other.

    Args:
        scale: How much.
        topics: The names of the topics.
    """
    skipped: dict[str, str] = {}
    meta = machine.describe() | {
        "versions": machine.versions_of(*LIBRARIES),
        "scale": scale.name,
        "rounds": scale.rounds,
        "endpoints": scale.endpoints,
        "events": scale.events,
        "concurrency": scale.concurrency,
        "clients": scale.clients,
        "messages": scale.messages,
    }
    measured = {name: partial(topic, scale, skipped) for name, topic in TOPICS.items()}
    return await measure_topics(measured, topics, meta, skipped)
