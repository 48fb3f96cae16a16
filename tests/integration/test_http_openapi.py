"""The errors of an application in its OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Form, Security
from fastapi.security import HTTPBearer, OAuth2PasswordBearer
from httpx2 import ASGITransport, AsyncClient
from openapi_spec_validator import validate
from pydantic import BaseModel

from rustforge.http import (
    ApiResponse,
    AppError,
    ErrorResponse,
    NotFound,
    ProblemDetails,
    UnprocessableEntity,
    Validation,
    errors,
    install,
)

OURS = {
    "application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}},
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}},
}


class Item(BaseModel):
    """What is sent and received."""

    name: str


def operation(app: FastAPI, path: str = "/items", method: str = "post") -> dict[str, Any]:
    """Read an operation of the document, which must be a valid one."""
    document = app.openapi()
    validate(document)
    found: dict[str, Any] = document["paths"][path][method]
    return found


def statuses(app: FastAPI, path: str = "/items", method: str = "post") -> list[str]:
    """List the statuses of an operation, and check that those of errors show our schemas."""
    responses = operation(app, path, method)["responses"]
    for status, response in responses.items():
        if status[0] in "45":
            shown = {kind: {"schema": body["schema"]} for kind, body in response["content"].items()}
            assert shown == OURS, status
    return list(responses)


@pytest.fixture
def app() -> FastAPI:
    """Make an application."""
    app = FastAPI()
    install(app)
    return app


def test_what_every_route_can_answer(app: FastAPI) -> None:
    """A route shows what it can answer without its handler's doing, and nothing else."""

    @app.get("/plain")
    def plain() -> ApiResponse[Item]:
        raise NotImplementedError

    @app.get("/items")
    def listed(page: int = 1) -> ApiResponse[Item]:
        raise NotImplementedError

    @app.post("/items")
    def made(item: Item) -> ApiResponse[Item]:
        raise NotImplementedError

    @app.put("/items")
    def formed(name: Annotated[str, Form()]) -> ApiResponse[Item]:
        raise NotImplementedError

    assert statuses(app, "/plain", "get") == ["200", "500"]
    assert statuses(app, "/items", "get") == ["200", "422", "500"]
    assert statuses(app) == ["200", "400", "422", "500"]
    assert statuses(app, method="put") == ["200", "400", "422", "500"]


def test_bodies_with_a_bound() -> None:
    """Where bodies are bounded, routes that take one can refuse it."""
    app = FastAPI()
    install(app, max_body_bytes=10)

    @app.post("/items")
    def made(item: Item) -> ApiResponse[Item]:
        raise NotImplementedError

    @app.get("/items")
    def listed() -> ApiResponse[Item]:
        raise NotImplementedError

    assert statuses(app) == ["200", "400", "413", "422", "500"]
    assert statuses(app, method="get") == ["200", "500"]


def test_security(app: FastAPI) -> None:
    """Routes with a security dependency can answer 401, and those that ask for scopes 403, also through a router."""
    router = APIRouter(dependencies=[Depends(HTTPBearer())])

    @router.post("/items")
    def made() -> ApiResponse[Item]:
        raise NotImplementedError

    @app.get("/items")
    def listed(
        token: Annotated[str, Security(OAuth2PasswordBearer("token"), scopes=["read"])],
    ) -> ApiResponse[Item]:
        raise NotImplementedError

    app.include_router(router)
    assert statuses(app) == ["200", "401", "500"]
    assert statuses(app, method="get") == ["200", "401", "403", "500"]


class Conflict(AppError):  # noqa: N818 - as ours are named
    """Somebody was faster.

    This line is not shown.
    """

    status = 409


class Locked(AppError):  # noqa: N818, D101 - without a docstring, as an application may have it
    status = 409
    error_code = "LOCKED"


def test_errors_of_a_route(app: FastAPI) -> None:
    """Errors that a route names are shown with an example of each, those of one status together."""

    @app.post("/items", responses=errors(NotFound, Conflict, Locked, UnprocessableEntity, Validation))
    def made(item: Item) -> ApiResponse[Item]:
        raise NotImplementedError

    assert statuses(app) == ["200", "400", "404", "409", "422", "500"]
    shown = operation(app)["responses"]
    assert shown["404"]["description"] == "Not Found"
    assert shown["409"]["content"]["application/json"]["examples"] == {
        "CONFLICT": {"summary": "Somebody was faster.", "value": {"message": "Conflict", "error_code": "CONFLICT"}},
        "LOCKED": {"summary": "Conflict", "value": {"message": "Conflict", "error_code": "LOCKED"}},
    }
    assert list(shown["422"]["content"]["application/json"]["examples"]) == ["VALIDATION_ERROR"]


def test_errors_without_install() -> None:
    """What a route names is shown also where nothing is installed, as the envelope."""
    app = FastAPI()

    @app.post("/items", responses=errors(NotFound))
    def made() -> ApiResponse[Item]:
        raise NotImplementedError

    shown = operation(app)["responses"]["404"]["content"]
    assert shown["application/json"]["schema"] == OURS["application/json"]["schema"]
    assert list(shown) == ["application/json"]


def test_what_the_application_says_stays(app: FastAPI) -> None:
    """A response that the application describes itself keeps its schema; one without a body gets ours."""

    @app.post(
        "/items",
        responses={
            400: {"model": Item},
            404: {"description": "Gone for good."},
            409: {"content": {"text/plain": {}}},
            "5XX": {"description": "Ours."},
        },
    )
    def made(item: Item) -> ApiResponse[Item]:
        raise NotImplementedError

    @app.put("/items", responses={"default": {"model": ErrorResponse}})
    def replaced(item: Item) -> ApiResponse[Item]:
        raise NotImplementedError

    shown = operation(app)["responses"]
    assert list(shown) == ["200", "400", "404", "409", "422", "5XX"]
    assert shown["400"]["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}
    assert shown["404"] == {"description": "Gone for good.", "content": OURS}
    assert shown["409"]["content"] == {"text/plain": {}}
    assert list(operation(app, method="put")["responses"]) == ["200", "default"]


def test_schemas(app: FastAPI) -> None:
    """FastAPI's own schemas are gone, and ours stand under their names, once."""

    @app.post("/items", responses=errors(NotFound))
    def made(item: Item) -> ApiResponse[Item]:
        raise NotImplementedError

    schemas = app.openapi()["components"]["schemas"]
    assert sorted(schemas) == ["ApiResponse_Item_", "ErrorResponse", "Item", "ProblemDetails"]
    assert schemas["ErrorResponse"]["required"] == ["message"]
    assert set(schemas["ErrorResponse"]["properties"]) == set(ErrorResponse.model_fields)
    assert set(schemas["ProblemDetails"]["properties"]) == set(ProblemDetails.model_fields)


def test_names_that_are_taken(app: FastAPI) -> None:
    """An application's own class of our name stays what it is, and ours takes another name."""
    own = type("ErrorResponse", (BaseModel,), {"__annotations__": {"why": str}})

    @app.post("/items", responses={418: {"model": own}})
    def made() -> ApiResponse[Item]:
        raise NotImplementedError

    document = app.openapi()
    validate(document)
    responses = document["paths"]["/items"]["post"]["responses"]
    taken, other = (
        responses[status]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for status in ("418", "500")
    )
    schemas = document["components"]["schemas"]
    assert set(schemas[taken]["properties"]) == {"why"}
    assert set(schemas[other]["properties"]) == {"message", "error_code", "errors"}


def test_theirs_stay_where_they_are_used(app: FastAPI) -> None:
    """A webhook is answered by somebody else, so its description stays FastAPI's."""

    @app.webhooks.post("sold")
    def sold(item: Item) -> None:
        raise NotImplementedError

    schemas = app.openapi()["components"]["schemas"]
    assert {"HTTPValidationError", "ValidationError"} <= set(schemas)


def test_routes_that_are_added_later(app: FastAPI) -> None:
    """The document is made once, and anew when there are other routes."""
    first = app.openapi()
    assert app.openapi() is first

    @app.post("/items")
    def made(item: Annotated[Item, Body()]) -> ApiResponse[Item]:
        raise NotImplementedError

    assert statuses(app) == ["200", "400", "422", "500"]


def test_a_document_of_the_application() -> None:
    """A document that the application had extended before keeps what it said."""
    app = FastAPI()
    make = app.openapi
    setattr(app, "openapi", lambda: make() | {"x-own": 1})  # noqa: B010 - mypy knows no other way

    @app.post("/items")
    def made(item: Item) -> ApiResponse[Item]:
        raise NotImplementedError

    install(app)
    assert statuses(app) == ["200", "400", "422", "500"]
    assert app.openapi()["x-own"] == 1


async def test_the_document_is_served(app: FastAPI) -> None:
    """What is served is what `app.openapi()` says."""

    @app.post("/items")
    def made(item: Item) -> ApiResponse[Item]:
        raise NotImplementedError

    async with AsyncClient(transport=ASGITransport(app), base_url="http://app") as client:
        served = (await client.get("/openapi.json")).json()
    assert served == app.openapi()


async def test_problem_details_are_as_described(app: FastAPI) -> None:
    """What is sent as problem+json fits its schema, with nothing beside it."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://app") as client:
        answer = await client.get("/gone", headers={"Accept": "application/problem+json"})
    assert set(answer.json()) <= set(ProblemDetails.model_fields)
    assert ProblemDetails.model_validate(answer.json(), strict=True).status == 404


@pytest.mark.parametrize("path", ["/items", "/deep/items"])
async def test_allow_names_every_method(app: FastAPI, path: str) -> None:
    """A method that a path does not have is answered with all that it has, in whichever router they stand."""
    router = APIRouter()

    @app.get("/items")
    def listed() -> None:
        raise NotImplementedError

    @router.post("/items")
    @router.delete("/items")
    def made() -> None:
        raise NotImplementedError

    @router.patch("/items/{item}")
    def changed(item: int) -> None:
        raise NotImplementedError

    app.include_router(router)
    app.include_router(router, prefix="/deep")
    async with AsyncClient(transport=ASGITransport(app), base_url="http://app") as client:
        answer = await client.put(path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == ("DELETE, GET, POST" if path == "/items" else "DELETE, POST")


async def test_allow_of_a_mounted_application(app: FastAPI) -> None:
    """A mounted application names its own methods, also where the one around has such a path."""
    inner = FastAPI()
    for method in ("GET", "POST"):
        inner.add_api_route("/items", lambda: None, methods=[method])
    app.mount("/inner", inner)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://app") as client:
        answer = await client.put("/inner/items")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"


async def test_the_document_of_a_mounted_application() -> None:
    """A mounted application's errors have the one shape, and its own document says so."""
    app, inner = FastAPI(), FastAPI()
    install(app, max_body_bytes=10)

    async def made(item: Item) -> ApiResponse[Item]:
        return ApiResponse.success(item)

    inner.add_api_route("/items", made, methods=["POST"])
    app.mount("/inner", inner)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://app") as client:
        served = (await client.get("/inner/openapi.json")).json()
    assert list(served["paths"]["/items"]["post"]["responses"]) == ["200", "400", "413", "422", "500"]
    assert served["components"]["schemas"].keys() == {"ApiResponse_Item_", "ErrorResponse", "Item", "ProblemDetails"}
