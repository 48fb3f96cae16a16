"""Every error of an application has one shape."""

from __future__ import annotations

import json
import logging
from contextlib import asynccontextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import APIRouter, Body, Cookie, Depends, FastAPI, Form, Header, HTTPException, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, AwareDatetime, BaseModel, ConfigDict, Field, Json, field_validator
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from rustforge.errors import (
    AttachmentRejectedError,
    ConfigurationError,
    InvalidArgumentError,
    ObjectNotFoundError,
    StorageTokenError,
)
from rustforge.http import (
    AppError,
    BadRequest,
    Forbidden,
    Internal,
    NotFound,
    TooManyRequests,
    Unauthorized,
    UnprocessableEntity,
    Validation,
    install,
)
from rustforge.http.envelope import LONGEST_MESSAGE, write_error
from rustforge.http.mapping import LONGEST_PATH, MOST_FIELDS
from tests.support.http import ask, body_of, client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Receive, Scope, Send

SECRET = "4111-1111"

KINDS = [Internal, NotFound, BadRequest, Unauthorized, Forbidden, TooManyRequests, UnprocessableEntity, Validation]


def raising(error: Any, **options: Any) -> FastAPI:
    """Make an application whose route at / raises."""
    app = FastAPI()

    @app.get("/")
    async def fail() -> None:
        raise error

    install(app, **options)
    return app


def starlette_raising(error: Any, **options: Any) -> Starlette:
    """Make the same without FastAPI."""

    async def fail(request: Request) -> Response:
        raise error

    app = Starlette(routes=[Route("/", fail)])
    install(app, **options)
    return app


both = pytest.mark.parametrize("make", [raising, starlette_raising])


# -- the application's own -------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind(make: Callable[..., Starlette], kind: type[AppError]) -> None:
    """It is answered with its status, code and message."""
    body = body_of(await ask(make(kind("Say why.")), "GET", "/"), kind.status, kind.error_code)
    hidden = kind is Internal
    assert body["message"] == ("Internal Server Error" if hidden else "Say why.")
    assert "errors" not in body


@both
async def test_fields_and_headers(make: Callable[..., Starlette]) -> None:
    """They are sent as they were given."""
    error = Validation("No.", {"address.city": "Unknown.", "items.0": ["a", "b"]}, headers={"X-Why": "1"})
    response = await ask(make(error), "GET", "/")
    assert body_of(response, 422, "VALIDATION_ERROR")["errors"] == {"address.city": ["Unknown."], "items.0": ["a", "b"]}
    assert response.headers["x-why"] == "1"
    response = await ask(make(TooManyRequests(retry_after=2.5)), "GET", "/")
    assert response.headers["retry-after"] == "3"


async def test_one_of_ones_own() -> None:
    """A class with a status of its own is answered with that."""

    class ConflictError(AppError):
        status = 409

    body_of(await ask(raising(ConflictError), "GET", "/"), 409, "CONFLICT")


# -- of the frameworks -----------------------------------------------------------------------------------------------


@both
async def test_http_exceptions(make: Callable[..., Starlette]) -> None:
    """They keep their status, text and headers, whatever stands in them."""
    cases: list[tuple[StarletteHTTPException, str, str]] = [
        (HTTPException(404, "No article."), "NOT_FOUND", "No article."),
        (HTTPException(409), "CONFLICT", "Conflict"),
        (StarletteHTTPException(413), "CONTENT_TOO_LARGE", "Content Too Large"),
        (HTTPException(503, "Back at noon."), "SERVICE_UNAVAILABLE", "Back at noon."),
        (HTTPException(500, SECRET), "INTERNAL_ERROR", "Internal Server Error"),
        (HTTPException(499, "Odd."), "CLIENT_ERROR", "Odd."),
        (HTTPException(400, ["a"]), "BAD_REQUEST", "Bad Request"),
        (HTTPException(402, {"message": "Pay.", "error_code": "UNPAID"}), "UNPAID", "Pay."),
        (HTTPException(402, {"message": 1, "error_code": 2}), "PAYMENT_REQUIRED", "Payment Required"),
    ]
    for error, code, message in cases:
        assert body_of(await ask(make(error), "GET", "/"), error.status_code, code)["message"] == message
    error = HTTPException(401, headers={"WWW-Authenticate": 'Bearer realm="shop"'})
    response = await ask(make(error), "GET", "/")
    body_of(response, 401, "UNAUTHORIZED")
    assert response.headers["www-authenticate"] == 'Bearer realm="shop"'


@both
async def test_http_exceptions_that_are_no_errors(make: Callable[..., Starlette]) -> None:
    """A redirect, and what has no body, are no errors, and have none."""
    response = await ask(make(HTTPException(307, headers={"Location": "/there"})), "GET", "/")
    assert (response.status_code, response.headers["location"], response.content) == (307, "/there", b"")
    response = await ask(make(HTTPException(304, headers={"ETag": '"1"'})), "GET", "/")
    assert (response.status_code, response.headers["etag"], response.content) == (304, '"1"', b"")


@both
async def test_paths_and_methods(make: Callable[..., Starlette]) -> None:
    """A path that is not there, and a method that is not, are answered in the envelope; the methods are named."""
    app = make(NotFound)
    body_of(await ask(app, "GET", "/nowhere"), 404, "NOT_FOUND")
    response = await ask(app, "DELETE", "/")
    body_of(response, 405, "METHOD_NOT_ALLOWED")
    assert "GET" in response.headers["allow"]


async def test_methods_of_what_is_mounted() -> None:
    """They are those of the path below, not of one that is called alike elsewhere."""

    async def fine(request: Request) -> Response:
        return PlainTextResponse("fine")

    one, other = Route("/a", fine, methods=["PUT"]), Route("/a", fine, methods=["POST"])
    inner = Starlette(routes=[Mount("/routes", routes=[one]), other])
    app = Starlette(routes=[Mount("/routes", routes=[one]), Mount("/sub", app=inner), other])
    install(app)
    for path, allowed in {"/routes/a": "PUT", "/sub/routes/a": "PUT", "/sub/a": "POST", "/a": "POST"}.items():
        response = await ask(app, "DELETE", path)
        body_of(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == allowed, path


async def test_methods_that_the_application_refuses_itself() -> None:
    """What the application says in Allow stays."""
    app = raising(HTTPException(405, headers={"Allow": "PROPFIND"}))
    assert (await ask(app, "GET", "/")).headers["allow"] == "PROPFIND"


# -- what nobody expected --------------------------------------------------------------------------------------------


@both
async def test_what_nobody_expected(make: Callable[..., Starlette], caplog: pytest.LogCaptureFixture) -> None:
    """The client learns nothing but the request's id, under which the log has everything."""
    response = await ask(make(LookupError(SECRET)), "GET", "/?card=" + SECRET)
    assert body_of(response, 500, "INTERNAL_ERROR") == {
        "message": "Internal Server Error",
        "error_code": "INTERNAL_ERROR",
    }
    (record,) = caplog.records
    request_id = response.headers["x-request-id"]
    assert record.getMessage() == f"GET / failed [request {request_id}]"
    assert record.__dict__["request_id"] == request_id
    assert (record.name, record.levelno) == ("rustforge.http", logging.ERROR)
    assert record.exc_info
    assert isinstance(record.exc_info[1], LookupError)


@both
async def test_debug(make: Callable[..., Starlette]) -> None:
    """With debug, and only so, the client reads what happened; it is still one shape."""
    for error in (LookupError("no such key"), Internal("LookupError: no such key")):
        response = await ask(make(error, debug=True), "GET", "/")
        assert body_of(response, 500, "INTERNAL_ERROR")["message"] == "LookupError: no such key"
    app = starlette_raising(LookupError("no such key"))
    app.debug = True
    response = await ask(app, "GET", "/", headers={"Accept": "text/html"})
    assert body_of(response, 500, "INTERNAL_ERROR")["message"] == "Internal Server Error"


async def test_a_response_that_is_not_what_was_declared(caplog: pytest.LogCaptureFixture) -> None:
    """It is the server's error, and shows nothing of the response."""
    app = FastAPI()

    @app.get("/")
    async def show() -> int:
        return SECRET  # type: ignore[return-value]

    install(app)
    body_of(await ask(app, "GET", "/"), 500, "INTERNAL_ERROR")
    assert "ResponseValidationError" in caplog.text


async def test_only_the_servers_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A client's error is in the access log, and in no other."""
    for error in (NotFound, HTTPException(404), Validation, HTTPException(307)):
        await ask(raising(error), "GET", "/")
    assert caplog.records == []
    await ask(raising(HTTPException(503)), "GET", "/")
    await ask(raising(Internal), "GET", "/")
    assert len(caplog.records) == 2


async def test_a_path_cannot_write_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A line break in the path stays encoded."""
    app = FastAPI()

    @app.get("/{path}")
    async def fail(path: str) -> None:
        raise LookupError

    install(app)
    await ask(app, "GET", "/a%0aERROR%20forged%1b")
    assert caplog.records[0].getMessage().startswith("GET /a%0AERROR%20forged%1B failed [request ")


# -- requests that are not valid -------------------------------------------------------------------------------------


class Colour(Enum):
    """Colours."""

    RED = "red"


class Cat(BaseModel):
    """A cat."""

    kind: Literal["cat"]


class Dog(BaseModel):
    """A dog."""

    kind: Literal["dog"]


class Address(BaseModel):
    """Where somebody lives."""

    name: str = Field(min_length=20)
    zip: int


class Order(BaseModel):
    """What can be refused."""

    model_config = ConfigDict(extra="forbid")

    address: Address
    items: list[Annotated[int, Field(lt=5)]]
    name: Annotated[str, Field(pattern="^[a-z]+$", max_length=3)]


async def test_fields_that_are_refused() -> None:
    """They are named by their paths, with what is wrong, and nothing of what was sent."""
    app = FastAPI()

    @app.post("/orders/{number}")
    async def order(
        number: int,
        sent: Order,
        page: int,
        token: Annotated[int, Header()],
        session: Annotated[int, Cookie()],
    ) -> None: ...

    install(app)
    sent = {"address": {"name": SECRET, "zip": SECRET}, "items": [1, 9, SECRET], "name": SECRET}
    response = await ask(
        app,
        "POST",
        f"/orders/{SECRET}?page={SECRET}",
        json=sent,
        headers={"token": SECRET, "cookie": f"session={SECRET}"},
    )
    body = body_of(response, 422, "VALIDATION_ERROR")
    assert body["message"] == "The request is not valid."
    fields = {"number", "page", "token", "session", "address.name", "address.zip", "items.1", "items.2", "name"}
    assert set(body["errors"]) == fields
    assert body["errors"]["items.1"] == ["Input should be less than 5"]
    response = await ask(app, "POST", "/orders/1", json={SECRET: 1})
    assert set(response.json()["errors"]) == {"page", "token", "session", "address", "items", "name", SECRET}


async def test_a_form_that_is_refused() -> None:
    """Its fields are named, too."""
    app = FastAPI()

    @app.post("/")
    async def send(age: Annotated[int, Form()], name: Annotated[str, Form()]) -> None: ...

    install(app)
    body = body_of(await ask(app, "POST", "/", data={"age": SECRET}), 422, "VALIDATION_ERROR")
    assert set(body["errors"]) == {"age", "name"}


class Even(BaseModel):
    """An even number."""

    value: int

    @field_validator("value")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            msg = "must be even"
            raise ValueError(msg)
        return value


class Nothing(BaseModel):
    """Nothing at all."""

    model_config = ConfigDict(extra="forbid")


TYPES: list[tuple[Any, Any]] = [
    (int, SECRET),
    (float, SECRET),
    (bool, SECRET),
    (Decimal, SECRET),
    (UUID, SECRET),
    (date, SECRET),
    (datetime, SECRET),
    (AwareDatetime, SECRET),
    (time, SECRET),
    (timedelta, SECRET),
    (AnyUrl, SECRET),
    (IPv4Address, SECRET),
    (Colour, SECRET),
    (Literal["a", "b"], SECRET),
    (Json[int], SECRET),
    (bytes, {"a": SECRET}),
    (list[int], SECRET),
    (dict[str, int], SECRET),
    (tuple[int, int], [SECRET]),
    (set[int], [SECRET]),
    (Annotated[str, Field(max_length=3)], SECRET),
    (Annotated[str, Field(pattern="^x$")], SECRET),
    (int | list[int], SECRET),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": SECRET}),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"sort": SECRET}),
    (Cat, {"kind": SECRET}),
    (Cat, [SECRET]),
]


@pytest.mark.parametrize(("kind", "sent"), TYPES, ids=range(len(TYPES)))
async def test_nothing_that_was_sent_comes_back(kind: Any, sent: Any) -> None:
    """No type's message repeats the value."""
    app = FastAPI()

    async def take(value: Any) -> None: ...

    take.__annotations__["value"] = Annotated[kind, Body(embed=True)]
    app.add_api_route("/", take, methods=["POST"])
    install(app)
    body = body_of(await ask(app, "POST", "/", json={"value": sent}), 422, "VALIDATION_ERROR")
    for name, messages in body["errors"].items():
        assert name.startswith("value")
        assert SECRET not in "".join(messages)


async def test_the_applications_own_validators() -> None:
    """What they say is said without pydantic's words around it."""
    app = FastAPI()

    @app.post("/")
    async def take(sent: Even) -> None: ...

    install(app)
    response = await ask(app, "POST", "/", json={"value": 3})
    assert body_of(response, 422, "VALIDATION_ERROR")["errors"] == {"value": ["must be even"]}


async def test_more_fields_than_anybody_reads() -> None:
    """A request of many bad fields makes no response of as many."""
    app = FastAPI()

    @app.post("/")
    async def take(numbers: list[int]) -> None: ...

    install(app)
    response = await ask(app, "POST", "/", json=["x"] * 5000)
    assert len(body_of(response, 422, "VALIDATION_ERROR")["errors"]) == MOST_FIELDS


async def test_a_field_with_a_name_of_the_clients() -> None:
    """Its name is cut where nobody would have given it."""
    app = FastAPI()

    @app.post("/")
    async def take(sent: Nothing) -> None: ...

    install(app)
    response = await ask(app, "POST", "/", json={"x" * 100_000: 1})
    (name,) = body_of(response, 422, "VALIDATION_ERROR")["errors"]
    assert name == "x" * LONGEST_PATH


NO_JSON = [b"{", b'{"a": ', b"\xff\xfe{", b"[" * 200_000, b"nul", b'{"a": "\n"}']


@pytest.mark.parametrize("sent", NO_JSON, ids=range(len(NO_JSON)))
async def test_a_body_that_is_no_json(sent: bytes) -> None:
    """It is a bad request in both frameworks, and not repeated."""
    app = FastAPI()

    @app.post("/")
    async def take(sent: Even) -> None: ...

    install(app)

    async def take_json(request: Request) -> Response:
        return JSONResponse(await request.json())

    other = Starlette(routes=[Route("/", take_json, methods=["POST"])])
    install(other)
    for one in (app, other):
        response = await ask(one, "POST", "/", content=sent, headers={"Content-Type": "application/json"})
        body = body_of(response, 400, "BAD_REQUEST")
        assert len(response.content) < 200
        assert "body" in body["message"]


async def test_other_json_that_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """A text that the server itself cannot read is no error of the client."""
    for read in (lambda: json.loads("{"), lambda: str(b"\xff", "utf-8")):
        app = FastAPI()
        app.add_api_route("/", read)
        install(app)
        body_of(await ask(app, "GET", "/"), 500, "INTERNAL_ERROR")
    assert len(caplog.records) == 2


async def test_a_form_that_cannot_be_read() -> None:
    """It is a bad request."""
    app = FastAPI()

    @app.post("/")
    async def send(name: Annotated[str, Form()]) -> None: ...

    install(app)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    body_of(await ask(app, "POST", "/", content=b"nonsense", headers=headers), 400, "BAD_REQUEST")


# -- bodies that are too large ---------------------------------------------------------------------------------------


def sized(**options: Any) -> FastAPI:
    """Make an application that takes bodies."""
    app = FastAPI(**options)

    @app.post("/raw")
    async def take_raw(request: Request) -> int:
        return len(await request.body())

    @app.post("/json")
    async def take_json(sent: dict[str, str]) -> int:
        return len(sent)

    @app.post("/form")
    async def take_form(name: Annotated[str, Form()]) -> int:
        return len(name)

    @app.post("/unread")
    async def take_nothing() -> int:
        return 0

    return app


async def pieces(total: int) -> AsyncIterator[bytes]:
    """Send a body without saying how long it is."""
    for _ in range(total // 10):
        yield b"x" * 10


async def test_a_body_that_is_too_large() -> None:
    """It is refused by what it says of itself and by what comes, whoever set the bound, and by the nearest bound."""
    ours, theirs = sized(), sized(max_body_size=100)
    install(ours, max_body_bytes=100)
    install(theirs)
    for app in (ours, theirs):
        async with client_of(app) as client:
            assert (await client.post("/raw", content=b"x" * 100)).json() == 100
            assert (await client.post("/raw", content=pieces(100))).json() == 100
            body_of(await client.post("/raw", content=b"x" * 101), 413, "CONTENT_TOO_LARGE")
            body_of(await client.post("/raw", content=pieces(110)), 413, "CONTENT_TOO_LARGE")
            body_of(await client.post("/json", json={"a": "x" * 100}), 413, "CONTENT_TOO_LARGE")
            body_of(await client.post("/form", data={"name": "x" * 100}), 413, "CONTENT_TOO_LARGE")
            body_of(await client.post("/unread", content=b"x" * 101), 413, "CONTENT_TOO_LARGE")
            problem = await client.post("/raw", content=b"x" * 101, headers={"Accept": "application/problem+json"})
            assert problem.json()["title"] == "Content Too Large"


async def test_a_bound_of_a_route() -> None:
    """A route that takes more has a bound of its own."""
    app = sized()

    @app.post("/large", max_body_size=1000)
    async def take_large(request: Request) -> int:
        return len(await request.body())

    install(app, max_body_bytes=10)
    async with client_of(app) as client:
        assert (await client.post("/large", content=b"x" * 500)).json() == 500
        body_of(await client.post("/large", content=b"x" * 1001), 413, "CONTENT_TOO_LARGE")
        body_of(await client.post("/raw", content=b"x" * 11), 413, "CONTENT_TOO_LARGE")


async def test_a_bound_in_starlette() -> None:
    """It holds there, too; and none can be 0."""

    async def take(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    app = Starlette(routes=[Route("/", take, methods=["POST"])])
    install(app, max_body_bytes=0)
    assert (await ask(app, "POST", "/")).text == "0"
    body_of(await ask(app, "POST", "/", content=b"x"), 413, "CONTENT_TOO_LARGE")
    body_of(await ask(app, "POST", "/", content=pieces(10)), 413, "CONTENT_TOO_LARGE")


# -- dependencies, streams and tasks ---------------------------------------------------------------------------------


async def test_dependencies(caplog: pytest.LogCaptureFixture) -> None:
    """They raise before and after the handler, and see what it raised; so do those that are no async functions."""
    app = FastAPI()
    seen: list[str] = []

    def refuse() -> None:
        raise Forbidden

    async def watch() -> AsyncIterator[None]:
        try:
            yield
        except LookupError as error:
            seen.append(str(error))
            raise

    async def break_after() -> AsyncIterator[None]:
        yield
        raise LookupError(SECRET)

    @app.get("/refused", dependencies=[Depends(refuse)])
    def refused() -> None: ...

    @app.get("/watched", dependencies=[Depends(watch)])
    def watched() -> None:
        raise LookupError(SECRET)

    @app.get("/after", dependencies=[Depends(break_after, scope="function")])
    async def after() -> int:
        return 1

    install(app)
    body_of(await ask(app, "GET", "/refused"), 403, "FORBIDDEN")
    body_of(await ask(app, "GET", "/watched"), 500, "INTERNAL_ERROR")
    assert seen == [SECRET]
    body_of(await ask(app, "GET", "/after"), 500, "INTERNAL_ERROR")
    assert len(caplog.records) == 2


@pytest.mark.parametrize("media_type", ["text/csv", "application/json", "application/x-ndjson"])
async def test_a_stream_that_breaks_before_it_begins(media_type: str) -> None:
    """Nothing has been sent, so the error is answered as any other, with none of the stream's headers."""

    async def stream(error: Exception) -> AsyncIterator[bytes]:
        for row in [b""] * 0:
            yield row
        raise error

    app = FastAPI()

    @app.get("/unexpected")
    async def unexpected() -> StreamingResponse:
        return StreamingResponse(stream(LookupError(SECRET)), media_type=media_type, headers={"ETag": "1"})

    @app.get("/known")
    async def known() -> StreamingResponse:
        return StreamingResponse(stream(NotFound("No rows.")), media_type=media_type, headers={"ETag": "1"})

    install(app)
    response = await ask(app, "GET", "/unexpected")
    body_of(response, 500, "INTERNAL_ERROR")
    assert "etag" not in response.headers
    assert body_of(await ask(app, "GET", "/known"), 404, "NOT_FOUND")["message"] == "No rows."


async def test_a_stream_that_breaks_later() -> None:
    """The server is told, so that it breaks off the connection."""

    async def rows() -> AsyncIterator[bytes]:
        yield b"row"
        raise LookupError(SECRET)

    app = FastAPI()
    app.add_api_route("/", lambda: StreamingResponse(rows()))
    install(app)
    with pytest.raises(LookupError):
        await ask(app, "GET", "/")


async def test_a_background_task_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The response is not touched; the log has the request's id."""
    app = FastAPI()

    async def fail(error: Exception) -> None:
        raise error

    @app.get("/{status}")
    async def show(status: int) -> JSONResponse:
        error = LookupError() if status == 200 else NotFound()
        return JSONResponse("done", background=BackgroundTask(fail, error))

    install(app)
    for path in ("/200", "/404"):
        response = await ask(app, "GET", path)
        assert (response.status_code, response.json()) == (200, "done")
        request_id = response.headers["x-request-id"]
        assert caplog.records[-1].getMessage() == f"GET {path} failed after its response [request {request_id}]"


async def test_exception_groups(caplog: pytest.LogCaptureFixture) -> None:
    """A group of what the application knows is answered as the first of it; one with anything else is unexpected."""
    known = [NotFound("a"), ExceptionGroup("", [HTTPException(409), Forbidden()])]
    body = body_of(await ask(raising(ExceptionGroup("", known)), "GET", "/"), 404, "NOT_FOUND")
    assert body["message"] == "a"
    assert caplog.records == []
    for other in (LookupError(SECRET), Internal(SECRET)):
        body_of(await ask(raising(ExceptionGroup("", [*known, other])), "GET", "/"), 500, "INTERNAL_ERROR")
        assert SECRET in caplog.text
        caplog.clear()


# -- mappings --------------------------------------------------------------------------------------------------------


class ShopError(Exception):
    """An error of a shop."""


class SoldOutError(ShopError):
    """One of its kinds."""


@both
async def test_mappings(make: Callable[..., Starlette]) -> None:
    """The nearest class of an exception decides; a function, or the class of the error, may be given."""
    mappings: dict[Any, Any] = {ShopError: lambda error: BadRequest(f"Shop: {error}"), PermissionError: Forbidden}
    body = body_of(await ask(make(SoldOutError("out"), mappings=mappings), "GET", "/"), 400, "BAD_REQUEST")
    assert body["message"] == "Shop: out"
    response = await ask(make(PermissionError(SECRET), mappings=mappings), "GET", "/")
    assert body_of(response, 403, "FORBIDDEN")["message"] == "Forbidden"
    mappings[SoldOutError] = NotFound
    body_of(await ask(make(SoldOutError(), mappings=mappings), "GET", "/"), 404, "NOT_FOUND")
    body_of(await ask(make(ExceptionGroup("", [SoldOutError()]), mappings=mappings), "GET", "/"), 404, "NOT_FOUND")


@both
async def test_a_mapping_that_leaves_it(make: Callable[..., Starlette], caplog: pytest.LogCaptureFixture) -> None:
    """One that returns None leaves the exception to the next class, and in the end unexpected."""
    mappings: dict[Any, Any] = {SoldOutError: lambda _error: None}
    body_of(await ask(make(SoldOutError(), mappings=mappings), "GET", "/"), 500, "INTERNAL_ERROR")
    assert "SoldOutError" in caplog.text
    mappings[ShopError] = BadRequest
    body_of(await ask(make(SoldOutError(), mappings=mappings), "GET", "/"), 400, "BAD_REQUEST")


@both
async def test_a_mapping_that_fails(make: Callable[..., Starlette], caplog: pytest.LogCaptureFixture) -> None:
    """It is unexpected itself; the log has both errors."""
    for hook, said in ((lambda error: error.missing, "the mapping of ShopError failed"), (str, "returned str")):
        body_of(await ask(make(ShopError(SECRET), mappings={ShopError: hook}), "GET", "/"), 500, "INTERNAL_ERROR")
        assert said in caplog.text
        assert f"ShopError: {SECRET}" in caplog.text
        caplog.clear()


async def test_a_mapping_of_everything() -> None:
    """What nobody expected can be mapped as well; then it is answered outside of all middleware."""
    mappings: dict[Any, Any] = {Exception: lambda error: BadRequest(type(error).__name__)}
    body = body_of(await ask(raising(LookupError(), mappings=mappings), "GET", "/"), 400, "BAD_REQUEST")
    assert body["message"] == "LookupError"
    body_of(await ask(raising(HTTPException(404), mappings=mappings), "GET", "/"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "wrong", [{"a": NotFound}, {ShopError: 404}, {KeyboardInterrupt: NotFound}, {1: NotFound}], ids=range(4)
)
def test_mappings_that_are_none(wrong: Any) -> None:
    """They are refused when the application is made."""
    with pytest.raises(ConfigurationError, match="maps classes of exceptions to functions"):
        install(FastAPI(), mappings=wrong)


async def test_rustforges_own_errors() -> None:
    """A missing object is not found, a refused file is not valid, a wrong argument is a fault of the program."""
    body = body_of(await ask(raising(ObjectNotFoundError(SECRET)), "GET", "/"), 404, "NOT_FOUND")
    assert body["message"] == "Not Found"
    body = body_of(await ask(raising(StorageTokenError(SECRET)), "GET", "/"), 403, "FORBIDDEN")
    assert body["message"] == "This token is not valid, or not any more."
    error = AttachmentRejectedError("too_large", "The file is too large.", field="cover")
    body = body_of(await ask(raising(error), "GET", "/"), 422, "VALIDATION_ERROR")
    assert (body["message"], body["errors"]) == ("The file is too large.", {"cover": ["The file is too large."]})
    body_of(await ask(raising(InvalidArgumentError(SECRET)), "GET", "/"), 500, "INTERNAL_ERROR")


async def test_a_refused_file_in_another_language() -> None:
    """Its text is translated, and what changes in it stays."""
    error = AttachmentRejectedError("too_large", "The file is larger than {size}.", size="5 MiB")
    app = raising(error, catalogues={"de": {"The file is larger than {size}.": "Die Datei hat mehr als {size}."}})
    for language, said in {"de": "Die Datei hat mehr als 5 MiB.", "fr": "The file is larger than 5 MiB."}.items():
        response = await ask(app, "GET", "/", headers={"Accept-Language": language})
        body = body_of(response, 422, "VALIDATION_ERROR")
        assert (body["message"], body["errors"]) == (said, {"file": [said]})


# -- handlers of the application -------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_applications_own_handlers(when: str, caplog: pytest.LogCaptureFixture) -> None:
    """What the application handles itself stays its own, whether it said so before or after."""
    app = FastAPI()

    async def teapot(request: Request, error: Exception) -> Response:
        return PlainTextResponse(f"own {type(error).__name__}", 418)

    def add() -> None:
        for kind in (HTTPException, NotFound, ShopError, 409):
            app.add_exception_handler(kind, teapot)

    if when == "before":
        add()
    install(app, mappings={ShopError: BadRequest})
    if when == "after":
        add()
    errors = {"a": HTTPException(400), "b": NotFound(), "c": SoldOutError(), "d": StarletteHTTPException(409)}

    @app.get("/{name}")
    async def fail(name: str) -> None:
        raise errors.get(name) or BadRequest

    for name, error in errors.items():
        response = await ask(app, "GET", f"/{name}")
        assert response.text == f"own {type(error).__name__}"
        assert response.headers["x-request-id"]
    body_of(await ask(app, "GET", "/other"), 400, "BAD_REQUEST")
    assert caplog.records == []


async def test_the_applications_own_handler_of_everything(caplog: pytest.LogCaptureFixture) -> None:
    """It answers what nobody expected; the log has it as before."""
    app = raising(LookupError(SECRET))

    @app.exception_handler(Exception)
    async def say(request: Request, error: Exception) -> Response:
        return PlainTextResponse("own", 500)

    response = await ask(app, "GET", "/")
    assert (response.status_code, response.text) == (500, "own")
    assert SECRET in caplog.text


@pytest.mark.parametrize("kind", [ShopError, Exception, HTTPException])
async def test_a_handler_that_fails(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    """An error in the application's own handler is unexpected, and answered."""
    app = raising(HTTPException(409) if kind is HTTPException else ShopError())

    @app.exception_handler(kind)
    async def fail(request: Request, error: Exception) -> Response:
        raise LookupError(SECRET)

    body_of(await ask(app, "GET", "/"), 500, "INTERNAL_ERROR")
    assert SECRET in caplog.text


async def test_a_handler_that_answers_with_an_error() -> None:
    """A response of the application is its own, whatever its status is and its text."""
    app = FastAPI()

    @app.get("/{status}")
    async def show(status: int) -> Response:
        return PlainTextResponse("Not ready", status)

    install(app)
    for status in (400, 404, 405, 413, 503):
        response = await ask(app, "GET", f"/{status}")
        assert (response.status_code, response.text) == (status, "Not ready")


# -- problem+json ----------------------------------------------------------------------------------------------------

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (PROBLEM, True),
        (PROBLEM.upper(), True),
        (f"application/json, {PROBLEM}", True),
        (f"{PROBLEM};q=0.9, */*;q=0.1", True),
        (f"text/html , {PROBLEM} ; q=0.5", True),
        (f"{PROBLEM};charset=utf-8", True),
        (f"application/json, {PROBLEM};q=0.5", False),
        (f"{PROBLEM};q=0", False),
        (f"{PROBLEM};q=nonsense", False),
        (f"{PROBLEM};q=nan", False),
        ("application/json", False),
        ("*/*", False),
        ("application/*", False),
        ("", False),
        (f"x{PROBLEM}", False),
    ],
)
async def test_problem_json_is_sent_to_those_who_like_it(accept: str, *, wanted: bool) -> None:
    """It goes to clients that name it, and do not like plain JSON better."""
    response = await ask(raising(NotFound("No article.")), "GET", "/", headers={"Accept": accept})
    assert response.headers["content-type"] == (PROBLEM if wanted else "application/json")
    assert response.headers["vary"] == "Accept"
    assert response.status_code == 404


async def test_problem_json() -> None:
    """It has the members of RFC 9457, and beside them those of the envelope and the request's id."""
    app = raising(Validation("No.", {"name": "Taken."}, headers={"X-Why": "1"}))
    response = await ask(app, "GET", "/?secret=1", headers={"Accept": PROBLEM})
    assert response.json() == {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "No.",
        "instance": "/",
        "error_code": "VALIDATION_ERROR",
        "errors": {"name": ["Taken."]},
        "request_id": response.headers["x-request-id"],
    }
    assert response.headers["x-why"] == "1"
    response = await ask(app, "GET", "/no%20where%0d", headers={"Accept": PROBLEM})
    assert (response.json()["status"], response.json()["instance"]) == (404, "/no%20where%0D")


async def test_problem_json_in_several_headers() -> None:
    """Accept may come in several lines."""
    headers = [("Accept", "text/html"), ("Accept", PROBLEM)]
    response = await ask(raising(NotFound), "GET", "/", headers=headers)
    assert response.headers["content-type"] == PROBLEM


# -- hostile texts ---------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(), max_size=30)


@given(message=TEXTS, name=TEXTS, value=TEXTS, field=TEXTS, status=st.sampled_from([400, 404, 409, 422, 503]))
def test_no_text_breaks_a_response(message: str, name: str, value: str, field: str, status: int) -> None:
    """Whatever an application puts into an error, one response comes out, with headers that hold one line each."""
    error = Validation(message, {field: message}, headers={name: value, "X-Fine": value})
    error.status = status
    response = write_error(error, {"method": "GET", "path": f"/{message}", "headers": []})
    assert response.status_code == status
    assert set(json.loads(bytes(response.body))) == {"message", "error_code", "errors"}
    names = [one for one, _ in response.raw_headers]
    assert names.count(b"content-length") == names.count(b"content-type") == 1
    assert response.headers["content-length"] == str(len(response.body))
    for one, text in response.raw_headers:
        assert one
        assert not set(one) & set(b"\r\n\0: ")
        assert not set(text) & set(b"\r\n\0")


async def _never() -> Any:
    raise AssertionError


async def test_headers_that_would_begin_another() -> None:
    """A line break in a header is a space; a header that cannot be sent is left out; the body's own are ours."""
    headers = {
        "X-Name": "a\r\nSet-Cookie: admin=1",
        "X-Bad\r\nSet-Cookie": "1",
        "": "1",
        "X-Euro": "5 € für Zoë",
        "Content-Length": "0",
        "Transfer-Encoding": "chunked",
        "content-type": "text/html",
    }
    for error in (NotFound(headers=headers), HTTPException(404, headers=headers)):
        response = await ask(raising(error), "GET", "/")
        body_of(response, 404, "NOT_FOUND")
        assert response.headers["x-name"] == "a Set-Cookie: admin=1"
        assert dict(response.headers.raw)[b"x-euro"] == "5 ? für Zoë".encode("latin-1")
        assert set(response.headers) == {"content-length", "content-type", "vary", "x-name", "x-euro", "x-request-id"}


async def test_a_message_that_is_too_long() -> None:
    """It is cut, so that no error is larger than what it is about."""
    body = body_of(await ask(raising(NotFound("x" * 1_000_000)), "GET", "/"), 404, "NOT_FOUND")
    assert len(body["message"]) == LONGEST_MESSAGE
    assert body["message"].endswith("…")


# -- translation -----------------------------------------------------------------------------------------------------


async def test_translation() -> None:
    """Titles and our own sentences are in the client's language, and the response says so."""
    german = {"Not Found": "Nicht gefunden", "The request is not valid.": "Ungültige Anfrage."}
    app = FastAPI()

    @app.get("/{number}")
    async def show(number: int) -> int:
        return number

    install(app, catalogues={"de": german})
    headers = {"Accept-Language": "fr;q=0.2, de-AT"}
    for path, status, message in (("/no/where", 404, "Nicht gefunden"), ("/x", 422, "Ungültige Anfrage.")):
        response = await ask(app, "GET", path, headers=headers)
        assert (response.status_code, response.json()["message"]) == (status, message)
        assert response.headers["content-language"] == "de"
        assert response.headers["vary"] == "Accept, Accept-Language"
    response = await ask(app, "GET", "/1", headers=headers)
    assert "content-language" not in response.headers
    response = await ask(app, "GET", "/no/where")
    assert response.json()["message"] == "Not Found"


# -- install ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_installed() -> None:
    """It is said at once."""
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (APIRouter(), {}, "needs an application of FastAPI or Starlette, not APIRouter"),
        (FastAPI(), {"request_id_header": "X Id"}, "request_id_header is 'X Id'; the name of a header has"),
        (FastAPI(), {"request_id_header": ""}, "request_id_header is ''"),
        (FastAPI(), {"max_body_bytes": -1}, "max_body_bytes is -1; it is a number of bytes from 0 on"),
    ]
    for app, options, text in cases:
        with pytest.raises(ConfigurationError, match=text):
            install(app, **options)
    app = FastAPI()
    install(app)
    with pytest.raises(ConfigurationError, match="called once, before the application starts"):
        install(app)


async def test_an_application_that_has_started() -> None:
    """It is refused, as other middleware is."""
    app = FastAPI()
    await ask(app, "GET", "/")
    with pytest.raises(ConfigurationError, match="before the application starts"):
        install(app)


async def test_lifespan_and_other_routes_are_as_before() -> None:
    """What goes well is not touched, but for the id."""
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        steps.append("start")
        yield
        steps.append("stop")

    app = FastAPI(lifespan=lifespan)

    @app.get("/", status_code=201)
    async def show() -> dict[str, int]:
        return {"a": 1}

    @app.get("/elsewhere")
    async def elsewhere() -> RedirectResponse:
        return RedirectResponse("/")

    install(app)
    async with app.router.lifespan_context(app):
        response = await ask(app, "GET", "/")
        assert (response.status_code, response.json()) == (201, {"a": 1})
        assert set(response.headers) == {"content-length", "content-type", "x-request-id"}
        assert (await ask(app, "GET", "/elsewhere")).headers["location"] == "/"
        assert (await ask(app, "GET", "/openapi.json")).status_code == 200
    assert steps == ["start", "stop"]


async def test_an_application_of_nothing_but_asgi() -> None:
    """What is mounted without a framework may send headers as lists, nothing after its head, and raise, too."""

    async def bare(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/raise"):
            raise LookupError
        await send({"type": "http.response.start", "status": 200, "headers": [[b"x-own", b"1"]]})
        if scope["path"].endswith("/body"):
            await send({"type": "http.response.body"})

    app = Starlette(routes=[Mount("/bare", app=bare)])
    install(app)
    sent: list[Any] = []

    async def send(part: Any) -> None:
        sent.append(part)

    scope = {"type": "http", "method": "GET", "path": "/bare/head", "headers": [], "query_string": b"", "root_path": ""}
    await app(scope, _never, send)
    assert [one["type"] for one in sent] == ["http.response.start"]
    assert sent[0]["headers"][0] == [b"x-own", b"1"]
    assert (await ask(app, "GET", "/bare/body")).headers["x-own"] == "1"
    body_of(await ask(app, "GET", "/bare/raise"), 500, "INTERNAL_ERROR")
