"""Commands on streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from rustforge.redis.embedded.errors import reply_error, syntax_error, wrong_arity
from rustforge.redis.embedded.parse import integer
from rustforge.redis.embedded.registry import command
from rustforge.redis.embedded.stream import LAST_ID, Stream, StreamId

if TYPE_CHECKING:
    from rustforge.redis.embedded.database import Database

Entry: TypeAlias = list[bytes | list[bytes]]

_FIRST_ID: StreamId = (0, 0)
_MAX = LAST_ID[1]
_USUAL_LIMIT = 10_000


class _Trimming(NamedTuple):
    """Which entries are too many.

    Attributes:
        longest: How many may stay, or `None`.
        oldest: The least id that may stay, or `None`.
        limit: With a number, the trimming need not be exact; see `Stream.trim`.
    """

    longest: int | None = None
    oldest: StreamId | None = None
    limit: int | None = None

    def apply(self, stream: Stream) -> int:
        """Remove them."""
        if self.longest is not None:
            return stream.trim(len(stream) - self.longest, self.limit)
        if self.oldest is not None:
            return stream.trim(stream.slice(self.oldest, LAST_ID).start, self.limit)
        return 0


@command("XADD", fewest=5)
def xadd(database: Database, key: bytes, *words: bytes) -> bytes | None:
    """Add an entry: NOMKSTREAM, MAXLEN or MINID, and an id, of which `*` makes the rest."""
    make, trimming, place = _read_options(words, adding=True)
    if place == len(words):
        msg = "xadd"
        raise wrong_arity(msg)
    wanted = words[place]
    whole, _, rest = wanted.partition(b"-")
    given: StreamId | None = None
    if wanted != b"*":
        given = read_id(whole if rest == b"*" else wanted, strict=True)
    fields = list(words[place + 1 :])
    if not fields or len(fields) % 2:
        msg = "xadd"
        raise wrong_arity(msg)
    if given == _FIRST_ID and rest != b"*":
        msg = "ERR The ID specified in XADD must be greater than 0-0"
        raise reply_error(msg)
    stream = database.fetch(key, Stream)
    if stream is None and not make:
        return None
    current = Stream() if stream is None else stream
    if current.last == LAST_ID:
        msg = "ERR The stream has exhausted the last possible ID, unable to add more items"
        raise reply_error(msg)
    if given is None:
        given = current.next_id(database.now())
    elif rest == b"*" and given[0] == current.last[0]:
        given = given[0], current.last[1] + 1
    if given <= current.last or given[1] > _MAX:
        msg = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
        raise reply_error(msg)
    stream = database.fetch_or_make(key, Stream)
    stream.add(given, fields)
    trimming.apply(stream)
    database.changed(key)
    return show_id(given)


@command("XTRIM", fewest=4)
def xtrim(database: Database, key: bytes, *words: bytes) -> int:
    """Remove the oldest entries: MAXLEN or MINID; return how many."""
    _, trimming, _ = _read_options(words, adding=False)
    if trimming.longest is None and trimming.oldest is None:
        raise syntax_error()
    stream = database.fetch(key, Stream)
    gone = 0 if stream is None else trimming.apply(stream)
    if gone:
        database.changed(key)
    return gone


@command("XDEL", fewest=3)
def xdel(database: Database, key: bytes, *words: bytes) -> int:
    """Remove entries by their ids; return how many there were."""
    stream = database.fetch(key, Stream)
    if stream is None:
        return 0
    gone = sum([stream.drop(entry) for entry in [read_id(word, strict=True) for word in words]])
    if gone:
        database.changed(key)
    return gone


@command("XLEN")
def xlen(database: Database, key: bytes) -> int:
    """Count the entries."""
    stream = database.fetch(key, Stream)
    return 0 if stream is None else len(stream)


@command("XRANGE")
def xrange(database: Database, key: bytes, first: bytes, last: bytes, *words: bytes) -> list[Entry] | None:
    """Read entries by their ids, both ends included unless `(` stands before them: COUNT."""
    return _range(database, key, first, last, words)


@command("XREVRANGE")
def xrevrange(database: Database, key: bytes, last: bytes, first: bytes, *words: bytes) -> list[Entry] | None:
    """Read entries by their ids, the last one first: COUNT."""
    return _range(database, key, first, last, words, reverse=True)


def _range(
    database: Database, key: bytes, first: bytes, last: bytes, words: tuple[bytes, ...], *, reverse: bool = False
) -> list[Entry] | None:
    start, end = _read_start(first), _read_end(last)
    count = -1
    rest = iter(words)
    for word in rest:
        text = next(rest, None)
        if text is None or word.upper() != b"COUNT":
            raise syntax_error()
        count = max(integer(text), 0)
    stream = database.fetch(key, Stream)
    if stream is None:
        return []
    if count == 0:
        return None
    found = stream.slice(start, end)
    places = range(found.start, max(found.stop, found.start))
    places = places[::-1] if reverse else places
    chosen = places if count < 0 else places[:count]
    return [[show_id(stream.ids[place]), list(stream.fields[place])] for place in chosen]


def _read_start(text: bytes) -> StreamId:
    if len(text) == 1 or text[:1] != b"(":
        return read_id(text)
    number, within = read_id(text[1:], strict=True)
    if (number, within) == LAST_ID:
        msg = "ERR invalid start ID for the interval"
        raise reply_error(msg)
    return number, within + 1  # it need not be an id that there can be


def _read_end(text: bytes) -> StreamId:
    if len(text) == 1 or text[:1] != b"(":
        return read_id(text, missing=_MAX)
    number, within = read_id(text[1:], strict=True, missing=_MAX)
    if (number, within) == _FIRST_ID:
        msg = "ERR invalid end ID for the interval"
        raise reply_error(msg)
    return (number, within - 1) if within else (number - 1, _MAX)


def read_id(text: bytes, *, strict: bool = False, missing: int = 0) -> StreamId:
    """Read an id.

    Args:
        text: The id: two numbers, or the first of them.
        strict: Whether `-` and `+`, the least and the greatest, are no ids.
        missing: What stands for the second number where there is none.

    Raises:
        RedisReplyError: It is none.
    """
    if not strict and text in {b"-", b"+"}:
        return _FIRST_ID if text == b"-" else LAST_ID
    number, dash, within = text.partition(b"-")
    if number.isdigit() and (within.isdigit() or not dash):
        found = int(number), int(within) if dash else missing
        if max(found) <= _MAX:
            return found
    msg = "ERR Invalid stream ID specified as stream command argument"
    raise reply_error(msg)


def show_id(entry: StreamId) -> bytes:
    """Write an id."""
    return b"%d-%d" % entry


def _read_options(words: tuple[bytes, ...], *, adding: bool) -> tuple[bool, _Trimming, int]:
    """Read what stands before the id of XADD, or after the key of XTRIM.

    Returns:
        Whether to make a stream, what to trim, and the place of what comes after.
    """
    make, found, approximate = True, _Trimming(), False
    place = 0
    while place < len(words):
        word = words[place].upper()
        more = len(words) - 1 - place
        if word in {b"MAXLEN", b"MINID"} and more:
            if found.longest is not None or found.oldest is not None:
                raise syntax_error()
            if more > 1 and words[place + 1] in {b"~", b"="}:
                place += 1
                approximate = words[place] == b"~"
            found = _read_bound(word, words[place + 1], found)
            place += 2
        elif word == b"LIMIT" and more:
            found = found._replace(limit=_natural(words[place + 1], "LIMIT"))
            place += 2
        elif adding and word == b"NOMKSTREAM":
            make = False
            place += 1
        elif adding:
            break
        else:
            raise syntax_error()
    if found.limit is not None and not approximate:
        raise syntax_error()
    if approximate and found.limit is None:
        found = found._replace(limit=_USUAL_LIMIT)
    return make, found, place


def _read_bound(word: bytes, text: bytes, found: _Trimming) -> _Trimming:
    if word == b"MAXLEN":
        return found._replace(longest=_natural(text, "MAXLEN"))
    return found._replace(oldest=read_id(text, strict=True))


def _natural(text: bytes, name: str) -> int:
    number = integer(text)
    if number < 0:
        msg = f"ERR The {name} argument must be >= 0."
        raise reply_error(msg)
    return number
