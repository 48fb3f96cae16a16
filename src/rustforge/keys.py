"""The name of every key that Rustforge writes to Redis.

A cache with the prefix `shop` keeps the value `article:1` under `shop:article:1`. What it needs beside the values has
a tilde where values have the colon, so that neither can be mistaken for the other: `shop~tag:...`, `shop~lock:...`,
`shop~rate:...`. The keys of a job queue share a hash tag, so that a cluster keeps them together:
`shop~{jobs:mail}:...`; so do those of a realtime channel, and of each of its rooms: `shop~{rt:orders}:...`,
`shop~{rt:orders/42}:...`. The values of a prefix `shop:eu` lie among those of `shop`, and `flush_all` of `shop`
removes them.
"""

from __future__ import annotations

import re

from rustforge.errors import InvalidArgumentError, InvalidTypeError

__all__ = ["MAX_KEY_BYTES", "KeySpace"]

MAX_KEY_BYTES = 1024
"""The longest key, in bytes of UTF-8, without the prefix."""

_SHORT = MAX_KEY_BYTES // 4
_LONGEST_PREFIX = 128
_QUEUE = re.compile(r"[A-Za-z0-9_.-]{1,128}(/\d{1,4})?")
_CHANNEL = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_ROOM = re.compile(r"[A-Za-z0-9_.:@+-]{1,128}")
_FORBIDDEN_IN_PREFIX = frozenset(" {}*?[]^\\~")


class KeySpace:
    """The keys of one prefix.

    Attributes:
        prefix: The prefix, or `None`: then keys stand in Redis as they are.
    """

    __slots__ = ("_internal", "_values", "prefix")

    def __init__(self, prefix: str | None) -> None:
        """Check the prefix.

        Args:
            prefix: Up to 128 printable characters without blanks, braces, tildes and glob characters; or `None`.

        Raises:
            InvalidArgumentError: The prefix has a forbidden character, is empty or too long.
            InvalidTypeError: It is not a string.
        """
        if prefix is not None:
            _require_text(prefix, "prefix")
            if len(prefix) > _LONGEST_PREFIX or not prefix.isprintable() or not _FORBIDDEN_IN_PREFIX.isdisjoint(prefix):
                msg = f"prefix {prefix!r} must be at most 128 characters, without blanks and any of {{}}*?[]^\\~"
                raise InvalidArgumentError(msg)
        self.prefix: str | None = prefix
        self._values = "" if prefix is None else f"{prefix}:"
        self._internal = "~" if prefix is None else f"{prefix}~"

    def value(self, key: str) -> str:
        """Name the key of a cached value.

        Raises:
            InvalidArgumentError: The key is empty, longer than 1,024 bytes, not encodable, or (without a prefix)
                starts with the tilde that marks internal keys.
            InvalidTypeError: The key is not a string.
        """
        if type(key) is str and 0 < len(key) <= _SHORT and self._values and key.isascii():
            return self._values + key
        _require_text(key, "key")
        if self.prefix is None and key[0] == "~":
            msg = f"key {key!r} must not start with a tilde where the cache has no prefix"
            raise InvalidArgumentError(msg)
        return self._values + key

    @property
    def all_values(self) -> str:
        """What the keys of all values start with."""
        return self._values

    def tag(self, name: str) -> str:
        """Name the key that holds a tag's version."""
        _require_text(name, "tag")
        return f"{self._internal}tag:{name}"

    def lock(self, name: str) -> str:
        """Name the key of a lock."""
        _require_text(name, "lock name")
        return f"{self._internal}lock:{name}"

    def rate(self, name: str) -> str:
        """Name the key of a rate limit."""
        _require_text(name, "rate limit key")
        return f"{self._internal}rate:{name}"

    def jobs(self, queue: str) -> str:
        """Name what all keys of a job queue start with.

        Raises:
            InvalidArgumentError: The queue's name has other characters than letters, digits, `_`, `.`, `-` and, before
                a shard's number, `/`; or it is empty or longer than 128 characters.
            InvalidTypeError: It is not a string.
        """
        _require_text(queue, "queue name")
        if not _QUEUE.fullmatch(queue):
            msg = f"queue name {queue!r} must have 1 to 128 letters, digits, '_', '.' or '-'"
            raise InvalidArgumentError(msg)
        return f"{self._internal}{{jobs:{queue}}}"

    def realtime(self, channel: str, room: str | None = None) -> str:
        """Name what all keys of a realtime channel start with, or those of one of its rooms.

        Raises:
            InvalidArgumentError: A name has other characters than letters, digits, `_`, `.`, `:`, `-` and, in a room,
                `@` and `+`; or it is empty or longer than 128 characters.
            InvalidTypeError: It is not a string.
        """
        _require_text(channel, "channel")
        if not _CHANNEL.fullmatch(channel):
            msg = f"channel {channel!r} must have 1 to 128 letters, digits, '_', '.', ':' or '-'"
            raise InvalidArgumentError(msg)
        if room is None:
            return f"{self._internal}{{rt:{channel}}}"
        _require_text(room, "room")
        if not _ROOM.fullmatch(room):
            msg = f"room {room!r} must have 1 to 128 letters, digits, '_', '.', ':', '@', '+' or '-'"
            raise InvalidArgumentError(msg)
        return f"{self._internal}{{rt:{channel}/{room}}}"


def _require_text(text: object, what: str) -> None:
    """Refuse what cannot be a part of a key."""
    if not isinstance(text, str):
        msg = f"{what} must be a str, not {type(text).__name__}"
        raise InvalidTypeError(msg)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        msg = f"{what} {text!r} cannot be written as UTF-8: {error.reason}"
        raise InvalidArgumentError(msg) from error
    if not 0 < size <= MAX_KEY_BYTES:
        msg = f"{what} must have 1 to {MAX_KEY_BYTES:,} bytes, not {size:,}; hash long ones"
        raise InvalidArgumentError(msg)
