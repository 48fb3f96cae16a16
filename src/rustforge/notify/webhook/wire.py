"""One connection to a receiver of webhooks: HTTP/1.1 by h11, straight on the event loop's transport."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, cast

import h11

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Answer", "Wire"]

_MAX_BODY = 64 * 1024
_PATIENCE = 1.0


class Answer(NamedTuple):
    """What a receiver said.

    Attributes:
        status: The status, from 200 to 599.
        headers: The headers, with names in small letters.
    """

    status: int
    headers: list[tuple[bytes, bytes]]


class Wire(asyncio.Protocol):
    """Sends one request after the other, and reads of each response what counts: its status and its headers.

    A body is read so that the connection can be used again, and thrown away. It holds up nobody: who waits has the
    answer as soon as its headers are there, and where the body is large, slow or cut off, the connection is closed.

    Attributes:
        spoken: Whether the receiver has sent anything in response to the request that is under way.
    """

    def __init__(self, when_free: Callable[[Wire], None], when_lost: Callable[[Wire], None]) -> None:
        """Say who is told when the connection can be used again, and when it is no more."""
        self.spoken: bool = False
        self._when_free = when_free
        self._when_lost = when_lost
        self._parser = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def post(self, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
        """Send a request, and wait for the answer to it.

        Raises:
            ConnectionError: The connection was cut before there was one.
            h11.RemoteProtocolError: What came is not HTTP.
        """
        if self._transport is None or self._transport.is_closing():
            msg = "the connection was closed"
            raise ConnectionResetError(msg)
        self._stop_timer()
        self.spoken = False
        self._size = 0
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answer = answer
        request = h11.Request(method=b"POST", target=target, headers=headers)
        events = (request, h11.Data(data=body), h11.EndOfMessage())
        try:
            self._transport.write(b"".join(self._parser.send(event) or b"" for event in events))
            return await answer
        finally:
            if self._answer is answer:  # nobody waits for it any more
                self._answer = None
                self.close()

    def close_after(self, seconds: float) -> None:
        """Close the connection unless it is used before."""
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.close)

    def close(self) -> None:
        """Close the connection now; nobody waits for what is under way."""
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    # -- what the event loop calls -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self.spoken = True
        self._parser.receive_data(data)
        self._read()

    def eof_received(self) -> None:
        """Read what the end means: that of a body without a length, or a cut."""
        if self.spoken:
            self._parser.receive_data(b"")
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._stop_timer()
        self._fail(exc or ConnectionResetError("the connection was closed before there was an answer"))
        self._transport = None
        self._when_lost(self)

    # -- the response --------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while True:
                event = self._parser.next_event()
                if event is h11.NEED_DATA:
                    break
                if isinstance(event, h11.Response):
                    self._succeed(Answer(event.status_code, list(event.headers)))
                elif isinstance(event, h11.Data):
                    self._size += len(event.data)
                    if self._size > _MAX_BODY:
                        self.close()
                        return
                elif isinstance(event, h11.EndOfMessage):
                    self._end()
                    return
                elif not isinstance(event, h11.InformationalResponse):  # it was closed, or speaks another protocol
                    self.close()
                    return
        except h11.RemoteProtocolError as error:
            self._fail(error)
            self.close()
            return
        if self._answer is None and self._timer is None:  # answered, with more of the body to come
            self.close_after(_PATIENCE)

    def _end(self) -> None:
        if self._parser.our_state is h11.DONE and self._parser.their_state is h11.DONE and not self._has_more():
            self._stop_timer()
            self._parser.start_next_cycle()
            self._when_free(self)
        else:
            self.close()

    def _has_more(self) -> bool:
        """Tell whether something came that nobody asked for."""
        return bool(self._parser.trailing_data[0])

    def _succeed(self, answer: Answer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
        self._answer = None

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self._answer = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
