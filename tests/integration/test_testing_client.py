"""The client in the test's own loop: the application starts and ends around it, and errors are raised or answered."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request

from rustforge.http import install
from rustforge.testing import open_client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from httpx2 import AsyncClient

_place: ContextVar[str] = ContextVar("place", default="outside")


def whoami() -> str:
    """Be replaced by tests."""
    return "nobody"


def make_app(log: list[str]) -> FastAPI:
    """Make an application whose start and end must happen in one task."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            log.append("start")
            ticking = group.create_task(asyncio.sleep(3600))
            yield {"number": 7, "loop": asyncio.get_running_loop()}
            ticking.cancel()
            log.append("end")

    app = FastAPI(lifespan=lifespan)
    install(app)

    @app.get("/")
    async def show(request: Request, user: Annotated[str, Depends(whoami)]) -> dict[str, Any]:
        same = request.state.loop is asyncio.get_running_loop()
        return {"number": request.state.number, "same loop": same, "user": user, "place": _place.get()}

    @app.get("/fail")
    async def fail() -> None:
        raise ZeroDivisionError

    return app


async def test_the_application_starts_and_ends() -> None:
    """Requests run between the two, in the test's loop and context, and see the state of the start."""
    log: list[str] = []
    _place.set("in the test")
    async with open_client(make_app(log), headers={"X-Test": "1"}) as client:
        assert log == ["start"]
        response = await client.get("/")
        assert response.json() == {"number": 7, "same loop": True, "user": "nobody", "place": "in the test"}
        assert response.request.headers["x-test"] == "1"
        assert str(response.request.url) == "http://test/"
    assert log == ["start", "end"]


async def test_it_ends_in_the_task_in_which_it_started() -> None:
    """Also where a plugin opens and closes the client in different tasks."""
    log: list[str] = []
    opening = open_client(make_app(log))
    client: AsyncClient = await asyncio.create_task(opening.__aenter__())
    assert (await client.get("/")).status_code == 200
    await asyncio.create_task(opening.__aexit__(None, None, None))
    assert log == ["start", "end"]


async def test_errors_are_raised_or_answered() -> None:
    """An exception of the application comes out of the request, unless the test wants what a client would get."""
    app = make_app([])
    async with open_client(app) as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("/fail")
    async with open_client(app, raise_errors=False) as client:
        response = await client.get("/fail")
        assert (response.status_code, response.json()["error_code"]) == (500, "INTERNAL_ERROR")


async def test_overrides_are_taken_back() -> None:
    """What a test puts in place of a dependency is gone afterwards; what was there before is not."""
    app = make_app([])
    app.dependency_overrides[len] = str
    async with open_client(app) as client:
        app.dependency_overrides[whoami] = lambda: "ann"
        assert (await client.get("/")).json()["user"] == "ann"
    assert app.dependency_overrides == {len: str}


async def test_without_a_start() -> None:
    """An application that was started already, or has no lifespan, is called as it is."""
    log: list[str] = []
    async with open_client(make_app(log), lifespan=False) as client:
        with pytest.raises(AttributeError):
            await client.get("/")
    assert log == []


async def test_an_application_that_knows_no_lifespan() -> None:
    """A bare ASGI application may refuse the scope, or end at once; it is called all the same."""

    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async def ends(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await refuses(scope, receive, send)

    for app in (refuses, ends):
        async with open_client(app) as client:
            assert (await client.get("/")).status_code == 204


@pytest.mark.parametrize("where", ["start", "end"])
async def test_an_application_that_fails_to_start_or_end(where: str) -> None:
    """Its exception comes out as it is."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        if where == "start":
            raise LookupError(where)
        yield
        raise LookupError(where)

    async def run() -> None:
        async with open_client(FastAPI(lifespan=lifespan)):
            assert where == "end"

    with pytest.raises(LookupError, match=where):
        await run()


async def test_an_application_that_ends_early() -> None:
    """One that says that it has failed, and raises nothing, fails the test with what it says."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no disk"})

    with pytest.raises(RuntimeError, match="no disk"):
        async with open_client(app):
            pass
