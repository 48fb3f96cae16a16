"""One WebSocket over which a client subscribes to channels and rooms."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnect, WebSocketState

from rustforge.errors import InvalidArgumentError, RedisError
from rustforge.http.app_error import AppError, BadRequest, Forbidden, Internal, TooManyRequests, Unauthorized, of_status
from rustforge.http.envelope import log_error
from rustforge.http.mapping import ErrorMapping

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.websockets import WebSocket

    from rustforge.notify.realtime import PresenceMember, Subscription

__all__ = ["TRY_AGAIN_LATER", "Answer", "Conversation", "Limits", "Opened", "Place", "ask", "here", "to_json"]

Answer: TypeAlias = Any | Awaitable[Any]
Place: TypeAlias = tuple[str, str | None]
"""A channel, and the room or `None`."""

_logger = logging.getLogger("rustforge.http")
_MAPPING = ErrorMapping()

GOING_AWAY = 1012
"""The server restarts; the client should connect again."""

POLICY = 1008
"""The client does what it must not do."""

TOO_BIG = 1009
"""A message of the client is too large."""

TRY_AGAIN_LATER = 1013
"""There are too many connections."""


class Limits(NamedTuple):
    """What a client may do.

    Attributes:
        subscriptions: To how many channels and rooms a connection may subscribe.
        messages: How many messages a second it may send; as many may come at once.
        size: How many bytes one may have.
    """

    subscriptions: int
    messages: int
    size: int


class Opened(NamedTuple):
    """A subscription that has begun.

    Attributes:
        subscription: The subscription.
        members: Who is there, if the client is to know.
    """

    subscription: Subscription
    members: list[PresenceMember] | None = None


async def ask(function: Callable[..., Answer], *args: Any) -> Any:
    """Call a function of the application that may be async."""
    answer = function(*args)
    return await answer if inspect.isawaitable(answer) else answer


def here(place: Place, members: list[PresenceMember]) -> dict[str, Any]:
    """Write the first message about presence: who is there."""
    channel, room = place
    known = {"channel": channel} if room is None else {"channel": channel, "room": room}
    listed = [{"member": one.member, "info": one.info} for one in members]
    return {**known, "event": "presence", "payload": {"type": "here", "members": listed}}


def to_json(words: dict[str, Any]) -> str:
    """Write JSON without blanks."""
    return json.dumps(words, ensure_ascii=False, separators=(",", ":"))


class _Auth(BaseModel):
    op: Literal["auth"]
    token: str


class _Subscribe(BaseModel):
    op: Literal["subscribe"]
    channel: str
    room: str | None = None
    since_id: str | None = None


class _Unsubscribe(BaseModel):
    op: Literal["unsubscribe"]
    channel: str
    room: str | None = None


class _Ping(BaseModel):
    op: Literal["ping"]


_Op: TypeAlias = Annotated[_Auth | _Subscribe | _Unsubscribe | _Ping, Field(discriminator="op")]
_READ: TypeAdapter[_Op] = TypeAdapter(_Op)


class Conversation:
    """What is said over one WebSocket.

    Each subscription has a task that sends; the connection's own task reads, and answers. A client that does not take
    what is sent holds up both.
    """

    def __init__(
        self,
        websocket: WebSocket,
        begin: Callable[[Place, str | None, AsyncExitStack], Awaitable[Opened]],
        authenticate: Callable[[WebSocket, str], Answer] | None,
        limits: Limits,
    ) -> None:
        """Prepare: `begin` opens a subscription, or raises for those who may not."""
        self._socket = websocket
        self._begin = begin
        self._authenticate = authenticate
        self._limits = limits
        self._pumps: dict[Place, asyncio.Task[None]] = {}
        self._subscriptions: dict[Place, Subscription] = {}
        self._allowance = float(limits.messages)
        self._counted_at = 0.0
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Talk until one of both closes the connection."""
        self._counted_at = asyncio.get_running_loop().time()
        try:
            while self._socket.application_state is WebSocketState.CONNECTED:
                await self._answer(await self._receive())
        except WebSocketDisconnect:
            pass
        finally:
            for subscription in self._subscriptions.values():
                subscription.end()
            tasks = [*self._pumps.values(), *([self._closing] if self._closing else [])]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def end(self) -> None:
        """Close the connection, as the server stops."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close(GOING_AWAY))

    async def _close(self, code: int) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            await self._socket.close(code)

    async def _receive(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        text: str | bytes = message.get("text") or message.get("bytes") or ""
        return text

    async def _answer(self, text: str | bytes) -> None:
        """Do what the client asks for."""
        if len(text) > self._limits.size:
            await self._fail(of_status(413))
            await self._close(TOO_BIG)
            return
        if not self._is_allowed():
            await self._fail(TooManyRequests())
            await self._close(POLICY)
            return
        try:
            asked = _READ.validate_json(text)
        except ValidationError:
            await self._fail(BadRequest("The message cannot be understood."), code="INVALID_MESSAGE")
            return
        try:
            await self._do(asked)
        except WebSocketDisconnect:
            raise
        except InvalidArgumentError as error:
            await self._fail(BadRequest(str(error)), asked, code="INVALID_MESSAGE")
        except RedisError as error:
            _logger.warning("a subscription could not begin: %s", error)
            await self._fail(of_status(503), asked)
        except Exception as exception:  # noqa: BLE001 - of whatever the application does to authorise
            answer = _MAPPING.convert(exception) or Internal()
            log_error(answer, exception, self._socket.scope)
            await self._fail(answer, asked)

    async def _do(self, asked: _Auth | _Subscribe | _Unsubscribe | _Ping) -> None:
        if isinstance(asked, _Ping):
            await self._say(op="pong")
        elif isinstance(asked, _Auth):
            await self._let_in(asked.token)
        elif isinstance(asked, _Subscribe):
            await self._subscribe(asked)
        else:
            await self._unsubscribe((asked.channel, asked.room))
            await self._say(op="unsubscribed", channel=asked.channel, room=asked.room)

    async def _let_in(self, token: str) -> None:
        if self._authenticate is None:
            msg = "This server takes no tokens."
            raise BadRequest(msg)
        user = await ask(self._authenticate, self._socket, token)
        if user is None or user is False:
            raise Unauthorized
        self._socket.state.user = user
        await self._say(op="auth_ok")

    async def _subscribe(self, asked: _Subscribe) -> None:
        """Begin a subscription; one that there is begins anew."""
        place = asked.channel, asked.room
        await self._unsubscribe(place)
        if len(self._pumps) >= self._limits.subscriptions:
            msg = f"A connection has at most {self._limits.subscriptions} subscriptions."
            raise Forbidden(msg)
        async with AsyncExitStack() as stack:
            subscription, members = await self._begin(place, asked.since_id, stack)
            await self._say(op="subscribed", channel=asked.channel, room=asked.room, id=subscription.position)
            if members is not None:
                await self._say(op="presence", **here(place, members))
            self._subscriptions[place] = subscription
            self._pumps[place] = asyncio.ensure_future(self._pump(subscription, stack.pop_all()))

    async def _unsubscribe(self, place: Place) -> None:
        pump, subscription = self._pumps.pop(place, None), self._subscriptions.pop(place, None)
        if pump is not None and subscription is not None:
            subscription.end()
            await asyncio.wait([pump])

    async def _pump(self, subscription: Subscription, stack: AsyncExitStack) -> None:
        """Send what comes."""
        async with stack:
            try:
                while not subscription.ended:
                    for item in await subscription.batch():
                        await self._socket.send_text(item.op)
            except (WebSocketDisconnect, RuntimeError):
                return  # the client is gone, or the connection is being closed
        if subscription in self._subscriptions.values():
            self.end()  # nobody unsubscribed: the publisher was closed

    def _is_allowed(self) -> bool:
        """Count a message; the allowance grows with the time, up to that of a second."""
        now = asyncio.get_running_loop().time()
        most = self._limits.messages
        self._allowance = min(most, self._allowance + (now - self._counted_at) * most)
        self._counted_at = now
        self._allowance -= 1
        return self._allowance >= 0

    async def _fail(self, error: AppError, asked: Any = None, *, code: str | None = None) -> None:
        """Say that something cannot be done, in the envelope, and what."""
        about = {name: getattr(asked, name) for name in ("channel", "room") if getattr(asked, name, None) is not None}
        await self._say(op="error", message=error.message, error_code=code or error.error_code, **about)

    async def _say(self, **words: Any) -> None:
        await self._socket.send_text(to_json({name: word for name, word in words.items() if word is not None}))
