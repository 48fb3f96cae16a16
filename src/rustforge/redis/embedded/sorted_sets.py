"""Commands on sorted sets."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from rustforge.errors import RedisReplyError
from rustforge.redis.embedded.errors import reply_error, syntax_error
from rustforge.redis.embedded.parse import count, double, integer, limits
from rustforge.redis.embedded.registry import command
from rustforge.redis.embedded.sorted_set import SortedSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustforge.redis.embedded.database import Database

_ADD_FLAGS = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})


@command("ZADD", fewest=4)
def zadd(database: Database, key: bytes, *words: bytes) -> int | float | None:
    """Set scores: NX, XX, GT, LT, CH (count the changed, too) and INCR."""
    return _add(database, key, *_zadd_options(words))


def _add(database: Database, key: bytes, flags: set[bytes], pairs: list[tuple[bytes, bytes]]) -> int | float | None:
    scores = [(double(score), member) for score, member in pairs]
    values = database.fetch(key, SortedSet)
    if values is None and b"XX" in flags:
        return None if b"INCR" in flags else 0
    known = values or SortedSet()
    new = changed = 0
    result: float | None = None
    for number, member in scores:
        old = known.scores.get(member)
        score = number + old if old is not None and b"INCR" in flags else number
        if math.isnan(score):
            msg = "ERR resulting score is not a number (NaN)"
            raise reply_error(msg)
        if not _wanted(flags, old, score):
            continue
        result = score
        if score != old:
            known.put(member, score)
            new += old is None
            changed += old is not None
    if values is None and known:
        database.write(key, known)
    elif new or changed:
        database.changed(key)
    if b"INCR" in flags:
        return result
    return new + changed if b"CH" in flags else new


def _wanted(flags: set[bytes], old: float | None, score: float) -> bool:
    """Tell whether ZADD's conditions let a score in."""
    if old is None:
        return b"XX" not in flags
    if b"NX" in flags:
        return False
    return not (b"GT" in flags and score <= old) and not (b"LT" in flags and score >= old)


def _zadd_options(words: tuple[bytes, ...]) -> tuple[set[bytes], list[tuple[bytes, bytes]]]:
    """Part the flags of ZADD from its pairs of score and member."""
    flags: set[bytes] = set()
    rest = list(words)
    while rest and rest[0].upper() in _ADD_FLAGS:
        flags.add(rest.pop(0).upper())
    if not rest or len(rest) % 2:
        raise syntax_error()
    if {b"NX", b"XX"} <= flags:
        msg = "ERR XX and NX options at the same time are not compatible"
        raise reply_error(msg)
    if {b"GT", b"LT"} <= flags or (b"NX" in flags and flags & {b"GT", b"LT"}):
        msg = "ERR GT, LT, and/or NX options at the same time are not compatible"
        raise reply_error(msg)
    if b"INCR" in flags and rest[2:]:
        msg = "ERR INCR option supports a single increment-element pair"
        raise reply_error(msg)
    return flags, list(zip(rest[::2], rest[1::2], strict=True))


@command("ZINCRBY")
def zincrby(database: Database, key: bytes, by: bytes, member: bytes) -> float:
    """Add to a score."""
    score = _add(database, key, {b"INCR"}, [(by, member)])
    return float(score or 0.0)


@command("ZREM", fewest=3)
def zrem(database: Database, key: bytes, *members: bytes) -> int:
    """Remove members; return how many there were."""
    values = database.fetch(key, SortedSet)
    if values is None:
        return 0
    gone = 0
    for member in members:
        if member in values.scores:
            values.drop(member)
            gone += 1
    if gone:
        database.shrunk(key, values)
    return gone


@command("ZSCORE")
def zscore(database: Database, key: bytes, member: bytes) -> float | None:
    """Read a score."""
    values = database.fetch(key, SortedSet)
    return None if values is None else values.scores.get(member)


@command("ZMSCORE", fewest=3)
def zmscore(database: Database, key: bytes, *members: bytes) -> list[float | None]:
    """Read scores."""
    values = database.fetch(key, SortedSet)
    return [None if values is None else values.scores.get(member) for member in members]


@command("ZCARD")
def zcard(database: Database, key: bytes) -> int:
    """Count the members."""
    return len(database.fetch(key, SortedSet) or ())


@command("ZRANK")
def zrank(database: Database, key: bytes, member: bytes) -> int | None:
    """Return a member's place from the lowest score."""
    values = database.fetch(key, SortedSet)
    return None if values is None or member not in values.scores else values.rank(member)


@command("ZREVRANK")
def zrevrank(database: Database, key: bytes, member: bytes) -> int | None:
    """Return a member's place from the highest score."""
    values = database.fetch(key, SortedSet)
    return None if values is None or member not in values.scores else len(values) - 1 - values.rank(member)


# -- ranges ------------------------------------------------------------------------------------------------------


def _bound(text: bytes) -> tuple[float, bool]:
    """Read an end of a range of scores: a number, and whether it is left out."""
    exclusive = text.startswith(b"(")
    number = text[exclusive:]
    try:
        return (double(number) if number else 0.0), exclusive
    except RedisReplyError:
        msg = "ERR min or max is not a float"
        raise reply_error(msg) from None


def _score_slice(values: SortedSet, low: tuple[float, bool], high: tuple[float, bool]) -> tuple[int, int]:
    """Find the members between two scores."""
    find_low, find_high = (bisect_right if low[1] else bisect_left), (bisect_left if high[1] else bisect_right)
    start = find_low(values.order, low[0], key=_score)
    return start, max(start, find_high(values.order, high[0], key=_score))


def _score(entry: tuple[float, bytes]) -> float:
    return entry[0]


def _member(entry: tuple[float, bytes]) -> bytes:
    return entry[1]


def _lex_bound(text: bytes) -> tuple[int, bytes, bool]:
    """Read an end of a range of members: -1 or 1 for before or after all, the member, and whether it is left out."""
    if text == b"-":
        return -1, b"", False
    if text == b"+":
        return 1, b"", False
    if text[:1] not in {b"[", b"("}:
        msg = "ERR min or max not valid string range item"
        raise reply_error(msg)
    return 0, text[1:], text[:1] == b"("


def _lex_slice(values: SortedSet, low: tuple[int, bytes, bool], high: tuple[int, bytes, bool]) -> tuple[int, int]:
    """Find the members between two members; all have the same score."""

    def place(side: int, member: bytes, *, after: bool) -> int:
        if side:
            return len(values) if side > 0 else 0
        return (bisect_right if after else bisect_left)(values.order, member, key=_member)

    start = place(low[0], low[1], after=low[2])
    return start, max(start, place(high[0], high[1], after=not high[2]))


def _show(database: Database, entries: list[tuple[float, bytes]], *, scores: bool) -> list[Any]:
    """Write members, with their scores in the form of the protocol."""
    if not scores:
        return [member for _, member in entries]
    if database.resp3:
        return [[member, score] for score, member in entries]
    return [word for score, member in entries for word in (member, score)]


class _Form(NamedTuple):
    """What one of the range commands takes."""

    options: frozenset[bytes]
    implied: frozenset[bytes] = frozenset()


_ONCE = frozenset({b"BYSCORE", b"BYLEX", b"REV"})
_ZRANGE = _Form(frozenset({b"BYSCORE", b"BYLEX", b"REV", b"LIMIT", b"WITHSCORES"}))
_ZREVRANGE = _Form(frozenset({b"WITHSCORES"}), frozenset({b"REV"}))
_ZRANGEBYSCORE = _Form(frozenset({b"LIMIT", b"WITHSCORES"}), frozenset({b"BYSCORE"}))
_ZREVRANGEBYSCORE = _Form(frozenset({b"LIMIT", b"WITHSCORES"}), frozenset({b"BYSCORE", b"REV"}))


@command("ZRANGE")
def zrange(database: Database, key: bytes, start: bytes, stop: bytes, *words: bytes) -> list[Any]:
    """Read a range of places, scores (BYSCORE) or members (BYLEX): REV, LIMIT and WITHSCORES."""
    return _range(database, key, (start, stop), words, _ZRANGE)


@command("ZREVRANGE")
def zrevrange(database: Database, key: bytes, start: bytes, stop: bytes, *words: bytes) -> list[Any]:
    """Read a range of places from the highest score: WITHSCORES."""
    return _range(database, key, (start, stop), words, _ZREVRANGE)


@command("ZRANGEBYSCORE")
def zrangebyscore(database: Database, key: bytes, start: bytes, stop: bytes, *words: bytes) -> list[Any]:
    """Read a range of scores: LIMIT and WITHSCORES."""
    return _range(database, key, (start, stop), words, _ZRANGEBYSCORE)


@command("ZREVRANGEBYSCORE")
def zrevrangebyscore(database: Database, key: bytes, start: bytes, stop: bytes, *words: bytes) -> list[Any]:
    """Read a range of scores from the highest: LIMIT and WITHSCORES."""
    return _range(database, key, (start, stop), words, _ZREVRANGEBYSCORE)


def _range_options(words: tuple[bytes, ...], form: _Form) -> tuple[set[bytes], int, int]:
    """Read the options of a range: the flags, and LIMIT's offset and count."""
    flags = set(form.implied)
    offset, most = 0, -1
    rest = iter(words)
    for word in rest:
        option = word.upper()
        if option not in form.options or (option in flags and option in _ONCE):
            raise syntax_error()
        if {option, *flags} >= {b"BYSCORE", b"BYLEX"}:
            raise syntax_error()
        flags.add(option)
        if option == b"LIMIT":
            skipped, taken = next(rest, None), next(rest, None)
            if skipped is None or taken is None:
                raise syntax_error()
            offset, most = integer(skipped), integer(taken)
    if most != -1 and not flags & {b"BYSCORE", b"BYLEX"}:
        msg = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
        raise reply_error(msg)
    if {b"BYLEX", b"WITHSCORES"} <= flags:
        msg = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
        raise reply_error(msg)
    return flags, offset, most


def _range(
    database: Database, key: bytes, ends: tuple[bytes, bytes], words: tuple[bytes, ...], form: _Form
) -> list[Any]:
    flags, offset, most = _range_options(words, form)
    by_score, by_lex, reverse = b"BYSCORE" in flags, b"BYLEX" in flags, b"REV" in flags
    low, high = ends[::-1] if reverse and (by_score or by_lex) else ends
    find = _finder(low, high, by_score=by_score, by_lex=by_lex, reverse=reverse)
    values = database.fetch(key, SortedSet)
    if not by_score and not by_lex:
        offset = 0
    if values is None or offset < 0:
        return []
    first, last = find(values)
    if reverse:
        last -= offset
        first = max(first, last - most) if most >= 0 else first
    else:
        first += offset
        last = min(last, first + most) if most >= 0 else last
    entries = values.order[first : max(first, last)]
    if reverse:
        entries.reverse()
    return _show(database, entries, scores=b"WITHSCORES" in flags)


def _finder(
    low: bytes, high: bytes, *, by_score: bool = False, by_lex: bool = False, reverse: bool = False
) -> Callable[[SortedSet], tuple[int, int]]:
    """Read the ends of a range; return what finds it in a sorted set, as a slice of the order."""
    if by_score:
        scores = _bound(low), _bound(high)
        return lambda values: _score_slice(values, *scores)
    if by_lex:
        members = _lex_bound(low), _lex_bound(high)
        return lambda values: _lex_slice(values, *members)
    places = integer(low), integer(high)

    def by_place(values: SortedSet) -> tuple[int, int]:
        first, last = limits(*places, len(values))
        return (len(values) - last, len(values) - first) if reverse else (first, last)

    return by_place


@command("ZCOUNT")
def zcount(database: Database, key: bytes, low: bytes, high: bytes) -> int:
    """Count the members between two scores."""
    find = _finder(low, high, by_score=True)
    values = database.fetch(key, SortedSet)
    if values is None:
        return 0
    first, last = find(values)
    return last - first


# -- taking out --------------------------------------------------------------------------------------------------


@command("ZPOPMIN")
def zpopmin(database: Database, key: bytes, text: bytes | None = None) -> list[Any]:
    """Take the members with the lowest scores: one, or up to so many."""
    return _pop(database, key, text, highest=False)


@command("ZPOPMAX")
def zpopmax(database: Database, key: bytes, text: bytes | None = None) -> list[Any]:
    """Take the members with the highest scores: one, or up to so many."""
    return _pop(database, key, text, highest=True)


def _pop(database: Database, key: bytes, text: bytes | None, *, highest: bool) -> list[Any]:
    number = 1 if text is None else count(text)
    values = database.fetch(key, SortedSet)
    if values is None or not number:
        return []
    start, stop = (max(0, len(values) - number), len(values)) if highest else (0, number)
    entries = values.order[start:stop]
    if highest:
        entries.reverse()
    values.drop_range(start, stop)
    database.shrunk(key, values)
    if text is None:
        return [entries[0][1], entries[0][0]]
    return _show(database, entries, scores=True)


def _remove(database: Database, key: bytes, find: Callable[[SortedSet], tuple[int, int]]) -> int:
    values = database.fetch(key, SortedSet)
    gone = 0 if values is None else values.drop_range(*find(values))
    if gone and values is not None:
        database.shrunk(key, values)
    return gone


@command("ZREMRANGEBYSCORE")
def zremrangebyscore(database: Database, key: bytes, low: bytes, high: bytes) -> int:
    """Remove the members between two scores."""
    return _remove(database, key, _finder(low, high, by_score=True))


@command("ZREMRANGEBYRANK")
def zremrangebyrank(database: Database, key: bytes, start: bytes, stop: bytes) -> int:
    """Remove the members between two places."""
    return _remove(database, key, _finder(start, stop))
