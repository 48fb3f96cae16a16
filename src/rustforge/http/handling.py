"""How the errors of one application are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from rustforge.http.allow import allowed_methods
from rustforge.http.app_error import Internal
from rustforge.http.envelope import log_error, write_error
from rustforge.http.locale import RequestLocale

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Scope

    from rustforge.http.locale import Catalogues
    from rustforge.http.mapping import ErrorMapping

__all__ = ["ErrorHandling"]

FAILURE = "rustforge.failure"
"""Where an exception stands in the scope that nobody expected, for a client that raises it in a test."""

_HANDLED_LATE = "Caught handled exception"  # Starlette's words for an error that has a handler, after the head was sent


class ErrorHandling:
    """How an application's errors are answered: what `install` was told."""

    def __init__(self, mapping: ErrorMapping, *, debug: bool, header: str, catalogues: Catalogues | None) -> None:
        self.mapping: ErrorMapping = mapping
        self.debug: bool = debug
        self.header: bytes = header.lower().encode()
        self.catalogues: Catalogues | None = catalogues

    def locale(self, scope: Scope) -> RequestLocale | None:
        """Make what translates the messages of a request."""
        if self.catalogues is None:
            return None
        asked = b",".join(value for name, value in scope["headers"] if name == b"accept-language")
        return RequestLocale(self.catalogues, header=asked.decode("latin-1"))

    async def handle(self, request: Request, exception: Exception) -> Response:
        """Answer an error where the frameworks call their handlers; who expected none lets it go on."""
        error = self.mapping.convert(exception)
        if error is None:
            raise exception
        routed = type(exception) is HTTPException and exception.status_code == 405  # noqa: PLR2004 - see allow.py
        if routed and (methods := allowed_methods(request.scope)):
            error.headers["Allow"] = methods
        log_error(error, exception, request.scope)
        return write_error(error, request.scope, debug=self.debug)

    def answer(self, exception: Exception, scope: Scope) -> Response:
        """Answer any error."""
        if isinstance(exception, RuntimeError) and str(exception).startswith(_HANDLED_LATE):
            cause = exception.__cause__
            exception = cause if isinstance(cause, Exception) else exception
        error = self.mapping.convert(exception)
        if error is None:
            scope[FAILURE] = exception
            error = Internal(f"{type(exception).__name__}: {exception}")
        log_error(error, exception, scope)
        return write_error(error, scope, debug=self.debug)
