"""What all parts of a cache share: reading and writing entries, tags, and what happens while Redis is away."""

from __future__ import annotations

import asyncio
import functools
import logging
import secrets
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar

from rustforge.cache.breaker import Breaker
from rustforge.cache.entry import MARK, Entry
from rustforge.cache.near import NearCache, NearStore
from rustforge.cache.scripts import TAG
from rustforge.cache.statistics import CacheStatistics
from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import InvalidArgumentError, InvalidTypeError, RedisClosedError, RedisError, RedisReplyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from rustforge.keys import KeySpace
    from rustforge.redis import RedisClient

__all__ = ["EntryStore", "Look", "Source", "WhenUnavailable", "is_outage", "new_version", "tag_names"]

T = TypeVar("T")

_logger = logging.getLogger(__name__)
_OUTAGES = frozenset(
    {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN"}
)

WhenUnavailable: TypeAlias = Literal["raise", "compute"]
"""What a cache does while Redis cannot serve it."""

Source: TypeAlias = Literal["redis", "near", "away"]
"""Who answered a read; nobody while Redis is away."""


class Look(NamedTuple):
    """What was found under a key.

    Attributes:
        raw: The stored bytes, or `None`.
        remaining: Milliseconds as of PTTL: -1 without expiry, -2 where the key is missing.
        versions: The tags' versions that were read along; `None` for a tag without one.
        near: Whether the near cache had it.
    """

    raw: bytes | None
    remaining: int
    versions: dict[str, str | None]
    near: bool = False


class EntryStore:
    """Reads and writes entries by their full Redis keys.

    Attributes:
        client: The connection.
        keys: The names of the keys.
        near: The near cache, or `None`.
        statistics: The counters.
        may_compute: Whether the cache goes on without Redis.
        direct: Reads from Redis, where nothing stands between it and the cache: neither a near cache nor a policy for
            outages. `Cache.get` and `Cache.remember` call it themselves, which saves the coroutine of `fetch`.
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
        self.statistics: CacheStatistics = CacheStatistics()
        self.may_compute: bool = when_unavailable == "compute"
        self.near: NearStore | None = None
        self.direct: Callable[[str], Awaitable[bytes | None]] | None = None
        if near is None and not self.may_compute:
            self.direct = client.get
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

    async def read(self, full: str) -> bytes | None:
        """Read a payload, and count whether there was one."""
        raw, source = await self.fetch(full)
        if raw is not None and raw[:1] == MARK:
            raw = await self.attempt(functools.partial(self.open_one, raw), None)
        if raw is None:
            self.statistics.misses += 1
        else:
            self.statistics.hits += 1
            self.statistics.near_hits += source == "near"
        return raw

    async def fetch(self, full: str) -> tuple[bytes | None, Source]:
        """Read the stored bytes; nothing while Redis is away and the cache may go on without it."""
        near = self.near
        if near is not None:
            raw = near.get(full)
            if raw is not None:
                return raw, "near"
        if self.may_compute and self._breaker.refuses():
            return None, "away"
        started = perf_counter()
        try:
            if near is None:
                raw = await self.client.get(full)
            else:
                raw, _ = await self._track(near, full)
        except RedisError as error:
            self.unavailable(error)
            return None, "away"
        self._count_read(started)
        return raw, "redis"

    async def look(self, full: str, tags: Iterable[str] = ()) -> Look:
        """Read an entry, what is left of its life, and its tags' versions, in one round trip.

        Raises:
            RedisError: Redis could not be asked; also where the cache may go on without it.
        """
        names = list(tags)
        near = self.near
        raw = None if near is None else near.get(full)
        if near is not None and raw is not None:
            return Look(raw, near.remaining(full), await self.versions(names), near=True)
        started = perf_counter()
        found: list[Any]
        if near is not None:
            (raw, remaining), versions = await asyncio.gather(self._track(near, full), self.versions(names))
        else:
            raw, remaining, *found = await self.whole_pipeline(
                [("GET", full), ("PTTL", full), *[("GET", self.keys.tag(name)) for name in names]]
            )
            versions = _by_name(names, found)
        self._count_read(started)
        return Look(raw, remaining, versions)

    async def versions(self, names: Sequence[str]) -> dict[str, str | None]:
        """Read the versions of tags; `None` for a tag that has none."""
        if not names:
            return {}
        near = self.near
        keys = [self.keys.tag(name) for name in names]
        if near is None:
            return _by_name(names, await self.client.mget(keys))
        found = [near.get(key) for key in keys]
        missing = [index for index, version in enumerate(found) if version is None]
        fetched = await asyncio.gather(*[self._track(near, keys[index]) for index in missing])
        for index, (version, _) in zip(missing, fetched, strict=True):
            found[index] = version
        return _by_name(names, found)

    async def current(self, entry: Entry, versions: Mapping[str, str | None] | None = None) -> bool:
        """Tell whether none of an entry's tags was invalidated since it was computed."""
        known: Mapping[str, str | None] = {} if versions is None else versions
        missing = [name for name in entry.tags if name not in known]
        if missing:
            known = {**known, **await self.versions(missing)}
        return all(known[name] == version for name, version in entry.tags.items())

    async def open_all(self, stored: Iterable[bytes | None]) -> list[bytes | None]:
        """Take values out of their headers; `None` for a lease and for a value whose tags were invalidated."""
        entries = [None if raw is None else Entry.parse(raw) for raw in stored]
        tags = dict.fromkeys(name for entry in entries if entry is not None for name in entry.tags)
        versions = await self.versions(list(tags))
        return [
            None if entry is None or any(versions[name] != version for name, version in entry.tags.items())
            else entry.payload
            for entry in entries
        ]  # fmt: skip

    async def open_one(self, raw: bytes) -> bytes | None:
        """Take one value out of its header."""
        return (await self.open_all([raw]))[0]

    async def whole_pipeline(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send commands that can be repeated; raise the first error among the answers."""
        answers = await self.client.pipeline(commands, retry=True)
        for answer in answers:
            if isinstance(answer, RedisReplyError):
                raise answer
        return answers

    async def _track(self, near: NearStore, full: str) -> tuple[bytes | None, int]:
        """Read a key so that the near cache may hold it."""
        mark = near.begin(full)
        raw, remaining = None, -2
        hold = False
        try:
            raw, remaining = await self.client.track(full)
            hold = self.client.tracking
        finally:
            near.finish(full, mark, raw if hold else None, remaining)
        return raw, remaining

    def _count_read(self, started: float) -> None:
        self.statistics.reads += 1
        self.statistics.read_seconds += perf_counter() - started
        self.worked()

    # -- writing -------------------------------------------------------------------------------------------------

    async def pack(self, payload: bytes, life_ms: int, tags: Iterable[str] = ()) -> bytes:
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
        life = life_ms and life_ms + 1000
        found = await asyncio.gather(
            *[self.client.run(TAG, [self.keys.tag(name)], [new_version(), life], retry=True) for name in names]
        )
        return {name: version.decode() for name, version in zip(names, found, strict=True)}

    # -- while Redis is away -------------------------------------------------------------------------------------

    async def attempt(self, work: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """Do what may be left out while Redis is away; return `otherwise` then."""
        if self.refuses():
            return otherwise
        try:
            result = await work()
        except RedisError as error:
            self.unavailable(error)
            return otherwise
        self.worked()
        return result

    def unavailable(self, error: RedisError) -> None:
        """Count that Redis could not serve; raise the error unless it is such an outage, and the cache may go on."""
        outage = is_outage(error)
        self.statistics.unavailable += outage
        if not (outage and self.may_compute):
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


def is_outage(error: RedisError) -> bool:
    """Tell whether an error means that Redis does not serve now, and not that a command was wrong."""
    if not isinstance(error, RedisReplyError):
        return not isinstance(error, RedisClosedError)
    # Inside of a script, Redis before version 7 puts its own words before the code.
    return error.code in _OUTAGES or any(f"-{code} " in str(error) for code in _OUTAGES)


def _by_name(names: Sequence[str], versions: Sequence[bytes | None]) -> dict[str, str | None]:
    return {name: None if raw is None else raw.decode() for name, raw in zip(names, versions, strict=True)}


def tag_names(tags: Iterable[str]) -> tuple[str, ...]:
    """Take each tag once; a single `str` is a mistake, and not a tag for each letter."""
    if isinstance(tags, str):
        msg = f"tags must be several names, such as [{tags!r}], not one str"
        raise InvalidTypeError(msg)
    return tuple(dict.fromkeys(tags))


def new_version() -> str:
    """Make a version that no tag ever had."""
    return secrets.token_hex(8)
