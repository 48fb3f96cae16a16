"""Commands on sets."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from rustforge.redis.embedded.database import Set
from rustforge.redis.embedded.parse import count, integer
from rustforge.redis.embedded.registry import command

if TYPE_CHECKING:
    from rustforge.redis.embedded.database import Database


@command("SADD", fewest=3)
def sadd(database: Database, key: bytes, *members: bytes) -> int:
    """Add members; return how many are new."""
    values = database.fetch_or_make(key, Set)
    new = sum(values.put(member) for member in members)
    if new:
        database.changed(key)
    return new


@command("SREM", fewest=3)
def srem(database: Database, key: bytes, *members: bytes) -> int:
    """Remove members; return how many there were."""
    values = database.fetch(key, Set)
    if values is None:
        return 0
    gone = 0
    for member in members:
        if member in values:
            values.drop(member)
            gone += 1
    if gone:
        database.shrunk(key, values)
    return gone


@command("SMEMBERS")
def smembers(database: Database, key: bytes) -> list[bytes]:
    """List the members."""
    return list(database.fetch(key, Set) or ())


@command("SISMEMBER")
def sismember(database: Database, key: bytes, member: bytes) -> int:
    """Tell whether a member is in the set."""
    return int(member in (database.fetch(key, Set) or ()))


@command("SMISMEMBER", fewest=3)
def smismember(database: Database, key: bytes, *members: bytes) -> list[int]:
    """Tell which members are in the set."""
    values = database.fetch(key, Set) or ()
    return [int(member in values) for member in members]


@command("SCARD")
def scard(database: Database, key: bytes) -> int:
    """Count the members."""
    return len(database.fetch(key, Set) or ())


@command("SPOP")
def spop(database: Database, key: bytes, text: bytes | None = None) -> bytes | list[bytes] | None:
    """Take random members: one, or a list of up to so many."""
    number = 1 if text is None else count(text)
    values = database.fetch(key, Set)
    gone: list[bytes] = []
    while values and len(gone) < number:
        gone.append(values.choose())
        values.drop(gone[-1])
    if gone and values is not None:
        database.shrunk(key, values)
    if text is None:
        return gone[0] if gone else None
    return gone


@command("SRANDMEMBER")
def srandmember(database: Database, key: bytes, text: bytes | None = None) -> bytes | list[bytes] | None:
    """Read random members: one, a list of different ones, or for a negative number a list with repetitions."""
    number = 1 if text is None else integer(text)
    values = database.fetch(key, Set)
    if text is None:
        return None if values is None else values.choose()
    if values is None:
        return []
    if number < 0:
        return [values.choose() for _ in range(-number)]
    return random.sample(list(values), min(number, len(values)))


@command("SMOVE")
def smove(database: Database, source: bytes, target: bytes, member: bytes) -> int:
    """Move a member to another set."""
    values = database.fetch(source, Set)
    if values is None:
        return 0
    database.fetch(target, Set)
    if member not in values:
        return 0
    if source == target:
        return 1
    values.drop(member)
    database.shrunk(source, values)
    if database.fetch_or_make(target, Set).put(member):
        database.changed(target)
    return 1
