"""How an error is written: in the envelope, or as problem+json where the client asks for it."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi.routing import APIRoute
from starlette.responses import Response

from rustforge.errors import InvalidArgumentError
from rustforge.http.app_error import AppError, Internal, UnprocessableEntity, title_of
from rustforge.http.locale import t
from rustforge.http.mapping import ErrorMapping
from rustforge.http.request_ids import KEY
from rustforge.http.responses import ErrorResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from fastapi import Request
    from starlette.types import Scope


__all__ = ["EnvelopeRoute", "error_responses", "log_error", "log_failure", "write_error"]

_logger = logging.getLogger("rustforge.http")

LONGEST_MESSAGE = 2000
"""How many characters of a message are sent."""

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
_OF_THE_BODY = {"content-encoding", "content-length", "content-type", "transfer-encoding"}
_MAPPING = ErrorMapping()


class EnvelopeRoute(APIRoute):
    """A route whose errors come in the envelope, also in an application without `install`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Stand around the handler."""
        handle = super().get_route_handler()

        async def _enveloped(request: Request) -> Response:
            try:
                try:
                    return await handle(request)
                except InvalidArgumentError as refused:  # here, arguments are the client's
                    raise UnprocessableEntity(str(refused)) from refused
            except Exception as exception:
                if KEY in request.scope:
                    raise  # to what `install` has set up
                error = _MAPPING.convert(exception) or Internal()
                log_error(error, exception, request.scope)
                return write_error(error, request.scope)

        return _enveloped


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe errors for OpenAPI."""
    return {status: {"model": ErrorResponse, "description": title_of(status)} for status in statuses}


def write_error(error: AppError, scope: Scope, *, debug: bool = False) -> Response:
    """Write an error.

    Args:
        error: The error.
        scope: The request's scope.
        debug: Whether the text of an internal error is shown.
    """
    if error.status < 400:  # noqa: PLR2004 - an HTTPException can stand for a redirect, or for 304
        response = Response(status_code=error.status)
        response.raw_headers += _clean(error.headers)
        return response
    title = t(title_of(error.status))
    hidden = error.status == Internal.status and not debug
    message = title if hidden or error.message == title_of(error.status) else error.message
    body: dict[str, Any] = {"message": _shorten(message), "error_code": error.error_code}
    if error.errors:
        body["errors"] = error.errors
    media_type = _PROBLEM if _wants_problem(scope) else _JSON
    if media_type is _PROBLEM:
        body = {
            "type": "about:blank",
            "title": title,
            "status": error.status,
            "detail": body.pop("message"),
            "instance": quote(scope["path"], errors="replace"),
            **body,
        }
        if KEY in scope:
            body["request_id"] = scope[KEY]
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    response = Response(text.encode(errors="replace"), error.status, media_type=media_type)
    response.raw_headers += [(b"vary", b"Accept"), *_clean(error.headers)]
    return response


def log_error(error: AppError, exception: BaseException, scope: Scope) -> None:
    """Log what the server is to blame for, with the request's id."""
    if error.status >= 500:  # noqa: PLR2004 - the server's errors
        log_failure("failed", exception, scope)


def log_failure(text: str, exception: BaseException, scope: Scope) -> None:
    """Log what became of a request, with its id."""
    request_id = scope.get(KEY)
    _logger.error(
        "%s %s %s [request %s]",
        scope.get("method", "WEBSOCKET"),
        quote(scope["path"], errors="replace"),
        text,
        request_id,
        exc_info=exception,
        extra={"request_id": request_id},
    )


def _shorten(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…"


def _clean(headers: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield headers that cannot end early and begin another, whatever an application made them of."""
    for name, value in headers.items():
        if _NAME.fullmatch(name) and name.lower() not in _OF_THE_BODY:
            yield name.lower().encode(), _CONTROL.sub(" ", str(value)).strip().encode("latin-1", "replace")


def _wants_problem(scope: Scope) -> bool:
    """Tell whether the client accepts problem+json, and does not like plain JSON better."""
    accept = b",".join(value for name, value in scope.get("headers", ()) if name == b"accept").decode("latin-1").lower()
    if _PROBLEM not in accept:
        return False
    found: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            found[name] = float(quality)
        except ValueError:
            found[name] = 0
    return 0 < found.get(_PROBLEM, 0) >= found.get(_JSON, 0)
