"""How a cached value stands in Redis.

Most values are stored as they are: text, or JSON. A value that needs more carries a header, which starts with the
byte 0xFF; since no UTF-8 text has that byte, the two cannot be confused.

    0xFF | flags | lease owner (16) | lease end (13) | window (13) | cost (9) | id (8) | tags (JSON) | 0xFF | payload

All numbers are decimal milliseconds, so that Lua reads them. The flags are 1 for a lease without a value, which ends
after the lease's end; else 2 for a compressed payload, 4 where window, cost and tags count, or both.

The process that computes a missing value takes the lease. Because it stands in the value's own key, whatever removes
or replaces the value also takes the lease away, and a computation that was overtaken cannot store its outdated
result.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from dataclasses import dataclass, field

__all__ = ["HEADER_BYTES", "MARK", "NO_OWNER", "Entry", "has_tags", "identity", "is_lease", "is_soft", "window_of"]

MARK = b"\xff"
"""What a header starts and ends with."""
_LEASE, _COMPRESSED, _SOFT = 1, 2, 4
_VALUES = frozenset({_COMPRESSED, _SOFT, _COMPRESSED | _SOFT})
_LEASE_BYTES = 31
_WINDOW = slice(31, 44)
_COST = slice(44, 53)
_MAX_COST = 999_999_999
_ID = slice(53, 61)
HEADER_BYTES = 61
"""The length of the part of the header that has a fixed place."""
NO_OWNER = b"0" * 16
"""What stands for an owner where nobody holds the lease."""


@dataclass(slots=True)
class Entry:
    """One stored value.

    Attributes:
        payload: The text or JSON.
        window: Milliseconds that the value is kept beyond its time to live, to be served while it is recomputed.
        cost: Milliseconds that computing it took.
        tags: The tags with the version that each had.
        soft: Whether the entry carries window, cost and tags.
    """

    payload: bytes
    window: int = 0
    cost: int = 0
    tags: dict[str, str] = field(default_factory=dict[str, str])
    soft: bool = False

    @classmethod
    def parse(cls, raw: bytes) -> Entry | None:
        """Read what Redis holds; `None` for a lease without a value.

        What has no header, or one that is not understood, is a payload as it stands.
        """
        if raw[:1] != MARK:
            return cls(raw)
        if is_lease(raw):
            return None
        flags = raw[1] if len(raw) > HEADER_BYTES else 0
        try:
            if flags not in _VALUES:
                return cls(raw)
            tags_end = raw.index(MARK, HEADER_BYTES)
            payload = raw[tags_end + 1 :]
            if flags & _COMPRESSED:
                payload = zlib.decompress(payload)
            tags: dict[str, str] = json.loads(raw[HEADER_BYTES:tags_end] or b"{}")
            return cls(payload, int(raw[_WINDOW]), int(raw[_COST]), tags, bool(flags & _SOFT))
        except (ValueError, zlib.error):
            return cls(raw)

    def pack(self, compress_above: int | None) -> bytes:
        """Write the entry; a payload longer than `compress_above` bytes is compressed where that makes it smaller."""
        payload, flags = self.payload, _SOFT if self.soft else 0
        if compress_above is not None and len(payload) > compress_above:
            smaller = zlib.compress(payload, 1)
            if len(smaller) + HEADER_BYTES < len(payload):
                payload, flags = smaller, flags | _COMPRESSED
        if not flags:
            return payload
        tags = json.dumps(self.tags, separators=(",", ":")).encode() if self.tags else b""
        cost = min(self.cost, _MAX_COST)
        head = b"\xff%c%b%013d%013d%09d%b" % (flags, NO_OWNER, 0, self.window, cost, secrets.token_hex(4).encode())
        return head + tags + b"\xff" + payload


def is_lease(start: bytes) -> bool:
    """Tell whether the start of a stored value says that it is only a lease."""
    return len(start) >= _LEASE_BYTES and start[:2] == MARK + bytes([_LEASE])


def is_soft(start: bytes) -> bool:
    """Tell whether a stored value, of which this is more than the header, has a window, a cost and tags."""
    return len(start) > HEADER_BYTES and start[:1] == MARK and start[1] in {_SOFT, _SOFT | _COMPRESSED}


def has_tags(start: bytes) -> bool:
    """Tell whether a stored value, of which this is more than the header, has tags."""
    return is_soft(start) and start[HEADER_BYTES] != MARK[0]


def window_of(start: bytes) -> int:
    """Read the window out of the start of a stored value; 0 where it has none."""
    return int(start[_WINDOW]) if is_soft(start) and start[_WINDOW].isdigit() else 0


def identity(raw: bytes) -> str:
    """Name one stored value as the `LEASE` script does: by the id in its header, or by the SHA-1 of all of it."""
    return raw[_ID].decode("latin-1") if is_soft(raw) else hashlib.sha1(raw, usedforsecurity=False).hexdigest()
