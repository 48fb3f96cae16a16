"""One event to many endpoints: how many deliveries a second one worker makes, beside a bare loop of httpx2."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.bench import count_rounds, summarise
from benchmarks.children import Child, ChildError
from benchmarks.server import RedisServer
from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.notify.scale import NotifyScale

SECONDS = 400.0
"""How long all rounds may take."""
BASELINE = "httpx2"
WAYS = {
    BASELINE: "httpx2, by hand",
    "sqlite": "Rustforge, records in SQLite",
    "postgres": "Rustforge, records in PostgreSQL",
}


class Sender(Child):
    """A process that sends, which may take long."""

    _seconds = 120.0


async def measure(scale: NotifyScale, skipped: dict[str, str]) -> list[dict[str, Any]]:
    """Send in every way: round after round, each in a new process."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with PostgresServer() as postgres:
        for number in count_rounds("Webhooks", SECONDS, scale.rounds, skipped):
            for way in [*WAYS][:: 1 if number % 2 else -1]:
                found[way].append(await _send(scale, way, postgres))
    return [
        {
            "client": WAYS[way],
            "key": way,
            "speed": summarise([one["speed"] for one in rounds]),
            "ratio": summarise(
                [one["speed"] / other["speed"] for one, other in zip(rounds, found[BASELINE], strict=True)], 3
            ),
            "cpu": summarise([one["cpu"] for one in rounds]),
            "fan_out_ms": None if way == BASELINE else summarise([one["fan_out_ms"] for one in rounds], 1),
        }
        for way, rounds in found.items()
    ]


async def _send(scale: NotifyScale, way: str, postgres: PostgresServer) -> dict[str, Any]:
    """Send all events, and check that each came to each endpoint once."""
    sizes = {"endpoints": scale.endpoints, "events": scale.events, "concurrency": scale.concurrency}
    async with Child("benchmarks.notify.receiver") as receiver, _servers(way, postgres) as places:
        port = await receiver.answer()
        async with Sender("benchmarks.notify.senders", port=port, **sizes, **places) as sender:
            result: dict[str, Any] = await sender.result()
        receiver.send("tell")
        told = await receiver.answer()
    expected = scale.endpoints * (scale.events + 1)
    if {told["requests"], told["different"], result.get("sent", expected)} != {expected}:
        msg = f"{WAYS[way]}: {expected:,} deliveries were expected, and not {json.dumps(told | result)}"
        raise ChildError(msg)
    return result


@asynccontextmanager
async def _servers(way: str, postgres: PostgresServer) -> AsyncIterator[dict[str, str]]:
    """Start what a way needs beside the receiver."""
    if way == BASELINE:
        yield {"way": "bare"}
        return
    with RedisServer() as redis, TemporaryDirectory() as folder:
        database = postgres.create_database() if way == "postgres" else f"sqlite:///{Path(folder) / 'shop.db'}"
        yield {"way": "ours", "redis": redis.url, "database": database}
