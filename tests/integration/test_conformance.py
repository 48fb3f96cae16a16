"""Every backend answers every command that Rustforge uses in the same way: `memory://`, a server, a cluster.

Each case is a list of commands with the literal reply or error that all backends give. `@a` stands for a key; all keys
of a test share a hash tag, so that a cluster keeps them in one slot.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.errors import RedisReplyError
from rustforge.redis import Script, connect, escape_glob
from rustforge.redis.embedded.standard import COMMANDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rustforge.redis import RedisClient
    from rustforge.types import CommandArgument

Step = tuple[tuple["CommandArgument", ...], Any]

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NO_INTEGER = "ERR value is not an integer or out of range"
SYNTAX = "ERR syntax error"


class Error:
    """An error reply: its code, and a pattern of what all versions of the servers say."""

    def __init__(self, start: str) -> None:
        """Give the beginning of the text, its code first; nothing where the versions differ in the code."""
        self.start = start

    def __eq__(self, other: object) -> bool:
        """Compare."""
        if not isinstance(other, RedisReplyError):
            return False
        return not self.start or (other.code == self.start.split()[0] and str(other).startswith(self.start))

    def __repr__(self) -> str:
        """Show the text."""
        return f"Error({self.start!r})"

    __hash__ = None  # type: ignore[assignment]


ANY_ERROR = Error("")


class InAnyOrder:
    """A list whose order is not promised."""

    def __init__(self, *members: Any) -> None:
        """Give the members."""
        self.members = members

    def __eq__(self, other: object) -> bool:
        """Compare."""
        return isinstance(other, list) and sorted(other) == sorted(self.members)

    def __repr__(self) -> str:
        """Show the members."""
        return f"InAnyOrder{self.members!r}"

    __hash__ = None  # type: ignore[assignment]


class Between:
    """A number within bounds, such as the time that a key has left."""

    def __init__(self, low: int, high: int) -> None:
        """Give the bounds, both included."""
        self.low, self.high = low, high

    def __eq__(self, other: object) -> bool:
        """Compare."""
        return type(other) is int and self.low <= other <= self.high

    def __repr__(self) -> str:
        """Show the bounds."""
        return f"Between({self.low}, {self.high})"

    __hash__ = None  # type: ignore[assignment]


BACKENDS = ("memory", "redis", "cluster")


@pytest.fixture(params=BACKENDS)
async def client(request: pytest.FixtureRequest, prefix: str) -> AsyncIterator[RedisClient]:
    """Connect to each backend; what the test left under its prefix is removed."""
    async with connect(_url(request, prefix)) as client:
        yield client
        async for keys in client.scan(escape_glob(prefix).encode() + b"*"):
            await client.unlink(keys)


@pytest.fixture(params=BACKENDS[:2])
async def single(request: pytest.FixtureRequest, prefix: str) -> AsyncIterator[RedisClient]:
    """Connect to each backend that is one store, for commands without a key; it is empty at the start and the end."""
    async with connect(_url(request, prefix)) as client:
        await client.call("FLUSHALL")
        yield client
        await client.call("FLUSHALL")


def _url(request: pytest.FixtureRequest, prefix: str) -> str:
    if request.param == "memory":
        return f"memory://{prefix}"
    url: str = request.getfixturevalue(f"redis_{'server' if request.param == 'redis' else 'cluster'}").url
    return url


def with_keys(words: Any, prefix: str) -> Any:
    """Put the test's keys in the place of `@a`, in a command or in what it answers."""
    if isinstance(words, str) and words.startswith("@"):
        return f"{prefix}:{{tag}}:{words[1:]}"
    if isinstance(words, bytes) and words.startswith(b"@"):
        return with_keys(words.decode(), prefix).encode()
    if isinstance(words, (list, tuple)):
        return type(words)(with_keys(word, prefix) for word in words)
    return words


async def play(client: RedisClient, prefix: str, steps: Sequence[Step]) -> None:
    """Send commands one after the other and compare what comes back: value and type."""
    for words, answer in steps:
        try:
            reply = await client.call(*with_keys(words, prefix))
        except RedisReplyError as error:
            reply = error
        expected = with_keys(answer, prefix)
        assert reply == expected, words
        if not isinstance(expected, (Error, InAnyOrder, Between)):
            assert isinstance(reply, type(expected)), words


NOW = 4_000_000_000  # seconds; in the year 2096

CASES: dict[str, list[Step]] = {
    "GET and SET": [
        (("GET", "@a"), None),
        (("SET", "@a", "v"), b"OK"),
        (("GET", "@a"), b"v"),
        (("SET", "@a", b"\x00\xff\r\n"), b"OK"),
        (("GET", "@a"), b"\x00\xff\r\n"),
        (("SET", "@a", ""), b"OK"),
        (("GET", "@a"), b""),
        (("SET", "@a", 17), b"OK"),
        (("GET", "@a"), b"17"),
        (("SET", "@a", 0.1), b"OK"),
        (("GET", "@a"), b"0.1"),
        (("SET", "@a", 1e100), b"OK"),
        (("GET", "@a"), b"1e+100"),
        (("SET", "@a", "Grüße"), b"OK"),
        (("GET", "@a"), "Grüße".encode()),
        (("set", "@a", "lower"), b"OK"),
        ((b"GeT", "@a"), b"lower"),
    ],
    "SET options": [
        (("SET", "@a", "1", "XX"), None),
        (("SET", "@a", "1", "NX"), b"OK"),
        (("SET", "@a", "2", "NX"), None),
        (("SET", "@a", "2", "xx"), b"OK"),
        (("SET", "@a", "3", "GET"), b"2"),
        (("SET", "@a", "4", "XX", "GET"), b"3"),
        (("SET", "@b", "4", "XX", "GET"), None),
        (("GET", "@b"), None),
        (("SET", "@a", "5", "EX", 100), b"OK"),
        (("TTL", "@a"), Between(99, 100)),
        (("SET", "@a", "6", "KEEPTTL"), b"OK"),
        (("TTL", "@a"), Between(99, 100)),
        (("SET", "@a", "7"), b"OK"),
        (("TTL", "@a"), -1),
        (("SET", "@a", "8", "PX", 50_000), b"OK"),
        (("PTTL", "@a"), Between(45_000, 50_000)),
        (("SET", "@a", "8", "NX", "PX", 90_000), None),
        (("PTTL", "@a"), Between(45_000, 50_000)),
        (("SET", "@a", "9", "EXAT", NOW), b"OK"),
        (("SET", "@a", "9", "PXAT", NOW * 1000), b"OK"),
        (("TTL", "@a"), Between(10**9, NOW)),
        (("SET", "@a", "10", "PX", 100, "NX", "XX"), Error(SYNTAX)),
        (("SET", "@a", "10", "EX", 1, "PX", 1), Error(SYNTAX)),
        (("SET", "@a", "10", "EX", 1, "KEEPTTL"), Error(SYNTAX)),
        (("SET", "@a", "10", "EX"), Error(SYNTAX)),
        (("SET", "@a", "10", "NONSENSE"), Error(SYNTAX)),
        (("SET", "@a", "10", "EX", "soon"), Error(NO_INTEGER)),
        (("SET", "@a", "10", "EX", 0), Error("ERR invalid expire time in")),
        (("SET", "@a", "10", "PX", -1), Error("ERR invalid expire time in")),
        (("SET", "@a", "10", "EX", 2**62), Error("ERR invalid expire time in")),
        (("SET", "@a"), Error("ERR wrong number of arguments for 'set' command")),
        (("GET", "@a"), b"9"),
    ],
    "SET on another kind": [
        (("RPUSH", "@a", "x"), 1),
        (("GET", "@a"), Error(WRONG_TYPE)),
        (("SET", "@a", "v", "GET"), Error(WRONG_TYPE)),
        (("TYPE", "@a"), b"list"),
        (("SET", "@a", "v"), b"OK"),
        (("TYPE", "@a"), b"string"),
    ],
    "SETNX, SETEX, PSETEX": [
        (("SETNX", "@a", "1"), 1),
        (("SETNX", "@a", "2"), 0),
        (("GET", "@a"), b"1"),
        (("SETEX", "@a", 100, "3"), b"OK"),
        (("PTTL", "@a"), Between(99_000, 100_000)),
        (("PSETEX", "@a", 90_000, "4"), b"OK"),
        (("PTTL", "@a"), Between(85_000, 90_000)),
        (("GET", "@a"), b"4"),
        (("SETEX", "@a", 0, "5"), Error("ERR invalid expire time in")),
        (("PSETEX", "@a", "x", "5"), Error(NO_INTEGER)),
    ],
    "GETSET, GETDEL, GETEX": [
        (("GETSET", "@a", "1"), None),
        (("GETSET", "@a", "2"), b"1"),
        (("GETEX", "@a", "PX", 90_000), b"2"),
        (("PTTL", "@a"), Between(85_000, 90_000)),
        (("GETEX", "@a"), b"2"),
        (("PTTL", "@a"), Between(85_000, 90_000)),
        (("GETEX", "@a", "PERSIST"), b"2"),
        (("PTTL", "@a"), -1),
        (("GETEX", "@a", "PERSIST", "EX", 1), Error(SYNTAX)),
        (("GETEX", "@a", "PXAT", 1), b"2"),
        (("GETEX", "@a"), None),
        (("SET", "@a", "3"), b"OK"),
        (("GETDEL", "@a"), b"3"),
        (("GETDEL", "@a"), None),
        (("SADD", "@a", "x"), 1),
        (("GETDEL", "@a"), Error(WRONG_TYPE)),
        (("GETEX", "@a"), Error(WRONG_TYPE)),
        (("GETSET", "@a", "1"), Error(WRONG_TYPE)),
    ],
    "MGET and MSET": [
        (("MSET", "@a", "1", "@b", "2", "@a", "3"), b"OK"),
        (("HSET", "@h", "f", "v"), 1),
        (("MGET", "@a", "@missing", "@b", "@h", "@a"), [b"3", None, b"2", None, b"3"]),
        (("SETEX", "@a", 100, "x"), b"OK"),
        (("MSET", "@a", "1", "@h", "string"), b"OK"),
        (("TTL", "@a"), -1),
        (("TYPE", "@h"), b"string"),
        (("MSET", "@a", "1", "@b"), Error("ERR wrong number of arguments for")),
    ],
    "APPEND, STRLEN, GETRANGE, SETRANGE": [
        (("APPEND", "@a", "hello"), 5),
        (("APPEND", "@a", " world"), 11),
        (("STRLEN", "@a"), 11),
        (("STRLEN", "@missing"), 0),
        (("GETRANGE", "@a", 0, 4), b"hello"),
        (("GETRANGE", "@a", -5, -1), b"world"),
        (("GETRANGE", "@a", 8, 100), b"rld"),
        (("GETRANGE", "@a", 5, 2), b""),
        (("GETRANGE", "@a", -100, 0), b"h"),
        (("GETRANGE", "@missing", 0, -1), b""),
        (("GETRANGE", "@a", "x", 1), Error(NO_INTEGER)),
        (("PEXPIRE", "@a", 90_000), 1),
        (("SETRANGE", "@a", 6, "redis"), 11),
        (("GET", "@a"), b"hello redis"),
        (("APPEND", "@a", "!"), 12),
        (("PTTL", "@a"), Between(85_000, 90_000)),
        (("SETRANGE", "@b", 3, "x"), 4),
        (("GET", "@b"), b"\0\0\0x"),
        (("SETRANGE", "@c", 3, ""), 0),
        (("EXISTS", "@c"), 0),
        (("SETRANGE", "@b", -1, "x"), Error("ERR offset is out of range")),
        (("SETRANGE", "@b", 2**40, "x"), Error("ERR string exceeds maximum allowed size")),
        (("LPUSH", "@l", "x"), 1),
        (("APPEND", "@l", "x"), Error(WRONG_TYPE)),
        (("GETRANGE", "@l", 0, 1), Error(WRONG_TYPE)),
        (("STRLEN", "@l"), Error(WRONG_TYPE)),
    ],
    "INCR and its kind": [
        (("INCR", "@a"), 1),
        (("INCRBY", "@a", 41), 42),
        (("DECR", "@a"), 41),
        (("DECRBY", "@a", 50), -9),
        (("GET", "@a"), b"-9"),
        (("PEXPIRE", "@a", 90_000), 1),
        (("INCR", "@a"), -8),
        (("PTTL", "@a"), Between(85_000, 90_000)),
        (("SET", "@a", 2**63 - 1), b"OK"),
        (("INCR", "@a"), Error("ERR increment or decrement would overflow")),
        (("GET", "@a"), b"9223372036854775807"),
        (("SET", "@a", "ten"), b"OK"),
        (("INCR", "@a"), Error(NO_INTEGER)),
        (("SET", "@a", ""), b"OK"),
        (("INCR", "@a"), Error(NO_INTEGER)),
        (("SET", "@a", " 1"), b"OK"),
        (("INCRBY", "@a", 1), Error(NO_INTEGER)),
        (("INCRBY", "@b", "1.5"), Error(NO_INTEGER)),
        (("INCRBY", "@b", 2**63), Error(NO_INTEGER)),
        (("SADD", "@s", "x"), 1),
        (("INCR", "@s"), Error(WRONG_TYPE)),
    ],
    "INCRBYFLOAT": [
        (("INCRBYFLOAT", "@a", "10.5"), b"10.5"),
        (("INCRBYFLOAT", "@a", "0.1"), b"10.6"),
        (("INCRBYFLOAT", "@a", -5.6), b"5"),
        (("INCRBYFLOAT", "@a", "5.0e3"), b"5005"),
        (("INCRBYFLOAT", "@b", "3.0"), b"3"),
        (("INCRBYFLOAT", "@b", "x"), Error("ERR value is not a valid float")),
        (("INCRBYFLOAT", "@b", "inf"), Error("ERR increment would produce NaN or Infinity")),
    ],
    "DEL, UNLINK, EXISTS, TOUCH": [
        (("MSET", "@a", "1", "@b", "2", "@c", "3"), b"OK"),
        (("EXISTS", "@a", "@b", "@a", "@missing"), 3),
        (("TOUCH", "@a", "@missing"), 1),
        (("DEL", "@a", "@missing", "@a"), 1),
        (("UNLINK", "@b", "@c", "@b"), 2),
        (("EXISTS", "@b"), 0),
        (("DEL",), Error("ERR wrong number of arguments for 'del' command")),
    ],
    "EXPIRE and TTL": [
        (("EXPIRE", "@a", 10), 0),
        (("TTL", "@a"), -2),
        (("PTTL", "@a"), -2),
        (("SET", "@a", "1"), b"OK"),
        (("TTL", "@a"), -1),
        (("PTTL", "@a"), -1),
        (("PERSIST", "@a"), 0),
        (("EXPIRE", "@a", 100), 1),
        (("TTL", "@a"), Between(99, 100)),
        (("PEXPIRE", "@a", 90_000), 1),
        (("PTTL", "@a"), Between(85_000, 90_000)),
        (("PERSIST", "@a"), 1),
        (("TTL", "@a"), -1),
        (("EXPIREAT", "@a", NOW), 1),
        (("TTL", "@a"), Between(10**9, NOW)),
        (("PEXPIREAT", "@a", NOW * 1000), 1),
        (("TTL", "@a"), Between(10**9, NOW)),
        (("EXPIRE", "@a", "soon"), Error(NO_INTEGER)),
        (("EXPIRE", "@a", 2**62), Error("ERR invalid expire time in")),
        (("EXPIRE", "@a", 0), 1),
        (("EXISTS", "@a"), 0),
        (("SET", "@a", "1"), b"OK"),
        (("PEXPIREAT", "@a", 1000), 1),
        (("GET", "@a"), None),
        (("RPUSH", "@l", "x"), 1),
        (("EXPIRE", "@l", -5), 1),
        (("EXISTS", "@l"), 0),
    ],
    "TYPE and RENAME": [
        (("TYPE", "@a"), b"none"),
        (("SET", "@s", "v", "PX", 90_000), b"OK"),
        (("HSET", "@h", "f", "v"), 1),
        (("RPUSH", "@l", "x"), 1),
        (("SADD", "@t", "x"), 1),
        (("ZADD", "@z", 1, "x"), 1),
        (("TYPE", "@s"), b"string"),
        (("TYPE", "@h"), b"hash"),
        (("TYPE", "@l"), b"list"),
        (("TYPE", "@t"), b"set"),
        (("TYPE", "@z"), b"zset"),
        (("RENAME", "@s", "@h"), b"OK"),
        (("GET", "@h"), b"v"),
        (("PTTL", "@h"), Between(85_000, 90_000)),
        (("EXISTS", "@s"), 0),
        (("RENAME", "@l", "@h"), b"OK"),
        (("PTTL", "@h"), -1),
        (("RENAME", "@h", "@h"), b"OK"),
        (("RENAME", "@s", "@x"), Error("ERR no such key")),
    ],
    "hashes": [
        (("HGET", "@h", "f"), None),
        (("HGETALL", "@h"), {}),
        (("HLEN", "@h"), 0),
        (("HKEYS", "@h"), []),
        (("HSET", "@h", "f", "1"), 1),
        (("HSET", "@h", "f", "2", "g", "3"), 1),
        (("HSET", "@h", "f", "2", "h"), Error("ERR wrong number of arguments for")),
        (("HSETNX", "@h", "f", "9"), 0),
        (("HSETNX", "@h", "i", "4"), 1),
        (("HGET", "@h", "f"), b"2"),
        (("HMGET", "@h", "f", "none", "g"), [b"2", None, b"3"]),
        (("HMGET", "@none", "f", "g"), [None, None]),
        (("HGETALL", "@h"), {b"f": b"2", b"g": b"3", b"i": b"4"}),
        (("HKEYS", "@h"), InAnyOrder(b"f", b"g", b"i")),
        (("HVALS", "@h"), InAnyOrder(b"2", b"3", b"4")),
        (("HLEN", "@h"), 3),
        (("HEXISTS", "@h", "f"), 1),
        (("HEXISTS", "@h", "none"), 0),
        (("HSTRLEN", "@h", "f"), 1),
        (("HINCRBY", "@h", "f", 40), 42),
        (("HINCRBY", "@h", "new", -1), -1),
        (("HINCRBY", "@h", "f", "x"), Error(NO_INTEGER)),
        (("HSET", "@h", "f", "text"), 0),
        (("HINCRBY", "@h", "f", 1), Error("ERR hash value is not an integer")),
        (("HSCAN", "@h", 0, "MATCH", "g*"), [b"0", [b"g", b"3"]]),
        (("HDEL", "@h", "f", "none", "g"), 2),
        (("HDEL", "@h", "i", "new"), 2),
        (("EXISTS", "@h"), 0),
        (("HDEL", "@h", "i"), 0),
        (("SET", "@s", "v"), b"OK"),
        (("HGET", "@s", "f"), Error(WRONG_TYPE)),
        (("HSET", "@s", "f", "v"), Error(WRONG_TYPE)),
        (("HDEL", "@s", "f"), Error(WRONG_TYPE)),
        (("HGETALL", "@s"), Error(WRONG_TYPE)),
        (("HINCRBY", "@s", "f", 1), Error(WRONG_TYPE)),
    ],
    "lists": [
        (("LPOP", "@l"), None),
        (("LPOP", "@l", 2), None),
        (("LLEN", "@l"), 0),
        (("LRANGE", "@l", 0, -1), []),
        (("RPUSH", "@l", "c", "d"), 2),
        (("LPUSH", "@l", "b", "a"), 4),
        (("LRANGE", "@l", 0, -1), [b"a", b"b", b"c", b"d"]),
        (("LRANGE", "@l", -2, 100), [b"c", b"d"]),
        (("LRANGE", "@l", 2, 1), []),
        (("LRANGE", "@l", "x", 1), Error(NO_INTEGER)),
        (("LINDEX", "@l", 1), b"b"),
        (("LINDEX", "@l", -1), b"d"),
        (("LINDEX", "@l", 9), None),
        (("LSET", "@l", 1, "B"), b"OK"),
        (("LSET", "@l", 9, "x"), Error("ERR index out of range")),
        (("LSET", "@none", 0, "x"), Error("ERR no such key")),
        (("LPOP", "@l"), b"a"),
        (("RPOP", "@l"), b"d"),
        (("LPOP", "@l", 9), [b"B", b"c"]),
        (("EXISTS", "@l"), 0),
        (("RPUSH", "@l", "a", "b", "a", "c", "a", "a"), 6),
        (("LPOP", "@l", 0), []),
        (("LPOP", "@l", -1), Error("ERR value is out of range, must be positive")),
        (("LPOS", "@l", "a"), 0),
        (("LPOS", "@l", "a", "RANK", 2), 2),
        (("LPOS", "@l", "a", "RANK", -1), 5),
        (("LPOS", "@l", "a", "COUNT", 0), [0, 2, 4, 5]),
        (("LPOS", "@l", "a", "COUNT", 2, "RANK", -1), [5, 4]),
        (("LPOS", "@l", "a", "COUNT", 0, "MAXLEN", 3), [0, 2]),
        (("LPOS", "@l", "none"), None),
        (("LPOS", "@l", "none", "COUNT", 1), []),
        (("LPOS", "@l", "a", "RANK", 0), Error("ERR RANK can't be zero")),
        (("LREM", "@l", 1, "a"), 1),
        (("LREM", "@l", -1, "a"), 1),
        (("LRANGE", "@l", 0, -1), [b"b", b"a", b"c", b"a"]),
        (("LREM", "@l", 0, "a"), 2),
        (("LREM", "@l", 0, "none"), 0),
        (("RPUSH", "@l", "d", "e"), 4),
        (("LTRIM", "@l", 1, -2), b"OK"),
        (("LRANGE", "@l", 0, -1), [b"c", b"d"]),
        (("LMOVE", "@l", "@m", "LEFT", "RIGHT"), b"c"),
        (("LMOVE", "@l", "@m", "RIGHT", "LEFT"), b"d"),
        (("EXISTS", "@l"), 0),
        (("LRANGE", "@m", 0, -1), [b"d", b"c"]),
        (("LMOVE", "@m", "@m", "LEFT", "RIGHT"), b"d"),
        (("RPOPLPUSH", "@m", "@l"), b"d"),
        (("LMOVE", "@none", "@l", "LEFT", "LEFT"), None),
        (("LMOVE", "@m", "@l", "LEFT", "UP"), Error(SYNTAX)),
        (("LTRIM", "@l", 5, 9), b"OK"),
        (("EXISTS", "@l"), 0),
        (("SET", "@s", "v"), b"OK"),
        (("LPUSH", "@s", "x"), Error(WRONG_TYPE)),
        (("LLEN", "@s"), Error(WRONG_TYPE)),
        (("LMOVE", "@m", "@s", "LEFT", "LEFT"), Error(WRONG_TYPE)),
        (("LRANGE", "@m", 0, -1), [b"c"]),
    ],
    "sets": [
        (("SMEMBERS", "@t"), []),
        (("SPOP", "@t"), None),
        (("SADD", "@t", "a", "b", "a"), 2),
        (("SADD", "@t", "b", "c"), 1),
        (("SCARD", "@t"), 3),
        (("SMEMBERS", "@t"), InAnyOrder(b"a", b"b", b"c")),
        (("SISMEMBER", "@t", "a"), 1),
        (("SISMEMBER", "@t", "z"), 0),
        (("SMISMEMBER", "@t", "a", "z"), [1, 0]),
        (("SRANDMEMBER", "@t", 9), InAnyOrder(b"a", b"b", b"c")),
        (("SREM", "@t", "a", "z"), 1),
        (("SMOVE", "@t", "@u", "b"), 1),
        (("SMOVE", "@t", "@u", "b"), 0),
        (("SMEMBERS", "@u"), [b"b"]),
        (("SRANDMEMBER", "@u"), b"b"),
        (("SRANDMEMBER", "@u", -3), [b"b", b"b", b"b"]),
        (("SRANDMEMBER", "@none"), None),
        (("SRANDMEMBER", "@none", 2), []),
        (("SPOP", "@t"), b"c"),
        (("EXISTS", "@t"), 0),
        (("SPOP", "@u", 5), [b"b"]),
        (("SPOP", "@u", 5), []),
        (("SET", "@s", "v"), b"OK"),
        (("SADD", "@s", "x"), Error(WRONG_TYPE)),
        (("SISMEMBER", "@s", "x"), Error(WRONG_TYPE)),
        (("SMEMBERS", "@s"), Error(WRONG_TYPE)),
    ],
    "streams": [
        (("XLEN", "@a"), 0),
        (("XRANGE", "@a", "-", "+"), []),
        (("XADD", "@a", "NOMKSTREAM", "1-1", "f", "v"), None),
        (("EXISTS", "@a"), 0),
        (("XADD", "@a", "1-1", "f", "v"), b"1-1"),
        (("XADD", "@a", "1-1", "f", "v"), Error("ERR The ID specified in XADD is equal or smaller")),
        (("XADD", "@a", "0-0", "f", "v"), Error("ERR The ID specified in XADD must be greater than 0-0")),
        (("XADD", "@a", "x", "f", "v"), Error("ERR Invalid stream ID")),
        (("XADD", "@a", "+", "f", "v"), Error("ERR Invalid stream ID")),
        (("XADD", "@a", "2", "f", "v", "g", "w"), b"2-0"),
        (("XADD", "@a", "3-1", "f"), Error("ERR wrong number of arguments")),
        (("XADD", "@a", "MAXLEN", "=", 2, "3", "f", "v"), b"3-0"),
        (("XRANGE", "@a", "-", "+"), [[b"2-0", [b"f", b"v", b"g", b"w"]], [b"3-0", [b"f", b"v"]]]),
        (("XRANGE", "@a", "(2", "+"), [[b"3-0", [b"f", b"v"]]]),
        (("XRANGE", "@a", "2", "(3-0"), [[b"2-0", [b"f", b"v", b"g", b"w"]]]),
        (("XRANGE", "@a", "3", "2"), []),
        (("XRANGE", "@a", "-", "+", "COUNT", 1), [[b"2-0", [b"f", b"v", b"g", b"w"]]]),
        (("XRANGE", "@a", "-", "+", "COUNT", 0), None),
        (("XRANGE", "@a", "-", "+", "COUNT"), Error(SYNTAX)),
        (("XRANGE", "@a", "(18446744073709551615-18446744073709551615", "+"), Error("ERR invalid start ID")),
        (("XRANGE", "@a", "-", "(0-0"), Error("ERR invalid end ID")),
        (("XREVRANGE", "@a", "+", "-", "COUNT", 1), [[b"3-0", [b"f", b"v"]]]),
        (("XADD", "@a", "MINID", "3", "4-7", "f", "v"), b"4-7"),
        (("XLEN", "@a"), 2),
        (("XTRIM", "@a", "MAXLEN", 1), 1),
        (("XTRIM", "@a", "MINID", "~", "4"), 0),
        (("XTRIM", "@a", "MAXLEN", "~", 0, "LIMIT", 5), 1),
        (("TYPE", "@a"), b"stream"),
        (("XLEN", "@a"), 0),
        (("XADD", "@a", "4-7", "f", "v"), Error("ERR The ID specified in XADD is equal or smaller")),
        (
            ("XADD", "@a", "18446744073709551615-18446744073709551614", "f", "v"),
            b"18446744073709551615-18446744073709551614",
        ),
        (("XADD", "@a", "*", "f", "v"), b"18446744073709551615-18446744073709551615"),
        (("XADD", "@a", "*", "f", "v"), Error("ERR The stream has exhausted the last possible ID")),
        (("XDEL", "@a", "5", "18446744073709551615-18446744073709551615"), 1),
        (("XTRIM", "@a", "LIMIT", 5), Error("ERR")),
        (("XTRIM", "@a", "MAXLEN", 5, "LIMIT", 5), Error("ERR syntax error")),
        (("XTRIM", "@a", "MAXLEN", -1), Error("ERR The MAXLEN argument must be >= 0")),
        (("XTRIM", "@a", "MAXLEN", 1, "MINID", 1), Error("ERR syntax error")),
        (("SET", "@b", "v"), b"OK"),
        (("XADD", "@b", "*", "f", "v"), Error(WRONG_TYPE)),
        (("XRANGE", "@b", "-", "+"), Error(WRONG_TYPE)),
        (("XLEN", "@b"), Error(WRONG_TYPE)),
        (("GET", "@a"), Error(WRONG_TYPE)),
    ],
    "sorted sets": [
        (("ZADD", "@z", 1, "a", 2.5, "b"), 2),
        (("ZADD", "@z", 3, "b", 3, "c"), 1),
        (("ZADD", "@z", "NX", 9, "a", 9, "d"), 1),
        (("ZADD", "@z", "XX", "CH", 4, "d", 9, "new"), 1),
        (("ZADD", "@z", "GT", "CH", 0, "a", 5, "d"), 1),
        (("ZADD", "@z", "LT", "CH", 0, "a", 9, "d"), 1),
        (("ZADD", "@z", "INCR", 1.5, "a"), 1.5),
        (("ZADD", "@z", "NX", "INCR", 1, "a"), None),
        (("ZINCRBY", "@z", -0.5, "a"), 1.0),
        (("ZSCORE", "@z", "b"), 3.0),
        (("ZSCORE", "@z", "none"), None),
        (("ZSCORE", "@none", "a"), None),
        (("ZMSCORE", "@z", "a", "none"), [1.0, None]),
        (("ZCARD", "@z"), 4),
        (("ZRANK", "@z", "c"), 2),
        (("ZREVRANK", "@z", "c"), 1),
        (("ZRANK", "@z", "none"), None),
        (("ZCOUNT", "@z", "(1", "+inf"), 3),
        (("ZRANGE", "@z", 0, -1), [b"a", b"b", b"c", b"d"]),
        (("ZRANGE", "@z", 0, 0, "WITHSCORES"), [[b"a", 1.0]]),
        (("ZRANGE", "@z", 0, 1, "REV", "WITHSCORES"), [[b"d", 5.0], [b"c", 3.0]]),
        (("ZRANGE", "@z", "(1", 3, "BYSCORE"), [b"b", b"c"]),
        (("ZRANGE", "@z", "+inf", "-inf", "BYSCORE", "REV", "LIMIT", 1, 2), [b"c", b"b"]),
        (("ZRANGE", "@z", 0, 1, "LIMIT", 0, 1), Error("ERR syntax error, LIMIT is only supported")),
        (("ZRANGEBYSCORE", "@z", "-inf", 3, "WITHSCORES", "LIMIT", 1, 1), [[b"b", 3.0]]),
        (("ZRANGEBYSCORE", "@z", "x", 3), Error("ERR min or max is not a float")),
        (("ZREVRANGE", "@z", 0, 1), [b"d", b"c"]),
        (("ZREVRANGEBYSCORE", "@z", 3, 1), [b"c", b"b", b"a"]),
        (("ZPOPMIN", "@z"), [b"a", 1.0]),
        (("ZPOPMIN", "@z", 2), [[b"b", 3.0], [b"c", 3.0]]),
        (("ZPOPMAX", "@z"), [b"d", 5.0]),
        (("EXISTS", "@z"), 0),
        (("ZPOPMIN", "@z"), []),
        (("ZADD", "@z", "inf", "top", "-inf", "low"), 2),
        (("ZSCORE", "@z", "top"), math.inf),
        (("ZINCRBY", "@z", "-inf", "top"), Error("ERR resulting score is not a number (NaN)")),
        (("ZADD", "@z", "nan", "x"), Error("ERR value is not a valid float")),
        (("ZADD", "@z", "x", "x"), Error("ERR value is not a valid float")),
        (("ZADD", "@z", "NX", "XX", 1, "x"), Error("ERR XX and NX options at the same time are not compatible")),
        (("ZADD", "@z", "GT", "LT", 1, "x"), Error("ERR GT, LT, and/or NX options at the same time")),
        (("ZADD", "@z", "INCR", 1, "x", 2, "y"), Error("ERR INCR option supports a single")),
        (("ZADD", "@z", 1), Error("ERR wrong number of arguments for 'zadd' command")),
        (("ZADD", "@z", 1, "x", 2), Error(SYNTAX)),
        (("ZREM", "@z", "top", "none"), 1),
        (("ZADD", "@z", 1, "a", 2, "b", 3, "c", 4, "d"), 4),
        (("ZREMRANGEBYSCORE", "@z", "(1", 2), 1),
        (("ZREMRANGEBYRANK", "@z", -2, -1), 2),
        (("ZRANGE", "@z", 0, -1), [b"low", b"a"]),
        (("ZREMRANGEBYSCORE", "@z", "-inf", "+inf"), 2),
        (("EXISTS", "@z"), 0),
        (("ZADD", "@lex", 0, "b", 0, "a", 0, "d", 0, "c"), 4),
        (("ZRANGE", "@lex", "[b", "(d", "BYLEX"), [b"b", b"c"]),
        (("ZRANGE", "@lex", "+", "[c", "BYLEX", "REV", "LIMIT", 0, 1), [b"d"]),
        (("ZRANGE", "@lex", "b", "d", "BYLEX"), Error("ERR min or max not valid string range item")),
        (("SET", "@s", "v"), b"OK"),
        (("ZADD", "@s", 1, "x"), Error(WRONG_TYPE)),
        (("ZSCORE", "@s", "x"), Error(WRONG_TYPE)),
        (("ZRANGE", "@s", 0, -1), Error(WRONG_TYPE)),
        (("ZPOPMIN", "@s"), Error(WRONG_TYPE)),
    ],
    "unknown commands": [
        (("NONSENSE", "@a"), Error("ERR unknown command")),
        (("GET",), Error("ERR wrong number of arguments for 'get' command")),
        (("GET", "@a", "@b"), Error("ERR wrong number of arguments for 'get' command")),
    ],
}

CASES_OF_VERSION_7: dict[str, list[Step]] = {
    "a number made by XADD": [
        (("XADD", "@a", "3-*", "f", "v"), b"3-0"),
        (("XADD", "@a", "3-*", "f", "v"), b"3-1"),
        (("XADD", "@a", "2-*", "f", "v"), Error("ERR The ID specified in XADD is equal or smaller")),
    ],
    "EXPIRE conditions": [
        (("SET", "@a", "1"), b"OK"),
        (("EXPIRE", "@a", 100, "XX"), 0),
        (("EXPIRE", "@a", 100, "GT"), 0),
        (("EXPIRE", "@a", 100, "LT"), 1),
        (("EXPIRE", "@a", 200, "NX"), 0),
        (("EXPIRE", "@a", 50, "GT"), 0),
        (("EXPIRE", "@a", 200, "GT"), 1),
        (("EXPIRE", "@a", 300, "LT"), 0),
        (("PEXPIRE", "@a", 90_000, "XX", "LT"), 1),
        (("PTTL", "@a"), Between(85_000, 90_000)),
        (("EXPIRE", "@a", 100, "NX", "XX"), Error("ERR NX and XX, GT or LT options at the same time")),
        (("EXPIRE", "@a", 100, "GT", "LT"), Error("ERR GT and LT options at the same time")),
        (("EXPIRE", "@a", 100, "AT"), Error("ERR Unsupported option AT")),
    ],
    "EXPIRETIME and PEXPIRETIME": [
        (("EXPIRETIME", "@a"), -2),
        (("SET", "@a", "1"), b"OK"),
        (("PEXPIRETIME", "@a"), -1),
        (("PEXPIREAT", "@a", NOW * 1000 + 1), 1),
        (("PEXPIRETIME", "@a"), NOW * 1000 + 1),
        (("EXPIRETIME", "@a"), NOW),
    ],
    "SET NX GET": [
        (("SET", "@a", "1", "NX", "GET"), None),
        (("SET", "@a", "2", "NX", "GET"), b"1"),
        (("GET", "@a"), b"1"),
    ],
}


@pytest.mark.parametrize("case", CASES)
async def test_a_command_answers_alike(client: RedisClient, prefix: str, case: str) -> None:
    """Each command gives the literal reply or error of the table, on every backend."""
    await play(client, prefix, CASES[case])


@pytest.mark.parametrize("case", CASES_OF_VERSION_7)
async def test_a_command_of_redis_7_answers_alike(client: RedisClient, prefix: str, case: str) -> None:
    """The same for what came with Redis 7."""
    if await client_version(client, prefix) < 7:
        pytest.skip("this server is older than Redis 7")
    await play(client, prefix, CASES_OF_VERSION_7[case])


async def client_version(client: RedisClient, prefix: str) -> int:
    """Tell by a command that came with it whether a server is of version 7."""
    try:
        await client.call("PEXPIRETIME", f"{prefix}:version")
    except RedisReplyError:
        return 6
    return 7


# -- commands without a key --------------------------------------------------------------------------------------

SERVER_STEPS: list[Step] = [
    (("PING",), b"PONG"),
    (("PING", "x"), b"x"),
    (("ECHO", "x"), b"x"),
    (("DBSIZE",), 0),
    (("KEYS", "*"), []),
    (("MSET", "@a", "1", "@b", "2"), b"OK"),
    (("DBSIZE",), 2),
    (("KEYS", "*:a"), [b"@a"]),
    (("SCAN", 0, "COUNT", 1000, "MATCH", "*:b"), [b"0", [b"@b"]]),
    (("SCAN", 0, "COUNT", 1000, "TYPE", "list"), [b"0", []]),
    (("SCAN", 0, "COUNT", 0), Error(SYNTAX)),
    (("SCAN", 0, "COUNT", "x"), Error(NO_INTEGER)),
    (("SCAN", "x"), Error("ERR invalid cursor")),
    (("EVAL", "return 1", 0), 1),
    (("EVAL", "return 1", 1), Error("ERR Number of keys can't be greater than number of args")),
    (("EVAL", "return 1", -1), Error("ERR Number of keys can't be negative")),
    (("EVAL", "return 1", "x"), Error(NO_INTEGER)),
    (("EVAL", "return +", 0), Error("ERR Error compiling script")),
    (("EVALSHA", "0" * 40, 0), Error("NOSCRIPT No matching script")),
    (("FLUSHDB",), b"OK"),
    (("DBSIZE",), 0),
    (("SET", "@a", "1"), b"OK"),
    (("FLUSHALL", "SYNC"), b"OK"),
    (("EXISTS", "@a"), 0),
    (("FLUSHALL", "NOW"), Error(SYNTAX)),
]


async def test_commands_without_a_key_answer_alike(single: RedisClient, prefix: str) -> None:
    """What concerns a whole store gives the literal replies of the table."""
    await play(single, prefix, SERVER_STEPS)


async def test_scripts_are_known_by_their_digest(single: RedisClient) -> None:
    """SCRIPT LOAD, EXISTS and FLUSH, and EVALSHA in whatever case, work as in Redis."""
    digest = Script("seven", "return 7").digest
    await single.call("SCRIPT", "FLUSH")
    assert await single.call("SCRIPT", "EXISTS", digest, "0" * 40) == [0, 0]
    assert await single.call("SCRIPT", "LOAD", "return 7") == digest.encode()
    assert await single.call("SCRIPT", "EXISTS", digest.upper(), "0" * 40) == [1, 0]
    assert await single.call("EVALSHA", digest.upper(), 0) == 7
    assert await single.call("SCRIPT", "FLUSH", "SYNC") == b"OK"
    with pytest.raises(RedisReplyError, match="NOSCRIPT"):
        await single.call("EVALSHA", digest, 0)
    assert await single.call("EVAL", "return 7", 0) == 7
    assert await single.call("EVALSHA", digest, 0) == 7
    for words in (["FLUSH", "NOW"], ["NONSENSE"], ["LOAD", "return +"], ["LOAD"], []):
        with pytest.raises(RedisReplyError, match=r"^ERR"):
            await single.call("SCRIPT", *words)


async def test_time_is_in_seconds_and_microseconds(single: RedisClient) -> None:
    """TIME gives two decimal texts near this machine's time."""
    seconds, microseconds = await single.call("TIME")
    assert abs(int(seconds) - time.time()) < 60
    assert 0 <= int(microseconds) < 1_000_000


# -- the client's own methods ------------------------------------------------------------------------------------


async def test_reading_and_removing_many_keys(client: RedisClient, prefix: str) -> None:
    """`mget` and `unlink` take keys of any slot, in order, and none at all."""
    keys = [f"{prefix}:{number}" for number in range(50)]
    for key in keys[::2]:
        await client.call("SET", key, key[-1])
    await client.call("RPUSH", f"{prefix}:list", "x")
    expected = [key[-1].encode() if number % 2 == 0 else None for number, key in enumerate(keys)]
    assert await client.mget([*keys, f"{prefix}:list"]) == [*expected, None]
    assert await client.unlink([*keys, keys[0]]) == 25
    assert await client.mget(keys) == [None] * 50
    assert await client.mget([]) == []
    assert await client.unlink([]) == 0


async def test_a_pipeline_gives_every_reply_in_its_place(client: RedisClient, prefix: str) -> None:
    """Replies of a pipeline come in order, errors among them."""
    key = f"{prefix}:a"
    replies = await client.pipeline([["SET", key, "x"], ["INCR", key], ["GET", key], ["NONSENSE", key]])
    assert replies == [b"OK", Error(NO_INTEGER), b"x", Error("ERR unknown command")]
    assert await client.pipeline([]) == []


async def test_a_transaction_in_a_pipeline(client: RedisClient, prefix: str) -> None:
    """MULTI and EXEC answer as in Redis: queued, then all replies at once; a bad command discards all."""
    key = f"{prefix}:a"
    replies = await client.pipeline([["MULTI"], ["SET", key, "x"], ["INCR", key], ["GET", key], ["EXEC"]])
    assert replies == [b"OK", b"QUEUED", b"QUEUED", b"QUEUED", [b"OK", Error(NO_INTEGER), b"x"]]
    replies = await client.pipeline([["MULTI"], ["SET", key, "y"], ["NONSENSE", key], ["EXEC"]])
    assert replies == [b"OK", b"QUEUED", Error("ERR unknown command"), Error("EXECABORT")]
    replies = await client.pipeline([["MULTI"], ["SET", key, "z"], ["DISCARD"], ["GET", key]])
    assert replies == [b"OK", b"QUEUED", b"OK", b"x"]


async def test_what_changes_the_connection_is_refused(client: RedisClient) -> None:
    """A command that would change the shared connection is refused before it is sent."""
    for name in ("SELECT", "multi", b"WATCH", "SUBSCRIBE"):
        with pytest.raises(ValueError, match="would change the connection"):
            await client.call(name, "0")


async def test_an_argument_of_another_type_is_refused(client: RedisClient, prefix: str) -> None:
    """Only text, bytes and numbers travel; nothing is guessed."""
    for wrong in (None, True, [1], {"a": 1}):
        with pytest.raises(TypeError):
            await client.call("SET", f"{prefix}:a", wrong)  # type: ignore[arg-type]


async def test_scanning_finds_every_key_that_stays(client: RedisClient, prefix: str) -> None:
    """A walk in small slices returns each key that is there all the time, while others come and go."""
    stay = {f"{prefix}:stay:{number}".encode() for number in range(300)}
    await asyncio.gather(*[client.call("SET", key, "x") for key in stay])
    await asyncio.gather(*[client.call("SET", f"{prefix}:go:{number}", "x") for number in range(300)])
    seen: set[bytes] = set()
    step = 0
    async for keys in client.scan(escape_glob(prefix).encode() + b":stay:*", count=20):
        seen.update(keys)
        step += 1
        doomed = [f"{prefix}:go:{number}" for number in range(step * 9 - 9, min(step * 9, 300))]
        await asyncio.gather(*[client.call("DEL", key) for key in doomed])
        await client.call("SET", f"{prefix}:new:{step}", "x")
    assert seen == stay


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", "a ab abc b *a [a] ^a -"),
        ("a*", "a ab abc"),
        ("?b*", "ab abc"),
        ("[ab]", "a b"),
        ("[^a]*", "b *a [a] ^a -"),
        ("[a-b]?", "ab"),
        ("[b-a]?", "ab"),
        ("\\*a", "*a"),
        ("\\[a\\]", "[a]"),
        ("[\\^]a", "^a"),
        ("[\\-]", "-"),
        ("*c", "abc"),
        ("a*b*c", "abc"),
        ("x*", ""),
    ],
)
async def test_patterns_match_alike(client: RedisClient, prefix: str, pattern: str, found: str) -> None:
    """SCAN's glob patterns mean the same on every backend."""
    for name in ("a", "ab", "abc", "b", "*a", "[a]", "^a", "-"):
        await client.call("SET", f"{prefix}:{name}", "x")
    seen = [key async for keys in client.scan(f"{prefix}:{pattern}".encode()) for key in keys]
    assert set(seen) == {f"{prefix}:{name}".encode() for name in found.split()}


async def test_an_escaped_name_matches_itself_alone(client: RedisClient, prefix: str) -> None:
    """`escape_glob` makes any text literal."""
    for name in ("a*[b]?^-\\x", "aX[b]Y^-\\x"):
        await client.call("SET", f"{prefix}:{name}", "x")
    pattern = escape_glob(f"{prefix}:a*[b]?^-\\x").encode()
    assert [key async for keys in client.scan(pattern) for key in keys] == [f"{prefix}:a*[b]?^-\\x".encode()]


# -- hearing of changes ------------------------------------------------------------------------------------------


async def test_a_tracked_key_is_announced_once(client: RedisClient, prefix: str) -> None:
    """`track` reads a value with its time to live; its next change is heard of once, whoever made it."""
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()
    key = f"{prefix}:a"
    await client.open()
    assert client.tracking
    client.add_listener(heard.put_nowait)
    assert await client.track(key) == (None, -2)
    await client.call("SET", key, "1")
    assert await asyncio.wait_for(heard.get(), 5) == key.encode()
    await client.call("SET", key, "2")
    assert await client.track(key) == (b"2", -1)
    await client.call("PEXPIRE", key, 90_000)
    assert await asyncio.wait_for(heard.get(), 5) == key.encode()
    value, left = await client.track(key)
    assert value == b"2"
    assert 85_000 < left <= 90_000
    await client.unlink([key])
    assert await asyncio.wait_for(heard.get(), 5) == key.encode()
    assert heard.empty()
    client.remove_listener(heard.put_nowait)


async def test_an_expiring_tracked_key_is_announced(client: RedisClient, prefix: str) -> None:
    """A tracked key that nobody touches is announced about when it expires."""
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()
    client.add_listener(heard.put_nowait)
    await client.call("SET", f"{prefix}:a", "1", "PX", 50)
    value, left = await client.track(f"{prefix}:a")
    assert value == b"1"
    assert 0 <= left <= 50
    assert await asyncio.wait_for(heard.get(), 5) == f"{prefix}:a".encode()
    assert await client.call("GET", f"{prefix}:a") is None
    client.remove_listener(heard.put_nowait)


async def test_tracking_a_key_of_another_kind_is_an_error(client: RedisClient, prefix: str) -> None:
    """`track` reads strings only."""
    await client.call("RPUSH", f"{prefix}:a", "x")
    with pytest.raises(RedisReplyError, match="WRONGTYPE"):
        await client.track(f"{prefix}:a")


async def test_another_clients_change_is_announced(client: RedisClient, prefix: str) -> None:
    """A change made over another client of the same URL is heard of."""
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()
    client.add_listener(heard.put_nowait)
    key = f"{prefix}:a"
    async with connect(client.url) as other:
        await client.track(key)
        await other.call("SET", key, "1")
        assert await asyncio.wait_for(heard.get(), 5) == key.encode()
    client.remove_listener(heard.put_nowait)
    assert await client.call("GET", key) == b"1"


async def test_flushing_voids_all_that_was_heard(single: RedisClient, prefix: str) -> None:
    """FLUSHALL announces `None`: whatever a client knows is void."""
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()
    single.add_listener(heard.put_nowait)
    await single.track(f"{prefix}:a")
    await single.call("FLUSHALL")
    assert await asyncio.wait_for(heard.get(), 5) is None
    single.remove_listener(heard.put_nowait)


# -- scripts -----------------------------------------------------------------------------------------------------

SCRIPTS: dict[str, tuple[str, list[CommandArgument], Any]] = {
    "nothing": ("", [], None),
    "integer": ("return 3", [], 3),
    "fraction": ("return 3.99", [], 3),
    "negative fraction": ("return -3.99", [], -3),
    "text": ("return 'a\\0b'", [], b"a\0b"),
    "fraction as text": ("return tostring(3.5)", [], b"3.5"),
    "true": ("return true", [], 1),
    "false": ("return false", [], None),
    "nil": ("return nil", [], None),
    "function": ("return function() end", [], None),
    "list": ("return {1, 'two', {3, {}}}", [], [1, b"two", [3, []]]),
    "list up to nil": ("return {1, 2, nil, 4}", [], [1, 2]),
    "list with false": ("return {1, false, 3}", [], [1, None, 3]),
    "table with names": ("return {a = 1, b = 2}", [], []),
    "status": ("return {ok = 'FINE'}", [], b"FINE"),
    "status of one line": ("return {ok = 'A\\nB\\0C'}", [], b"A B"),
    "status reply": ("return redis.status_reply('FINE')", [], b"FINE"),
    "keys and args": ("return {#KEYS, #ARGV, ARGV[1], ARGV[2], ARGV[3]}", ["a", 2, 1.5], [1, 3, b"a", b"2", b"1.5"]),
    "binary args": ("return ARGV[1] .. string.char(255)", [b"\x00\xfe"], b"\x00\xfe\xff"),
    "args are text": ("return type(ARGV[1])", [17], b"string"),
    "set replies with a table": ("return redis.call('SET', KEYS[1], 'x').ok", [], b"OK"),
    "get of nothing is false": (
        "return {type(redis.call('GET', KEYS[1])), redis.call('GET', KEYS[1])}",
        [],
        [b"boolean", None],
    ),
    "integer reply": ("return type(redis.call('INCR', KEYS[1]))", [], b"number"),
    "numbers become text": ("redis.call('SET', KEYS[1], 5) return redis.call('GET', KEYS[1])", [], b"5"),
    "hash comes flat": (
        "redis.call('HSET', KEYS[1], 'f', 'v') return {redis.call('HGETALL', KEYS[1]), redis.call('HLEN', KEYS[1])}",
        [],
        [[b"f", b"v"], 1],
    ),
    "score comes as text": (
        (
            "redis.call('ZADD', KEYS[1], 1.5, 'm') "
            "return {type(redis.call('ZSCORE', KEYS[1], 'm')), redis.call('ZSCORE', KEYS[1], 'm'), "
            "redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'), redis.call('ZPOPMIN', KEYS[1])}"
        ),
        [],
        [b"string", b"1.5", [b"m", b"1.5"], [b"m", b"1.5"]],
    ),
    "type comes as a status": ("return redis.call('TYPE', KEYS[1]).ok", [], b"none"),
    "error": ("return redis.call('INCR', KEYS[1], 'x')", [], Error("ERR")),
    "wrong kind": ("redis.call('RPUSH', KEYS[1], 'x') return redis.call('GET', KEYS[1])", [], ANY_ERROR),
    "wrong kind, caught": (
        "redis.call('RPUSH', KEYS[1], 'x') return redis.pcall('GET', KEYS[1])",
        [],
        Error(WRONG_TYPE),
    ),
    "caught error is a table": (
        "redis.call('RPUSH', KEYS[1], 'x') local e = redis.pcall('GET', KEYS[1]) return string.sub(e.err, 1, 9)",
        [],
        b"WRONGTYPE",
    ),
    "error reply": ("return redis.error_reply('MINE is broken')", [], Error("MINE is broken")),
    "error table": ("return {err = 'MINE is broken'}", [], Error("MINE is broken")),
    "error within a list": ("return {1, {err = 'MINE is broken'}}", [], [1, Error("MINE is broken")]),
    "error raised": ("error('broken')", [], Error("ERR")),
    "syntax error": ("return return", [], Error("ERR Error compiling script")),
    "unknown command": ("return redis.call('NONSENSE')", [], Error("ERR")),
    "no command": ("return redis.call()", [], Error("ERR")),
    "wrong argument": ("return redis.call('SET', KEYS[1], {})", [], Error("ERR")),
    "unknown global": ("return unknown_name", [], Error("ERR")),
    "new global": ("name = 1", [], Error("ERR")),
    "no files": ("return io", [], Error("ERR")),
    "no modules": ("return require('os')", [], Error("ERR")),
    "no script in a script": ("return redis.call('EVAL', 'return 1', 0)", [], Error("ERR")),
    "sha1": ("return redis.sha1hex('')", [], b"da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    "standard library": (
        (
            "local t = {3, 1, 2} table.sort(t) "
            "return {table.concat(t, '-'), string.format('%05.1f', 2.25), math.floor(-1.5), tonumber('0x10'), "
            "unpack({7, 8})}"
        ),
        [],
        [b"1-2-3", b"002.2", -2, 16, 7, 8],
    ),
    "json out": (
        "return cjson.encode({1, 'a\"b', true, cjson.null, {x = 0.5}, {}})",
        [],
        b'[1,"a\\"b",true,null,{"x":0.5},{}]',
    ),
    "json in": (
        "local d = cjson.decode(ARGV[1]) return {d.a[2], d.b.c, tostring(d.n == cjson.null), #d.a, d.t and 1 or 0}",
        ['{"a": [1, "x\\u00e9"], "b": {"c": "\\ud83d\\ude00"}, "n": null, "t": true}'],
        ["xé".encode(), "😀".encode(), b"true", 2, 1],
    ),
    "json numbers": ("return cjson.encode({cjson.decode('[0.1, 1e3, -5, 100000]')})", [], b"[[0.1,1000,-5,100000]]"),
    "json that is none": ("return cjson.decode('{nonsense')", [], Error("ERR")),
    "json of an array with gaps": ("return cjson.encode({[1] = 1, [100] = 2})", [], Error("ERR")),
    "json of an array with a gap": ("return cjson.encode({1, nil, 3})", [], b"[1,null,3]"),
    "json of a function": ("return cjson.encode(redis.call)", [], Error("ERR")),
    "no end of calls": ("local function f(n) return 1 + f(n) end return f(1)", [], Error("ERR")),
    "error without text": ("error()", [], Error("ERR")),
    "log": ("redis.log(redis.LOG_DEBUG, 'a', 1) return 'logged'", [], b"logged"),
    "coroutines": (
        "local co = coroutine.wrap(function() coroutine.yield(redis.call('INCR', KEYS[1])) end) return co()",
        [],
        1,
    ),
    "a chunk of its own": ("return loadstring('return KEYS[1] and 5')()", [], 5),
    "many args": ("return #ARGV", ["x"] * 20_000, 20_000),
    "many replies": ("local t = {} for i = 1, 5000 do t[i] = i end return #t", [], 5000),
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_script_answers_alike(client: RedisClient, prefix: str, name: str) -> None:
    """A script sees the same values and gives the same literal reply on every backend."""
    source, args, expected = SCRIPTS[name]
    try:
        reply = await client.run(Script(name, source), [f"{prefix}:a"], args)
    except RedisReplyError as error:
        reply = error
    assert reply == expected


async def test_a_long_list_passes_through_a_script(client: RedisClient, prefix: str) -> None:
    """Thousands of members go into a script, through a command and out again."""
    members = [b"%d" % number for number in range(20_000)]
    add = Script("add", "for i = 1, #ARGV, 5000 do redis.call('RPUSH', KEYS[1], unpack(ARGV, i, i + 4999)) end")
    assert await client.run(add, [f"{prefix}:a"], members) is None
    script = Script("long", "return redis.call('LRANGE', KEYS[1], 0, -1)")
    assert await client.run(script, [f"{prefix}:a"]) == members


async def test_a_failing_script_keeps_what_it_wrote(client: RedisClient, prefix: str) -> None:
    """A script is atomic towards others, but nothing is rolled back; the next one runs as if nothing had been."""
    script = Script("fails", "redis.call('SET', KEYS[1], 'written') error('broken')")
    with pytest.raises(RedisReplyError):
        await client.run(script, [f"{prefix}:a"])
    assert await client.call("GET", f"{prefix}:a") == b"written"
    assert await client.run(Script("fine", "return redis.call('GET', KEYS[1])"), [f"{prefix}:a"]) == b"written"


async def test_scripts_do_not_share_globals(client: RedisClient, prefix: str) -> None:
    """A script leaves nothing behind for the next one: neither a global nor a change of the library."""
    for source in ("leak = 1", "string.leak = 1", "redis.leak = 1", "rawset(_G, 'leak', 1)", "math.floor = nil"):
        with pytest.raises(RedisReplyError):
            await client.run(Script("leak", f"{source} return 'done'"), [f"{prefix}:a"])
    with pytest.raises(RedisReplyError):
        await client.run(Script("look", "return leak"), [f"{prefix}:a"])
    assert await client.run(Script("look", "return {math.floor(1.5), type(string.leak)}"), [f"{prefix}:a"]) == [
        1,
        b"nil",
    ]


COMPARE_AND_SET = Script(
    "compare_and_set",
    """
    if redis.call('GET', KEYS[1]) == ARGV[1] then
      redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
      return 1
    end
    return 0
    """,
)


async def test_compare_and_set_with_a_token(client: RedisClient, prefix: str) -> None:
    """Of many that compare and set, exactly one wins, and a stale token changes nothing."""
    key = f"{prefix}:lock"
    await client.call("SET", key, "old")
    calls = [client.run(COMPARE_AND_SET, [key], ["old", f"new{number}", 60_000]) for number in range(20)]
    assert sorted(await asyncio.gather(*calls)) == [0] * 19 + [1]
    assert await client.run(COMPARE_AND_SET, [key], ["old", "stale", 60_000]) == 0
    assert re.fullmatch(rb"new\d+", await client.call("GET", key))


RATE_LIMIT = Script(
    "gcra",
    """
    local limit, period = tonumber(ARGV[1]), tonumber(ARGV[2])
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local interval = period / limit
    local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
    local new = arrival + interval
    if new - now > period then
      return {0, math.ceil(new - now - period)}
    end
    redis.call('SET', KEYS[1], string.format('%.0f', new), 'PX', math.ceil((new - now) / 1000))
    return {1, math.floor((now + period - new) / interval + 0.001)}
    """,
)


async def test_a_rate_limit_counts_by_the_servers_clock(client: RedisClient, prefix: str) -> None:
    """GCRA lets a burst of the limit through, in order, and tells the next one how long to wait."""
    hour = 3_600_000_000
    replies = [await client.run(RATE_LIMIT, [f"{prefix}:r"], [5, hour]) for _ in range(6)]
    assert [allowed for allowed, _ in replies] == [1, 1, 1, 1, 1, 0]
    assert [left for _, left in replies[:5]] == [4, 3, 2, 1, 0]
    assert hour / 5 * 0.9 < replies[5][1] <= hour / 5
    assert 0 < await client.call("PTTL", f"{prefix}:r") <= hour / 1000


CLAIM = Script(
    "claim",
    """
    local claimed = {}
    for _ = 1, tonumber(ARGV[1]) do
      local id = redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')
      if not id then break end
      local body = redis.call('HGET', KEYS[3], id)
      if body then
        redis.call('HINCRBY', KEYS[4], id, 1)
        claimed[#claimed + 1] = {id, body, tonumber(redis.call('HGET', KEYS[4], id))}
      else
        redis.call('LREM', KEYS[2], 1, id)
      end
    end
    return claimed
    """,
)


async def test_moving_ids_between_lists_and_bodies_in_a_hash(client: RedisClient, prefix: str) -> None:
    """A script that claims work moves ids, reads bodies and counts attempts in one step."""
    ready, taken, bodies, attempts = keys = with_keys(["@ready", "@taken", "@bodies", "@attempts"], prefix)
    await client.call("LPUSH", ready, "1", "2", "3")
    await client.call("HSET", bodies, "1", '{"n": 1}', "3", b"\xff")
    assert await client.run(CLAIM, keys, [10]) == [[b"1", b'{"n": 1}', 1], [b"3", b"\xff", 1]]
    assert await client.call("LRANGE", taken, 0, -1) == [b"3", b"1"]
    assert await client.call("HGETALL", attempts) == {b"1": b"1", b"3": b"1"}
    assert await client.call("EXISTS", ready) == 0
    assert await client.run(CLAIM, keys, [10]) == []


async def test_time_stands_still_within_a_script(client: RedisClient, prefix: str) -> None:
    """A key does not expire in the middle of a script."""
    script = Script(
        "still",
        """
        redis.call('SET', KEYS[1], 'x', 'PX', 1)
        local count = 0
        for _ = 1, 20000 do count = count + redis.call('EXISTS', KEYS[1]) end
        return count
        """,
    )
    assert await client.run(script, [f"{prefix}:a"]) == 20_000


def test_every_command_of_the_embedded_backend_has_a_case() -> None:
    """No command is offered by `memory://` that no literal case compares with a server."""
    tested = {str(words[0]).upper() for steps in CASES.values() for words, _ in steps}
    tested |= {str(words[0]).upper() for steps in CASES_OF_VERSION_7.values() for words, _ in steps}
    tested |= {str(words[0]) for words, _ in SERVER_STEPS} | {"SCRIPT", "TIME", "EVALSHA"}
    assert {command.name.upper() for command in COMMANDS.values()} <= tested
