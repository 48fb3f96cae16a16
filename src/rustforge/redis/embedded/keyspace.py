"""Commands on keys of any kind, and on the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustforge.redis.embedded.database import Hash, List, Set, Value
from rustforge.redis.embedded.errors import invalid_expire, reply_error, syntax_error
from rustforge.redis.embedded.glob import matcher
from rustforge.redis.embedded.parse import MAX_INTEGER, MIN_INTEGER, integer
from rustforge.redis.embedded.registry import OK, Status, command
from rustforge.redis.embedded.sorted_set import SortedSet
from rustforge.redis.embedded.stream import Stream

if TYPE_CHECKING:
    from rustforge.redis.embedded.database import Database

_NAMES: dict[type[Value], Status] = {
    bytes: Status(b"string"),
    Hash: Status(b"hash"),
    List: Status(b"list"),
    Set: Status(b"set"),
    SortedSet: Status(b"zset"),
    Stream: Status(b"stream"),
}
_NONE = Status(b"none")
_PONG = Status(b"PONG")
_MAX_CURSOR = 2**64 - 1
_MISSING, _FOR_EVER = -2, -1
_CONDITIONS = frozenset({b"NX", b"XX", b"GT", b"LT"})


@command("DEL", fewest=2)
def del_(database: Database, *keys: bytes) -> int:
    """Remove keys; return how many existed."""
    count = 0
    for key in keys:
        if database.read(key) is not None:
            database.remove(key)
            count += 1
    return count


@command("UNLINK", fewest=2)
def unlink(database: Database, *keys: bytes) -> int:
    """Remove keys; return how many existed."""
    return del_(database, *keys)


@command("EXISTS", fewest=2)
def exists(database: Database, *keys: bytes) -> int:
    """Count the keys that exist, one named twice twice."""
    return sum(database.read(key) is not None for key in keys)


@command("TOUCH", fewest=2)
def touch(database: Database, *keys: bytes) -> int:
    """Count the keys that exist."""
    return sum(database.read(key) is not None for key in keys)


@command("TYPE")
def type_(database: Database, key: bytes) -> bytes:
    """Name the kind of a value."""
    value = database.read(key)
    return _NONE if value is None else _NAMES[type(value)]


# -- expiry ------------------------------------------------------------------------------------------------------


def _expire(database: Database, name: str, key: bytes, text: bytes, words: tuple[bytes, ...]) -> int:
    """Set when a key expires."""
    flags = {word.upper() for word in words}
    for word in words:
        if word.upper() not in _CONDITIONS:
            msg = f"ERR Unsupported option {word.decode(errors='replace')}"
            raise reply_error(msg)
    if b"NX" in flags and len(flags) > 1:
        msg = "ERR NX and XX, GT or LT options at the same time are not compatible"
        raise reply_error(msg)
    if {b"GT", b"LT"} <= flags:
        msg = "ERR GT and LT options at the same time are not compatible"
        raise reply_error(msg)
    when = integer(text)
    if not name.startswith("p"):
        when *= 1000
    if not name.endswith("at"):
        when += database.now()
    if not MIN_INTEGER <= when <= MAX_INTEGER:
        raise invalid_expire(name)
    if database.read(key) is None:
        return 0
    before = database.expires.get(key)
    if (
        (b"NX" in flags and before is not None)
        or (b"XX" in flags and before is None)
        or (b"GT" in flags and (before is None or when <= before))
        or (b"LT" in flags and before is not None and when >= before)
    ):
        return 0
    database.expire(key, when)
    return 1


@command("EXPIRE")
def expire(database: Database, key: bytes, seconds: bytes, *words: bytes) -> int:
    """Let a key expire after seconds."""
    return _expire(database, "expire", key, seconds, words)


@command("PEXPIRE")
def pexpire(database: Database, key: bytes, milliseconds: bytes, *words: bytes) -> int:
    """Let a key expire after milliseconds."""
    return _expire(database, "pexpire", key, milliseconds, words)


@command("EXPIREAT")
def expireat(database: Database, key: bytes, seconds: bytes, *words: bytes) -> int:
    """Let a key expire at a time in seconds."""
    return _expire(database, "expireat", key, seconds, words)


@command("PEXPIREAT")
def pexpireat(database: Database, key: bytes, milliseconds: bytes, *words: bytes) -> int:
    """Let a key expire at a time in milliseconds."""
    return _expire(database, "pexpireat", key, milliseconds, words)


@command("PEXPIRETIME")
def pexpiretime(database: Database, key: bytes) -> int:
    """Return when a key expires in milliseconds; -1 for never, -2 where it is missing."""
    if database.read(key) is None:
        return _MISSING
    return database.expires.get(key, _FOR_EVER)


@command("EXPIRETIME")
def expiretime(database: Database, key: bytes) -> int:
    """Return when a key expires in seconds; -1 for never, -2 where it is missing."""
    when = pexpiretime(database, key)
    return when if when < 0 else (when + 500) // 1000


@command("PTTL")
def pttl(database: Database, key: bytes) -> int:
    """Return the milliseconds a key has left; -1 for no end, -2 where it is missing."""
    when = pexpiretime(database, key)
    return when if when < 0 else when - database.now()


@command("TTL")
def ttl(database: Database, key: bytes) -> int:
    """Return the seconds a key has left, rounded; -1 for no end, -2 where it is missing."""
    left = pttl(database, key)
    return left if left < 0 else (left + 500) // 1000


@command("PERSIST")
def persist(database: Database, key: bytes) -> int:
    """Let a key stay for ever; return 1 if it would have expired."""
    return int(database.read(key) is not None and database.persist(key))


# -- the whole keyspace ------------------------------------------------------------------------------------------


@command("RENAME")
def rename(database: Database, key: bytes, new: bytes) -> bytes:
    """Give a value another key, with its expiry."""
    value = database.read(key)
    if value is None:
        msg = "ERR no such key"
        raise reply_error(msg)
    if new == key:
        return OK
    when = database.expires.get(key)
    database.remove(key)
    database.replace(new, value)
    if when is not None:
        database.expire(new, when)
    return OK


@command("SCAN")
def scan(database: Database, cursor: bytes, *words: bytes) -> list[bytes | list[bytes]]:
    """Walk over the keys a slice at a time: MATCH, COUNT and TYPE."""
    place = read_cursor(cursor)
    pattern, count, kind = read_scan_options(words, {b"MATCH", b"COUNT", b"TYPE"})
    place, keys = database.values.walk(place, count)
    if pattern is not None and pattern != b"*":
        keys = list(filter(matcher(pattern), keys))
    if database.expires:
        keys = [key for key in keys if database.read(key) is not None]
    if kind is not None:
        keys = [key for key in keys if type_(database, key) == kind.lower()]
    return [b"%d" % place, keys]


def read_cursor(text: bytes) -> int:
    """Read the cursor of SCAN or HSCAN."""
    if not text.isdigit() or int(text) > _MAX_CURSOR:
        msg = "ERR invalid cursor"
        raise reply_error(msg)
    return int(text)


def read_scan_options(words: tuple[bytes, ...], known: set[bytes]) -> tuple[bytes | None, int, bytes | None]:
    """Read MATCH, COUNT and TYPE."""
    found: dict[bytes, bytes] = {}
    count = 10
    rest = iter(words)
    for word in rest:
        text = next(rest, None)
        if text is None or word.upper() not in known:
            raise syntax_error()
        found[word.upper()] = text
        if word.upper() == b"COUNT":
            count = integer(text)
            if count < 1:
                raise syntax_error()
    return found.get(b"MATCH"), count, found.get(b"TYPE")


@command("KEYS")
def keys_(database: Database, pattern: bytes) -> list[bytes]:
    """List the keys that match a pattern."""
    return [key for key in filter(matcher(pattern), list(database.values)) if database.read(key) is not None]


@command("DBSIZE")
def dbsize(database: Database) -> int:
    """Count the keys."""
    while (when := database.expire_due(1000)) is not None and when <= database.now():
        pass
    return len(database.values)


@command("FLUSHALL")
def flushall(database: Database, *words: bytes) -> bytes:
    """Remove everything."""
    if len(words) > 1 or not {word.upper() for word in words} <= {b"SYNC", b"ASYNC"}:
        raise syntax_error()
    database.clear()
    return OK


@command("FLUSHDB")
def flushdb(database: Database, *words: bytes) -> bytes:
    """Remove everything."""
    return flushall(database, *words)


# -- the server --------------------------------------------------------------------------------------------------


@command("PING")
def ping(_: Database, text: bytes = _PONG) -> bytes:
    """Answer."""
    return text


@command("ECHO")
def echo(_: Database, text: bytes) -> bytes:
    """Answer with the argument."""
    return text


@command("TIME")
def time(database: Database) -> list[bytes]:
    """Return the time: seconds and microseconds."""
    seconds, microseconds = divmod(round(database.time() * 1_000_000), 1_000_000)
    return [b"%d" % seconds, b"%d" % microseconds]
