"""The cache."""

from __future__ import annotations

import contextlib
import json
import logging
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from rustforge import codec
from rustforge.cache.entry import HEADER_BYTES, MARK, Entry, has_tags, identity, is_lease, is_soft, window_of
from rustforge.cache.lock import Lock
from rustforge.cache.rate_limit import RateLimit
from rustforge.cache.remember import Flights, Plan
from rustforge.cache.scripts import ADD, GCRA, INCREMENT, TOUCH
from rustforge.cache.store import EntryStore, Source, WhenUnavailable, new_version, tag_names
from rustforge.cache.watch import Watcher
from rustforge.clock import milliseconds
from rustforge.errors import (
    CacheDecodeError,
    CacheEncodeError,
    CacheError,
    InvalidArgumentError,
    InvalidTypeError,
    RedisError,
    RedisReplyError,
)
from rustforge.keys import KeySpace
from rustforge.redis import RedisClient, connect, escape_glob
from rustforge.redis.opening import Opening

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence

    from rustforge.cache.near import NearCache
    from rustforge.cache.statistics import CacheStatistics
    from rustforge.types import Duration

__all__ = ["Cache", "Connecting"]

T = TypeVar("T")

_logger = logging.getLogger(__name__)
_CHUNK = 1_000
_MISSING = -2  # what PTTL says of a key that is not there
_TAGGED = 2  # what ADD says of a value with tags
_INT64 = 1 << 63
_FOREVER = timedelta.max
_LEASE = 10
_LEASE_MS = _LEASE * 1000


class Cache:
    """An async cache with typed values, on Redis, Valkey or in this process.

    Make one with [`Cache.connect`][rustforge.cache.Cache.connect]. One object serves all tasks of an event loop over
    one connection, and the commands of concurrent tasks travel together.

    Every method raises [`RedisConnectionError`][rustforge.errors.RedisConnectionError] or
    [`RedisTimeoutError`][rustforge.errors.RedisTimeoutError] when Redis does not serve it, unless it says otherwise
    for `when_unavailable="compute"`; and
    [`InvalidArgumentError`][rustforge.errors.InvalidArgumentError], which is a `ValueError`, for an unusable key or
    time to live.

    Attributes:
        owns_client: Whether `aclose` also closes the connection, as it does for one that `connect` opened.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        prefix: str | None = None,
        near: NearCache | None = None,
        compress_above: int | None = None,
        when_unavailable: WhenUnavailable = "raise",
    ) -> None:
        """Use a connection that somebody else opens and closes; see `connect` for the other arguments."""
        self._keys = KeySpace(prefix)
        self._store = EntryStore(
            client, self._keys, near=near, compress_above=compress_above, when_unavailable=when_unavailable
        )
        self._client = client
        self._watcher = Watcher(client)
        self._flights = Flights(self._store, self._watcher)
        self._closed = False
        self.owns_client = False

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        prefix: str | None = None,
        near: NearCache | None = None,
        compress_above: int | None = None,
        when_unavailable: WhenUnavailable = "raise",
    ) -> Connecting:
        """Connect to Redis.

        Use the result with `async with`, or `await` it and call `aclose()` at the end.

        Args:
            url: `memory://`, `redis://host:6379/0`, `rediss://`, `unix://`, `redis+sentinel://` or `redis+cluster://`;
                see [`RedisUrl.parse`][rustforge.redis.RedisUrl.parse].
            prefix: Put before every key with a colon, so that applications can share a server. `None` leaves keys as
                they are.
            near: Also keep values in this process, coherent by the server's notices; see
                [`NearCache`][rustforge.cache.NearCache].
            compress_above: Compress values (zlib) of more than so many bytes; `None` never does.
            when_unavailable: `"raise"` raises when Redis does not serve. `"compute"` goes on without it: reads miss,
                `remember` computes, `set` and its kin do nothing; after five failures in a row Redis is left alone
                for five seconds at a time. What must not be pretended raises all the same: deletions, counters,
                `add`, `pull`, `touch`, locks and rate limits.

        Raises:
            ConfigurationError: The URL is not understood.
            RedisConnectionError: The server cannot be reached, or refused the password.
            RedisTimeoutError: It did not answer in time.

        Example:
            ```python
            async with Cache.connect("memory://", prefix="shop") as cache:
                await cache.set("greeting", "hello")
            ```
        """
        return Connecting(
            lambda: cls(
                connect(url),
                prefix=prefix,
                near=near,
                compress_above=compress_above,
                when_unavailable=when_unavailable,
            ),
            without_redis=when_unavailable == "compute",
        )

    @property
    def prefix(self) -> str | None:
        """What stands before every key."""
        return self._keys.prefix

    @property
    def client(self) -> RedisClient:
        """The connection, for commands that the cache does not have."""
        return self._client

    def statistics(self) -> CacheStatistics:
        """Return the counters of this object; they go on counting."""
        return self._store.statistics

    # -- text ----------------------------------------------------------------------------------------------------

    async def get(self, key: str) -> str | None:
        """Read a text.

        Returns:
            The text, or `None` where there is none. A JSON value comes back as its JSON text.

        Raises:
            CacheDecodeError: The value is not UTF-8 text.
        """
        full = self._keys.value(key)
        store = self._store
        if store.direct is None:
            raw = await store.read(full)
            return None if raw is None else self._text(key, raw)
        started = perf_counter()
        try:
            raw = await store.direct(full)
        except RedisError as error:
            store.unavailable(error)
            raise
        statistics = store.statistics
        statistics.reads += 1
        statistics.read_seconds += perf_counter() - started
        if raw is not None and raw[:1] == MARK:
            raw = await store.open_one(raw)
        if raw is None:
            statistics.misses += 1
            return None
        statistics.hits += 1
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass  # for `_text` to say
        return self._text(key, raw)

    async def set(self, key: str, value: str) -> None:
        """Store a text without expiry, replacing what was there and its time to live.

        Raises:
            InvalidTypeError: The value is not a `str`; use `set_json` for others.
        """
        await self._write(self._keys.value(key), _encode_text(key, value), 0)

    async def set_ex(self, key: str, value: str, ttl: Duration) -> None:
        """Store a text with a time to live.

        Args:
            key: The key.
            value: The text.
            ttl: Seconds as a number, or a `timedelta`; more than zero.
        """
        await self._write(self._keys.value(key), _encode_text(key, value), milliseconds(ttl))

    async def delete(self, key: str) -> bool:
        """Remove a value. A computation of it that is under way is not stored any more.

        Returns:
            Whether there was one. After a lost connection the removal is repeated, and this can be `False` although
                the first try removed it.
        """
        full = self._keys.value(key)
        with self._changing([full]):
            start, removed = await self._client.pipeline(
                [("GETRANGE", full, 0, HEADER_BYTES), ("UNLINK", full)], retry=True
            )
        if isinstance(removed, Exception):
            raise removed
        return bool(removed) and (isinstance(start, Exception) or not is_lease(start))

    async def forget(self, key: str) -> bool:
        """Do what `delete` does; the name reads well beside `remember`."""
        return await self.delete(key)

    async def has(self, key: str) -> bool:
        """Tell whether there is a value."""
        return await self._left(key) is not None

    async def pull(self, key: str) -> str | None:
        """Read a text and remove it, in one step."""
        full = self._keys.value(key)
        with self._changing([full]):
            raw = await self._client.call("GETDEL", full)
        if raw is not None and raw[:1] == MARK:
            raw = await self._store.open_one(raw)
        return None if raw is None else self._text(key, raw)

    async def add(self, key: str, value: str, ttl: Duration | None = None) -> bool:
        """Store a text only where there is no value.

        Args:
            key: The key.
            value: The text.
            ttl: Seconds as a number, or a `timedelta`; `None` for no expiry.

        Returns:
            Whether it was stored.
        """
        full, raw = self._keys.value(key), self._store.pack_plain(_encode_text(key, value))
        life = 0 if ttl is None else milliseconds(ttl)
        with self._changing([full]):
            stored: int = await self._client.run(ADD, [full], [raw, life, ""])
            if stored == _TAGGED:
                there: bytes | None = await self._client.call("GET", full, retry=True)
                if there is not None and await self._store.open_one(there) is None:
                    stored = await self._client.run(ADD, [full], [raw, life, identity(there)])
        return stored == 1

    # -- time to live --------------------------------------------------------------------------------------------

    async def ttl(self, key: str) -> int | None:
        """Return the seconds that a value has left, rounded up.

        A value that `remember` keeps beyond its time to live has 0 left in that stale window.

        Returns:
            `None` where there is no value, or it has no expiry; [`expires`][rustforge.cache.Cache.expires] tells
                them apart.
        """
        left = await self._left(key)
        return None if left is None or left < 0 else -(-left // 1000)

    async def expires(self, key: str) -> bool | None:
        """Tell whether a value has an expiry; `None` where there is no value."""
        left = await self._left(key)
        return None if left is None else left >= 0

    async def touch(self, key: str, ttl: Duration | None) -> bool:
        """Give a value a new time to live.

        Args:
            key: The key.
            ttl: Seconds as a number, or a `timedelta`; `None` takes the expiry away.

        Returns:
            Whether there was a value.
        """
        full = self._keys.value(key)
        life = 0 if ttl is None else milliseconds(ttl)
        with self._changing([full], detach=False):
            existed, life, tags = await self._client.run(TOUCH, [full], [life], retry=True)
        if not tags:
            return bool(existed)
        carried: dict[str, str] = json.loads(tags)
        return await self._store.tag_versions(carried, life) == carried

    # -- typed JSON ----------------------------------------------------------------------------------------------

    @overload
    async def get_json(self, key: str, type: type[T]) -> T | None: ...

    @overload
    async def get_json(self, key: str, type: Any = None) -> Any: ...

    async def get_json(self, key: str, type: Any = None) -> Any:  # noqa: A002
        """Read a value as a type.

        Args:
            key: The key.
            type: Anything that `pydantic.TypeAdapter` takes; `None` gives plain JSON.

        Returns:
            The value, or `None` where there is none.

        Raises:
            CacheDecodeError: The value is not JSON, or does not fit the type.
        """
        raw = await self._store.read(self._keys.value(key))
        return None if raw is None else self._decode(key, raw, type)

    async def set_json(self, key: str, value: object, *, tags: Iterable[str] = ()) -> None:
        """Store a value as JSON without expiry.

        Args:
            key: The key.
            value: Anything that Pydantic can write as JSON.
            tags: Names by which [`invalidate_tags`][rustforge.cache.Cache.invalidate_tags] removes it.

        Raises:
            CacheEncodeError: The value has a part that JSON cannot hold.
        """
        await self._write(self._keys.value(key), _encode_json(key, value), 0, tags)

    async def set_json_ex(self, key: str, value: object, ttl: Duration, *, tags: Iterable[str] = ()) -> None:
        """Store a value as JSON with a time to live.

        Args:
            key: The key.
            value: Anything that Pydantic can write as JSON.
            ttl: Seconds as a number, or a `timedelta`; more than zero.
            tags: Names by which [`invalidate_tags`][rustforge.cache.Cache.invalidate_tags] removes it.

        Raises:
            CacheEncodeError: The value has a part that JSON cannot hold.
        """
        await self._write(self._keys.value(key), _encode_json(key, value), milliseconds(ttl), tags)

    # -- remember ------------------------------------------------------------------------------------------------

    @overload
    async def remember(
        self,
        key: str,
        ttl: Duration,
        factory: Callable[[], Awaitable[T]],
        type: Any = None,
        *,
        stale: Duration | None = None,
        patience: Duration | None = 0,
        early: float = 0.0,
        jitter: float = 0.0,
        tags: Iterable[str] = (),
        lease: Duration = _LEASE,
    ) -> T: ...

    @overload
    async def remember(
        self,
        key: str,
        ttl: Duration,
        factory: Callable[[], T],
        type: Any = None,
        *,
        stale: Duration | None = None,
        patience: Duration | None = 0,
        early: float = 0.0,
        jitter: float = 0.0,
        tags: Iterable[str] = (),
        lease: Duration = _LEASE,
    ) -> T: ...

    async def remember(
        self,
        key: str,
        ttl: Duration,
        factory: Callable[[], Any],
        type: Any = None,  # noqa: A002
        *,
        stale: Duration | None = None,
        patience: Duration | None = 0,
        early: float = 0.0,
        jitter: float = 0.0,
        tags: Iterable[str] = (),
        lease: Duration = _LEASE,
    ) -> Any:
        """Return a cached value, or compute and store it.

        However many callers miss at the same time, in this process and in others, the factory runs once: one process
        takes a lease and all others wait for its result. When that process dies, its lease ends and one of the
        waiters takes over. A `delete` or `set` while the factory runs wins over its result.

        The value goes through JSON even for the caller whose factory made it, so the first call returns what later
        ones do.

        Args:
            key: The key.
            ttl: How long the value is fresh: seconds as a number, or a `timedelta`; more than zero.
            factory: An async or plain function without arguments. `None` is a value like others. It runs in a task of
                its own, with the context variables of the first caller. When it raises, every waiting caller gets
                that exception, and nothing is stored.
            type: The value's type, as `pydantic.TypeAdapter` takes it. When left out, the factory's return annotation
                is used; without one, the value is plain JSON. A stored value that does not fit the type any more is
                computed again.
            stale: How much longer to keep the value after `ttl`, to be served while a new one is computed, and when
                the factory fails.
            patience: With `stale`: how long to wait for the new value before the stale one is served. 0 serves the
                stale one at once and refreshes in the background; `None` waits until the factory ends.
            early: Refresh in the background before the value expires, at a random time that is the earlier the longer
                the factory takes; 1.0 is a good value, 0.0 turns it off.
            jitter: Cut up to this share (0.0 to 1.0) off the time to live at random, so that values stored together
                do not expire together.
            tags: Names by which [`invalidate_tags`][rustforge.cache.Cache.invalidate_tags] removes the value.
            lease: How long a process may be silent before others take over its computation; it is renewed every third
                of this for as long as the factory runs.

        Returns:
            The value, as `type`.

        Raises:
            CacheEncodeError: The factory's value is not JSON, or does not fit the type; nothing is stored.
            CacheError: The factory asked for its own key.
        """
        life = 0 if ttl is _FOREVER else milliseconds(ttl)
        full = self._keys.value(key)
        if type is None:
            type = codec.return_type(factory)  # noqa: A001
        if not callable(factory):
            msg = f"factory must be a function without arguments, not {factory!r}"
            raise InvalidTypeError(msg)
        names = tag_names(tags) if tags else ()
        window = 0 if stale is None else milliseconds(stale, "stale")
        seconds = None if patience is None else milliseconds(patience, "patience") / 1000 if patience else 0.0
        lease_ms = _LEASE_MS if lease is _LEASE else milliseconds(lease, "lease")
        if early or jitter:
            _check_share("early", early, 100.0)
            _check_share("jitter", jitter, 1.0)
        away = False
        if not names and not early and not window:
            store = self._store
            statistics = store.statistics
            source: Source = "redis"
            if store.direct is None:
                raw, source = await store.fetch(full)
                away = source == "away"
            else:
                started = perf_counter()
                try:
                    raw = await store.direct(full)
                except RedisError as error:
                    store.unavailable(error)
                    raise
                statistics.reads += 1
                statistics.read_seconds += perf_counter() - started
            if raw is not None and raw[:1] == MARK:
                entry = None if is_soft(raw) else Entry.parse(raw)
                raw = None if entry is None else entry.payload
            if raw is not None:
                try:
                    value = codec.decoder(type)(raw)
                except ValueError:
                    pass  # the flight says why, and computes anew
                else:
                    statistics.hits += 1
                    if source == "near":
                        statistics.near_hits += 1
                    return value
        plan = Plan(
            key=key,
            full=full,
            factory=factory,
            type=type,
            ttl=life,
            window=window,
            patience=seconds,
            early=early,
            jitter=jitter,
            tags=names,
            lease=lease_ms,
        )
        return await self._flights.remember(plan, away=away)

    @overload
    async def remember_forever(
        self,
        key: str,
        factory: Callable[[], Awaitable[T]],
        type: Any = None,
        *,
        tags: Iterable[str] = (),
        lease: Duration = _LEASE,
    ) -> T: ...

    @overload
    async def remember_forever(
        self,
        key: str,
        factory: Callable[[], T],
        type: Any = None,
        *,
        tags: Iterable[str] = (),
        lease: Duration = _LEASE,
    ) -> T: ...

    async def remember_forever(
        self,
        key: str,
        factory: Callable[[], Any],
        type: Any = None,  # noqa: A002
        *,
        tags: Iterable[str] = (),
        lease: Duration = _LEASE,
    ) -> Any:
        """Return a cached value, or compute and store it without expiry.

        Args:
            key: The key.
            factory: As in [`remember`][rustforge.cache.Cache.remember].
            type: As in `remember`.
            tags: As in `remember`.
            lease: As in `remember`.
        """
        return await self.remember(key, _FOREVER, factory, type, tags=tags, lease=lease)

    # -- counters ------------------------------------------------------------------------------------------------

    async def increment(self, key: str, by: int = 1, *, ttl: Duration | None = None) -> int:
        """Add to a counter, atomically; a missing one starts at 0.

        Args:
            key: The key.
            by: What to add; may be negative.
            ttl: Time to live for a counter that this call creates; an existing one keeps its own.

        Returns:
            The new value.

        Raises:
            CacheError: The value there is not an integer, or the result would leave 64 bits.
            RedisOutcomeUnknownError: The connection was lost midway; the counter may or may not have moved.
        """
        full = self._keys.value(key)
        if isinstance(by, bool) or not isinstance(by, int):
            msg = f"by must be an int, not {by.__class__.__name__}"
            raise InvalidTypeError(msg)
        if not -_INT64 <= by < _INT64:
            msg = f"by must fit into 64 bits, not {by}"
            raise InvalidArgumentError(msg)
        life = 0 if ttl is None else milliseconds(ttl)
        try:
            with self._changing([full]):
                if not life:
                    try:
                        return int(await self._client.call("INCRBY", full, by))
                    except RedisReplyError as error:
                        if "integer" not in str(error):
                            raise
                # Perhaps a lease stands there, which counts as no value; the script sees to that.
                return int(await self._client.run(INCREMENT, [full], [by, life]))
        except RedisReplyError as error:
            if "integer" in str(error) or "overflow" in str(error):
                msg = f"{key!r} cannot be incremented by {by}: its value is no integer, or would leave 64 bits"
                raise CacheError(msg) from error
            raise

    async def decrement(self, key: str, by: int = 1, *, ttl: Duration | None = None) -> int:
        """Subtract from a counter; see [`increment`][rustforge.cache.Cache.increment]."""
        if not isinstance(by, bool) and isinstance(by, int):
            by = -by
        return await self.increment(key, by, ttl=ttl)

    # -- bulk ----------------------------------------------------------------------------------------------------

    async def many(self, keys: Iterable[str]) -> list[str | None]:
        """Read many texts at once.

        Returns:
            For each key in order its text, or `None`.
        """
        names = _names(keys)
        found = await self._read_many(names)
        return [None if raw is None else self._text(key, raw) for key, raw in zip(names, found, strict=True)]

    async def put_many(self, mapping: Mapping[str, str], ttl: Duration | None = None) -> None:
        """Store many texts at once.

        Args:
            mapping: Texts by key.
            ttl: Seconds as a number, or a `timedelta`; `None` for no expiry.
        """
        await self._write_many({key: _encode_text(key, value) for key, value in mapping.items()}, ttl)

    @overload
    async def many_json(self, keys: Iterable[str], type: type[T]) -> list[T | None]: ...

    @overload
    async def many_json(self, keys: Iterable[str], type: Any = None) -> list[Any]: ...

    async def many_json(self, keys: Iterable[str], type: Any = None) -> list[Any]:  # noqa: A002
        """Read many values as a type.

        Returns:
            For each key in order its value, or `None`.

        Raises:
            CacheDecodeError: One of the values does not fit the type; the error names its key.
        """
        names = _names(keys)
        found = await self._read_many(names)
        return [None if raw is None else self._decode(key, raw, type) for key, raw in zip(names, found, strict=True)]

    async def put_many_json(self, mapping: Mapping[str, object], ttl: Duration | None = None) -> None:
        """Store many values as JSON.

        Args:
            mapping: Values by key.
            ttl: Seconds as a number, or a `timedelta`; `None` for no expiry.
        """
        await self._write_many({key: _encode_json(key, value) for key, value in mapping.items()}, ttl)

    # -- invalidation --------------------------------------------------------------------------------------------

    async def flush_prefix(self, prefix: str) -> int:
        """Remove every value whose key starts with a text.

        Counters and whatever else has such a key go too: `flush_prefix("article:")` also removes `article:views:7`.
        Redis is never blocked: keys are found and removed a slice at a time, on every node of a cluster. Values
        stored while it runs may stay.

        Args:
            prefix: The start of the keys, taken literally: `*`, `?` and `[` mean themselves.

        Returns:
            How many were removed.

        Raises:
            InvalidArgumentError: The prefix is empty; `flush_all` says what that would do.
        """
        if prefix == "":
            msg = "flush_prefix() needs the start of the keys to remove; flush_all() removes every value of the cache"
            raise InvalidArgumentError(msg)
        return await self._flush(self._keys.value(prefix))

    async def flush_all(self) -> int:
        """Remove every value of this cache: all keys under its prefix, or without one, all keys of the database.

        Returns:
            How many were removed.
        """
        return await self._flush(self._keys.all_values)

    async def invalidate_tags(self, *tags: str) -> None:
        """Make every value that carries one of these tags a miss.

        It takes one command for each tag, whatever the number of values; they are freed when their time to live ends.

        Args:
            *tags: The tags.
        """
        full = [self._keys.tag(name) for name in tag_names(tags)]
        with self._changing(full):
            await self._store.whole_pipeline([("SET", key, new_version(), "XX", "KEEPTTL") for key in full])

    # -- coordination --------------------------------------------------------------------------------------------

    def lock(self, name: str, *, lease: Duration = 30, wait: Duration | None = None) -> Lock:
        """Make a lock across processes; `async with` takes and releases it.

        Args:
            name: The lock's name; locks do not collide with values.
            lease: How long a silent owner keeps the lock; it is renewed every third of this.
            wait: How long to wait for another owner; 0 does not wait, `None` waits for as long as it takes.
        """
        return Lock(self._client, self._watcher, name, key=self._keys.lock(name), lease=lease, wait=wait)

    async def rate_limit(self, key: str, limit: int, per: Duration, *, cost: int = 1) -> RateLimit:
        """Count a call against a limit.

        Calls are spread by the generic cell rate algorithm (GCRA, ITU-T I.371): up to `limit` at once, then one each
        `per / limit`. There is no window whose border lets twice the limit through, and one key holds all state.

        Args:
            key: Who or what is limited, such as `"login:203.0.113.7"`.
            limit: How many calls are allowed `per` period; at least 1.
            per: The period: seconds as a number, or a `timedelta`.
            cost: How many calls this one counts for; from 1 to `limit`.

        Returns:
            The decision, which is true when the call is allowed.
        """
        for name, number in (("limit", limit), ("cost", cost)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:  # type: ignore[redundant-expr]
                msg = f"{name} must be an int of at least 1, not {number!r}"
                raise InvalidArgumentError(msg)
        if cost > limit:
            msg = f"cost {cost} is above the limit {limit}, so the call would never be allowed"
            raise InvalidArgumentError(msg)
        full, period = self._keys.rate(key), milliseconds(per, "per")
        if limit > period * 1000:
            msg = f"limit {limit:,} per {period / 1000:g} s is more than one call a microsecond"
            raise InvalidArgumentError(msg)
        answer: list[int] = await self._client.run(GCRA, [full], [limit, period, cost])
        allowed, remaining, retry_after, reset_after = answer
        return RateLimit(bool(allowed), limit, remaining, retry_after / 1e6, reset_after / 1e6)

    # -- life cycle ----------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Cancel refreshes that are under way, and close the connection if this cache opened it."""
        if self._closed:
            return
        self._closed = True
        await self._flights.aclose()
        self._watcher.close()
        self._store.close()
        if self.owns_client:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        """Return the cache."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.aclose()

    # -- inside --------------------------------------------------------------------------------------------------

    async def _read_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Read payloads, a bounded number at a time."""
        full = [self._keys.value(key) for key in keys]

        async def work() -> list[bytes | None]:
            found: list[bytes | None] = []
            for start in range(0, len(full), _CHUNK):
                found += await self._store.open_all(await self._client.mget(full[start : start + _CHUNK]))
            return found

        nothing: list[bytes | None] = [None] * len(full)
        found = await self._store.attempt(work, nothing)
        for raw in found:
            self._count(raw)
        return found

    def _count(self, raw: bytes | None) -> None:
        if raw is None:
            self._store.statistics.misses += 1
        else:
            self._store.statistics.hits += 1

    async def _write(self, full: str, payload: bytes, life: int, tags: Iterable[str] = ()) -> None:
        """Store a payload; `life` in milliseconds, 0 for ever."""
        names = tag_names(tags)

        async def work() -> None:
            raw = await self._store.pack(payload, life, names)
            await self._client.call(*_set(full, raw, life), retry=True)

        with self._changing([full]):
            await self._store.attempt(work, None)

    async def _write_many(self, payloads: Mapping[str, bytes], ttl: Duration | None) -> None:
        life = 0 if ttl is None else milliseconds(ttl)
        commands: list[tuple[Any, ...]] = []
        for key, payload in payloads.items():
            commands.append(_set(self._keys.value(key), self._store.pack_plain(payload), life))

        async def work() -> None:
            for start in range(0, len(commands), _CHUNK):
                await self._store.whole_pipeline(commands[start : start + _CHUNK])

        with self._changing([command[1] for command in commands]):
            await self._store.attempt(work, None)

    @contextlib.contextmanager
    def _changing(self, keys: Sequence[str], *, detach: bool = True) -> Generator[None]:
        """Let nobody in this process join computations of old values from now on, or see old values afterwards.

        The server's own notice may come a moment after its answer, so what the near cache holds goes at once.
        """
        if detach:
            for full in keys:
                self._flights.detach(full)
        try:
            yield
        finally:
            if self._store.near is not None:
                for full in keys:
                    self._store.near.discard(full)

    async def _flush(self, start: str) -> int:
        self._flights.detach_all(start)
        removed = 0
        try:
            async for keys in self._client.scan(match=f"{escape_glob(start)}*".encode()):
                removed += await self._client.unlink(keys)
        finally:
            if self._store.near is not None:
                self._store.near.clear()
        return removed

    async def _left(self, key: str) -> int | None:
        """Return the milliseconds until a value is not fresh any more, -1 without expiry, `None` without a value."""
        full = self._keys.value(key)

        async def work() -> int | None:
            left, start = await self._store.whole_pipeline([("PTTL", full), ("GETRANGE", full, 0, HEADER_BYTES)])
            if left == _MISSING or is_lease(start):
                return None
            if has_tags(start):
                raw: bytes | None = await self._client.call("GET", full, retry=True)
                if raw is None or await self._store.open_one(raw) is None:
                    return None
            return max(0, left - window_of(start)) if left >= 0 else -1

        return await self._store.attempt(work, None)

    def _text(self, key: str, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass  # the other error is raised outside of the handler, as this one holds the value
        msg = f"the value of {key!r} is not UTF-8 text; something else than this cache wrote it"
        raise CacheDecodeError(key, msg)

    def _decode(self, key: str, raw: bytes, type: Any) -> Any:  # noqa: A002
        try:
            return codec.decode(raw, type)
        except codec.DecodeError as error:
            msg = f"the value of {key!r} {error}"
            raise CacheDecodeError(key, msg) from None


class Connecting(Opening[Cache]):
    """What [`Cache.connect`][rustforge.cache.Cache.connect] returns: `await` it, or use it with `async with`."""

    def __init__(self, make: Callable[[], Cache], *, without_redis: bool) -> None:
        """Say what makes the cache, and whether it is given out also while Redis cannot be used."""
        super().__init__(make)
        self._without_redis = without_redis

    async def _open(self) -> Cache:
        try:
            return await super()._open()
        except RedisError as error:
            if not self._without_redis:
                raise
            _logger.error("Redis cannot be used; starting without cache: %s", error)  # noqa: TRY400
        cache = self._make()  # its client connects with the first command for which Redis is there
        cache.owns_client = True
        return cache


def _set(full: str, raw: bytes, life: int) -> tuple[Any, ...]:
    return ("SET", full, raw, "PX", life) if life else ("SET", full, raw)


def _check_share(name: str, share: float, most: float) -> None:
    if isinstance(share, bool) or not 0.0 <= share <= most:
        msg = f"{name} must be a number from 0 to {most:g}, not {share!r}"
        raise InvalidArgumentError(msg)


def _encode_text(key: str, value: str) -> bytes:
    if not isinstance(value, str):
        msg = f"the value of {key!r} must be a str, not {value.__class__.__name__}; use set_json for other types"
        raise InvalidTypeError(msg)
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        msg = f"the value of {key!r} cannot be written as UTF-8: {error.reason}"
        raise CacheEncodeError(key, msg) from error


def _encode_json(key: str, value: object) -> bytes:
    try:
        return codec.encode(value)
    except codec.EncodeError as error:
        msg = f"the value of {key!r} cannot be stored: {error}"
        raise CacheEncodeError(key, msg) from error


def _names(keys: Iterable[str]) -> list[str]:
    if isinstance(keys, str):
        msg = f"keys must be several keys, such as [{keys!r}], not one str"
        raise InvalidTypeError(msg)
    return list(keys)
