"""What all parts of a cache share: reading and writing entries, tags, and what happens while Redis is away."""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from rustforge.cache.breaker import Breaker
from rustforge.cache.entry import Entry
from rustforge.cache.near import NearCache, NearStore
from rustforge.cache.scripts import TAG
from rustforge.cache.statistics import CacheStatistics
from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import (
    InvalidArgumentError,
    RedisConnectionError,
    RedisError,
    RedisOutOfMemoryError,
    RedisOverloadedError,
    RedisReadOnlyError,
    RedisReplyError,
    RedisTimeoutError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustforge.keys import KeySpace
    from rustforge.redis import RedisClient

__all__ = ["UNAVAILABLE", "EntryStore", "Look", "WhenUnavailable"]

_logger = logging.getLogger(__name__)
_NONE: tuple[str, ...] = ()

UNAVAILABLE = (
    RedisConnectionError,
    RedisTimeoutError,
    RedisOverloadedError,
    RedisReadOnlyError,
    RedisOutOfMemoryError,
)
"""The errors after which a cache that may work without Redis does so."""

WhenUnavailable: TypeAlias = Literal["raise", "compute"]
"""What a cache does while Redis cannot serve it."""


class Look(NamedTuple):
    """What was found under a key.

    Attributes:
        raw: The stored bytes, or `None`.
        remaining: Milliseconds as of PTTL: -1 without expiry, -2 where the key is missing.
        versions: The tags' versions that were read along; `None` for a tag without one.
    """

    raw: bytes | None
    remaining: int
    versions: dict[str, str | None]


class EntryStore:
    """Reads and writes entries by their full Redis keys.

    Attributes:
        client: The connection.
        keys: The names of the keys.
        near: The near cache, or `None`.
        statistics: The counters.
        may_compute: Whether the cache goes on without Redis.
    """

    def __init__(
        self,
        client: RedisClient,
        keys: KeySpace,
        *,
        near: NearCache | None,
        compress_above: int | None,
        when_unavailable: WhenUnavailable,
    ) -> None:
        """Check the options."""
        if when_unavailable not in {"raise", "compute"}:
            msg = f"when_unavailable must be 'raise' or 'compute', not {when_unavailable!r}"
            raise InvalidArgumentError(msg)
        if compress_above is not None and compress_above < 0:
            msg = f"compress_above must be a number of bytes or None, not {compress_above!r}"
            raise InvalidArgumentError(msg)
        self.client = client
        self.keys = keys
        self.statistics = CacheStatistics()
        self.may_compute = when_unavailable == "compute"
        self.near: NearStore | None = None
        self._breaker = Breaker(SYSTEM_CLOCK)
        self._compress_above = compress_above
        if near is not None:
            self.near = NearStore(near, SYSTEM_CLOCK)
            client.add_listener(self.near.hear)

    def close(self) -> None:
        """Stop listening to the connection."""
        if self.near is not None:
            self.client.remove_listener(self.near.hear)

    # -- reading -------------------------------------------------------------------------------------------------

    async def fetch(self, full: str) -> bytes | None:
        """Read the stored bytes, from the near cache where it has them; `None` also while Redis is away."""
        statistics = self.statistics
        if self.near is not None:
            raw = self.near.get(full)
            if raw is not None:
                statistics.near_hits += 1
                return raw
        if self.refuses():
            return None
        started = time.perf_counter()
        try:
            if self.near is None:
                raw = await self.client.call("GET", full, retry=True)
            else:
                raw, _ = await self._fetch_near(self.near, full)
        except UNAVAILABLE as error:
            self.unavailable(error)
            return None
        statistics.reads += 1
        statistics.read_seconds += time.perf_counter() - started
        self.worked()
        return raw

    async def _fetch_near(self, near: NearStore, full: str) -> tuple[bytes | None, int]:
        """Read a key so that the near cache may hold it."""
        mark = near.begin(full)
        raw, remaining = await self.client.track(full)
        if self.client.tracking:
            near.finish(full, mark, raw, remaining)
        return raw, remaining

    async def look(self, full: str, tags: Iterable[str] = _NONE) -> Look:
        """Read an entry, what is left of its life, and its tags' versions, in one round trip.

        Raises:
            RedisError: Redis could not be asked; also where the cache may go on without it.
        """
        near = self.near
        names = list(tags)
        tag_keys = [self.keys.tag(name) for name in names]
        if near is not None:
            raw = near.get(full)
            if raw is None:
                raw, remaining = await self._fetch_near(near, full)
            else:
                self.statistics.near_hits += 1
                remaining = near.remaining(full)
            found: list[Any] = []
            for key in tag_keys:
                version = near.get(key)
                found.append(version if version is not None else (await self._fetch_near(near, key))[0])
        else:
            raw, remaining, *found = await self.client.pipeline(
                [("GET", full), ("PTTL", full), *[("GET", key) for key in tag_keys]], retry=True
            )
            for answer in (raw, remaining, *found):
                if isinstance(answer, RedisReplyError):
                    raise answer
        versions = {name: None if raw is None else raw.decode() for name, raw in zip(names, found, strict=True)}
        return Look(raw, remaining, versions)

    async def current(self, entry: Entry, versions: dict[str, str | None] | None = None) -> bool:
        """Tell whether none of an entry's tags was invalidated since it was computed."""
        if not entry.tags:
            return True
        known = versions or {}
        missing = [name for name in entry.tags if name not in known]
        if missing:
            known = known | await self._versions(missing)
        return all(known[name] == version for name, version in entry.tags.items())

    async def _versions(self, names: list[str]) -> dict[str, str | None]:
        keys = [self.keys.tag(name) for name in names]
        raw = [await self.fetch(key) for key in keys] if self.near else await self.client.mget(keys)
        return {name: None if value is None else value.decode() for name, value in zip(names, raw, strict=True)}

    async def open_entry(self, raw: bytes) -> bytes | None:
        """Take a value out of its header; `None` for a lease and for a value whose tags were invalidated."""
        entry = Entry.parse(raw)
        if entry is None:
            return None
        if entry.tags:
            try:
                if not await self.current(entry):
                    return None
            except UNAVAILABLE as error:
                self.unavailable(error)
                return None
        return entry.payload

    # -- writing -------------------------------------------------------------------------------------------------

    async def pack(self, payload: bytes, life_ms: int, tags: Iterable[str] = _NONE) -> bytes:
        """Write a value with the present versions of its tags.

        Args:
            payload: The text or JSON.
            life_ms: How long the value will live; 0 for ever.
            tags: Its tags.
        """
        versions = await self.tag_versions(tags, life_ms)
        return self.pack_entry(Entry(payload, tags=versions, soft=bool(versions)))

    def pack_plain(self, payload: bytes) -> bytes:
        """Write a value that needs no header, except where it is compressed."""
        return Entry(payload).pack(self._compress_above)

    def pack_entry(self, entry: Entry) -> bytes:
        """Write an entry, compressed where the cache's options say so."""
        return entry.pack(self._compress_above)

    async def tag_versions(self, tags: Iterable[str], life_ms: int) -> dict[str, str]:
        """Read the versions of tags, making those that have none, and let them outlive what will carry them."""
        names = list(tags)
        if not names:
            return {}
        pending = [
            self.client.run(TAG, [self.keys.tag(name)], [new_version(), life_ms and life_ms + 1000], retry=True)
            for name in names
        ]
        return {name: (await reply).decode() for name, reply in zip(names, pending, strict=True)}

    # -- while Redis is away -------------------------------------------------------------------------------------

    def unavailable(self, error: RedisError) -> None:
        """Count that Redis could not serve; raise the error unless the cache may go on without it."""
        self.statistics.unavailable += 1
        if not self.may_compute:
            raise error
        if self._breaker.failed():
            _logger.error("Redis cannot be used; going on without cache: %s", error)

    def worked(self) -> None:
        """Note that Redis serves."""
        if self._breaker.failures:
            self._breaker.worked()

    def refuses(self) -> bool:
        """Tell whether to leave Redis alone for now, after it failed repeatedly."""
        return self.may_compute and self._breaker.refuses()


def new_version() -> str:
    """Make a version that no tag ever had."""
    return secrets.token_hex(8)
