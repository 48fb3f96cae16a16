"""Publish to browsers and to processes, and subscribe."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from rustforge import codec
from rustforge.clock import milliseconds
from rustforge.errors import InvalidArgumentError, RealtimeError
from rustforge.jobs.envelope import new_id
from rustforge.keys import KeySpace
from rustforge.notify.realtime.feed import Feed
from rustforge.notify.realtime.message import check_event, check_event_id, check_since, write_payload
from rustforge.notify.realtime.presence import Presence
from rustforge.notify.realtime.scripts import PUBLISH
from rustforge.notify.realtime.subscription import Subscription
from rustforge.redis import connect
from rustforge.redis.opening import Opening

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from rustforge.notify.delivery import DeliveryJob
    from rustforge.notify.fanout import Target
    from rustforge.notify.realtime.message import PresenceMember
    from rustforge.redis import RedisClient
    from rustforge.types import Duration

__all__ = ["RealtimePublisher"]

POLL_SECONDS = 0.5
"""How often Redis is asked for messages where it does not tell of them."""

_REMEMBERED_MS = 24 * 3600 * 1000
_RESENT_MS = 60_000
_LIVE_MESSAGES = 1000
_LIVE_MS = 60_000
_AT_ONCE = 100


class RealtimePublisher:
    """Publishes messages to channels and their rooms, and subscribes to them, by Redis.

    A message to a room reaches who subscribed to that room; a message without one, who subscribed to the channel
    itself. One object serves all tasks of an event loop.

    Attributes:
        client: The connection.
        owns_client: Whether `aclose` also closes it, as it does for one that `connect` opened.
        durable: How messages are published where nothing else is said.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        prefix: str | None = None,
        durable: bool = True,
        max_messages: int = 100_000,
        retention: Duration = 24 * 3600,
        max_payload_bytes: int = 64 << 10,
        presence_ttl: Duration = 30,
    ) -> None:
        """Use a connection that somebody else opens and closes.

        Args:
            client: The connection.
            prefix: What stands before every key; the same for all who share the channels.
            durable: Whether messages are kept for those who come back. Those who publish in another way say so with
                each message.
            max_messages: About how many messages a channel or room keeps at most.
            retention: How long they are kept, in seconds or as a `timedelta`; some may stay longer.
            max_payload_bytes: The largest payload in bytes of JSON.
            presence_ttl: After how many seconds a member is gone whose process does not say any more that it is there.

        Raises:
            InvalidArgumentError: A number cannot be used.
        """
        if type(max_messages) is not int or max_messages < 1:
            msg = f"max_messages must be an int of at least 1, not {max_messages!r}"
            raise InvalidArgumentError(msg)
        lease = milliseconds(presence_ttl, "presence_ttl")
        self.client = client
        self.owns_client: bool = False
        self.durable = durable
        self._keys = KeySpace(prefix)
        self._kinds = {True: (max_messages, milliseconds(retention, "retention")), False: (_LIVE_MESSAGES, _LIVE_MS)}
        self._longest = max_payload_bytes
        self._feeds: dict[bytes, Feed] = {}
        self._subscriptions: set[Subscription] = set()
        self._presence = Presence(client, lease)
        self._beat = lease / 3000
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    def connect(cls, url: str, **options: Any) -> OpeningPublisher:
        """Connect to Redis: `async with RealtimePublisher.connect(url) as realtime`, or `await` it and call `aclose()`.

        Args:
            url: As for [`Cache.connect`][rustforge.cache.Cache.connect].
            **options: As for the class.
        """
        return OpeningPublisher(lambda: cls(connect(url), **options))

    # -- publishing ----------------------------------------------------------------------------------------------

    async def publish(
        self,
        channel: str,
        event: str,
        payload: object = None,
        *,
        room: str | None = None,
        durable: bool | None = None,
        event_id: str | None = None,
    ) -> str | None:
        """Publish a message.

        Args:
            channel: The channel: 1 to 128 letters, digits or `_.:-`.
            event: What happened, such as `"order.paid"`: 1 to 200 letters, digits or `_.:/-`.
            payload: Anything Pydantic can write as JSON.
            room: The room, for a message to those in it only: 1 to 128 letters, digits or `_.:@+-`.
            durable: Whether the message is kept and has an id, so that who was away gets it, too. Without, it reaches
                those who listen now, and costs a busy channel less. `None` is what the publisher was made with.
            event_id: An id of the event: 1 to 200 letters, digits or `_:-`. Published again within 24 hours, it is
                still one message. Subscribers see it.

        Returns:
            The id of the message, that of the first one where its event was published before; `None` where it is not
                durable.

        Raises:
            InvalidArgumentError: A name cannot be used, or the payload is too large or not JSON.
            RedisError: Redis does not answer. A message with an `event_id` can safely be published again.

        Example:
            ```python
            await ctx.realtime.publish("orders", "order.paid", {"total": 4200}, room="42")
            ```
        """
        keep = self.durable if durable is None else durable
        base = self._keys.realtime(channel, room)
        [found] = await self._add(base, [self._write(event, payload, event_id)], durable=keep)
        return found if keep else None

    async def publish_many(
        self,
        channel: str,
        messages: Iterable[tuple[str, object]],
        *,
        room: str | None = None,
        durable: bool | None = None,
    ) -> list[str | None]:
        """Publish many messages to one channel or room, in order.

        All are written before the first is sent, so one that cannot be written publishes none of them.

        Args:
            channel: The channel.
            messages: For each its event and its payload.
            room: The room, or `None`.
            durable: As for [`publish`][rustforge.notify.RealtimePublisher.publish].

        Returns:
            Their ids, in order; `None` for each where they are not durable.

        Raises:
            InvalidArgumentError: A name cannot be used, or a payload is too large or not JSON.
            RedisError: Redis does not answer; the first of them may have been published.
        """
        keep = self.durable if durable is None else durable
        base = self._keys.realtime(channel, room)
        written = [self._write(event, payload, None) for event, payload in messages]
        parts = [written[start : start + _AT_ONCE] for start in range(0, len(written), _AT_ONCE)]
        found = [one for part in parts for one in await self._add(base, part, durable=keep)]
        return found if keep else [None] * len(found)  # type: ignore[return-value]

    def _write(self, event: str, payload: object, event_id: str | None) -> tuple[str, int, str, bytes]:
        """Write a message for the script."""
        if event_id is not None:
            check_event_id(event_id)
        return event_id or "", _REMEMBERED_MS, check_event(event), write_payload(payload, self._longest)

    async def _add(self, base: str, messages: list[tuple[str, int, str, bytes]], *, durable: bool) -> list[str]:
        """Add messages; those that are durable are sent again where the answer was lost, and are known by an id."""
        longest, keep = self._kinds[durable]
        words: list[str | int | bytes] = [int(durable), longest, keep]
        for event_id, remembered, event, payload in messages:
            known = (event_id, remembered) if event_id or not durable else (f"~{new_id()}", _RESENT_MS)
            words += (*known, event, payload)
        retry = durable or all(message[0] for message in messages)
        return [found.decode() for found in await self.client.run(PUBLISH, [base], words, retry=retry)]

    @staticmethod
    def target(
        channel: str,
        event: str,
        payload: object = None,
        *,
        room: str | None = None,
        job: type[DeliveryJob] | None = None,
    ) -> Target:
        """Make a target for [`fan_out`][rustforge.notify.fan_out]: a message, published by a job after the commit.

        Its `event_id` is that of the event, so that it is one message however often the job runs within 24 hours.

        Args:
            channel: The channel.
            event: What happened.
            payload: Anything Pydantic can write as JSON, up to 64 KiB.
            room: The room, or `None`.
            job: A subclass of [`DeliverRealtime`][rustforge.notify.DeliverRealtime].

        Raises:
            InvalidArgumentError: A name cannot be used, or the payload is too large or not JSON.
        """
        from rustforge.notify.fanout import Target  # noqa: PLC0415 - it needs an extra
        from rustforge.notify.realtime.job import DeliverRealtime  # noqa: PLC0415 - so does this

        KeySpace(None).realtime(channel, room)
        message = {
            "channel": channel,
            "room": room,
            "event": check_event(event),
            "payload": codec.decode(write_payload(payload, 64 << 10)),
        }
        place = channel if room is None else f"{channel}/{room}"
        return Target("realtime", place, message, job or DeliverRealtime)

    # -- subscribing ---------------------------------------------------------------------------------------------

    def subscribe(self, channel: str, room: str | None = None, *, since: str | None = None) -> Subscription:
        """Listen to a channel, or to one of its rooms.

        Args:
            channel: The channel.
            room: The room, or `None` for messages to the channel itself.
            since: The id of the last message that is known already, to get those after it first; `"0-0"` for all that
                there are. `None` begins with what is published from now on.

        Returns:
            A subscription, to use with `async with` and to iterate over.

        Raises:
            InvalidArgumentError: A name or `since` cannot be used.
            RealtimeError: The publisher is closed.
        """
        base = self._keys.realtime(channel, room)
        if since is not None:
            check_since(since)
        self._require_open()
        return Subscription(partial(self._enter, base, channel, room), self._leave, since)

    def _enter(self, base: str, channel: str, room: str | None, subscription: Subscription) -> Feed:
        """Find or make the feed of a subscription that begins."""
        self._require_open()
        head = f"{base}:head".encode()
        feed = self._feeds.get(head)
        if feed is None:
            if not self._feeds:
                self.client.add_listener(self._hear)
            feed = self._feeds[head] = Feed(self.client, base, channel, room)
            self._look_after()
        self._subscriptions.add(subscription)
        return feed

    async def _leave(self, feed: Feed, subscription: Subscription) -> None:
        """Let a feed go that nobody needs any more."""
        self._subscriptions.discard(subscription)
        head = feed.head.encode()
        if not feed.listeners and self._feeds.get(head) is feed:
            del self._feeds[head]
            if not self._feeds:
                self.client.remove_listener(self._hear)
            await feed.aclose()

    def _hear(self, key: bytes | None) -> None:
        """Hear that there are messages, or that nothing is known any more."""
        if key is None:
            for feed in self._feeds.values():
                feed.poke()
        elif key in self._feeds:
            self._feeds[key].poke()

    # -- presence ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def join(
        self, channel: str, member: str, *, room: str | None = None, info: object = None
    ) -> AsyncGenerator[None]:
        """Be present in a channel or room for as long as the `async with` lasts.

        Subscribers get a message of the event `presence` when a member comes and when it goes; its payload has `type`
        (`joined` or `left`), `member` and `info`. A member of several connections, such as a user with two windows,
        comes with the first and goes with the last. When a process dies its members are gone after `presence_ttl`.

        Args:
            channel: The channel.
            member: Who it is, such as a user's id; 1 to 200 characters.
            room: The room, or `None`.
            info: What others should know, up to 4 KiB of JSON.

        Raises:
            InvalidArgumentError: A name or `info` cannot be used.
            RealtimeError: The publisher is closed.
            RedisError: Redis does not answer.
        """
        base = self._keys.realtime(channel, room)
        self._require_open()
        connection = await self._presence.join(base, member, info)
        self._look_after()
        try:
            yield
        finally:
            await self._presence.leave(base, connection)

    async def presence(self, channel: str, room: str | None = None) -> list[PresenceMember]:
        """List who is present in a channel or room, by name.

        Raises:
            InvalidArgumentError: A name cannot be used.
            RedisError: Redis does not answer.
        """
        base = self._keys.realtime(channel, room)
        feed = self._feeds.get(f"{base}:head".encode())
        if feed is not None:
            feed.peopled = True
        return await self._presence.show(base)

    # -- life cycle ----------------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        """See to it that what needs it is done in intervals."""
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep(), name="rustforge-realtime-keeper")

    async def _keep(self) -> None:
        """Read what may not have been told of, and say who is present, while there is anything of both."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._beat
        while self._feeds or self._presence.members:
            await asyncio.sleep(self._beat if self.client.tracking else min(POLL_SECONDS, self._beat))
            for feed in tuple(self._feeds.values()):
                feed.poke()
            if loop.time() >= due:
                due = loop.time() + self._beat
                await self._presence.keep([feed.base for feed in self._feeds.values() if feed.peopled])

    def _require_open(self) -> None:
        if self._closed:
            msg = "the publisher is closed"
            raise RealtimeError(msg)

    async def aclose(self) -> None:
        """End all subscriptions, and let this process' members go. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.end()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        feeds = list(self._feeds.values())
        if feeds:
            self._feeds.clear()
            self.client.remove_listener(self._hear)
        for feed in feeds:
            await feed.aclose()
        await self._presence.aclose()
        if self.owns_client:
            await self.client.aclose()

    async def __aenter__(self) -> Self:
        """Return the publisher."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.aclose()


class OpeningPublisher(Opening[RealtimePublisher]):
    """What `RealtimePublisher.connect` returns: `await` it, or use it with `async with`."""
