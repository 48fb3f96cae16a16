"""Errors as a real server sends them, byte for byte."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import FileResponse, JSONResponse, StreamingResponse

from rustforge.http import NotFound, Validation, install
from tests.support.http import talk, written
from tests.support.serving import serve
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fastapi import Response
    from starlette.middleware.base import RequestResponseEndpoint

SECRET = "4111-1111"


class Steps:
    """What a test lets the application wait for."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.left = asyncio.Event()


@pytest.fixture
def steps() -> Steps:
    """Give the steps of one test."""
    return Steps()


@pytest.fixture(params=["plain", "function"])
async def port(request: pytest.FixtureRequest, steps: Steps, tmp_path: Path) -> AsyncIterator[int]:
    """Serve an application in which everything goes wrong, then with middleware that ends broken streams in order."""
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    if request.param == "function":
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    add_routes(app)
    add_streams(app, steps, tmp_path)
    install(app, max_body_bytes=100)
    async with serve(app) as found:
        yield found


async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Do nothing."""
    return await call_next(request)


def add_routes(app: FastAPI) -> None:
    """Add what raises."""

    @app.get("/unexpected")
    @app.head("/unexpected")
    async def unexpected() -> None:
        raise LookupError(SECRET)

    @app.get("/header")
    async def header(value: str) -> None:
        raise NotFound(headers={"X-Value": value, f"X-{value}": "1"})

    @app.get("/message")
    async def message(value: str) -> None:
        raise Validation(value, {value: value})

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    @app.get("/background")
    async def background() -> JSONResponse:
        async def fail() -> None:
            raise LookupError(SECRET)

        return JSONResponse("done", background=BackgroundTask(fail))


def add_streams(app: FastAPI, steps: Steps, folder: Path) -> None:
    """Add what breaks while it is sent."""

    async def rows(good: int) -> AsyncIterator[bytes]:
        for number in range(good):
            yield b"row %d\n" % number
        raise LookupError(SECRET)

    async def first_event() -> AsyncIterator[bytes]:
        await steps.go.wait()
        yield b"data: first\n\n"

    async def forever() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
                await asyncio.sleep(0)
        finally:
            steps.left.set()

    @app.get("/stream/{good}")
    async def stream(good: int) -> StreamingResponse:
        return StreamingResponse(rows(good), media_type="text/csv")

    @app.get("/sized/{good}")
    async def sized(good: int) -> StreamingResponse:
        return StreamingResponse(rows(good), headers={"Content-Length": "1000"})

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(folder / "missing.txt")

    @app.get("/slow")
    async def slow() -> StreamingResponse:
        return StreamingResponse(forever())

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(first_event(), media_type="text/event-stream")


def parse(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Read a response."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [line.split(": ", 1) for line in lines]
    assert len({name for name, _ in headers}) == len(headers), "a header came twice"
    return int(first.split(" ")[1]), dict(headers), body


def enveloped(answer: bytes, status: int, code: str) -> dict[str, str]:
    """Read an error in the envelope, and return its headers."""
    found, headers, body = parse(answer)
    assert (found, headers["content-type"]) == (status, "application/json"), answer
    assert int(headers["content-length"]) == len(body)
    assert json.loads(body)["error_code"] == code
    assert SECRET.encode() not in answer
    assert headers["x-request-id"]
    return headers


async def test_what_nobody_expected(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """It is answered, logged once and not twice, and the connection can be used further."""
    answer = await talk(
        port,
        b"GET /unexpected HTTP/1.1\r\nHost: test\r\nOrigin: https://shop.example\r\n\r\n",
        written("GET", "/nowhere"),
    )
    assert answer.count(b"HTTP/1.1 ") == 2
    first, _, second = answer.partition(b"}HTTP/1.1")
    headers = enveloped(first + b"}", 500, "INTERNAL_ERROR")
    assert headers["access-control-allow-origin"] == "*"
    enveloped(b"HTTP/1.1" + second, 404, "NOT_FOUND")
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.name for record in errors] == ["rustforge.http"]


async def test_head(port: int) -> None:
    """An answer to HEAD has the headers of the error, and no body."""
    for path, status in (("/unexpected", 500), ("/nowhere", 404), ("/body", 405)):
        found, headers, body = parse(await talk(port, written("HEAD", path)))
        assert (found, headers["content-type"], body) == (status, "application/json", b"")
        assert int(headers["content-length"]) > 0


async def test_bodies_that_are_too_large(port: int) -> None:
    """They are refused before they have come, by what they say and in the middle; the client is not made to wait."""
    announced = b"POST /body HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 1000000000\r\n\r\n"
    enveloped(await talk(port, announced), 413, "CONTENT_TOO_LARGE")
    expecting = announced.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    answer = await talk(port, expecting)
    assert b"100 Continue" not in answer
    enveloped(answer, 413, "CONTENT_TOO_LARGE")
    chunked = b"POST /body HTTP/1.1\r\nHost: test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    enveloped(
        await talk(port, chunked, b"3c\r\n" + b"x" * 60 + b"\r\n", b"3c\r\n" + b"x" * 60), 413, "CONTENT_TOO_LARGE"
    )
    status, _, body = parse(await talk(port, written("POST", "/body", body=b"x" * 100)))
    assert (status, body) == (200, b"100")


@pytest.mark.parametrize("value", ["a%0d%0aSet-Cookie:%20admin=1", "%00", "%e2%82%ac", "%ff", "%0d", "%0aX: 1"])
async def test_nothing_comes_into_the_headers(port: int, value: str) -> None:
    """A client whose text an application puts into a header, its name or a message cannot write a header."""
    headers = enveloped(await talk(port, written("GET", f"/header?value={value.replace(' ', '')}")), 404, "NOT_FOUND")
    assert set(headers) <= {
        "date",
        "server",
        "Connection",
        "content-length",
        "content-type",
        "vary",
        "x-request-id",
        "x-value",
    }
    enveloped(await talk(port, written("GET", f"/message?value={value.replace(' ', '')}")), 422, "VALIDATION_ERROR")
    headers = enveloped(await talk(port, written("GET", "/nowhere", f"X-Request-ID: {value}")), 404, "NOT_FOUND")
    assert headers["x-request-id"] != value


@pytest.mark.parametrize("path", ["/stream/0", "/sized/0", "/file"])
async def test_a_stream_that_breaks_before_it_begins(port: int, path: str) -> None:
    """It is answered as any other error."""
    headers = enveloped(await talk(port, written("GET", path, "Origin: https://shop.example")), 500, "INTERNAL_ERROR")
    assert headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/stream/2", "/sized/2"])
async def test_a_stream_that_breaks_later(port: int, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """The connection is broken off, so the client knows that something is missing; the log has the request's id."""
    answer = await talk(port, written("GET", path))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"row 1" in answer
    assert not answer.endswith(b"0\r\n\r\n"), "the end of a chunked body that is whole"
    assert SECRET.encode() not in answer
    records = [record for record in caplog.records if record.name == "rustforge.http"]
    assert [record.getMessage().partition(" [")[0] for record in records] == [
        f"GET {path} failed within its response, which is broken off"
    ]
    assert records[0].__dict__["request_id"].encode() in answer


async def test_events_begin_at_once(port: int, steps: Steps) -> None:
    """A client of server-sent events sees the head before the first event."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(written("GET", "/events"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"text/event-stream" in head
    assert b"x-request-id" in head
    steps.go.set()
    assert b"data: first" in await reader.read()
    writer.close()
    await writer.wait_closed()


async def test_a_background_task_that_fails(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """The client has its response; the log has the error once."""
    status, headers, body = parse(await talk(port, written("GET", "/background")))
    assert (status, body) == (200, b'"done"')
    await wait_until(lambda: "failed after its response" in caplog.text)
    (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert record.__dict__["request_id"] == headers["x-request-id"]


async def test_clients_that_go(port: int, steps: Steps, caplog: pytest.LogCaptureFixture) -> None:
    """A client that goes, while it sends or while it is sent to, is no error."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /body HTTP/1.1\r\nHost: test\r\nContent-Length: 50\r\n\r\nhalf")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(written("GET", "/slow"))
    await reader.readexactly(1000)
    writer.transport.abort()
    await steps.left.wait()
    assert (await talk(port, written("GET", "/nowhere"))).startswith(b"HTTP/1.1 404 ")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_many_at_once(port: int) -> None:
    """Requests that fail beside each other each have their own id and answer."""

    async def one(number: int) -> tuple[Any, Any]:
        path, status = ("/unexpected", 500) if number % 2 else ("/nowhere", 404)
        headers = enveloped(
            await talk(port, written("GET", path, f"X-Request-ID: r{number}")),
            status,
            "INTERNAL_ERROR" if number % 2 else "NOT_FOUND",
        )
        return headers["x-request-id"], f"r{number}"

    for given, sent in await asyncio.gather(*(one(number) for number in range(40))):
        assert given == sent
