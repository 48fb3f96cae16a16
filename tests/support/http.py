"""Applications over HTTP: in this loop, and behind a real server whose bytes are looked at."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from httpx2 import ASGITransport, AsyncClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from httpx2 import Response
    from starlette.types import ASGIApp


@asynccontextmanager
async def client_of(app: ASGIApp, **headers: str) -> AsyncIterator[AsyncClient]:
    """Open a client of an application in this loop; an error that comes out of the application fails the test."""
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


async def ask(app: ASGIApp, method: str, path: str, **options: Any) -> Response:
    """Send one request to an application in this loop."""
    async with client_of(app) as client:
        return await client.request(method, path, **options)


def body_of(response: Response, status: int, code: str, secret: str = "4111-1111") -> dict[str, Any]:
    """Read an error in the envelope, which says nothing else than it may."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert {"message", "error_code"} <= set(body) <= {"message", "error_code", "errors"}
    assert body["error_code"] == code
    assert body["message"].strip()
    assert secret not in response.text
    assert response.headers["x-request-id"]
    return body


async def talk(port: int, *pieces: bytes) -> bytes:
    """Send bytes as they are, and read until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    try:
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def written(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    """Write a request, the last one of its connection."""
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close", *length, *headers]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body
