"""Channels and rooms: who hears what, in which order, and what happens when something breaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from rustforge.db import Database
from rustforge.errors import InvalidArgumentError, RealtimeError, RedisError
from rustforge.jobs import Queue
from rustforge.notify import Deliveries, DeliverRealtime, fan_out
from rustforge.notify.realtime import PresenceMember, RealtimePublisher, ReplayGap
from rustforge.notify.realtime import feed as feed_module
from rustforge.redis import connect
from rustforge.testing import job_context
from tests.support.processes import Worker
from tests.support.proxy import Plan, Proxy
from tests.support.servers import RedisServer, talk
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rustforge.notify.realtime import RealtimeItem, Subscription

BACKENDS = ("memory", "redis", "cluster")


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, prefix: str) -> str:
    """Give one backend after the other."""
    if request.param == "memory":
        return f"memory://{prefix}"
    found: str = request.getfixturevalue("redis_server" if request.param == "redis" else "redis_cluster").url
    return found


@pytest.fixture
async def realtime(url: str, prefix: str) -> AsyncIterator[RealtimePublisher]:
    """Publish on it; at the end no task may go on."""
    async with RealtimePublisher.connect(url, prefix=prefix) as publisher:
        yield publisher
    assert_nothing_goes_on()


@pytest.fixture
async def other(realtime: RealtimePublisher, url: str, prefix: str) -> AsyncIterator[RealtimePublisher]:
    """Publish from somewhere else, over a connection of its own."""
    del realtime
    async with RealtimePublisher.connect(url, prefix=prefix) as publisher:
        yield publisher


@pytest.fixture
async def memory(prefix: str) -> AsyncIterator[RealtimePublisher]:
    """Publish in this process, for what no server has a part in."""
    async with RealtimePublisher.connect(f"memory://{prefix}", prefix=prefix) as publisher:
        yield publisher
    assert_nothing_goes_on()


def assert_nothing_goes_on() -> None:
    """Fail where a task is left."""
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("rustforge-")] == []


async def take(subscription: Subscription, count: int) -> list[Any]:
    """Wait for so many items."""
    async with asyncio.timeout(20):
        return [await anext(subscription) for _ in range(count)]


def payloads(items: list[RealtimeItem]) -> list[Any]:
    """Show what they say."""
    return [item.payload for item in items]


class Paid(BaseModel):
    """What is published."""

    order: int
    total: float


# -- publishing and listening ------------------------------------------------------------------------------------


async def test_a_message_reaches_those_who_listen(realtime: RealtimePublisher, other: RealtimePublisher) -> None:
    """Subscribers of any process get the message whole, with ids that grow, and as JSON with the same fields."""
    async with realtime.subscribe("orders", "42") as here, other.subscribe("orders", "42") as there:
        first = await other.publish("orders", "order.paid", Paid(order=42, total=9.5), room="42", event_id="e-1")
        second = await realtime.publish("orders", "order.sent", room="42")
        for subscription in (here, there):
            paid, sent = await take(subscription, 2)
            assert (paid.channel, paid.room, paid.event, paid.id, paid.event_id) == (
                *("orders", "42", "order.paid", first, "e-1"),
            )
            assert paid.payload == {"order": 42, "total": 9.5}
            shown = json.loads(paid.text)
            assert shown.pop("sent_at").endswith("Z")
            assert shown == {
                "channel": "orders",
                "room": "42",
                "event": "order.paid",
                "id": first,
                "event_id": "e-1",
                "payload": {"order": 42, "total": 9.5},
            }
            assert (sent.id, sent.payload, sent.event_id) == (second, None, None)
            assert subscription.position == second
    assert first is not None
    assert second is not None
    assert [int(part) for part in first.split("-")] < [int(part) for part in second.split("-")]


async def test_an_event_is_one_message(realtime: RealtimePublisher, other: RealtimePublisher) -> None:
    """An event that is published again, from wherever, adds nothing, and gives the id of the first message."""
    async with realtime.subscribe("orders") as messages:
        first = await realtime.publish("orders", "paid", 1, event_id="order-paid:1")
        assert await other.publish("orders", "paid", 2, event_id="order-paid:1") == first
        await other.publish("orders", "paid", 3, room="7", event_id="order-paid:1")
        last = await realtime.publish("orders", "paid", 4, event_id="order-paid:2")
        assert payloads(await take(messages, 2)) == [1, 4]
        assert messages.position == last
    async with realtime.subscribe("orders", "7", since="0-0") as messages:
        assert payloads(await take(messages, 1)) == [3]  # each room has its own


async def test_many_messages_come_in_order(realtime: RealtimePublisher, other: RealtimePublisher) -> None:
    """More messages than fit one request keep their order, and are one read of many."""
    async with realtime.subscribe("numbers") as messages:
        ids = await other.publish_many("numbers", [("counted", number) for number in range(250)])
        assert payloads(await take(messages, 250)) == list(range(250))
        assert len(set(ids)) == 250


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"channel": "a/b"}, "channel 'a/b' must have"),
        ({"channel": ""}, "channel must have"),
        ({"channel": "a\n"}, "channel 'a"),
        ({"room": "{x}"}, "room '{x}' must have"),
        ({"room": "a/b"}, "room 'a/b' must have"),
        ({"event": "two words"}, "event 'two words' must have"),
        ({"event": "error"}, "event 'error' must have"),
        ({"event": "presence"}, "be none of"),
        ({"event_id": "a.b"}, "event_id 'a.b' must have"),
        ({"payload": object()}, "the payload cannot be published"),
        ({"payload": float("nan")}, "NaN"),
        ({"payload": "x" * 65_536}, "the payload has 65,538 bytes as JSON; at most 65,536"),
    ],
)
async def test_what_cannot_be_published_is_refused(
    memory: RealtimePublisher, arguments: dict[str, Any], says: str
) -> None:
    """A name or payload that cannot be used is an error that says so, and nothing is published."""
    wanted: dict[str, Any] = {"channel": "orders", "event": "paid", "payload": None, **arguments}
    with pytest.raises(InvalidArgumentError, match=says.replace("{", r"\{")):
        await memory.publish(**wanted)
    with pytest.raises(InvalidArgumentError):
        await memory.publish_many("orders", [("good", 1), ("bad", "x" * 70_000)])
    assert [key async for keys in memory.client.scan(b"*") for key in keys] == []


async def test_a_fanned_out_message_is_published_once(memory: RealtimePublisher, tmp_path: Path) -> None:
    """A delivery is published with its event's id: run twice, as after a crash before its record, it is one message."""
    async with Database(f"sqlite:///{tmp_path}/shop.db") as db, Queue.connect("memory://fanned") as queue:
        await db.upgrade()
        target = RealtimePublisher.target("orders", "order.placed", Paid(order=7, total=1.5), room="7")
        async with db.transaction() as session:
            fanned = await fan_out(session, "order.placed", [target], event_id="order-placed:7")
        [delivery_id] = fanned.delivery_ids
        delivery = await Deliveries(db).get(delivery_id)
        assert delivery is not None
        assert (delivery.channel, delivery.target) == ("realtime", "orders/7")
        ctx = job_context(db=db, queue=queue, realtime=memory)
        job = DeliverRealtime(delivery_id=delivery_id)
        await job.send(delivery, ctx)
        await job.handle(ctx)
        async with memory.subscribe("orders", "7", since="0-0") as messages:
            await memory.publish("orders", "last", room="7")
            placed, last = await take(messages, 2)
            assert (placed.event_id, placed.payload) == ("order-placed:7", {"order": 7, "total": 1.5})
            assert last.event == "last"
        sent = await Deliveries(db).get(delivery_id)
        assert sent is not None
        assert sent.status == "sent"
    with pytest.raises(InvalidArgumentError, match="the payload has"):
        RealtimePublisher.target("orders", "order.placed", "x" * 70_000)
    with pytest.raises(InvalidArgumentError, match="room 'a b'"):
        RealtimePublisher.target("orders", "order.placed", room="a b")


# -- rooms -------------------------------------------------------------------------------------------------------


async def test_by_default_a_message_has_an_id_and_its_events_id(memory: RealtimePublisher) -> None:
    """Fault 1e.5 of the Rust edition: by default there was no id by which a client could tell what it has."""
    async with memory.subscribe("orders") as messages:
        await memory.publish("orders", "paid", 1, event_id="order-paid:1")
        [message] = await take(messages, 1)
        assert message.id is not None
        assert message.event_id == "order-paid:1"
        assert {"id", "event_id"} <= json.loads(message.text).keys()


async def test_a_room_hears_the_same_live_and_on_replay(realtime: RealtimePublisher) -> None:
    """Fault 1e.12: who had no room got every room's messages on replay, and rooms got the channel's only live."""
    async with contextlib.AsyncExitStack() as stack:
        live = {room: await stack.enter_async_context(realtime.subscribe("orders", room)) for room in (None, "1", "2")}
        for number in range(30):
            await realtime.publish("orders", "said", number, room=(None, "1", "2")[number % 3])
        for turn, (room, subscription) in enumerate(live.items()):
            expected = list(range(turn, 30, 3))
            assert payloads(await take(subscription, 10)) == expected
            replayed = await stack.enter_async_context(realtime.subscribe("orders", room, since="0-0"))
            assert payloads(await take(replayed, 10)) == expected
            await realtime.publish("orders", "said", "last", room=room)
            assert payloads(await take(subscription, 1)) == payloads(await take(replayed, 1)) == ["last"]


async def test_a_replay_is_as_long_as_what_was_missed(memory: RealtimePublisher) -> None:
    """Fault 1e.12: rooms were filtered after counting, so that a replay could end before the first message."""
    first = await memory.publish("orders", "said", "first", room="1")
    await memory.publish_many("orders", [("said", number) for number in range(1500)], room="2")
    await memory.publish_many("orders", [("said", number) for number in range(1500)], room="1")
    async with memory.subscribe("orders", "1", since=first) as messages:
        assert payloads(await take(messages, 1500)) == list(range(1500))


Step = tuple[str, Any]
ROOMS = st.sampled_from([None, "a", "b"])
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.tuples(ROOMS, st.integers(1, 4), st.booleans())),
        st.tuples(st.just("join"), st.tuples(ROOMS, st.integers(0, 30))),
        st.tuples(st.just("read"), st.integers(0, 5)),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("rest"), st.none()),
    ),
    max_size=40,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS, kept=st.sampled_from([2, 512]))
def test_each_subscriber_gets_its_rooms_messages_after_its_position(
    prefix: str, monkeypatch: pytest.MonkeyPatch, steps: list[Step], kept: int
) -> None:
    """Whoever joins when and reads how slowly, each gets the messages of its room after its position, once, in order.

    With two messages kept in the process, nearly everybody falls behind and reads the stream. Messages that were
    published at most once are never doubled, never shown to another room, and never older than the subscription.
    """
    monkeypatch.setattr(feed_module, "KEPT_MESSAGES", kept)

    async def run() -> None:
        async with RealtimePublisher.connect(f"memory://{prefix}", prefix=prefix) as realtime:
            said: dict[str | None, list[tuple[int, str | None]]] = {None: [], "a": [], "b": []}
            readers: list[tuple[Subscription, str | None, int, int, list[Any]]] = []
            number = 0
            async with contextlib.AsyncExitStack() as stack:
                for what, how in steps:
                    if what == "publish":
                        room, count, durable = how
                        for _ in range(count):
                            found = await realtime.publish("c", "said", number, room=room, durable=durable)
                            said[room].append((number, found))
                            number += 1
                    elif what == "join":
                        room, back = how
                        ids = ["0-0", *[found for _, found in said[room] if found]]
                        since = ids[max(0, len(ids) - 1 - back)] if back else None
                        subscription = await stack.enter_async_context(realtime.subscribe("c", room, since=since))
                        start = 0 if since is None else max([n for n, i in said[room] if i == since], default=-1) + 1
                        readers.append((subscription, room, number if since is None else start, number, []))
                    elif what == "leave" and readers:
                        subscription = readers.pop(how % len(readers))[0]
                        await subscription.__aexit__(None, None, None)
                    elif what == "read" and readers:
                        subscription, *_, heard = readers[how % len(readers)]
                        subscription.wake()
                        heard.extend(await subscription.batch())
                    else:
                        await asyncio.sleep(0.001)
                for subscription, room, start, joined, heard in readers:
                    wanted = [n for n, found in said[room] if found and n >= start]
                    last = next((found for _, found in reversed(said[room]) if found), "0-0")
                    async with asyncio.timeout(10):
                        while subscription.position != last:
                            heard.extend(await subscription.batch())
                    assert [item.payload for item in heard if item.id] == wanted
                    passing = [item.payload for item in heard if not item.id]
                    assert passing == sorted(set(passing))
                    assert set(passing) <= {n for n, found in said[room] if not found and n >= joined}
            assert_nothing_goes_on_but_keeper()

    asyncio.run(run())


def assert_nothing_goes_on_but_keeper() -> None:
    """Fail where a feed reads though nobody listens."""
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "rustforge-realtime-feed" not in names


# -- positions, gaps and modes -----------------------------------------------------------------------------------


async def test_a_subscriber_goes_on_where_it_was(realtime: RealtimePublisher, other: RealtimePublisher) -> None:
    """What was published while a subscriber was away comes first, then what is published, once each."""
    async with realtime.subscribe("orders") as messages:
        await other.publish("orders", "said", 0)
        await take(messages, 1)
        position = messages.position
    await other.publish_many("orders", [("said", number) for number in range(1, 6)])
    async with realtime.subscribe("orders", since=position) as messages:
        assert payloads(await take(messages, 5)) == [1, 2, 3, 4, 5]
        await other.publish("orders", "said", 6)
        assert payloads(await take(messages, 1)) == [6]
        async with realtime.subscribe("orders", since=position) as later:  # what the process has kept is not read again
            assert payloads(await take(later, 6)) == [1, 2, 3, 4, 5, 6]


async def test_a_newcomer_begins_at_the_end_and_can_come_back(realtime: RealtimePublisher) -> None:
    """Without a position a subscriber begins with what comes next, and has a position from the start."""
    await realtime.publish("orders", "said", "before")
    async with realtime.subscribe("orders") as messages:
        position = messages.position
    await realtime.publish("orders", "said", "between")
    async with realtime.subscribe("orders", since=position) as messages:
        assert payloads(await take(messages, 1)) == ["between"]


async def test_who_was_away_too_long_is_told_of_the_gap(url: str, prefix: str) -> None:
    """Where messages were trimmed, a subscriber is told which ones it gets, and goes on from there without another."""
    async with RealtimePublisher.connect(url, prefix=prefix, max_messages=100) as realtime:
        first = await realtime.publish("orders", "said", 0)
        ids = await realtime.publish_many("orders", [("said", number) for number in range(1, 500)])
        async with realtime.subscribe("orders", since=first) as messages:
            gap, message = await take(messages, 2)
            assert isinstance(gap, ReplayGap)
            assert gap.requested_since_id == first
            assert gap.first_available_id == message.id
            assert gap.last_available_id in ids
            assert json.loads(gap.text).keys() == {
                *("channel", "room", "requested_since_id", "first_available_id", "last_available_id"),
            }
            rest = await take(messages, 499 - message.payload)
            assert payloads(rest) == list(range(message.payload + 1, 500))
        async with realtime.subscribe("orders", since=gap.id) as messages:
            assert (await take(messages, 1))[0].id == message.id


async def test_a_trimmed_message_that_was_known_makes_no_gap(memory: RealtimePublisher) -> None:
    """The position itself may be gone: as long as the one after it is there, nothing is missing."""
    ids = await memory.publish_many("orders", [("said", number) for number in range(3)])
    await memory.client.call("XDEL", f"{memory._keys.realtime('orders')}:log", ids[0] or "")
    async with memory.subscribe("orders", since=ids[0]) as messages:
        assert payloads(await take(messages, 2)) == [1, 2]


async def test_lost_data_is_a_gap(prefix: str) -> None:
    """Who knows a message that Redis has lost is told, live and on coming back, and goes on with what comes."""
    with RedisServer() as server:
        async with RealtimePublisher.connect(server.url, prefix=prefix) as realtime:
            known = await realtime.publish("orders", "said", 0)
            async with realtime.subscribe("orders", since=known) as messages:
                server.restart()
                [gap] = await take(messages, 1)
                assert (gap.requested_since_id, gap.first_available_id, gap.last_available_id) == (known, None, None)
                new = await realtime.publish("orders", "said", 1)
                assert payloads(await take(messages, 1)) == [1]
            async with realtime.subscribe("orders", since=known) as messages:
                gap, message = await take(messages, 2)
                assert (gap.first_available_id, gap.last_available_id, message.payload) == (new, new, 1)


async def test_messages_at_most_once(realtime: RealtimePublisher, other: RealtimePublisher) -> None:
    """They reach who listens, between the others and in order, have no id, and are not replayed."""
    async with realtime.subscribe("orders") as messages:
        assert await other.publish("orders", "typing", "eva", durable=False) is None
        kept = await other.publish("orders", "said", "hello")
        assert await other.publish_many("orders", [("typing", "tom")], durable=False) == [None]
        heard = await take(messages, 3)
        assert payloads(heard) == ["eva", "hello", "tom"]
        assert [message.id for message in heard] == [None, kept, None]
        assert messages.position == kept
        async with realtime.subscribe("orders", since="0-0") as later:
            await other.publish("orders", "said", "bye")
            assert payloads(await take(later, 2)) == ["hello", "bye"]


@pytest.mark.parametrize("durable", [True, False])
async def test_both_kinds_keep_their_order_in_a_burst(realtime: RealtimePublisher, durable: bool) -> None:
    """Of more messages than one read brings, none of the one kind comes before an earlier one of the other."""
    async with realtime.subscribe("orders") as messages:
        await realtime.publish_many("orders", [("said", number) for number in range(300)], durable=durable)
        await realtime.publish("orders", "said", 300, durable=not durable)
        await realtime.publish_many("orders", [("said", number) for number in range(301, 350)], durable=durable)
        assert payloads(await take(messages, 350)) == list(range(350))


async def test_a_slow_subscriber_costs_nothing_and_misses_nothing(
    realtime: RealtimePublisher, other: RealtimePublisher
) -> None:
    """Who does not read holds up nobody and keeps nothing in memory; later it gets every message."""
    async with realtime.subscribe("orders") as slow, realtime.subscribe("orders") as fast:
        for start in range(0, 2000, 200):
            await other.publish_many("orders", [("said", "x" * 1000 + str(n)) for n in range(start, start + 200)])
            await take(fast, 200)
        feed = slow._feed
        assert len(feed._kept) <= feed_module.KEPT_MESSAGES
        assert feed._bytes <= feed_module.KEPT_BYTES
        assert [int(message.payload[1000:]) for message in await take(slow, 2000)] == list(range(2000))
        await other.publish("orders", "said", "last")
        assert payloads(await take(slow, 1)) == payloads(await take(fast, 1)) == ["last"]


async def test_many_at_one_position_share_a_read(redis_server: RedisServer, prefix: str) -> None:
    """Two hundred subscribers that come back at once, as after a deployment, do not read the stream 200 times."""
    async with RealtimePublisher.connect(redis_server.url, prefix=prefix) as realtime:
        first = await realtime.publish("orders", "said", 0)
        await realtime.publish_many("orders", [("said", number) for number in range(1, 11)])
        async with contextlib.AsyncExitStack() as stack:
            before = realtime.client.statistics()["commands"]
            back = [realtime.subscribe("orders", since=first) for _ in range(200)]
            await asyncio.gather(*[stack.enter_async_context(one) for one in back])
            heard = await asyncio.gather(*[take(one, 10) for one in back])
            assert all(payloads(one) == list(range(1, 11)) for one in heard)
            assert realtime.client.statistics()["commands"] - before < 20


async def test_what_is_kept_ends(realtime: RealtimePublisher) -> None:
    """Every key has an end, so that a room which nobody uses any more leaves nothing behind."""
    await realtime.publish("orders", "said", 1, event_id="e", room="1")
    await realtime.publish("orders", "said", 1, durable=False, room="1")
    async with realtime.join("orders", "eva", room="1"):
        keys = [key async for found in realtime.client.scan(b"*") for key in found]
        assert len(keys) >= 6
        for key in keys:
            assert 0 < await realtime.client.call("PTTL", key) <= 2 * 24 * 3600 * 1000, key


async def test_who_listens_keeps_its_place(url: str, prefix: str) -> None:
    """Where nothing is said for longer than messages are kept, those who listen are told of no gap."""
    async with (
        RealtimePublisher.connect(url, prefix=prefix, retention=0.05) as realtime,
        realtime.subscribe("orders") as messages,
    ):
        await realtime.publish("orders", "said", 1)
        await take(messages, 1)
        head, log = messages._feed.head, f"{messages._feed.base}:log"
        await wait_until(lambda: _lasts(realtime, head))
        await wait_until(lambda: _is_gone(realtime, log))
        await realtime.publish("orders", "said", 2)
        assert payloads(await take(messages, 1)) == [2]


async def _lasts(realtime: RealtimePublisher, key: str) -> bool:
    return bool(await realtime.client.call("PTTL", key) > 3_600_000)


async def _is_gone(realtime: RealtimePublisher, key: str) -> bool:
    return not await realtime.client.call("EXISTS", key)


async def test_old_messages_go_with_new_ones(memory: RealtimePublisher) -> None:
    """Messages beyond the time for which they are kept are trimmed when another is published."""
    log = f"{memory._keys.realtime('orders')}:log"
    for number in range(100):
        await memory.client.call("XADD", log, f"{number + 1}-0", "e", "said", "d", "0", "i", "", "p", f"{number}-0")
    await memory.publish("orders", "said", 1)
    assert await memory.client.call("XLEN", log) == 1


# -- life cycle --------------------------------------------------------------------------------------------------


async def test_closing_ends_subscriptions_and_presence(url: str, prefix: str) -> None:
    """A publisher that is closed ends what waits on it, lets its members go, and takes nothing new."""
    realtime = await RealtimePublisher.connect(url, prefix=prefix)
    async with RealtimePublisher.connect(url, prefix=prefix) as other:
        subscription = realtime.subscribe("orders")
        async with subscription, realtime.join("orders", "eva"):
            heard = asyncio.ensure_future(anext(subscription))
            assert payloads([await heard])[0]["type"] == "joined"
            waiting = asyncio.ensure_future(_all(subscription))
            await asyncio.sleep(0)
            await realtime.aclose()
            assert await waiting == []
            assert await other.presence("orders") == []
        with pytest.raises(RealtimeError, match="closed"):
            realtime.subscribe("orders")
        with pytest.raises(RedisError):
            await realtime.publish("orders", "said")
        await realtime.aclose()
    assert_nothing_goes_on()


async def _all(subscription: Subscription) -> list[RealtimeItem]:
    return [item async for item in subscription]


async def test_a_subscription_begins_with_async_with(memory: RealtimePublisher) -> None:
    """One that was not begun says so, and nothing of it is left in the publisher."""
    subscription = memory.subscribe("orders")
    with pytest.raises(RealtimeError, match="async with"):
        await anext(subscription)
    assert memory._feeds == {}
    with pytest.raises(InvalidArgumentError, match="since must be the id of a message"):
        memory.subscribe("orders", since="yesterday")


async def test_without_redis_a_subscription_cannot_begin(prefix: str) -> None:
    """It raises what the connection raises, leaves nothing behind, and begins when Redis is back."""
    with RedisServer() as server:
        async with RealtimePublisher.connect(f"{server.url}?timeout=0.2", prefix=prefix) as realtime:
            server.kill()
            with pytest.raises(RedisError):
                async with realtime.subscribe("orders"):
                    pass
            assert realtime._feeds == {}
            server.start()
            async with realtime.subscribe("orders") as messages:
                await realtime.publish("orders", "said", 1)
                assert payloads(await take(messages, 1)) == [1]
    assert_nothing_goes_on()


# -- presence ----------------------------------------------------------------------------------------------------


async def test_who_is_present(realtime: RealtimePublisher, other: RealtimePublisher) -> None:
    """Members come with their first connection and go with their last; everybody in the room hears of both."""
    async with realtime.subscribe("orders", "1") as here, realtime.subscribe("orders", "2") as elsewhere:
        async with realtime.join("orders", "eva", room="1", info={"name": "Eva"}):
            async with other.join("orders", "eva", room="1"), other.join("orders", "tom", room="1"):
                assert [one.member for one in await realtime.presence("orders", "1")] == ["eva", "tom"]
                assert await other.presence("orders", "2") == await other.presence("orders") == []
            assert await other.presence("orders", "1") == [PresenceMember("eva", {"name": "Eva"})]
        news = [(message.event, message.payload["type"], message.payload["member"]) for message in await take(here, 4)]
        assert news == [
            ("presence", "joined", "eva"),
            ("presence", "joined", "tom"),
            ("presence", "left", "tom"),
            ("presence", "left", "eva"),
        ]
        await realtime.publish("orders", "said", 1, room="2")
        assert payloads(await take(elsewhere, 1)) == [1]
    with pytest.raises(InvalidArgumentError, match="member must be text"):
        async with realtime.join("orders", ""):
            pass
    assert await realtime.presence("orders", "1") == []


async def test_the_members_of_a_killed_process_vanish(redis_server: RedisServer, prefix: str) -> None:
    """Nobody says goodbye for a process that was killed: its members are gone after their time, and others hear it."""
    async with RealtimePublisher.connect(redis_server.url, prefix=prefix, presence_ttl=0.3) as realtime:
        worker = Worker("tests.support.broadcasting")
        try:
            async with realtime.subscribe("orders", "1") as messages, realtime.join("orders", "eva", room="1"):
                where = {"url": redis_server.url, "prefix": prefix, "ttl": 0.3, "channel": "orders", "room": "1"}
                worker.order(what="join", member="tom", **where)
                await worker.hear("idle")
                assert [one.payload["member"] for one in await take(messages, 2)] == ["eva", "tom"]
                worker.kill()
                [left] = await take(messages, 1)
                assert left.payload == {"type": "left", "member": "tom", "info": None}
                assert [one.member for one in await realtime.presence("orders", "1")] == ["eva"]
        finally:
            worker.kill()


# -- outages -----------------------------------------------------------------------------------------------------


async def test_messages_of_another_process(redis_server: RedisServer, prefix: str) -> None:
    """Fifty subscribers of this process get all messages of another one, in order, once each."""
    worker = Worker("tests.support.broadcasting")
    try:
        async with (
            RealtimePublisher.connect(redis_server.url, prefix=prefix) as realtime,
            contextlib.AsyncExitStack() as s,
        ):
            subscriptions = [await s.enter_async_context(realtime.subscribe("orders", "1")) for _ in range(50)]
            worker.order(what="publish", url=redis_server.url, prefix=prefix, channel="orders", room="1", count=300)
            heard = await asyncio.gather(*[take(subscription, 300) for subscription in subscriptions])
            assert all(payloads(one) == list(range(300)) for one in heard)
            await worker.hear("idle")
    finally:
        worker.kill()


async def test_a_connection_that_is_cut_loses_nothing(redis_server: RedisServer, prefix: str) -> None:
    """However often the subscriber's connection breaks, and wherever, each message comes once and in order."""
    plans = [Plan(cut_down=number, reset=number % 2 == 0) for number in (401, 700, 1203, 2048, 3501, 4800)]
    async with (
        Proxy(redis_server.port, *plans) as proxy,
        RealtimePublisher.connect(f"redis://127.0.0.1:{proxy.port}/0", prefix=prefix) as realtime,
        RealtimePublisher.connect(redis_server.url, prefix=prefix) as publisher,
        realtime.subscribe("orders") as first,
        realtime.subscribe("orders") as second,
    ):

        async def publish() -> None:
            for number in range(400):
                await publisher.publish("orders", "said", number)
                await asyncio.sleep(0.002)

        publishing = asyncio.ensure_future(publish())
        heard = await asyncio.gather(take(first, 400), take(second, 400))
        await publishing
        assert payloads(heard[0]) == payloads(heard[1]) == list(range(400))
        assert proxy.accepted > 4


async def test_a_lost_answer_is_no_second_message(redis_server: RedisServer, prefix: str) -> None:
    """A message whose answer was lost is sent again by itself, and is one message."""
    cuts = range(60, 400, 20)
    async with (
        RealtimePublisher.connect(redis_server.url, prefix=prefix) as reader,
        reader.subscribe("orders") as messages,
    ):
        for cut in cuts:
            async with Proxy(redis_server.port) as proxy:
                url = f"redis://127.0.0.1:{proxy.port}/0"
                async with RealtimePublisher.connect(url, prefix=prefix) as publisher:
                    cutting = cut_once(proxy, cut)
                    await publisher.publish("orders", "said", cut)
                    await asyncio.gather(*cutting)
        assert payloads(await take(messages, len(cuts))) == list(cuts)
        await reader.publish("orders", "said", "last")
        assert payloads(await take(messages, 1)) == ["last"]


def cut_once(proxy: Proxy, after: int) -> list[asyncio.Task[None]]:
    """Cut all connections when so many bytes more have passed; the list gets what does it."""
    least = proxy.passed + after
    cutting: list[asyncio.Task[None]] = []

    def look(passed: int) -> None:
        if passed >= least and not cutting:
            cutting.append(asyncio.ensure_future(proxy.cut()))

    proxy.on_pass = look
    return cutting


async def publish_until_taken(publisher: RealtimePublisher, event_id: str) -> None:
    """Publish, and repeat it with the same event id as long as it fails."""
    while True:
        try:
            await publisher.publish("orders", "said", event_id, room="1", event_id=event_id)
        except RedisError:
            await asyncio.sleep(0.02)
        else:
            return


async def test_nothing_is_lost_or_repeated_when_redis_is_killed(prefix: str) -> None:
    """Redis is killed and started again under publishers and subscribers; with its log, each message comes once.

    Publishers repeat what failed with the same event id.
    """
    heard: list[Any] = []
    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as server:
        url = f"{server.url}?timeout=0.5"
        async with (
            RealtimePublisher.connect(url, prefix=prefix) as publisher,
            RealtimePublisher.connect(url, prefix=prefix) as reader,
            reader.subscribe("orders", "1") as first,
            reader.subscribe("orders", "1") as second,
        ):

            async def publish(name: str) -> None:
                for number in range(100):
                    await publish_until_taken(publisher, f"{name}:{number}")
                    await asyncio.sleep(0.002)

            async def kill() -> None:
                for count in (40, 120, 200):
                    await wait_until(lambda least=count: len(heard) >= least, timeout=20)  # type: ignore[misc]
                    await asyncio.to_thread(server.restart)

            async def listen() -> None:
                while len(heard) < 300:
                    heard.append(await anext(first))

            async with asyncio.timeout(30):
                await asyncio.gather(kill(), listen(), *[publish(name) for name in "abc"])
            assert payloads(await take(second, 300)) == payloads(heard)
    for name in "abc":
        own = [one for one in payloads(heard) if one.startswith(name)]
        assert own == [f"{name}:{number}" for number in range(100)]


async def test_without_notices_the_stream_is_asked_in_intervals(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user of Redis may not be told of changes, messages come by asking."""
    monkeypatch.setattr("rustforge.notify.realtime.publisher.POLL_SECONDS", 0.02)
    with RedisServer() as server:
        talk(server.port, "ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-client|tracking")
        url = f"redis://app:secret@127.0.0.1:{server.port}/0"
        async with RealtimePublisher.connect(url, prefix=prefix) as realtime, connect(server.url) as client:
            assert realtime.client.tracking is False
            async with realtime.subscribe("orders") as messages, RealtimePublisher(client, prefix=prefix) as other:
                await other.publish("orders", "said", 1)
                assert payloads(await take(messages, 1)) == [1]
