"""Commands on string values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustforge.redis.embedded.errors import overflow, reply_error, syntax_error, wrong_arity
from rustforge.redis.embedded.parse import MAX_INTEGER, MIN_INTEGER, UNITS, add_decimals, deadline, integer
from rustforge.redis.embedded.registry import OK, command

if TYPE_CHECKING:
    from rustforge.redis.embedded.database import Database

_LONGEST = 512 << 20
_UNIT_AND_TIME = 2


@command("GET")
def get(database: Database, key: bytes) -> bytes | None:
    """Read a value."""
    return database.fetch(key, bytes)


@command("SET")
def set_(database: Database, key: bytes, value: bytes, *words: bytes) -> bytes | None:
    """Write a value: NX, XX, GET, and EX, PX, EXAT, PXAT or KEEPTTL."""
    if not words:
        database.replace(key, value)
        return OK
    if len(words) == _UNIT_AND_TIME and words[0] in UNITS:  # what a cache does most, made quick
        when = deadline(words[0], words[1], database.now(), "set")
        database.replace(key, value)
        database.expire(key, when)
        return OK
    flags, expiry = _set_options(words, {b"NX", b"XX", b"GET", b"KEEPTTL"})
    if {b"NX", b"XX"} <= flags:
        raise syntax_error()
    until = None if expiry is None else deadline(*expiry, database.now(), "set")
    wants_old = b"GET" in flags
    old = database.fetch(key, bytes) if wants_old else database.read(key)
    answer = old if wants_old and isinstance(old, bytes) else None
    if (b"NX" in flags and old is not None) or (b"XX" in flags and old is None):
        return answer
    if b"KEEPTTL" in flags:
        database.write(key, value)
    else:
        database.replace(key, value)
    if until is not None:
        database.expire(key, until)
    return answer if wants_old else OK


def _set_options(words: tuple[bytes, ...], known: set[bytes]) -> tuple[set[bytes], tuple[bytes, bytes] | None]:
    """Read the options of SET or GETEX: the flags, and the unit and value of the expiry."""
    flags: set[bytes] = set()
    expiry: tuple[bytes, bytes] | None = None
    rest = iter(words)
    for word in rest:
        option = word.upper()
        if option in known:
            flags.add(option)
            continue
        text = next(rest, None)
        if option not in UNITS or text is None or (expiry is not None and expiry[0] != option):
            raise syntax_error()
        expiry = option, text
    if expiry is not None and flags & {b"KEEPTTL", b"PERSIST"}:
        raise syntax_error()
    return flags, expiry


@command("SETNX")
def setnx(database: Database, key: bytes, value: bytes) -> int:
    """Write a value where there is none."""
    if database.read(key) is not None:
        return 0
    database.replace(key, value)
    return 1


@command("SETEX")
def setex(database: Database, key: bytes, seconds: bytes, value: bytes) -> bytes:
    """Write a value that expires after seconds."""
    when = deadline(b"EX", seconds, database.now(), "setex")
    database.replace(key, value)
    database.expire(key, when)
    return OK


@command("PSETEX")
def psetex(database: Database, key: bytes, milliseconds: bytes, value: bytes) -> bytes:
    """Write a value that expires after milliseconds."""
    when = deadline(b"PX", milliseconds, database.now(), "psetex")
    database.replace(key, value)
    database.expire(key, when)
    return OK


@command("GETSET")
def getset(database: Database, key: bytes, value: bytes) -> bytes | None:
    """Write a value and return the one before."""
    old = database.fetch(key, bytes)
    database.replace(key, value)
    return old


@command("GETDEL")
def getdel(database: Database, key: bytes) -> bytes | None:
    """Read a value and remove it."""
    value = database.fetch(key, bytes)
    if value is not None:
        database.remove(key)
    return value


@command("GETEX")
def getex(database: Database, key: bytes, *words: bytes) -> bytes | None:
    """Read a value and change when it expires."""
    flags, expiry = _set_options(words, {b"PERSIST"})
    value = database.fetch(key, bytes)
    if value is None:
        return None
    if expiry is not None:
        database.expire(key, deadline(*expiry, database.now(), "getex"))
    elif flags:
        database.persist(key)
    return value


@command("MGET", fewest=2)
def mget(database: Database, *keys: bytes) -> list[bytes | None]:
    """Read many values; what is no string counts as missing."""
    values = [database.read(key) for key in keys]
    return [value if isinstance(value, bytes) else None for value in values]


@command("MSET", fewest=3)
def mset(database: Database, *pairs: bytes) -> bytes:
    """Write many values."""
    if len(pairs) % 2:
        msg = "mset"
        raise wrong_arity(msg)
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        database.replace(key, value)
    return OK


@command("APPEND")
def append(database: Database, key: bytes, value: bytes) -> int:
    """Lengthen a value; return its length."""
    whole = (database.fetch(key, bytes) or b"") + value
    database.write(key, whole)
    return len(whole)


@command("STRLEN")
def strlen(database: Database, key: bytes) -> int:
    """Return the length of a value."""
    return len(database.fetch(key, bytes) or b"")


@command("GETRANGE")
def getrange(database: Database, key: bytes, start: bytes, end: bytes) -> bytes:
    """Read a part of a value, both ends included."""
    first, last = integer(start), integer(end)
    value = database.fetch(key, bytes) or b""
    if first < 0 and last < 0 and first > last:
        return b""
    size = len(value)
    first = max(first + size, 0) if first < 0 else first
    last = max(last + size, 0) if last < 0 else last
    return value[first : last + 1]


@command("SETRANGE")
def setrange(database: Database, key: bytes, offset: bytes, part: bytes) -> int:
    """Write into a value at an offset, zeros before it; return the length."""
    place = integer(offset)
    if place < 0:
        msg = "ERR offset is out of range"
        raise reply_error(msg)
    value = database.fetch(key, bytes) or b""
    if not part:
        return len(value)
    if place + len(part) > _LONGEST:
        msg = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
        raise reply_error(msg)
    whole = value[:place].ljust(place, b"\0") + part + value[place + len(part) :]
    database.write(key, whole)
    return len(whole)


def _increase(database: Database, key: bytes, by: int) -> int:
    """Add to a counter."""
    value = database.fetch(key, bytes)
    number = by if value is None else integer(value) + by
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        raise overflow()
    database.write(key, b"%d" % number)
    return number


@command("INCR")
def incr(database: Database, key: bytes) -> int:
    """Count up."""
    return _increase(database, key, 1)


@command("DECR")
def decr(database: Database, key: bytes) -> int:
    """Count down."""
    return _increase(database, key, -1)


@command("INCRBY")
def incrby(database: Database, key: bytes, by: bytes) -> int:
    """Add to a counter."""
    return _increase(database, key, integer(by))


@command("DECRBY")
def decrby(database: Database, key: bytes, by: bytes) -> int:
    """Subtract from a counter."""
    number = integer(by)
    if number == MIN_INTEGER:
        msg = "ERR decrement would overflow"
        raise reply_error(msg)
    return _increase(database, key, -number)


@command("INCRBYFLOAT")
def incrbyfloat(database: Database, key: bytes, by: bytes) -> bytes:
    """Add a decimal number."""
    value = database.fetch(key, bytes)
    total = add_decimals(b"0" if value is None else value, by)
    database.write(key, total)
    return total
