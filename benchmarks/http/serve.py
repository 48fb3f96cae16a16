"""The process that serves: applications that differ in one thing, each on a port of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import TYPE_CHECKING, Generic, TypeVar

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.children import run, say
from benchmarks.data import Article, make_article
from rustforge.http import ApiResponse, install
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

T = TypeVar("T")
ARTICLE: Article = make_article(7)


class Data(BaseModel, Generic[T]):
    """The envelope as one would write it by hand: the same bytes as those of `ApiResponse`."""

    data: T


def plain() -> FastAPI:
    """Make an application with a small answer and one of 1 KB."""
    app = FastAPI()

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/articles/{number}")
    async def show(number: int) -> Article:
        assert number
        return ARTICLE

    return app


def installed() -> FastAPI:
    """Make the same application, with `install`."""
    app = plain()
    install(app)
    return app


def model() -> FastAPI:
    """Make an application that answers with a model of its own."""
    app = FastAPI()

    @app.get("/articles/{number}")
    async def show(number: int) -> Data[Article]:
        assert number
        return Data(data=ARTICLE)

    return app


def envelope() -> FastAPI:
    """Make the same application, which answers with `ApiResponse`."""
    app = FastAPI()

    @app.get("/articles/{number}")
    async def show(number: int) -> ApiResponse[Article]:
        assert number
        return ApiResponse.success(ARTICLE)

    return app


APPLICATIONS: dict[str, Callable[[], FastAPI]] = {
    "plain": plain,
    "plain_again": plain,
    "installed": installed,
    "model": model,
    "model_again": model,
    "envelope": envelope,
}


async def clock(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell the processor time that this process has taken, in nanoseconds."""
    del scope, receive
    body = f"{time.process_time_ns():020}".encode()  # of the same length every time
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


def work(*, names: Sequence[str]) -> None:
    """In a child: serve applications, and the clock, until it is killed."""
    run(_serve([*[APPLICATIONS[name]() for name in names], clock]))


async def _serve(apps: Sequence[ASGIApp]) -> None:
    servers = [uvicorn.Server(_configured(app)) for app in apps]
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in apps]
    running = [
        asyncio.create_task(server.serve([listener])) for server, listener in zip(servers, listeners, strict=True)
    ]
    await wait_until(lambda: all(server.started for server in servers), timeout=30)
    say(json.dumps([listener.getsockname()[1] for listener in listeners]))
    await asyncio.gather(*running)


def _configured(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(app, lifespan="off", ws="none", log_level="warning", access_log=False)
