"""Many browsers that listen to one process: memory of each, how late messages come, and what a restart costs."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Self

import redis.asyncio as redis_client

from benchmarks.bench import count_rounds, summarise
from benchmarks.children import Child, ChildError
from benchmarks.notify.streams import CHANNEL
from benchmarks.server import RedisServer
from rustforge.errors import RedisError
from rustforge.notify.realtime import RealtimePublisher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.notify.scale import NotifyScale

SECONDS = 400.0
"""How long all rounds may take."""
PAUSE = 0.25
"""Seconds between messages, so that each is heard by all before the next one comes."""
OURS = "ours"
WAYS = {"hand": "FastAPI, a queue a client, Pub/Sub", OURS: "Rustforge"}


class Crowded(Child):
    """A process that may take long."""

    _seconds = 120.0

    async def ask(self, what: str) -> Any:
        """Say something, and wait for the answer."""
        self.send(what)
        return await self.answer()


async def measure(scale: NotifyScale, skipped: dict[str, str]) -> list[dict[str, Any]]:
    """Let all clients listen, in each way: round after round, each in new processes."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for number in count_rounds("Streams", SECONDS, scale.rounds, skipped):
        for way in [*WAYS][:: 1 if number % 2 else -1]:
            found[way].append(await _listen(scale, way))
    return [
        {
            "client": WAYS[way],
            "key": way,
            **{name: summarise([one[name] for one in rounds], 2) for name in rounds[0] if name != "wrong"},
            "wrong": sum(one["wrong"] for one in rounds),
        }
        for way, rounds in found.items()
    ]


async def _listen(scale: NotifyScale, way: str) -> dict[str, Any]:
    """Measure one way once. What is lost or repeated is counted; Redis is killed and started again in the middle."""
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    with RedisServer(*durable) as redis:
        async with Crowded("benchmarks.notify.streams", way=way, redis=redis.url) as server:
            port = await server.answer()
            before = await server.ask("tell")
            async with Crowded("benchmarks.notify.listeners", port=port, clients=scale.clients) as crowd:
                await crowd.ask("connect")
                then = await server.ask("tell")
                async with _Publisher(way, redis.url) as publisher:
                    await publisher.publish(scale.messages)
                    heard = await crowd.ask(f"hear {scale.messages}")
                    after = await server.ask("tell")
                    deliveries = scale.clients * scale.messages
                    result = {
                        "memory_kb": (then["memory"] - before["memory"]) / 1024 / scale.clients,
                        "p50_ms": heard["p50"],
                        "p99_ms": heard["p99"],
                        "cpu_us": (after["cpu"] - then["cpu"]) * 1e6 / deliveries,
                        "wrong": heard["wrong"],
                    }
                    if way == OURS:
                        result |= await _replay(scale, redis, publisher, crowd)
    if way == OURS and result["wrong"]:
        msg = f"{result['wrong']} clients did not get each message once and in order: {json.dumps(result)}"
        raise ChildError(msg)
    return result


async def _replay(scale: NotifyScale, redis: RedisServer, publisher: _Publisher, crowd: Crowded) -> dict[str, Any]:
    """Publish while nobody listens, let all come back at once, and restart Redis under them."""
    await crowd.ask("leave")
    await publisher.publish(scale.messages, pause=0)
    began = time.perf_counter()
    await crowd.ask("connect")
    replayed = await crowd.ask(f"hear {scale.messages}")
    seconds = time.perf_counter() - began
    await publisher.publish(scale.messages // 2)
    await asyncio.to_thread(redis.restart)
    await publisher.publish(scale.messages - scale.messages // 2)
    restarted = await crowd.ask(f"hear {scale.messages}")
    return {"replay_s": seconds, "wrong": replayed["wrong"] + restarted["wrong"]}


class _Publisher:
    """Publishes numbers with the time, in one of the ways."""

    def __init__(self, way: str, url: str) -> None:
        self._ours = RealtimePublisher.connect(url, prefix="bench")
        self._theirs = redis_client.from_url(url)
        self._send: Callable[[dict[str, int]], Awaitable[Any]]
        self._way = way
        self._number = 0

    async def __aenter__(self) -> Self:
        if self._way == OURS:
            realtime = await self._ours.__aenter__()
            self._send = lambda payload: realtime.publish(
                CHANNEL, "tick", payload, event_id=f"tick:{payload['number']}"
            )
        else:
            self._send = lambda payload: self._theirs.publish(CHANNEL, json.dumps(payload))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ours.__aexit__()
        await self._theirs.aclose()

    async def publish(self, count: int, pause: float = PAUSE) -> None:
        """Publish so many, one after the other; what fails is published again as the same event."""
        for _ in range(count):
            payload = {"number": self._number, "at": time.monotonic_ns()}
            while True:
                try:
                    await self._send(payload)
                except RedisError:
                    await asyncio.sleep(0.05)
                else:
                    break
            self._number += 1
            await asyncio.sleep(pause)
