"""The one middleware that stands outside of an application's others, and lets no error pass in another shape."""

from __future__ import annotations

from random import getrandbits
from typing import TYPE_CHECKING

from rustforge.http.allow import ROOT
from rustforge.http.exchange import BROKEN, CORS, Exchange
from rustforge.http.locale import CURRENT as LOCALE
from rustforge.http.request_ids import CURRENT, KEY, SOUND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.middleware import Middleware
    from starlette.types import ASGIApp, Receive, Scope, Send

    from rustforge.http.handling import ErrorHandling

__all__ = ["BreakWatch", "ErrorMiddleware"]


class ErrorMiddleware:
    """Answers the errors that come out of an application, and gives every request its id.

    Args:
        app: The application within.
        handling: How errors are answered.
        cors: The application's own CORS middleware, whose headers its errors need, too.
    """

    def __init__(self, app: ASGIApp, handling: ErrorHandling, cors: Sequence[Middleware]) -> None:
        self.app = app
        self.handling = handling
        self._cors = tuple(cors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if KEY in scope:
            await self._pass(scope, receive, send)
            return
        header, given = self.handling.header, b""
        for name, value in scope["headers"]:
            if name == header and SOUND.fullmatch(value):
                given = value
        # an id is no secret; the system's own randomness takes three times as long
        request_id = given.decode() if given else getrandbits(128).to_bytes(16, "big").hex()
        scope[KEY] = request_id
        exchange = Exchange(self.handling, self._cors, scope, receive, send)
        of_id = CURRENT.set(request_id)
        of_locale = LOCALE.set(exchange.locale) if exchange.locale else None
        try:
            await self.app(scope, receive, exchange.send)
            if exchange.head:
                await exchange.end()
        except Exception as exception:  # noqa: BLE001 - it is what this is for
            await exchange.fail(exception)
        finally:
            CURRENT.reset(of_id)
            if of_locale:
                LOCALE.reset(of_locale)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave errors to the application around, which needs to know about this one's CORS headers."""
        scope[ROOT] = scope.get("root_path", "")
        try:
            await self.app(scope, receive, send)
        except Exception:
            scope[CORS] = (*scope.get(CORS, ()), *self._cors)
            raise


class BreakWatch:
    """Notes errors that come out of the routes, inside of middleware which ends a broken stream as if it were whole.

    Args:
        app: The routes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        try:
            await self.app(scope, receive, send)
        except Exception:
            scope[BROKEN] = True
            raise
