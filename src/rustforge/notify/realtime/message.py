"""What is published, and what a subscriber gets."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from rustforge import codec
from rustforge.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ORIGIN",
    "PRESENCE_EVENT",
    "Page",
    "PresenceMember",
    "RealtimeItem",
    "RealtimeMessage",
    "ReplayGap",
    "check_event",
    "check_event_id",
    "check_since",
    "follow",
    "write_payload",
]

Page: TypeAlias = "Sequence[tuple[bytes, Sequence[bytes]]]"
"""Entries of a stream: their ids, and their fields and values in turn."""

ORIGIN = "0-0"
"""The position before the first message."""

PRESENCE_EVENT = "presence"
"""The event of the messages that tell who came and went."""

_EVENT = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")
_EVENT_ID = re.compile(r"[A-Za-z0-9_:-]{1,200}")
_ID = re.compile(r"(0|[1-9]\d{0,18})-(0|[1-9]\d{0,18})", re.ASCII)
_RESERVED = frozenset({"error", "open", PRESENCE_EVENT, "replay_gap"})


class RealtimeMessage:
    """A message as a subscriber gets it.

    Attributes:
        channel: The channel.
        room: The room; `None` for a message to the channel itself.
        event: What happened, such as `"order.paid"`.
        id: The position in the channel or room, from which a subscriber goes on; `None` where the message was published
            at most once.
        event_id: The id that the publisher gave, or `None`.
    """

    __slots__ = (
        *("_op", "_payload", "_sse", "_text", "body"),
        *("channel", "event", "event_id", "id", "place", "previous", "room"),
    )

    def __init__(self, channel: str, room: str | None, entry: bytes, fields: Sequence[bytes]) -> None:
        """Take an entry of a stream; one that does not name the entry before it was published at most once."""
        found = dict(zip(fields[::2], fields[1::2], strict=True))
        self.channel: str = channel
        self.room: str | None = room
        self.place: str = entry.decode()
        self.event: str = found[b"e"].decode()
        self.previous: str | None = found[b"p"].decode() if b"p" in found else None
        self.id: str | None = None if self.previous is None else self.place
        self.event_id: str | None = found[b"i"].decode() or None
        self.body: bytes = found[b"d"]
        self._payload: Any = self  # until it is read
        self._text: str | None = None
        self._sse: bytes | None = None
        self._op: str | None = None

    @property
    def payload(self) -> Any:
        """What was published, as plain JSON."""
        if self._payload is self:
            self._payload = codec.decode(self.body)
        return self._payload

    @property
    def sent_at(self) -> datetime:
        """When it was published, by the clock of Redis."""
        return datetime.fromtimestamp(int(self.place.partition("-")[0]) / 1000, UTC)

    @property
    def text(self) -> str:
        """The message as JSON: an object with the attributes, without those that are `None`."""
        if self._text is None:
            parts = [("id", self.id), ("channel", self.channel), ("room", self.room), ("event", self.event)]
            parts.append(("event_id", self.event_id))
            # Names and ids have no character that JSON escapes.
            known = "".join(f'"{name}":"{value}",' for name, value in parts if value is not None)
            moment = self.sent_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._text = f'{{{known}"sent_at":"{moment}","payload":{self.body.decode()}}}'
        return self._text

    @property
    def sse(self) -> bytes:
        """The message as it goes over server-sent events."""
        if self._sse is None:
            place = "" if self.id is None else f"id: {self.id}\n"
            self._sse = f"event: {self.event}\n{place}data: {self.text}\n\n".encode()
        return self._sse

    @property
    def op(self) -> str:
        """The message as it goes over a WebSocket."""
        if self._op is None:
            kind = PRESENCE_EVENT if self.event == PRESENCE_EVENT else "event"
            self._op = f'{{"op":"{kind}",{self.text[1:]}'
        return self._op

    def __repr__(self) -> str:
        """Show where it belongs, and not what it says."""
        where = self.channel if self.room is None else f"{self.channel}/{self.room}"
        return f"<RealtimeMessage {self.event!r} of {where!r}, id {self.id}>"


@dataclass(frozen=True, slots=True)
class ReplayGap:
    """What a subscriber gets where messages are missing, so that it can read the state anew.

    They were older than what is kept, or Redis lost them.

    Attributes:
        channel: The channel.
        room: The room, or `None`.
        requested_since_id: The position from which the subscriber wanted to go on.
        first_available_id: The first message that comes after the gap; `None` where there is none yet.
        last_available_id: The last message that is known now; `None` where there is none.
        id: The position from which the subscriber goes on now.
    """

    channel: str
    room: str | None
    requested_since_id: str
    first_available_id: str | None
    last_available_id: str | None
    id: str

    @property
    def event(self) -> str:
        """`"replay_gap"`, which no message has."""
        return "replay_gap"

    @property
    def payload(self) -> dict[str, str | None]:
        """The attributes but `id`."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "id"}

    @property
    def text(self) -> str:
        """The same as JSON."""
        return json.dumps(self.payload, separators=(",", ":"))

    @property
    def sse(self) -> bytes:
        """The gap as it goes over server-sent events."""
        return f"event: replay_gap\nid: {self.id}\ndata: {self.text}\n\n".encode()

    @property
    def op(self) -> str:
        """The gap as it goes over a WebSocket."""
        return f'{{"op":"replay_gap",{self.text[1:]}'


RealtimeItem: TypeAlias = RealtimeMessage | ReplayGap
"""What a subscription gives: a message, or the news that some are missing."""


@dataclass(frozen=True, slots=True)
class PresenceMember:
    """Who is in a channel or room.

    Attributes:
        member: Who it is, such as a user's id.
        info: What was said of them, as plain JSON; `None` where nothing was.
    """

    member: str
    info: Any = None


def follow(channel: str, room: str | None, since: str, page: Page, last: str) -> list[RealtimeItem]:
    """Read messages that come after a position, and see where some are missing.

    Args:
        channel: The channel.
        room: The room, or `None`.
        since: The position.
        page: Entries of the stream, from there on.
        last: The id of the last message, as it was before the entries were read.
    """
    items: list[RealtimeItem] = []
    for entry, fields in page:
        message = RealtimeMessage(channel, room, entry, fields)
        if message.previous != since:
            newest = page[-1][0].decode()
            items.append(ReplayGap(channel, room, since, message.id, newest, message.previous or ORIGIN))
        items.append(message)
        since = message.place
    if not page and last != since:
        items.append(ReplayGap(channel, room, since, None, None if last == ORIGIN else last, last))
    return items


def check_event(event: object) -> str:
    """Refuse the name of an event that cannot be used.

    Raises:
        InvalidArgumentError: It has other characters than letters, digits and `_.:/-`, is empty, longer than 200, or
            one that means something else to a browser.
    """
    if not isinstance(event, str) or not _EVENT.fullmatch(event) or event in _RESERVED:
        msg = f"event {event!r} must have 1 to 200 letters, digits or _.:/-, and be none of {sorted(_RESERVED)}"
        raise InvalidArgumentError(msg)
    return event


def check_event_id(event_id: object) -> str:
    """Refuse an event's id that cannot be used.

    Raises:
        InvalidArgumentError: It has other characters than letters, digits and `_:-`, is empty or longer than 200.
    """
    if not isinstance(event_id, str) or not _EVENT_ID.fullmatch(event_id):
        msg = f"event_id {event_id!r} must have 1 to 200 letters, digits or _:-"
        raise InvalidArgumentError(msg)
    return event_id


def check_since(since: object) -> str:
    """Refuse what is no position.

    Raises:
        InvalidArgumentError: It is not the id of a message.
    """
    if not isinstance(since, str) or not _ID.fullmatch(since):
        msg = "since must be the id of a message, such as '1764000000000-0', or '0-0' for all that there are"
        raise InvalidArgumentError(msg)
    return since


def write_payload(payload: object, longest: int) -> bytes:
    """Write a payload as JSON.

    Raises:
        InvalidArgumentError: It is too long.
        InvalidTypeError: It is not JSON.
    """
    try:
        text = codec.encode(payload)
    except codec.EncodeError as error:
        msg = f"the payload cannot be published: {error}"
        raise InvalidTypeError(msg) from error
    if len(text) > longest:
        msg = f"the payload has {len(text):,} bytes as JSON; at most {longest:,} can be published: send a link to more"
        raise InvalidArgumentError(msg)
    return text
