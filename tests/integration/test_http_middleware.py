"""Errors, request ids and CORS, through middleware, mounted applications and WebSockets."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, WebSocket, WebSocketException
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from rustforge.http import Forbidden, NotFound, get_locale, get_request_id, install
from tests.support.http import ask, body_of, client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

SECRET = "4111-1111"
ORIGIN = "https://shop.example"


class Raising:
    """Middleware that raises, before or after the application within."""

    def __init__(self, app: ASGIApp, error: Any, *, after: bool = False) -> None:
        self.app = app
        self.error = error
        self.after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise."""
        if scope["type"] == "http" and not self.after:
            raise self.error
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            raise self.error


def shop(**options: Any) -> FastAPI:
    """Make an application whose routes raise."""
    app = FastAPI(**options)

    @app.get("/unexpected")
    async def unexpected() -> None:
        raise LookupError(SECRET)

    @app.get("/known")
    async def known() -> None:
        msg = "No article."
        raise NotFound(msg, headers={"Vary": "Cookie"})

    @app.get("/fine")
    async def fine() -> dict[str, str | None]:
        return {"id": get_request_id()}

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    return app


# -- middleware ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["inner", "outer"])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (LookupError(SECRET), 500, "INTERNAL_ERROR"),
        (Forbidden("Not you."), 403, "FORBIDDEN"),
        (HTTPException(429), 429, "RATE_LIMITED"),
        (ExceptionGroup("", [Forbidden()]), 403, "FORBIDDEN"),
    ],
)
async def test_middleware_that_raises(place: str, error: Any, status: int, code: str) -> None:
    """Its errors are answered like those of routes, wherever it stands, and with CORS headers."""
    app = shop()
    cors = Middleware(CORSMiddleware, allow_origins=[ORIGIN])
    raising = Middleware(Raising, error=error)
    app.user_middleware[:] = [cors, raising] if place == "inner" else [raising, cors]
    install(app)
    response = await ask(app, "GET", "/fine", headers={"Origin": ORIGIN})
    body_of(response, status, code)
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers.get_list("vary") == ["Accept, Origin"]


async def test_answers_of_the_frameworks_own_middleware_that_other_middleware_passes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Their bodies come with an end of their own, which goes with them."""
    app = shop()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["shop.example"])

    @app.middleware("http")
    async def pass_on(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response

    install(app)
    assert body_of(await ask(app, "GET", "/fine"), 400, "BAD_REQUEST")["message"] == "Invalid host header"
    assert caplog.records == []


async def test_middleware_that_raises_after_the_response(caplog: pytest.LogCaptureFixture) -> None:
    """The response stands; the log has the error."""
    app = shop()
    app.add_middleware(Raising, error=LookupError(SECRET), after=True)
    install(app)
    assert (await ask(app, "GET", "/fine")).status_code == 200
    assert "failed after its response" in caplog.text


async def test_middleware_of_functions() -> None:
    """Middleware made of a function sees the error that it must see, and what it raises is answered."""
    app = shop()
    seen: list[Any] = []

    @app.middleware("http")
    async def watch(request: Request, call_next: Any) -> Response:
        if "refuse" in request.query_params:
            raise Forbidden
        try:
            response: Response = await call_next(request)
        except LookupError as error:
            seen.append(str(error))
            raise
        seen.append(response.status_code)
        return response

    install(app)
    body_of(await ask(app, "GET", "/unexpected"), 500, "INTERNAL_ERROR")
    body_of(await ask(app, "GET", "/known"), 404, "NOT_FOUND")
    body_of(await ask(app, "GET", "/fine?refuse"), 403, "FORBIDDEN")
    response = await ask(app, "GET", "/fine")
    assert response.json() == {"id": response.headers["x-request-id"]}
    assert seen == [SECRET, 404, 200]


@pytest.mark.parametrize("answer", [Response(status_code=204), JSONResponse("mended"), PlainTextResponse("mended")])
async def test_middleware_that_answers_what_was_raised(answer: Response, caplog: pytest.LogCaptureFixture) -> None:
    """What the application has caught is its own."""
    app = shop()

    @app.middleware("http")
    async def mend(request: Request, call_next: Any) -> Response:
        try:
            response: Response = await call_next(request)
        except LookupError:
            return answer
        return response

    install(app)
    response = await ask(app, "GET", "/unexpected")
    assert (response.status_code, response.content) == (answer.status_code, answer.body)
    assert caplog.records == []


async def test_answers_of_the_frameworks_own_middleware() -> None:
    """Where they answer in plain text, it is put into the envelope, with the status and the headers they chose."""
    app = shop()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["shop.example"])
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN], allow_methods=["GET"])
    install(app)
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "DELETE"}
    response = await ask(app, "GET", "/fine", headers={"Origin": ORIGIN})
    assert body_of(response, 400, "BAD_REQUEST")["message"] == "Invalid host header"
    assert response.headers.get_list("access-control-allow-origin") == [ORIGIN]
    response = await ask(app, "OPTIONS", "/fine", headers=headers)
    assert body_of(response, 400, "BAD_REQUEST")["message"] == "Disallowed CORS method"
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-methods"] == "GET"


async def test_ranges_of_a_file_that_are_none(tmp_path: Path) -> None:
    """So is what they say of a range that a file does not have."""
    (tmp_path / "a.txt").write_text("abc")
    app = Starlette(routes=[Mount("/", app=StaticFiles(directory=tmp_path))])
    install(app)
    async with client_of(app) as client:
        for value in ("nonsense", "lines=1-2", "bytes=", "bytes=2-1"):
            body_of(await client.get("/a.txt", headers={"Range": value}), 400, "BAD_REQUEST")
        response = await client.get("/a.txt", headers={"Range": "bytes=9-"})
        body_of(response, 416, "RANGE_NOT_SATISFIABLE")
        assert response.headers["content-range"] == "bytes */3"
        assert (await client.get("/a.txt", headers={"Range": "bytes=1-1"})).content == b"b"


async def test_compressed_errors() -> None:
    """Middleware that changes responses changes errors, too."""
    app = shop()
    app.add_middleware(GZipMiddleware, minimum_size=10)
    install(app)
    response = await ask(app, "GET", "/known", headers={"Accept-Encoding": "gzip"})
    body_of(response, 404, "NOT_FOUND")
    assert response.headers["content-encoding"] == "gzip"


async def test_a_client_that_goes_while_it_sends(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for an answer, and it is no error of the server."""
    caplog.set_level(logging.INFO, "rustforge.http")

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def take(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    app = Starlette(routes=[Route("/", take, methods=["POST"])])
    install(app)
    sent: list[Any] = []

    async def send(part: Any) -> None:
        sent.append(part)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b"", "root_path": ""}
    await app(scope, gone, send)
    assert sent == []
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert "has gone" in caplog.text


async def test_cancellation_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A request that is cancelled stays cancelled."""
    app = FastAPI()
    begun = asyncio.Event()

    @app.get("/")
    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    install(app)
    task = asyncio.create_task(ask(app, "GET", "/"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caplog.records == []


async def test_a_client_that_goes_while_it_is_sent_to(caplog: pytest.LogCaptureFixture) -> None:
    """A stream whose client has gone is no error either."""

    async def rows() -> AsyncIterator[bytes]:
        yield b"1"
        yield b"2"

    app = FastAPI()
    app.add_api_route("/", lambda: StreamingResponse(rows()))
    install(app)

    async def send(part: Any) -> None:
        raise OSError

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {
        "type": "http",
        "asgi": {"spec_version": "2.4"},
        "method": "GET",
        "path": "/",
        "headers": [],
        "query_string": b"",
        "root_path": "",
    }
    await app(scope, receive, send)
    assert caplog.records == []


# -- CORS ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/unexpected", "/known", "/nowhere"])
async def test_cors(path: str) -> None:
    """Every error has the CORS headers that a response has, once."""
    app = shop()
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN], allow_credentials=True, expose_headers=["X-Request-ID"])
    install(app)
    async with client_of(app, origin=ORIGIN) as client:
        response, fine = await client.get(path), await client.get("/fine")
        assert response.is_error
        for name in ("origin", "credentials"):
            header = f"access-control-allow-{name}"
            assert response.headers.get_list(header) == fine.headers.get_list(header) != []
        assert response.headers["access-control-expose-headers"] == "X-Request-ID"
        assert response.headers["vary"] == ("Accept, Cookie, Origin" if path == "/known" else "Accept, Origin")
    response = await ask(app, "GET", path, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in response.headers
    assert "access-control-allow-origin" not in (await ask(app, "GET", path)).headers


@pytest.mark.parametrize("bound", ["ours", "theirs", "outer", "inner"])
async def test_cors_on_bodies_that_are_too_large(bound: str) -> None:
    """So has 413, whoever refuses the body."""
    app = shop(max_body_size=10 if bound == "theirs" else None)
    if bound == "inner":
        app.add_middleware(RequestBodyLimitMiddleware, max_body_size=10)
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN])
    if bound == "outer":
        app.add_middleware(RequestBodyLimitMiddleware, max_body_size=10)
    install(app, max_body_bytes=10 if bound == "ours" else None)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * 6
        yield b"x" * 6

    for content in (b"x" * 11, pieces()):
        response = await ask(app, "POST", "/body", content=content, headers={"Origin": ORIGIN})
        body_of(response, 413, "CONTENT_TOO_LARGE")
        assert response.headers.get_list("access-control-allow-origin") == [ORIGIN]


async def test_cors_around_the_application() -> None:
    """CORS middleware that stands around the whole application sees every error, too."""
    app = shop()
    install(app)
    around = CORSMiddleware(app, allow_origins=["*"])
    response = await ask(around, "GET", "/unexpected", headers={"Origin": ORIGIN})
    body_of(response, 500, "INTERNAL_ERROR")
    assert response.headers.get_list("access-control-allow-origin") == ["*"]


# -- request ids -----------------------------------------------------------------------------------------------------

SOUND = ["a", "abc-DEF_1.2:3", "x" * 128, "Root=1-67891233/abc+1==", "0b7c6e3e-3c1c-4a63-8f59-0e1f7a0f4d11"]
UNSOUND = ["", "x" * 129, "a b", "a\tb", "a;b", "a,b", '"a"', "<script>", "é", "%0a", "a\\b"]


@pytest.mark.parametrize("sent", SOUND)
async def test_an_id_that_the_client_sends(sent: str) -> None:
    """It is taken where it is sound, and is that of the response."""
    app = shop()
    install(app)
    response = await ask(app, "GET", "/fine", headers={"X-Request-ID": sent})
    assert response.headers.get_list("x-request-id") == [sent]
    assert response.json() == {"id": sent}


@pytest.mark.parametrize("sent", UNSOUND)
async def test_an_id_that_is_not_sound(sent: str) -> None:
    """It is replaced by one of ours, whatever is in it."""
    app = shop()
    install(app)
    response = await ask(app, "GET", "/fine", headers={"X-Request-ID": sent.encode()})
    (given,) = response.headers.get_list("x-request-id")
    assert len(given) == 32
    assert given != sent


async def test_ids_of_ours() -> None:
    """Each request has another one; a header of another name can carry it; outside of a request there is none."""
    app, other = shop(), shop()
    install(app)
    install(other, request_id_header="X-Trace")
    found = [(await ask(app, "GET", "/fine")).headers["x-request-id"] for _ in range(20)]
    assert len(set(found)) == 20
    response = await ask(other, "GET", "/fine", headers={"X-Trace": "t1", "X-Request-ID": "r1"})
    assert response.headers["x-trace"] == response.json()["id"] == "t1"
    assert "x-request-id" not in response.headers
    assert get_request_id() is get_locale() is None
    assert (await ask(shop(), "GET", "/fine")).json() == {"id": None}


async def test_where_the_id_is_known() -> None:
    """Dependencies, handlers with and without async, streams and background tasks know it, each that of its request."""
    app = FastAPI()
    known: list[str | None] = []

    def note() -> None:
        known.append(get_request_id())

    async def depend() -> AsyncIterator[None]:
        note()
        yield
        note()

    async def rows() -> AsyncIterator[bytes]:
        note()
        yield b""

    @app.get("/", dependencies=[Depends(depend)])
    def show() -> StreamingResponse:
        note()
        return StreamingResponse(rows(), background=BackgroundTask(note))

    install(app)
    for one in ("a", "b"):
        await ask(app, "GET", "/", headers={"X-Request-ID": one})
    assert known == ["a"] * 5 + ["b"] * 5


async def test_an_id_that_the_application_writes() -> None:
    """It stays, and is not written twice."""
    app = FastAPI()
    app.add_api_route("/", lambda: JSONResponse({}, headers={"X-Request-ID": "own"}))
    install(app)
    assert (await ask(app, "GET", "/")).headers.get_list("x-request-id") == ["own"]


async def test_a_response_that_is_used_again() -> None:
    """A response that an application keeps gets each request's own id, and is not changed."""
    kept = JSONResponse({"a": 1})
    app = Starlette(routes=[Route("/", kept)])
    install(app)
    for one in ("a", "b"):
        response = await ask(app, "GET", "/", headers={"X-Request-ID": one})
        assert response.headers.get_list("x-request-id") == [one]
    assert len(kept.raw_headers) == 2


# -- applications within applications --------------------------------------------------------------------------------


def mounted(outer: Starlette, inner: ASGIApp) -> Starlette:
    """Mount one in the other."""
    outer.routes.append(Mount("/sub", app=inner))
    return outer


async def test_applications_that_are_mounted(tmp_path: Path) -> None:
    """Their errors have the shape, however deep they are, and whatever stands around them; each is logged once."""

    async def fail(request: Request) -> Response:
        raise LookupError(SECRET)

    inner = Starlette(routes=[Route("/unexpected", fail)])
    router = Router([Mount("/deep", app=inner), Route("/unexpected", fail)])
    app = Starlette(
        routes=[
            Mount("/fast", app=shop()),
            Mount("/wrapped", app=shop(), middleware=[Middleware(GZipMiddleware)]),
            Mount("/router", app=router),
            Mount("/routes", routes=[Mount("/deep", app=shop())]),
            Mount("/files", app=StaticFiles(directory=tmp_path)),
            Host("sub.example", app=shop()),
        ]
    )
    install(app)
    async with client_of(app) as client:
        for path in ("/fast", "/wrapped", "/router", "/router/deep", "/routes/deep", "http://sub.example"):
            body_of(await client.get(f"{path}/unexpected"), 500, "INTERNAL_ERROR")
            body_of(await client.get(f"{path}/nowhere"), 404, "NOT_FOUND")
            body_of(await client.delete(f"{path}/unexpected"), 405, "METHOD_NOT_ALLOWED")
        for path in ("/fast", "/wrapped", "/routes/deep"):
            assert body_of(await client.get(f"{path}/known"), 404, "NOT_FOUND")["message"] == "No article."
            response = await client.get(f"{path}/fine")
            assert response.headers.get_list("x-request-id") == [response.json()["id"]]
        body_of(await client.get("/files/nowhere"), 404, "NOT_FOUND")
        body_of(await client.post("/files/nowhere"), 405, "METHOD_NOT_ALLOWED")


async def test_mounted_in_fastapi(caplog: pytest.LogCaptureFixture) -> None:
    """So have those that a router of FastAPI carries."""
    app, router = FastAPI(), APIRouter()
    app.mount("/sub", shop())
    router.mount("/deep", shop())
    app.include_router(router, prefix="/api")
    install(app, mappings={LookupError: NotFound}, max_body_bytes=10)
    for path in ("/sub", "/api/deep"):
        body_of(await ask(app, "GET", f"{path}/unexpected"), 404, "NOT_FOUND")
        body_of(await ask(app, "GET", f"{path}/nowhere"), 404, "NOT_FOUND")
        body_of(await ask(app, "POST", f"{path}/body", content=b"x" * 11), 413, "CONTENT_TOO_LARGE")
    assert caplog.records == []


async def test_cors_of_a_mounted_application() -> None:
    """An error that goes past its CORS middleware has its headers."""
    inner = shop()
    inner.add_middleware(CORSMiddleware, allow_origins=[ORIGIN])
    app = mounted(FastAPI(), inner)
    install(app)
    for path in ("unexpected", "known", "nowhere"):
        response = await ask(app, "GET", f"/sub/{path}", headers={"Origin": ORIGIN})
        assert response.headers.get_list("access-control-allow-origin") == [ORIGIN]
        assert response.headers["x-request-id"]
    assert "access-control-allow-origin" not in (await ask(app, "GET", "/none", headers={"Origin": ORIGIN})).headers


async def test_a_mounted_application_with_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """One that was given to install itself keeps its mappings, and has one id with the application around it."""
    inner = shop()
    install(inner, mappings={LookupError: Forbidden})
    app = mounted(shop(), inner)
    install(app)
    body_of(await ask(app, "GET", "/sub/unexpected"), 403, "FORBIDDEN")
    response = await ask(app, "GET", "/sub/fine")
    assert response.headers.get_list("x-request-id") == [response.json()["id"]]
    body_of(await ask(app, "GET", "/unexpected"), 500, "INTERNAL_ERROR")
    assert len(caplog.records) == 1
    body_of(await ask(inner, "GET", "/unexpected"), 403, "FORBIDDEN")


async def test_a_mounted_applications_own_handlers() -> None:
    """They stay its own."""
    inner = shop()

    @inner.exception_handler(404)
    async def say(request: Request, error: Exception) -> Response:
        return PlainTextResponse("own", 404)

    app = mounted(FastAPI(), inner)
    install(app)
    assert (await ask(app, "GET", "/sub/nowhere")).text == "own"
    body_of(await ask(app, "GET", "/nowhere"), 404, "NOT_FOUND")


# -- WebSockets ------------------------------------------------------------------------------------------------------


def sockets() -> FastAPI:
    """Make an application of WebSockets."""
    app = FastAPI()

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close(4000, "enough")

    @app.websocket("/refuse")
    async def refuse(socket: WebSocket) -> None:
        raise WebSocketException(1008, "not you")

    @app.websocket("/refuse-later")
    async def refuse_later(socket: WebSocket) -> None:
        await socket.accept()
        raise WebSocketException(4001, "not any more")

    @app.websocket("/number/{number}")
    async def number(socket: WebSocket, number: int) -> None: ...

    @app.websocket("/break")
    async def fail(socket: WebSocket) -> None:
        raise LookupError(SECRET)

    return app


async def test_an_error_before_a_web_socket_is_accepted() -> None:
    """It refuses the handshake with the error's status, as HTTPException does."""
    app = FastAPI()

    @app.websocket("/{name}")
    async def refuse(socket: WebSocket, name: str) -> None:
        errors: dict[str, Exception] = {"known": NotFound(), "http": HTTPException(404), "server": HTTPException(503)}
        raise errors[name]

    install(app)
    for name, status in (("known", 404), ("http", 404), ("server", 503)):
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(part: Any, sent: list[Any] = sent) -> None:
            sent.append(part)

        scope = {
            "type": "websocket",
            "path": f"/{name}",
            "headers": [],
            "query_string": b"",
            "root_path": "",
            "extensions": {"websocket.http.response": {}},
        }
        await app(scope, receive, send)
        assert [one["type"] for one in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
        assert sent[0]["status"] == status
        assert b'"error_code"' in sent[1]["body"]


@contextmanager
def _expecting(path: str) -> Iterator[None]:
    if path != "/break":
        yield
        return
    with pytest.raises(LookupError):
        yield


@pytest.mark.parametrize("path", ["/echo", "/refuse", "/refuse-later", "/number/x", "/nowhere", "/break"])
async def test_web_sockets_are_as_before(path: str) -> None:
    """What is sent over a WebSocket, its close codes included, does not change."""

    async def talk(app: FastAPI) -> list[Any]:
        sent: list[Any] = []
        coming = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}])

        async def receive() -> Any:
            return next(coming)

        async def send(part: Any) -> None:
            sent.append(part)

        scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "root_path": ""}
        with _expecting(path):
            await app(scope, receive, send)
        return sent

    plain, installed = sockets(), sockets()
    install(installed)
    assert await talk(installed) == await talk(plain)
