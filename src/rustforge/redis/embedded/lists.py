"""Commands on lists."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from rustforge.redis.embedded.database import List
from rustforge.redis.embedded.errors import reply_error, syntax_error
from rustforge.redis.embedded.parse import count, integer, limits
from rustforge.redis.embedded.registry import OK, command

if TYPE_CHECKING:
    from rustforge.redis.embedded.database import Database

_NEAR = 64


@command("LPUSH", fewest=3)
def lpush(database: Database, key: bytes, *members: bytes) -> int:
    """Put members in front, one after the other; return the length."""
    values = database.fetch_or_make(key, List)
    values.extendleft(members)
    database.changed(key)
    return len(values)


@command("RPUSH", fewest=3)
def rpush(database: Database, key: bytes, *members: bytes) -> int:
    """Put members at the end; return the length."""
    values = database.fetch_or_make(key, List)
    values.extend(members)
    database.changed(key)
    return len(values)


@command("LPOP")
def lpop(database: Database, key: bytes, text: bytes | None = None) -> bytes | list[bytes] | None:
    """Take from the front: one member, or a list of up to so many."""
    return _pop(database, "lpop", key, text)


@command("RPOP")
def rpop(database: Database, key: bytes, text: bytes | None = None) -> bytes | list[bytes] | None:
    """Take from the end: one member, or a list of up to so many."""
    return _pop(database, "rpop", key, text)


def _pop(database: Database, name: str, key: bytes, text: bytes | None) -> bytes | list[bytes] | None:
    number = 1 if text is None else count(text)
    values = database.fetch(key, List)
    if values is None:
        return None
    pop = values.popleft if name == "lpop" else values.pop
    gone = [pop() for _ in range(min(number, len(values)))]
    if gone:
        database.shrunk(key, values)
    return gone[0] if text is None else gone


@command("LLEN")
def llen(database: Database, key: bytes) -> int:
    """Return the length."""
    return len(database.fetch(key, List) or ())


@command("LRANGE")
def lrange(database: Database, key: bytes, start: bytes, stop: bytes) -> list[bytes]:
    """Read a range, both ends included."""
    first, last = integer(start), integer(stop)
    values = database.fetch(key, List)
    if values is None:
        return []
    begin, end = limits(first, last, len(values))
    if begin > _NEAR and len(values) - begin < begin and end - begin <= _NEAR:
        return [values[place] for place in range(begin, end)]
    return list(islice(values, begin, end))


@command("LINDEX")
def lindex(database: Database, key: bytes, place: bytes) -> bytes | None:
    """Read one member."""
    values = database.fetch(key, List)
    if values is None:
        return None
    number = integer(place)
    return values[number] if -len(values) <= number < len(values) else None


@command("LSET")
def lset(database: Database, key: bytes, place: bytes, member: bytes) -> bytes:
    """Replace one member."""
    values = database.fetch(key, List)
    if values is None:
        msg = "ERR no such key"
        raise reply_error(msg)
    number = integer(place)
    if not -len(values) <= number < len(values):
        msg = "ERR index out of range"
        raise reply_error(msg)
    values[number] = member
    database.changed(key)
    return OK


@command("LTRIM")
def ltrim(database: Database, key: bytes, start: bytes, stop: bytes) -> bytes:
    """Keep only a range, both ends included."""
    first, last = integer(start), integer(stop)
    values = database.fetch(key, List)
    if values is not None:
        begin, end = limits(first, last, len(values))
        for _ in range(len(values) - end):
            values.pop()
        for _ in range(min(begin, len(values))):
            values.popleft()
        database.shrunk(key, values)
    return OK


@command("LREM")
def lrem(database: Database, key: bytes, limit: bytes, member: bytes) -> int:
    """Remove members equal to one: the first so many, the last for a negative number, or for 0 all."""
    number = integer(limit)
    values = database.fetch(key, List)
    if values is None or member not in values:
        return 0
    places = [place for place, value in enumerate(values) if value == member]
    if number > 0:
        places = places[:number]
    elif number < 0:
        places = places[number:]
    for place in reversed(places):
        del values[place]
    database.shrunk(key, values)
    return len(places)


@command("LMOVE")
def lmove(database: Database, source: bytes, target: bytes, take: bytes, put: bytes) -> bytes | None:
    """Move a member from an end of one list to an end of another."""
    ends = take.upper(), put.upper()
    if not {*ends} <= {b"LEFT", b"RIGHT"}:
        raise syntax_error()
    values = database.fetch(source, List)
    if values is None:
        return None
    database.fetch(target, List)
    member = values.popleft() if ends[0] == b"LEFT" else values.pop()
    goal = values if source == target else database.fetch_or_make(target, List)
    if ends[1] == b"LEFT":
        goal.appendleft(member)
    else:
        goal.append(member)
    database.changed(target)
    database.shrunk(source, values)
    return member


@command("RPOPLPUSH")
def rpoplpush(database: Database, source: bytes, target: bytes) -> bytes | None:
    """Move the last member of one list to the front of another."""
    return lmove(database, source, target, b"RIGHT", b"LEFT")


@command("LPOS")
def lpos(database: Database, key: bytes, member: bytes, *words: bytes) -> int | list[int] | None:
    """Find a member: RANK (the first match to take, negative from the end), COUNT and MAXLEN."""
    rank, most, longest = _lpos_options(words)
    values = database.fetch(key, List)
    if values is None:
        return None if most is None else []
    places: list[int] = []
    wanted = 1 if most is None else most or len(values)
    walk = enumerate(values) if rank > 0 else zip(range(len(values) - 1, -1, -1), reversed(values), strict=True)
    skip = abs(rank) - 1
    for place, value in islice(walk, longest or None):
        if value == member:
            if skip:
                skip -= 1
                continue
            places.append(place)
            if len(places) == wanted:
                break
    if most is not None:
        return places
    return places[0] if places else None


def _lpos_options(words: tuple[bytes, ...]) -> tuple[int, int | None, int]:
    rank, longest = 1, 0
    most: int | None = None
    rest = iter(words)
    for word in rest:
        option, text = word.upper(), next(rest, None)
        if text is None or option not in {b"RANK", b"COUNT", b"MAXLEN"}:
            raise syntax_error()
        if option == b"RANK":
            rank = integer(text)
            if rank == 0:
                msg = (
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
                    "negative to start from the end of the list"
                )
                raise reply_error(msg)
        else:
            number = count(text, f"{option.decode()} can't be negative")
            most, longest = (number, longest) if option == b"COUNT" else (most, number)
    return rank, most, longest
