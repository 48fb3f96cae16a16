"""The one middleware that stands outside of an application's others, and lets no error pass in another shape."""

from __future__ import annotations

import logging
from random import getrandbits
from typing import TYPE_CHECKING, Any, cast

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect

from rustforge.http.allow import allowed_methods
from rustforge.http.envelope import log_error, log_failure, write_error
from rustforge.http.errors import Internal, of_status
from rustforge.http.locale import CURRENT as LOCALE
from rustforge.http.locale import RequestLocale
from rustforge.http.request_ids import CURRENT, KEY, SOUND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rustforge.http.locale import Catalogues
    from rustforge.http.mapping import ErrorMapping

__all__ = ["ErrorHandling", "ErrorMiddleware"]

_logger = logging.getLogger("rustforge.http")

_CORS = "rustforge.cors"
"""Where mounted applications leave the CORS middleware that an error has passed."""

_START = "http.response.start"
_JSON = b"application/json"  # made before it is sent, so there is nothing to wait for
_EVENTS = b"text/event-stream"  # its client waits for the head, which says that events will come
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
        if error.status == 405 and (methods := allowed_methods(request.scope)):  # noqa: PLR2004 - its own header
            error.headers["Allow"] = methods
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
        self.cors = tuple(cors)

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
        exchange = _Exchange(self, scope, receive, send)
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
        try:
            await self.app(scope, receive, send)
        except Exception:
            scope[_CORS] = (*scope.get(_CORS, ()), *self.cors)
            raise


class _Done:
    """An awaitable that is done."""

    def __await__(self) -> Iterator[Any]:
        return iter(())


_DONE = cast("Awaitable[None]", _Done())


class _Exchange:
    """A response on its way.

    Its head waits for the first part of its body where an error can come between them, and replace it.
    """

    __slots__ = ("_receive", "_scope", "_send", "_within", "complete", "head", "locale", "started")

    def __init__(self, within: ErrorMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        self._within = within
        self._scope = scope
        self._receive = receive
        self._send = send
        self.head: Message | None = None
        self.started = self.complete = False
        self.locale = within.handling.locale(scope) if within.handling.catalogues else None

    def send(self, message: Message) -> Awaitable[None]:
        """Send a part of the response."""
        if self.started:
            self.complete = not message.get("more_body", False)
            return self._send(message)
        if message["type"] != _START:
            return self._send_first(message)
        message["headers"] = headers = [*message.get("headers", ())]
        missing, kind, sized = self._within.handling.header, b"", False
        for name, value in headers:
            if name == missing:
                missing = b""  # the application has written it
            elif name == b"content-type":
                kind = value
            elif name == b"content-length":
                sized = True
        if missing:
            headers.append((missing, self._scope[KEY].encode()))
        if message["status"] < 400 and ((sized and kind == _JSON) or kind.startswith(_EVENTS)):  # noqa: PLR2004 - errors
            return self._start(message)
        self.head = message
        return _DONE

    async def end(self) -> None:
        """Send a head that waits for a body which does not come."""
        if self.head and not self.started:
            await self._start(self.head)

    def _start(self, head: Message) -> Awaitable[None]:
        self.started = True
        if self.locale:
            self.locale.describe(MutableHeaders(raw=head["headers"]))
        return self._send(head)

    async def _send_first(self, message: Message) -> None:
        head = self.head
        if head is None:  # what can come before it, such as http.response.debug
            await self._send(message)
        elif head["status"] >= 400 and _is_of_framework(head, message):  # noqa: PLR2004 - the errors
            await self._replace(head, message)
        else:
            await self._start(head)
            self.complete = not message.get("more_body", False)
            await self._send(message)

    async def fail(self, exception: Exception) -> None:
        """Answer an error that came out of the application."""
        if isinstance(exception, ClientDisconnect):
            _logger.info("the client of request %s has gone", self._scope[KEY])
        elif self.complete:
            log_failure("failed after its response", exception, self._scope)
        elif self.started:
            log_failure("failed within its response, which is broken off", exception, self._scope)
            raise exception  # so that the server closes the connection
        else:
            await self._answer(self._within.handling.answer(exception, self._scope))

    async def _replace(self, head: Message, message: Message) -> None:
        """Say in our words what a framework said in its own, with the headers that it chose."""
        status: int = head["status"]
        text = message["body"].decode() if status == 400 else ""  # noqa: PLR2004 - the one that says more than its title
        response = write_error(of_status(status, text), self._scope)
        kept = [one for one in head["headers"] if one[0] not in {b"content-type", b"content-length"}]
        response.raw_headers += kept
        await self._answer(response, past_cors=all(name != b"access-control-allow-origin" for name, _ in kept))

    async def _answer(self, response: Response, *, past_cors: bool = True) -> None:
        """Send a response of ours, through the CORS middleware that it did not come through."""
        app: ASGIApp = response
        if past_cors and self._scope["method"] != "OPTIONS":
            for cls, args, kwargs in (*self._scope.get(_CORS, ()), *self._within.cors):
                app = cls(app, *args, **kwargs)
        await app(self._scope, self._receive, self.send)


def _is_of_framework(head: Message, message: Message) -> bool:
    """Tell whether a framework, not the application, wrote a response."""
    if (b"content-type", b"text/plain; charset=utf-8") not in head["headers"]:
        return False
    body = message.get("body", b"")
    return any(head["status"] == status and body.startswith(text) for status, text in _TEXTS)
