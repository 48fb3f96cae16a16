"""One response on its way to the client."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect

from rustforge.http.app_error import of_status
from rustforge.http.envelope import log_failure, write_error
from rustforge.http.request_ids import KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from starlette.middleware import Middleware
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rustforge.http.handling import ErrorHandling
    from rustforge.http.locale import RequestLocale

__all__ = ["BROKEN", "CORS", "Exchange"]

_logger = logging.getLogger("rustforge.http")

BROKEN = "rustforge.broken"
"""What stands in the scope when the end of a body would come by mistake: of a middleware's that was broken off, or that
was replaced."""

CORS = "rustforge.cors"
"""Where mounted applications leave the CORS middleware that an error has passed."""

_START = "http.response.start"
_JSON = b"application/json"  # made before it is sent, so there is nothing to wait for
_EVENTS = b"text/event-stream"  # its client waits for the head, which says that events will come
# With these texts the frameworks answer on their own, beside every handler:
_TEXTS = {(404, b"Not Found"), (405, b"Method Not Allowed"), (413, b"Content Too Large"), (416, b"")}
_REFUSED = (
    b"Disallowed CORS ",
    b"Invalid host header",
    b"Malformed range header",
    b"Only support bytes range",
    b"Range header: ",
)


class _Done:
    """An awaitable that is done."""

    def __await__(self) -> Iterator[Any]:
        return iter(())


_DONE = cast("Awaitable[None]", _Done())


class Exchange:
    """A response on its way.

    Its head waits for the first part of its body where an error can come between them, and replace it.
    """

    __slots__ = ("_cors", "_handling", "_receive", "_scope", "_send", "complete", "head", "locale", "started")

    def __init__(
        self, handling: ErrorHandling, cors: tuple[Middleware, ...], scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._handling = handling
        self._cors = cors
        self._scope = scope
        self._receive = receive
        self._send = send
        self.head: Message | None = None
        self.started: bool = False
        self.complete: bool = False
        self.locale: RequestLocale | None = handling.locale(scope) if handling.catalogues else None

    def send(self, message: Message) -> Awaitable[None]:
        """Send a part of the response."""
        if self.started:
            last = not message.get("more_body", False)
            if last and BROKEN in self._scope:
                return _DONE
            self.complete = last
            return self._send(message)
        if message["type"] != _START:
            return self._send_first(message)
        self._scope.pop(BROKEN, None)  # what was raised before is answered by this
        message["headers"] = headers = [*message.get("headers", ())]
        missing, kind, sized = self._handling.header, b"", False
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
        elif BROKEN in self._scope:
            return
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
            await self._answer(self._handling.answer(exception, self._scope))

    async def _replace(self, head: Message, message: Message) -> None:
        """Say in our words what a framework said in its own, with the headers that it chose."""
        status: int = head["status"]
        text = message["body"].decode() if status == 400 else ""  # noqa: PLR2004 - the one that says more than its title
        response = write_error(of_status(status, text), self._scope)
        response.raw_headers += [one for one in head["headers"] if one[0] not in {b"content-type", b"content-length"}]
        await self._answer(response)
        self._scope[BROKEN] = True

    async def _answer(self, response: Response) -> None:
        """Send a response of ours, through the CORS middleware that it may have gone past."""
        app: ASGIApp = response
        if self._scope["method"] != "OPTIONS":
            for cls, args, kwargs in (*self._scope.get(CORS, ()), *self._cors):
                app = cls(app, *args, **kwargs)
        await app(self._scope, self._receive, self.send)


def _is_of_framework(head: Message, message: Message) -> bool:
    """Tell whether a framework, not the application, wrote a response."""
    if (b"content-type", b"text/plain; charset=utf-8") not in head["headers"]:
        return False
    body = message.get("body", b"")
    return (head["status"], body) in _TEXTS or (head["status"] == 400 and body.startswith(_REFUSED))  # noqa: PLR2004
