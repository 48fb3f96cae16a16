"""Commands on hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustforge.errors import RedisReplyError
from rustforge.redis.embedded.database import Hash
from rustforge.redis.embedded.errors import overflow, reply_error, wrong_arity
from rustforge.redis.embedded.glob import matcher
from rustforge.redis.embedded.keyspace import read_cursor, read_scan_options
from rustforge.redis.embedded.parse import MAX_INTEGER, MIN_INTEGER, integer
from rustforge.redis.embedded.registry import command

if TYPE_CHECKING:
    from rustforge.redis.embedded.database import Database


_WHOLE = 128


@command("HSET")
def hset(database: Database, key: bytes, field: bytes, value: bytes, *more: bytes) -> int:
    """Set fields; return how many are new."""
    if len(more) % 2:
        msg = "hset"
        raise wrong_arity(msg)
    fields = database.fetch_or_make(key, Hash)
    new = int(fields.put(field, value))
    if more:
        new += sum(map(fields.put, more[::2], more[1::2]))
    database.changed(key)
    return new


@command("HSETNX")
def hsetnx(database: Database, key: bytes, field: bytes, value: bytes) -> int:
    """Set a field where there is none."""
    fields = database.fetch_or_make(key, Hash)
    if field in fields:
        return 0
    fields.put(field, value)
    database.changed(key)
    return 1


@command("HGET")
def hget(database: Database, key: bytes, field: bytes) -> bytes | None:
    """Read a field."""
    fields = database.fetch(key, Hash)
    return None if fields is None else fields.get(field)


@command("HMGET", fewest=3)
def hmget(database: Database, key: bytes, *names: bytes) -> list[bytes | None]:
    """Read several fields."""
    fields = database.fetch(key, Hash)
    return [None if fields is None else fields.get(name) for name in names]


@command("HGETALL")
def hgetall(database: Database, key: bytes) -> dict[bytes, bytes]:
    """Read the whole hash."""
    return dict(database.fetch(key, Hash) or {})


@command("HKEYS")
def hkeys(database: Database, key: bytes) -> list[bytes]:
    """List the fields."""
    return list(database.fetch(key, Hash) or ())


@command("HVALS")
def hvals(database: Database, key: bytes) -> list[bytes]:
    """List the values."""
    return list(hgetall(database, key).values())


@command("HLEN")
def hlen(database: Database, key: bytes) -> int:
    """Count the fields."""
    return len(database.fetch(key, Hash) or ())


@command("HEXISTS")
def hexists(database: Database, key: bytes, field: bytes) -> int:
    """Tell whether a field exists."""
    return int(field in (database.fetch(key, Hash) or ()))


@command("HSTRLEN")
def hstrlen(database: Database, key: bytes, field: bytes) -> int:
    """Return the length of a field's value."""
    return len(hget(database, key, field) or b"")


@command("HDEL", fewest=3)
def hdel(database: Database, key: bytes, *names: bytes) -> int:
    """Remove fields; return how many existed."""
    fields = database.fetch(key, Hash)
    if fields is None:
        return 0
    count = 0
    for name in names:
        if name in fields:
            fields.drop(name)
            count += 1
    if count:
        database.shrunk(key, fields)
    return count


@command("HINCRBY")
def hincrby(database: Database, key: bytes, field: bytes, by: bytes) -> int:
    """Add to a field."""
    step = integer(by)
    fields = database.fetch(key, Hash)
    try:
        number = integer(b"0" if fields is None else fields.get(field, b"0")) + step
    except RedisReplyError:
        msg = "ERR hash value is not an integer"
        raise reply_error(msg) from None
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        raise overflow()
    database.fetch_or_make(key, Hash).put(field, b"%d" % number)
    database.changed(key)
    return number


@command("HSCAN")
def hscan(database: Database, key: bytes, cursor: bytes, *words: bytes) -> list[bytes | list[bytes]]:
    """Walk over a hash a slice at a time: MATCH and COUNT. A small one comes whole."""
    place = read_cursor(cursor)
    fields = database.fetch(key, Hash)
    if fields is None:
        return [b"0", []]
    pattern, count, _ = read_scan_options(words, {b"MATCH", b"COUNT"})
    place, names = (0, list(fields)) if len(fields) <= _WHOLE else fields.walk(place, count)
    if pattern is not None:
        names = list(filter(matcher(pattern), names))
    return [b"%d" % place, [word for name in names for word in (name, fields[name])]]
