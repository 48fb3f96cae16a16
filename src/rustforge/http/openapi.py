"""The errors of an application in its OpenAPI document, as they are sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from rustforge.http.app_error import title_of
from rustforge.http.responses import ErrorResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from rustforge.http.app_error import AppError

__all__ = ["ProblemDetails", "errors", "install_openapi"]

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_METHODS = {"delete", "get", "head", "options", "patch", "post", "put", "trace"}
_REF = "#/components/schemas/{model}"
_THEIRS = ("HTTPValidationError", "ValidationError")
"""FastAPI's own schemas, which no response has any more."""


class ProblemDetails(BaseModel):
    """An error for clients that accept `application/problem+json` (RFC 9457)."""

    type: str = Field(description="What kind of problem it is, as a URI.", examples=["about:blank"])
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The status.")
    detail: str = Field(description="A sentence for people.")
    instance: str | SkipJsonSchema[None] = Field(default=None, description="Where it happened, as a URI.")
    error_code: str | SkipJsonSchema[None] = Field(default=None, description="A word for programs.")
    errors: dict[str, list[str]] | SkipJsonSchema[None] = Field(
        default=None, description="For fields that were refused, by their paths with dots, what is wrong with them."
    )
    request_id: str | SkipJsonSchema[None] = Field(default=None, description="Under which it stands in the log.")


def errors(*kinds: type[AppError]) -> dict[int | str, dict[str, Any]]:
    """Describe which errors a route can raise, for its `responses`.

    Args:
        *kinds: The classes. Several with one status become one response with an example of each. What every route
            can answer, such as 422 for a request that is not valid, need not be named.

    Example:
        ```python
        @app.get("/articles/{slug}", responses=errors(NotFound))
        async def show(slug: str) -> ApiResponse[Article]: ...
        ```
    """
    described: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        title = title_of(kind.status)
        one = described.setdefault(
            kind.status, {"model": ErrorResponse, "description": title, "content": {_JSON: {"examples": {}}}}
        )
        says = (kind.__doc__ or title).strip().partition("\n")[0]
        example = {"summary": says, "value": {"message": title, "error_code": kind.error_code}}
        one["content"][_JSON]["examples"][kind.error_code] = example
    return described


def install_openapi(app: FastAPI, *, limited: bool = False) -> None:
    """Let an application's OpenAPI document show the errors that it sends.

    Args:
        app: The application.
        limited: Whether bodies above a size are refused, with 413.
    """
    make = app.openapi
    seen: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        nonlocal seen
        document = make()  # which FastAPI keeps until a route is added
        if document is not seen:
            _describe(document, limited=limited)
            seen = document
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to extend the document


def _describe(document: dict[str, Any], *, limited: bool) -> None:
    """Write our errors into a document in place of FastAPI's."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    content = {_JSON: _add(schemas, ErrorResponse), _PROBLEM: _add(schemas, ProblemDetails)}
    for item in document.get("paths", {}).values():
        for operation in (item[method] for method in _METHODS & item.keys()):
            responses: dict[str, Any] = operation.setdefault("responses", {})
            for status in _statuses(operation, limited=limited):
                if "default" not in responses and f"{status // 100}XX" not in responses:
                    responses.setdefault(str(status), {"description": title_of(status)})
            for code, response in responses.items():
                if code[0] in "45":
                    _show(response, content)
            operation["responses"] = dict(sorted(responses.items()))
    for name in _THEIRS:
        if _REF.format(model=name) not in json.dumps(document):
            schemas.pop(name, None)


def _statuses(operation: dict[str, Any], *, limited: bool) -> Iterator[int]:
    """Say which errors an operation can answer without anything that its handler does."""
    if "requestBody" in operation:
        yield 400
        if limited:
            yield 413
    if operation.get("security"):
        yield 401
        if any(scopes for one in operation["security"] for scopes in one.values()):
            yield 403
    yield 500


def _show(response: dict[str, Any], content: dict[str, str]) -> None:
    """Let a response have our schemas, unless the application has given it one of its own."""
    theirs = {_REF.format(model=name) for name in _THEIRS}
    shown: dict[str, Any] = response.get("content", {}).get(_JSON, {}).get("schema", {})
    if shown.get("$ref") in theirs:
        response.update(description=title_of(422), content={})
    elif "content" in response and shown.get("$ref") != content[_JSON]:
        return
    for kind, ref in content.items():
        response.setdefault("content", {}).setdefault(kind, {})["schema"] = {"$ref": ref}


def _add(schemas: dict[str, Any], model: type[BaseModel]) -> str:
    """Put a model among the schemas, and return what refers to it."""
    schema = model.model_json_schema(mode="serialization", ref_template=_REF)
    for field in schema["properties"].values():
        if field.get("default", field) is None:  # as FastAPI leaves it out
            del field["default"]
    named = (name for name, found in schemas.items() if found == schema)
    free = (name for name in (model.__name__, f"Rustforge{model.__name__}") if name not in schemas)
    name = next(named, None) or next(free)
    schemas[name] = schema
    return _REF.format(model=name)
