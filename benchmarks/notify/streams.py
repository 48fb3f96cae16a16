"""The process that serves streams: Rustforge's router, and what one writes by hand with FastAPI and Pub/Sub."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import redis.asyncio as redis_client
import uvicorn
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent

from benchmarks import resident
from benchmarks.children import run, say
from rustforge.http import install, realtime_router
from rustforge.notify.realtime import RealtimePublisher
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHANNEL = "ticks"


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[FastAPI]:
    """Make the application with Rustforge's router."""
    async with RealtimePublisher.connect(url, prefix="bench") as realtime:
        app = FastAPI()
        install(app)
        app.include_router(realtime_router(realtime, authorize=lambda *_: True))
        yield app


@asynccontextmanager
async def by_hand(url: str) -> AsyncIterator[FastAPI]:
    """Make the application as one does by hand: a queue for each client, filled from one subscription; no replay."""
    app = FastAPI()
    install(app)
    queues: set[asyncio.Queue[str]] = set()

    @app.get("/realtime/{channel}", response_class=EventSourceResponse)
    async def stream(channel: str) -> AsyncIterator[ServerSentEvent]:
        assert channel == CHANNEL
        queue: asyncio.Queue[str] = asyncio.Queue(1000)
        queues.add(queue)
        try:
            yield ServerSentEvent(comment="welcome")
            while True:
                yield ServerSentEvent(raw_data=await queue.get(), event="tick")
        finally:
            queues.discard(queue)

    async with redis_client.from_url(url, protocol=3) as client, client.pubsub() as pubsub:
        await pubsub.subscribe(CHANNEL)

        async def spread() -> None:
            async for message in pubsub.listen():
                if message["type"] == "message":
                    for queue in queues:
                        queue.put_nowait(message["data"].decode())

        spreading = asyncio.create_task(spread())
        yield app
        spreading.cancel()


WAYS: dict[str, Any] = {"ours": ours, "hand": by_hand}


def work(*, way: str, redis: str) -> None:
    """In a child: serve until the input ends; each line that comes is answered with memory and processor time."""
    allow_many_files()
    run(_serve(way, redis))


def allow_many_files() -> None:
    """Open as many connections as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(way: str, url: str) -> None:
    async with WAYS[way](url) as app:
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        config = uvicorn.Config(
            app, lifespan="off", ws="none", log_level="warning", access_log=False, timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listener]))
        await wait_until(lambda: server.started, timeout=30)
        say(json.dumps(listener.getsockname()[1]))
        while await asyncio.to_thread(sys.stdin.readline):
            say(json.dumps({"memory": resident.begin(), "cpu": time.process_time()}))
        server.should_exit = True
        await running
