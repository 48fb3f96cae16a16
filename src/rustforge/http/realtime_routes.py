"""The HTTP API of realtime: server-sent events, and a WebSocket."""

from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Header, Path, Query, Request, WebSocket
from fastapi.sse import format_sse_event
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from rustforge.clock import milliseconds
from rustforge.errors import ConfigurationError, RedisError
from rustforge.http.app_error import AppError
from rustforge.http.envelope import EnvelopeRoute, error_responses
from rustforge.http.event_stream import Connections, EventSource, EventStream, retry_after
from rustforge.http.realtime_socket import (
    TRY_AGAIN_LATER,
    Answer,
    Conversation,
    Limits,
    Opened,
    Place,
    ask,
    here,
    to_json,
)
from rustforge.notify.realtime import PresenceMember, RealtimePublisher
from rustforge.types import Duration

__all__ = ["realtime_router"]

Channel = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,128}$", description="The channel.")]
Room = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:@+-]{1,128}$", description="The room.")]
_ID = r"^\d{1,19}-\d{1,19}$"


def _known(
    since: Annotated[
        str | None,
        Query(pattern=_ID, description="The id of the last message that is known, to get those after it first."),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(pattern=_ID, description="The same, as browsers send it when they come back; it goes first."),
    ] = None,
) -> str | None:
    """Find from where a stream goes on: a browser that comes back knows more than the address that it came with."""
    return last_event_id or since


Since = Annotated[str | None, Depends(_known)]
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Messages as they come: `id`, the event's name as `event`, and the message as JSON in `data`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


def realtime_router(
    ctx: Any,
    *,
    authorize: Callable[[HTTPConnection, str, str | None], Answer] | None = None,
    authenticate: Callable[[WebSocket, str], Answer] | None = None,
    presence: Callable[[HTTPConnection, str, str | None], Answer] | None = None,
    prefix: str = "/realtime",
    origins: Collection[str] = (),
    heartbeat: Duration = 20,
    retry: Duration = 3,
    max_connections: int = 10_000,
    max_subscriptions: int = 50,
    max_messages: int = 150,
    max_message_bytes: int = 64 << 10,
) -> APIRouter:
    """Make the endpoints by which browsers subscribe: server-sent events, and a WebSocket.

    `GET /realtime/{channel}` and `GET /realtime/{channel}/{room}` are streams for an `EventSource`; a WebSocket at
    `/realtime` takes many subscriptions. Nobody hears anything without somebody who says who may.

    Args:
        ctx: The [`BootContext`][rustforge.boot.BootContext] or a
            [`RealtimePublisher`][rustforge.notify.RealtimePublisher]; or a dependency that gives one of them, such as
            `lambda: app.state.ctx`, where the application boots later, in its lifespan.
        authorize: A function, async or not, that is called with the request or WebSocket, the channel, and the room
            or `None`, before anything is sent of it, replay included. It raises for those who may not, such as
            [`Forbidden`][rustforge.http.Forbidden]; or it returns `False`, which is answered with 403.
        authenticate: What tells who a token of the WebSocket's `auth` belongs to, called with the WebSocket and the
            token. What it returns is kept as `websocket.state.user`, for `authorize`; `None`, `False` or an exception
            refuses. `None` takes no tokens: cookies and headers come with the request.
        presence: Who a subscriber is to the others, called as `authorize` is: the member's name, or a
            [`PresenceMember`][rustforge.notify.PresenceMember]; `None` for nobody.
        prefix: What the paths start with.
        origins: Whose pages may open a WebSocket, such as `"https://shop.example.com"`, beside those of the same
            host; `"*"` for all.
        heartbeat: After how many quiet seconds a comment is sent, so that no proxy takes the stream for dead.
        retry: After about how many seconds a browser comes back whose stream has ended.
        max_connections: How many streams and WebSockets the process has at a time; more are answered with 503.
        max_subscriptions: To how many channels and rooms one WebSocket may subscribe.
        max_messages: How many messages a second one WebSocket may send.
        max_message_bytes: How long each of them may be.

    Raises:
        ConfigurationError: There is no `authorize`.

    Example:
        ```python
        async def may_listen(connection: HTTPConnection, channel: str, room: str | None) -> bool:
            user = await user_of(connection)
            return channel == "orders" and room == f"customer-{user.id}"


        app.include_router(realtime_router(lambda: app.state.ctx, authorize=may_listen))
        ```
    """
    if not callable(authorize):
        msg = (
            "realtime_router shows what is published, so it needs authorize=...: a function of the connection, the "
            "channel and the room that raises, or returns False, for everybody who may not listen"
        )
        raise ConfigurationError(msg)
    endpoints = _Endpoints(
        authorize,
        presence,
        Connections(max_connections),
        milliseconds(heartbeat, "heartbeat") / 1000,
        milliseconds(retry, "retry") / 1000,
    )
    limits = Limits(max_subscriptions, max_messages, max_message_bytes)
    router = APIRouter(
        prefix=prefix,
        tags=["realtime"],
        responses=error_responses(401, 403, 422, 500, 503),
        route_class=EnvelopeRoute,
    )
    give = _giver(ctx)

    @router.get("/{channel}", response_class=EventSource, responses=_STREAM)
    async def stream_channel(
        request: Request, realtime: Annotated[RealtimePublisher, Depends(give)], channel: Channel, since: Since
    ) -> EventSource:
        """Stream the messages to a channel as server-sent events."""
        return await endpoints.stream(realtime, request, (channel, None), since)

    @router.get("/{channel}/{room}", response_class=EventSource, responses=_STREAM)
    async def stream_room(
        request: Request,
        realtime: Annotated[RealtimePublisher, Depends(give)],
        channel: Channel,
        room: Room,
        since: Since,
    ) -> EventSource:
        """Stream the messages to a room of a channel as server-sent events."""
        return await endpoints.stream(realtime, request, (channel, room), since)

    @router.websocket("")
    async def converse(websocket: WebSocket, realtime: Annotated[RealtimePublisher, Depends(give)]) -> None:
        """Talk with a client that listens to any number of rooms over one connection."""
        if not _is_invited(websocket, origins):
            await websocket.close(1008)
            return
        await websocket.accept()
        conversation = Conversation(websocket, partial(endpoints.begin, realtime, websocket), authenticate, limits)
        try:
            with endpoints.connections.enter(conversation.end):
                await conversation.run()
        except AppError:
            await websocket.close(TRY_AGAIN_LATER)

    return router


class _Endpoints(NamedTuple):
    """What streams and WebSockets have in common."""

    authorize: Callable[[HTTPConnection, str, str | None], Answer]
    presence: Callable[[HTTPConnection, str, str | None], Answer] | None
    connections: Connections
    heartbeat: float
    retry: float

    async def begin(
        self,
        realtime: RealtimePublisher,
        connection: HTTPConnection,
        place: Place,
        since: str | None,
        stack: AsyncExitStack,
    ) -> Opened:
        """Begin a subscription for those who may."""
        if await ask(self.authorize, connection, *place) is False:
            raise HTTPException(403)
        channel, room = place
        subscription = await stack.enter_async_context(realtime.subscribe(channel, room, since=since))
        who = None if self.presence is None else await ask(self.presence, connection, *place)
        if who is None:
            return Opened(subscription)
        member = who if isinstance(who, PresenceMember) else PresenceMember(who)
        await stack.enter_async_context(realtime.join(channel, member.member, room=room, info=member.info))
        return Opened(subscription, await realtime.presence(channel, room))

    async def stream(
        self, realtime: RealtimePublisher, request: Request, place: Place, since: str | None
    ) -> EventSource:
        """Answer with the messages of a subscription."""
        async with AsyncExitStack() as stack:
            try:
                subscription, members = await self.begin(realtime, request, place, since, stack)
            except RedisError:
                return EventSource.empty(self.retry)
            stack.enter_context(self.connections.enter(subscription.end))
            opening = retry_after(self.retry) + f"id: {subscription.position}\n\n".encode()
            if members is not None:
                opening += format_sse_event(event="presence", data_str=to_json(here(place, members)))
            return EventStream(subscription, opening, stack.pop_all(), self.heartbeat)


def _giver(ctx: Any) -> Callable[..., RealtimePublisher]:
    """Find the publisher in what the router was given."""
    given: Callable[..., Any] = ctx if callable(ctx) else lambda: ctx

    def give(found: Annotated[Any, Depends(given)]) -> RealtimePublisher:
        if found is None:
            msg = "realtime_router got None as its context; is the application started?"
            raise RuntimeError(msg)
        return found if isinstance(found, RealtimePublisher) else found.realtime

    return give


def _is_invited(websocket: WebSocket, origins: Collection[str]) -> bool:
    """Refuse other sites' pages, in whose name the browser would send the user's cookies."""
    origin = websocket.headers.get("origin")
    return (
        origin is None
        or "*" in origins
        or origin in origins
        or urlsplit(origin).netloc == websocket.headers.get("host")
    )
