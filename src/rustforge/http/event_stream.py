"""A response of server-sent events that lasts, and the open connections of a process."""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse

from rustforge.http.app_error import of_status

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AsyncExitStack

    from starlette.types import Receive, Scope, Send

    from rustforge.notify.realtime import Subscription

__all__ = ["Connections", "EventSource", "EventStream", "retry_after"]

HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx and those like it must not collect what is sent
}
_HEARTBEAT = format_sse_event(comment="")
_LOOK_SECONDS = 0.25


class Connections:
    """The connections that are open: they are counted, and told when the server stops.

    A server waits for its open responses before the application hears of its end. Uvicorn's is found where it handles
    signals; nothing of it is changed.
    """

    def __init__(self, most: int) -> None:
        """Allow so many."""
        self._most = most
        self._open: set[Callable[[], None]] = set()
        self._watch: asyncio.Task[None] | None = None

    @contextmanager
    def enter(self, end: Callable[[], None]) -> Generator[None]:
        """Count a connection for as long as the `with` lasts; `end` is called when the server stops.

        Raises:
            AppError: There are too many.
        """
        if len(self._open) >= self._most:
            raise of_status(503, headers={"Retry-After": "30"})
        self._open.add(end)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look(), name="rustforge-realtime-shutdown")
        try:
            yield
        finally:
            self._open.discard(end)
            if not self._open:
                self._watch.cancel()

    async def _look(self) -> None:
        """Look over and over whether the server stops."""
        while not _server_stops():  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(_LOOK_SECONDS)
        for end in tuple(self._open):
            end()


def _server_stops() -> bool:
    """Tell whether the server that handles this process' signals was told to stop."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))


def retry_after(seconds: float) -> bytes:
    """Tell a browser when to come back after the connection ended: not all at once."""
    return format_sse_event(retry=int(1000 * seconds * random.uniform(0.5, 1.5)))  # noqa: S311 - no secret


class EventSource(StreamingResponse):
    """A response of server-sent events that are written already; FastAPI's own class is for those that it writes."""

    media_type = "text/event-stream"

    @classmethod
    def empty(cls, seconds: float) -> EventSource:
        """Tell a browser to come back: an error would be the end for an `EventSource`."""
        return EventSource([retry_after(seconds)], headers=HEADERS)


class EventStream(EventSource):
    """The messages of a subscription, for as long as the client stays.

    What a slow client does not take is not kept for it: the server's buffer of one connection is all there is, and the
    subscription waits meanwhile.
    """

    def __init__(self, subscription: Subscription, opening: bytes, stack: AsyncExitStack, heartbeat: float) -> None:
        """Prepare.

        Args:
            subscription: What is sent.
            opening: What is sent first.
            stack: What is left at the end.
            heartbeat: After how many quiet seconds a comment is sent.
        """
        super().__init__((), headers=HEADERS)
        self._subscription = subscription
        self._opening = opening
        self._stack = stack
        self._heartbeat = heartbeat
        self._quiet_since = 0.0
        self._timer: asyncio.TimerHandle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client hangs up, or the subscription ends."""
        del scope
        loop = asyncio.get_running_loop()
        hung_up = loop.create_task(_wait_for_end(receive))
        hung_up.add_done_callback(lambda _: self._subscription.end())
        self._quiet_since = loop.time()
        self._timer = loop.call_later(self._heartbeat, self._beat, loop)
        try:
            async with self._stack:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": self._opening, "more_body": True})
                while True:
                    items = await self._subscription.batch()
                    if not items and self._subscription.ended:
                        break
                    body = b"".join([item.sse for item in items]) or _HEARTBEAT
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                    self._quiet_since = loop.time()
                if not hung_up.done():
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            pass  # some servers say so that the client is gone
        finally:
            self._timer.cancel()
            hung_up.cancel()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let a comment be sent if nothing else was, so that nobody in between takes the connection for dead."""
        due = self._quiet_since + self._heartbeat
        if due <= loop.time():
            self._subscription.wake()
            due = loop.time() + self._heartbeat
        self._timer = loop.call_at(due, self._beat, loop)


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
