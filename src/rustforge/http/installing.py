"""One shape for every error of an application."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware

from rustforge.errors import ConfigurationError
from rustforge.http.handling import ErrorHandling
from rustforge.http.locale import Catalogues
from rustforge.http.mapping import ErrorMapping
from rustforge.http.middleware import BreakWatch, ErrorMiddleware
from rustforge.http.openapi import install_openapi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from rustforge.http.app_error import AppError

__all__ = ["install"]

_HEADER = re.compile(r"[A-Za-z0-9-]+")
_DEFAULTS = {None, http_exception_handler, request_validation_exception_handler}


def install(
    app: Starlette,
    *,
    debug: bool = False,
    mappings: Mapping[type[Exception], Callable[[Any], AppError | None]] | None = None,
    max_body_bytes: int | None = None,
    request_id_header: str = "X-Request-ID",
    catalogues: Catalogues | Mapping[str, Mapping[str, str]] | str | Path | None = None,
) -> None:
    """Let every error of an application be answered in one shape, and every request have an id.

    What nobody expected is logged and answered here, and not raised to the server, unless a response had begun.
    Handlers that the application has for its exceptions stay its own.

    Args:
        app: The application, of FastAPI or Starlette. Applications that are mounted in it when it starts are included;
            one that was given to `install` itself keeps its mappings, and gets the ids and the catalogues of this one.
        debug: Whether the text of an internal error is shown to the client. It can hold secrets.
        mappings: For classes of exceptions, what is answered: a function that is given the exception and returns an
            [`AppError`][rustforge.http.AppError], or the class of one. A function that returns `None` leaves the
            exception as it is.
        max_body_bytes: How many bytes the body of a request may have; what is longer is answered with 413. A route's
            own `max_body_size` goes before it.
        request_id_header: The header in which the id comes, where the client or a proxy has one, and goes.
        catalogues: Translations of messages, by locale; or the folder that they are in.

    Raises:
        ConfigurationError: The application has been started or has been given to `install` before, or an argument
            cannot be used.

    Example:
        ```python
        app = FastAPI()
        install(app, mappings={PermissionError: Forbidden})
        ```
    """
    if not isinstance(app, Starlette):
        msg = f"install needs an application of FastAPI or Starlette, not {type(app).__name__}"
        raise ConfigurationError(msg)
    if app.middleware_stack is not None or hasattr(app.state, "rustforge_errors"):
        msg = "install is called once, before the application starts"
        raise ConfigurationError(msg)
    if not _HEADER.fullmatch(request_id_header):
        msg = f"request_id_header is {request_id_header!r}; the name of a header has letters, digits and hyphens"
        raise ConfigurationError(msg)
    if max_body_bytes is not None and max_body_bytes < 0:
        msg = f"max_body_bytes is {max_body_bytes}; it is a number of bytes from 0 on"
        raise ConfigurationError(msg)
    handling = ErrorHandling(
        ErrorMapping(mappings),
        debug=debug,
        header=request_id_header,
        catalogues=None if catalogues is None else Catalogues.of(catalogues),
    )
    _fit(app, handling, max_body_bytes)
    if isinstance(app, FastAPI):
        install_openapi(app, limited=max_body_bytes is not None)


def _fit(app: Starlette, handling: ErrorHandling, max_body_bytes: int | None = None) -> None:
    """Build the application's middleware with ours outside, when it starts."""
    app.state.rustforge_errors = handling
    build = app.build_middleware_stack

    def build_with_errors() -> ASGIApp:
        for kind in handling.mapping.classes():
            # what the application handles itself stays its own; Exception stands outside of all middleware
            if kind is not Exception and app.exception_handlers.get(kind) in _DEFAULTS:
                app.add_exception_handler(kind, cast("Any", handling.handle))
        for mounted in _mounted(app.routes):
            if not hasattr(mounted.state, "rustforge_errors"):
                mounted.middleware_stack = None
                _fit(mounted, handling)
                if isinstance(mounted, FastAPI):
                    install_openapi(mounted, limited=max_body_bytes is not None)
        if any(_is_a(one, BaseHTTPMiddleware) for one in app.user_middleware):
            app.user_middleware.append(Middleware(BreakWatch))
        stack = build()
        if isinstance(stack, ServerErrorMiddleware) and stack.handler is None:
            stack = stack.app  # ours does what it does
        if max_body_bytes is not None:
            stack = _limit(stack, max_body_bytes)
        cors = [one for one in app.user_middleware if _is_a(one, CORSMiddleware)]
        return ErrorMiddleware(stack, handling, cors)

    app.build_middleware_stack = build_with_errors  # type: ignore[method-assign]


def _is_a(middleware: Middleware, kind: type) -> bool:
    given: object = middleware.cls
    return isinstance(given, type) and issubclass(given, kind)


def _limit(app: ASGIApp, max_body_bytes: int) -> ASGIApp:
    from starlette.middleware.body_limit import RequestBodyLimitMiddleware  # noqa: PLC0415 - older ones have none

    return RequestBodyLimitMiddleware(app, max_body_size=max_body_bytes)


def _mounted(routes: Iterable[BaseRoute]) -> Iterator[Starlette]:
    """Find the applications that are mounted, at any depth of routers, and whatever is wrapped around them."""
    for route in routes:
        app = getattr(route, "app", None)
        while app is not None and not isinstance(app, Starlette):
            app = getattr(app, "app", None)
        if app is None:
            router = getattr(route, "original_router", route)  # what FastAPI makes of a router that is included
            yield from _mounted(getattr(router, "routes", None) or ())
        else:
            yield app
