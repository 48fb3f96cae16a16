"""The one middleware that stands outside of an application's others, and lets no error pass in another shape."""

from __future__ import annotations

import logging
from secrets import token_hex
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect

from rustforge.http.envelope import log_error, log_failure, write_error
from rustforge.http.errors import Internal, of_status
from rustforge.http.locale import CURRENT as LOCALE
from rustforge.http.locale import RequestLocale
from rustforge.http.request_ids import CURRENT, KEY, SOUND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Sequence

    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rustforge.http.locale import Catalogues
    from rustforge.http.mapping import ErrorMapping

__all__ = ["ErrorHandling", "ErrorMiddleware"]

_logger = logging.getLogger("rustforge.http")

_EXCHANGE = "rustforge.exchange"
_START = "http.response.start"
_HANDLED_LATE = "Caught handled exception"  # Starlette's words for an error that has a handler, after the head was sent
_TEXTS = {
    # with which the frameworks answer on their own, beside every handler
    (400, b"Disallowed CORS"),
    (400, b"Invalid host header"),
    (404, b"Not Found"),
    (405, b"Method Not Allowed"),
    (413, b"Content Too Large"),
}


class ErrorHandling:
    """How an application's errors are answered: what `install` was told."""

    def __init__(self, mapping: ErrorMapping, *, debug: bool, header: str, catalogues: Catalogues | None) -> None:
        self.mapping = mapping
        self.debug = debug
        self.header = header.lower().encode()
        self.catalogues = catalogues

    async def handle(self, request: Request, exception: Exception) -> Response:
        """Answer an error where the frameworks call their handlers; who expected none lets it go on."""
        error = self.mapping.convert(exception)
        if error is None:
            raise exception
        log_error(error, exception, request.scope)
        return write_error(error, request.scope, debug=self.debug)

    def answer(self, exception: Exception, scope: Scope) -> Response:
        """Answer any error."""
        if isinstance(exception, RuntimeError) and str(exception).startswith(_HANDLED_LATE):
            cause = exception.__cause__
            exception = cause if isinstance(cause, Exception) else exception
        error = self.mapping.convert(exception) or Internal(f"{type(exception).__name__}: {exception}")
        log_error(error, exception, scope)
        return write_error(error, scope, debug=self.debug)


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
        around: _Exchange | None = scope.get(_EXCHANGE)
        if around is not None:
            await self._pass(scope, receive, send, around)
            return
        request_id, language, handling = "", "", self.handling
        for name, value in scope["headers"]:
            if name == handling.header:
                request_id = value.decode() if SOUND.fullmatch(value) else ""
            elif name == b"accept-language":
                language = value.decode("latin-1")
        request_id = request_id or token_hex(16)
        scope[KEY] = request_id
        scope[_EXCHANGE] = exchange = _Exchange(handling, self._cors, scope, receive, send)
        token = CURRENT.set(request_id)
        if handling.catalogues is not None:
            exchange.locale = RequestLocale(handling.catalogues, header=language)
            LOCALE.set(exchange.locale)
        try:
            await self.app(scope, receive, exchange.send)
            if exchange.held is not None:
                await exchange.begin()
        except Exception as exception:  # noqa: BLE001 - it is what this is for
            await exchange.fail(exception)
        finally:
            CURRENT.reset(token)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, around: _Exchange) -> None:
        """Leave errors to the application around, which needs to know about this one's CORS headers."""
        try:
            await self.app(scope, receive, send)
        except Exception:
            around.cors = (*self._cors, *around.cors)
            raise


class _Done:
    """Awaitable that is done."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


_DONE = _Done()


class _Exchange:
    """A response on its way: its head waits for the first part of the body, so that an error can still replace it."""

    __slots__ = (
        "_handling", "_receive", "_scope", "_send", "_started", "complete", "cors", "held", "locale",
    )  # fmt: skip

    def __init__(
        self,
        handling: ErrorHandling,
        cors: tuple[Middleware, ...],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._handling = handling
        self._scope = scope
        self._receive = receive
        self._send = send
        self._started = self.complete = False
        self.cors = cors
        self.held: Message | None = None
        self.locale: RequestLocale | None = None

    def send(self, message: Message) -> Awaitable[None]:
        """Send a part of the response."""
        if message["type"] == _START:
            self.held = message
            return self.begin() if _is_event_stream(message) else _DONE
        if self.held is not None:
            return self._send_first(message)
        self.complete = not message.get("more_body", False)
        return self._send(message)

    async def begin(self) -> None:
        """Send the head."""
        head, self.held = self.held, None
        assert head is not None  # noqa: S101 - for the type checker
        headers = list(head.get("headers", ()))
        name = self._handling.header
        if not any(one[0] == name for one in headers):
            headers.append((name, self._scope[KEY].encode()))
        head["headers"] = headers
        if self.locale is not None:
            self.locale.describe(MutableHeaders(raw=headers))
        self._started = True
        await self._send(head)

    async def _send_first(self, message: Message) -> None:
        head = self.held or {}
        if head["status"] >= 400 and _is_of_framework(head, message):  # noqa: PLR2004 - the errors
            await self._replace(head, message)
            return
        await self.begin()
        self.complete = not message.get("more_body", False)
        await self._send(message)

    async def fail(self, exception: Exception) -> None:
        """Answer an error that came out of the application."""
        if isinstance(exception, ClientDisconnect):
            _logger.info("the client of request %s has gone", self._scope[KEY])
        elif self.complete:
            log_failure("failed after its response", exception, self._scope)
        elif self._started:
            log_failure("failed within its response, which is broken off", exception, self._scope)
            raise exception  # so that the server closes the connection
        else:
            await self._answer(self._handling.answer(exception, self._scope))

    async def _replace(self, head: Message, message: Message) -> None:
        """Say in our words what a framework said in its own, with the headers that it chose."""
        status: int = head["status"]
        text = message["body"].decode() if status == 400 else ""  # noqa: PLR2004 - the one that says more than its title
        response = write_error(of_status(status, text), self._scope)
        kept = [one for one in head["headers"] if one[0] not in {b"content-type", b"content-length"}]
        response.raw_headers += kept
        if any(name == b"access-control-allow-origin" for name, _ in kept):
            self.cors = ()
        await self._answer(response)

    async def _answer(self, response: Response) -> None:
        """Send a response of ours, through the CORS middleware that an error goes past."""
        app: ASGIApp = response
        if self._scope["method"] != "OPTIONS":
            for cls, args, kwargs in self.cors:
                app = cls(app, *args, **kwargs)
        self.held = None
        await app(self._scope, self._receive, self.send)


def _is_event_stream(head: Message) -> bool:
    """Tell whether the client waits for the head itself, which says that events will come."""
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in head["headers"])


def _is_of_framework(head: Message, message: Message) -> bool:
    """Tell whether a framework, not the application, wrote a response."""
    if (b"content-type", b"text/plain; charset=utf-8") not in head["headers"]:
        return False
    body = message.get("body", b"")
    return any(head["status"] == status and body.startswith(text) for status, text in _TEXTS)
