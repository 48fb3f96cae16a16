"""Routes that answer in the envelope also where something goes wrong."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from rustforge.errors import InvalidArgumentError
from rustforge.http.responses import ErrorResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from fastapi import Request, Response

__all__ = ["EnvelopeRoute", "error_response", "error_responses"]

_logger = logging.getLogger("rustforge.http")

_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
}
_PLACES = {"body", "cookie", "header", "path", "query"}


class EnvelopeRoute(APIRoute):
    """A route whose errors come in the envelope, with their status and headers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Stand around the handler."""
        handle = super().get_route_handler()

        async def _enveloped(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return error_response(422, "The request is not valid.", errors=_fields(error))
            except HTTPException as error:
                detail: object = error.detail
                text = detail if isinstance(detail, str) else ""
                return error_response(error.status_code, text, headers=error.headers)
            except InvalidArgumentError as error:
                return error_response(422, str(error))
            except Exception:
                _logger.exception("%s %s failed", request.method, request.url.path)
                return error_response(500)

        return _enveloped


def error_response(
    status: int,
    message: str = "",
    *,
    errors: dict[str, list[str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Write an error.

    Args:
        status: The status.
        message: A sentence; where it is blank, the status' title.
        errors: What is wrong with which field.
        headers: Headers of the response.
    """
    text = message if message.strip() else HTTPStatus(status).phrase
    body = ErrorResponse(message=text, error_code=_CODES.get(status), errors=errors)
    return JSONResponse(body.model_dump(), status, headers)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe errors for OpenAPI."""
    return {status: {"model": ErrorResponse, "description": HTTPStatus(status).phrase} for status in statuses}


def _fields(error: RequestValidationError) -> dict[str, list[str]]:
    """Say which fields are wrong, and never what was sent."""
    found: dict[str, list[str]] = {}
    for one in error.errors():
        place = [str(part) for part in one["loc"]]
        if len(place) > 1 and place[0] in _PLACES:
            del place[0]
        found.setdefault(".".join(place), []).append(one["msg"])
    return found
