"""Browsers: server-sent events and WebSockets over a real server, and who may listen."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rustforge.errors import ConfigurationError
from rustforge.http import Unauthorized, install, realtime_router
from rustforge.notify.realtime import PresenceMember, RealtimePublisher
from tests.support.listening import Stream
from tests.support.servers import RedisServer
from tests.support.serving import serve
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import HTTPConnection
    from websockets.asyncio.client import ClientConnection

    from rustforge.notify.realtime import Subscription


@pytest.fixture
async def realtime(prefix: str) -> AsyncIterator[RealtimePublisher]:
    """Publish in this process."""
    async with RealtimePublisher.connect(f"memory://{prefix}", prefix=prefix) as publisher:
        yield publisher
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("rustforge-")]
    assert left == []


class Door:
    """Who may listen, and who asked.

    Attributes:
        asked: What was asked for, in order.
        closed: The rooms that nobody may listen to.
    """

    def __init__(self) -> None:
        """Let everybody in."""
        self.asked: list[tuple[str, str | None]] = []
        self.closed: set[str | None] = set()

    async def __call__(self, connection: HTTPConnection, channel: str, room: str | None) -> bool:
        """Answer."""
        self.asked.append((channel, room))
        if connection.headers.get("x-user") == "nobody":
            raise Unauthorized(headers={"WWW-Authenticate": "Bearer"})
        return room not in self.closed


@pytest.fixture
def door() -> Door:
    """Let everybody in."""
    return Door()


def make_app(realtime: Any, door: Any, **options: Any) -> FastAPI:
    """Make an application with the router."""
    app = FastAPI()
    install(app)
    app.include_router(realtime_router(realtime, authorize=door, **options))
    return app


# -- server-sent events ------------------------------------------------------------------------------------------


async def test_a_stream_to_the_byte(realtime: RealtimePublisher, door: Door) -> None:
    """The head keeps proxies from collecting or keeping it; then come the time to come back, a position, messages."""
    async with serve(make_app(realtime, door, retry=3)) as port, Stream.open(port, "/realtime/orders/42") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-cache, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        retry = await stream.block()
        assert retry is not None
        assert retry.startswith(b"retry: ")
        assert 1500 <= int(retry[7:]) <= 4500
        assert await stream.block() == b"id: 0-0"
        found = await realtime.publish("orders", "order.paid", {"text": "a\nb\r\u2028"}, room="42", event_id="e-1")
        [message] = [one async for one in _replay(realtime, "orders", "42", 1)]
        assert await stream.block() == f"event: order.paid\nid: {found}\ndata: {message.text}".encode()
        assert "\n" not in message.text
        await realtime.publish("orders", "typing", room="42", durable=False)
        block = await stream.block()
        assert block is not None
        assert block.startswith(b'event: typing\ndata: {"channel":"orders","room":"42",')
    assert door.asked == [("orders", "42")]


async def _some(messages: Subscription, count: int) -> AsyncIterator[Any]:
    for _ in range(count):
        yield await anext(messages)


async def _replay(realtime: RealtimePublisher, channel: str, room: str | None, count: int) -> AsyncIterator[Any]:
    async with realtime.subscribe(channel, room, since="0-0") as messages:
        async for message in _some(messages, count):
            yield message


async def test_a_browser_that_comes_back_misses_nothing(realtime: RealtimePublisher, door: Door) -> None:
    """`Last-Event-ID` and `?since=` give what comes after; the header, which knows more, goes first."""
    async with serve(make_app(realtime, door)) as port:
        async with Stream.open(port, "/realtime/orders/1") as stream:
            waiting = asyncio.ensure_future(stream.event())
            await wait_until(lambda: stream.position)
            waiting.cancel()
        ids = await realtime.publish_many("orders", [("said", number) for number in range(5)], room="1")
        async with Stream.open(port, "/realtime/orders/1", Last_Event_ID=stream.position) as stream:
            assert [one["payload"] for one in await stream.events(5)] == [0, 1, 2, 3, 4]
            assert stream.position == ids[4]
        async with Stream.open(port, f"/realtime/orders/1?since={ids[2]}") as stream:
            assert [one["payload"] for one in await stream.events(2)] == [3, 4]
        async with Stream.open(port, f"/realtime/orders/1?since={ids[0]}", Last_Event_ID=str(ids[3])) as stream:
            assert [one["payload"] for one in await stream.events(1)] == [4]
        async with Stream.open(port, "/realtime/orders/1?since=yesterday") as stream:
            assert stream.status == 422
            assert (await stream.body())["error_code"] == "VALIDATION_ERROR"


async def test_a_gap_is_an_event_of_its_own(realtime: RealtimePublisher, door: Door) -> None:
    """Where messages are missing the browser hears `replay_gap` first, and comes back behind it."""
    async with serve(make_app(realtime, door)) as port:
        found = await realtime.publish("orders", "said", 1)
        async with Stream.open(port, "/realtime/orders?since=5-0") as stream:
            name, gap = await stream.event() or ("", {})
            assert name == "replay_gap"
            assert (gap["requested_since_id"], gap["first_available_id"]) == ("5-0", found)
            assert stream.position == "0-0"
            assert (await stream.events(1))[0]["id"] == found


async def test_who_may_not_listen_hears_nothing(realtime: RealtimePublisher, door: Door) -> None:
    """The application is asked for each stream, with its room and before any replay; it refuses in the envelope."""
    await realtime.publish("orders", "said", "secret", room="2")
    async with serve(make_app(realtime, door)) as port:
        door.closed = {"2"}
        for headers in ({}, {"Last_Event_ID": "0-0"}):
            async with Stream.open(port, "/realtime/orders/2", **headers) as stream:
                assert stream.status == 403
                assert await stream.body() == {"message": "Forbidden", "error_code": "FORBIDDEN"}
        async with Stream.open(port, "/realtime/orders/1", X_User="nobody") as stream:
            assert stream.status == 401
            assert stream.headers["www-authenticate"] == "Bearer"
        door.closed = set()
        async with Stream.open(port, "/realtime/orders/2?since=0-0") as stream:
            assert [one["payload"] for one in await stream.events(1)] == ["secret"]
        door.closed = {"2"}
        async with Stream.open(port, "/realtime/orders/2", Last_Event_ID=stream.position) as stream:
            assert stream.status == 403
        assert door.asked == [("orders", room) for room in ("2", "2", "1", "2", "2")]
        for path in ("/realtime/a%20b", "/realtime/orders/%7Bx%7D", "/realtime/orders/a/b"):
            async with Stream.open(port, path) as stream:
                assert stream.status in {404, 422}


def test_without_a_word_on_who_may_there_is_no_router() -> None:
    """The router is refused without `authorize`, and shows its streams in OpenAPI."""
    with pytest.raises(ConfigurationError, match="needs authorize"):
        realtime_router(lambda: None)
    document = make_app(None, lambda *_: True).openapi()
    shown = document["paths"]["/realtime/{channel}/{room}"]["get"]
    assert list(shown["responses"]["200"]["content"]) == ["text/event-stream"]
    assert {one["name"] for one in shown["parameters"]} == {"channel", "room", "since", "last-event-id"}
    assert {"401", "403", "422", "503"} <= shown["responses"].keys()


async def test_a_quiet_stream_is_kept_alive(realtime: RealtimePublisher, door: Door) -> None:
    """Comments come while nothing is said, and the browser shows none of them."""
    async with serve(make_app(realtime, door, heartbeat=0.02)) as port, Stream.open(port, "/realtime/orders") as stream:
        waiting = asyncio.ensure_future(stream.events(1))
        await wait_until(lambda: stream.comments >= 3)
        await realtime.publish("orders", "said", 1)
        assert [one["payload"] for one in await waiting] == [1]


async def test_sixty_browsers_at_once(realtime: RealtimePublisher, door: Door) -> None:
    """Each of sixty streams, in three rooms, has the messages of its room, in order and once; then all are gone."""
    async with serve(make_app(realtime, door)) as port, contextlib.AsyncExitStack() as stack:
        streams = [
            (room, await stack.enter_async_context(Stream.open(port, f"/realtime/orders/{room}")))
            for room in range(3)
            for _ in range(20)
        ]
        for number in range(90):
            await realtime.publish("orders", "said", number, room=str(number % 3))
        heard = await asyncio.gather(*[stream.events(30) for _, stream in streams])
        for (room, _), messages in zip(streams, heard, strict=True):
            assert [one["payload"] for one in messages] == list(range(room, 90, 3))
        assert len(realtime._subscriptions) == 60
        await stack.aclose()
        await wait_until(lambda: not realtime._subscriptions and not realtime._feeds)


async def test_a_browser_that_does_not_read_fills_nothing(realtime: RealtimePublisher, door: Door) -> None:
    """Ten megabytes for a client that does not read stay in Redis; when it reads, it has all of them in order."""
    async with serve(make_app(realtime, door)) as port, Stream.open(port, "/realtime/orders") as stream:
        await stream.block()
        for start in range(0, 1000, 100):
            await realtime.publish_many("orders", [("said", [n, "x" * 10_000]) for n in range(start, start + 100)])
            await asyncio.sleep(0.002)
        [subscription] = realtime._subscriptions
        await wait_until(lambda: subscription._waiting is None)
        assert subscription._feed._bytes <= 1 << 20
        assert subscription._taken == []
        assert [one["payload"][0] for one in await stream.events(1000)] == list(range(1000))


async def test_a_server_that_stops_ends_its_streams(realtime: RealtimePublisher, door: Door) -> None:
    """Streams and WebSockets end in order when the server is told to stop, so that it need not wait for browsers."""
    async with contextlib.AsyncExitStack() as stack:
        async with serve(make_app(realtime, door), ws="websockets-sansio") as port:
            stream = await stack.enter_async_context(Stream.open(port, "/realtime/orders"))
            socket = await stack.enter_async_context(connect_socket(f"ws://127.0.0.1:{port}/realtime"))
            await say(socket, op="subscribe", channel="orders")
            assert (await hear(socket))["op"] == "subscribed"
            await wait_until(lambda: len(realtime._subscriptions) == 2)
        assert await stream.event() is None
        with pytest.raises(ConnectionClosed):
            await hear(socket)
        assert socket.close_code == 1012
    assert realtime._subscriptions == set()


async def test_a_publisher_that_closes_ends_its_streams(prefix: str, door: Door) -> None:
    """When the application ends first, its streams end, too."""
    realtime = await RealtimePublisher.connect(f"memory://{prefix}", prefix=prefix)
    async with (
        serve(make_app(realtime, door), ws="websockets-sansio") as port,
        Stream.open(port, "/realtime/orders") as stream,
        connect_socket(f"ws://127.0.0.1:{port}/realtime") as socket,
    ):
        await say(socket, op="subscribe", channel="orders")
        assert (await hear(socket))["op"] == "subscribed"
        await realtime.aclose()
        assert await stream.event() is None
        with pytest.raises(ConnectionClosed):
            await hear(socket)


async def test_without_redis_a_browser_comes_back(prefix: str, door: Door) -> None:
    """An error would end an `EventSource` for good, so it is told to come back; then it has what it missed."""
    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as server:
        async with (
            RealtimePublisher.connect(f"{server.url}?timeout=0.2", prefix=prefix) as realtime,
            serve(make_app(realtime, door)) as port,
        ):
            found = await realtime.publish("orders", "said", 1)
            await realtime.publish("orders", "said", 2)
            server.kill()
            async with Stream.open(port, "/realtime/orders", Last_Event_ID=str(found)) as stream:
                assert stream.status == 200
                assert await stream.event() is None
                assert stream.retry > 0
            server.start()
            async with Stream.open(port, "/realtime/orders", Last_Event_ID=str(found)) as stream:
                assert [one["payload"] for one in await stream.events(1)] == [2]


async def test_too_many_connections_are_refused(realtime: RealtimePublisher, door: Door) -> None:
    """Beyond its limit the process takes no more streams and WebSockets, until one is free."""
    async with serve(make_app(realtime, door, max_connections=1), ws="websockets-sansio") as port:
        async with Stream.open(port, "/realtime/orders") as stream:
            await stream.block()
            async with Stream.open(port, "/realtime/orders") as second:
                assert second.status == 503
                assert second.headers["retry-after"] == "30"
            async with connect_socket(f"ws://127.0.0.1:{port}/realtime") as socket:
                with pytest.raises(ConnectionClosed):
                    await hear(socket)
                assert socket.close_code == 1013
        await wait_until(lambda: not realtime._subscriptions)
        async with Stream.open(port, "/realtime/orders") as third:
            assert third.status == 200


# -- WebSockets --------------------------------------------------------------------------------------------------


async def say(socket: ClientConnection, **words: Any) -> None:
    """Send an op."""
    await socket.send(json.dumps(words))


async def hear(socket: ClientConnection) -> Any:
    """Receive an op."""
    async with asyncio.timeout(10):
        return json.loads(await socket.recv())


@pytest.fixture
async def port(realtime: RealtimePublisher, door: Door) -> AsyncIterator[int]:
    """Run a server that takes tokens, and knows who is present."""

    def authenticate(_: Any, token: str) -> str | None:
        if token == "broken":
            raise HTTPException(401, "This token is broken.")
        return token or None

    def presence(connection: HTTPConnection, _: str, room: str | None) -> PresenceMember | None:
        user = getattr(connection.state, "user", None)
        return PresenceMember(user, {"room": room}) if user and room == "lobby" else None

    limits = {"max_subscriptions": 2, "max_messages": 20, "max_message_bytes": 500}
    app = make_app(realtime, door, authenticate=authenticate, presence=presence, **limits)
    async with serve(app, ws="websockets-sansio") as port:
        yield port


async def test_one_socket_for_many_rooms(realtime: RealtimePublisher, door: Door, port: int) -> None:
    """Subscribe, replay, hear and unsubscribe, each room by itself; the application is asked for each."""
    first = await realtime.publish("orders", "said", 0, room="1")
    await realtime.publish("orders", "said", 1, room="1")
    async with connect_socket(f"ws://127.0.0.1:{port}/realtime") as socket:
        await say(socket, op="ping")
        assert await hear(socket) == {"op": "pong"}
        await say(socket, op="subscribe", channel="orders", room="1", since_id=first)
        assert await hear(socket) == {"op": "subscribed", "channel": "orders", "room": "1", "id": first}
        message = await hear(socket)
        assert (message["op"], message["event"], message["payload"], message["room"]) == ("event", "said", 1, "1")
        await say(socket, op="subscribe", channel="orders", since_id="5-0")
        assert (await hear(socket))["op"] == "subscribed"
        gap = await hear(socket)
        assert (gap["op"], gap["requested_since_id"], gap["last_available_id"]) == ("replay_gap", "5-0", None)
        await realtime.publish("orders", "said", 2, room="2")
        await realtime.publish("orders", "said", 3)
        assert (await hear(socket))["payload"] == 3
        await say(socket, op="unsubscribe", channel="orders", room="1")
        assert await hear(socket) == {"op": "unsubscribed", "channel": "orders", "room": "1"}
        await realtime.publish("orders", "said", 4, room="1")
        await realtime.publish("orders", "said", 5)
        assert (await hear(socket))["payload"] == 5
    assert door.asked == [("orders", "1"), ("orders", None)]
    await wait_until(lambda: not realtime._subscriptions)


async def test_a_socket_is_asked_who_it_is(realtime: RealtimePublisher, door: Door, port: int) -> None:
    """A token says who is there; who may not listen gets the reason in the envelope, replay or not."""
    await realtime.publish("orders", "said", "secret", room="2")
    door.closed = {"2"}
    async with connect_socket(f"ws://127.0.0.1:{port}/realtime") as socket:
        for since in (None, "0-0"):
            await say(socket, op="subscribe", channel="orders", room="2", since_id=since)
            assert await hear(socket) == {
                "op": "error",
                "message": "Forbidden",
                "error_code": "FORBIDDEN",
                "channel": "orders",
                "room": "2",
            }
        await say(socket, op="auth", token="")
        assert (await hear(socket))["error_code"] == "UNAUTHORIZED"
        await say(socket, op="auth", token="broken")
        assert (await hear(socket))["message"] == "This token is broken."
        await say(socket, op="auth", token="eva")
        assert await hear(socket) == {"op": "auth_ok"}
    async with connect_socket(f"ws://127.0.0.1:{port}/realtime", additional_headers={"X-User": "nobody"}) as socket:
        await say(socket, op="subscribe", channel="orders")
        assert (await hear(socket))["error_code"] == "UNAUTHORIZED"


async def test_who_is_there(realtime: RealtimePublisher, port: int) -> None:
    """A subscriber is present while it listens: it learns who is there, and everybody hears it come and go."""
    async with realtime.subscribe("chat", "lobby") as messages, realtime.join("chat", "tom", room="lobby"):
        await anext(messages)
        async with connect_socket(f"ws://127.0.0.1:{port}/realtime") as socket:
            await say(socket, op="auth", token="eva")
            await say(socket, op="subscribe", channel="chat", room="lobby")
            assert [(await hear(socket))["op"] for _ in range(2)] == ["auth_ok", "subscribed"]
            here = await hear(socket)
            assert (here["op"], here["payload"]["type"]) == ("presence", "here")
            assert here["payload"]["members"] == [
                {"member": "eva", "info": {"room": "lobby"}},
                {"member": "tom", "info": None},
            ]
            assert (await hear(socket))["payload"]["type"] == "joined"
        joined, left = [one async for one in _some(messages, 2)]
        assert [(one.payload["type"], one.payload["member"]) for one in (joined, left)] == [
            ("joined", "eva"),
            ("left", "eva"),
        ]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("no JSON", "INVALID_MESSAGE"),
        ('{"op":"shout"}', "INVALID_MESSAGE"),
        ('{"op":"subscribe"}', "INVALID_MESSAGE"),
        ('{"op":"subscribe","channel":"a b"}', "INVALID_MESSAGE"),
        ('{"op":"subscribe","channel":"a","since_id":"now"}', "INVALID_MESSAGE"),
        (b"\xff\xfe", "INVALID_MESSAGE"),
    ],
)
async def test_a_message_that_makes_no_sense(port: int, sent: str | bytes, code: str) -> None:
    """It is answered with an error, and the connection goes on."""
    async with connect_socket(f"ws://127.0.0.1:{port}/realtime") as socket:
        await socket.send(sent)
        answer = await hear(socket)
        assert (answer["op"], answer["error_code"]) == ("error", code)
        await say(socket, op="ping")
        assert await hear(socket) == {"op": "pong"}


async def test_a_socket_has_limits(realtime: RealtimePublisher, port: int) -> None:
    """Too many subscriptions are refused; too large a message, and too many of them, end the connection."""
    async with connect_socket(f"ws://127.0.0.1:{port}/realtime") as socket:
        for channel in ("a", "b", "a", "c"):
            await say(socket, op="subscribe", channel=channel)
        answers = [await hear(socket) for _ in range(4)]
        assert [one["op"] for one in answers] == ["subscribed"] * 3 + ["error"]
        assert answers[3]["message"] == "A connection has at most 2 subscriptions."
        assert len(realtime._subscriptions) == 2
        await say(socket, op="ping", more="x" * 500)
        assert (await hear(socket))["error_code"] == "CONTENT_TOO_LARGE"
        with pytest.raises(ConnectionClosed):
            await hear(socket)
        assert socket.close_code == 1009
    async with connect_socket(f"ws://127.0.0.1:{port}/realtime") as socket:
        for _ in range(100):
            await say(socket, op="ping")
        answers = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                answers.append(await hear(socket))
        assert 20 <= [one["op"] for one in answers].count("pong") < 100
        assert answers[-1]["error_code"] == "RATE_LIMITED"
        assert socket.close_code == 1008
    await wait_until(lambda: not realtime._subscriptions)


async def test_pages_of_other_sites_get_no_socket(realtime: RealtimePublisher, door: Door) -> None:
    """A browser sends cookies along for any page, so only pages of the same host, and named ones, may connect."""
    app = make_app(realtime, door, origins=["https://shop.example.com"])
    async with serve(app, ws="websockets-sansio") as port:
        url = f"ws://127.0.0.1:{port}/realtime"
        for origin in (None, f"http://127.0.0.1:{port}", "https://shop.example.com"):
            async with connect_socket(url, origin=origin) as socket:  # type: ignore[arg-type]
                await say(socket, op="ping")
                assert await hear(socket) == {"op": "pong"}
        with pytest.raises(InvalidStatus):
            async with connect_socket(url, origin="https://evil.example.com"):  # type: ignore[arg-type]
                pass


async def test_a_socket_that_does_not_read_fills_nothing(realtime: RealtimePublisher, port: int) -> None:
    """What such a client does not take stays in Redis, and it gets all of it when it reads."""
    async with connect_socket(f"ws://127.0.0.1:{port}/realtime", max_queue=1) as socket:
        await say(socket, op="subscribe", channel="orders")
        assert (await hear(socket))["op"] == "subscribed"
        for start in range(0, 1000, 100):
            await realtime.publish_many("orders", [("said", [n, "x" * 10_000]) for n in range(start, start + 100)])
            await asyncio.sleep(0.002)
        [subscription] = realtime._subscriptions
        assert subscription._feed._bytes <= 1 << 20
        assert [(await hear(socket))["payload"][0] for _ in range(1000)] == list(range(1000))
