"""Random commands and scripts give the same replies from `memory://` as from a real server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rustforge.errors import RedisReplyError
from rustforge.redis import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rustforge.redis import RedisClient
    from tests.support.servers import RedisServer

pytestmark = pytest.mark.timeout(300)

Command = tuple[bytes, ...]
# -- what the commands are made of -------------------------------------------------------------------------------
# What Redis 6.2, Redis 7 and Valkey 9 themselves answer differently is left out, such as hexadecimal scores.
# Few keys and few values, so that commands meet; every key is mostly used for one kind of value, and now and then not.

_KEYS = {"string": (b"s1", b"s2"), "hash": (b"h1", b"h2"), "list": (b"l1", b"l2"), "set": (b"t1", b"t2")}
_KEYS |= {"zset": (b"z1", b"z2"), "lex": (b"y1", b"y2")}  # in the last all scores are equal, as BYLEX demands
_KEYS |= {"stream": (b"x1", b"x2")}
_ANY_KEY = st.sampled_from([*(key for keys in _KEYS.values() for key in keys), b"missing", b""])


def key(kind: str) -> st.SearchStrategy[bytes]:
    """Choose a key, mostly one whose value is of a kind."""
    right = st.sampled_from(_KEYS[kind])
    return st.one_of(right, right, right, right, right, right, right, _ANY_KEY)


S, H, L, T, Z, X = map(key, ("string", "hash", "list", "set", "zset", "stream"))
Y = st.sampled_from(_KEYS["lex"])
K = _ANY_KEY
FIELD = st.sampled_from([b"f", b"g", b"h", b"", b"\xff\x00"])
BAD_NUMBER = st.sampled_from(
    [b"", b" 1", b"1 ", b"01", b"+1", b"-0", b"x", b"1.0", b"9223372036854775808", b"\xff", b"1_0"]
)
EXTREME = st.sampled_from(
    [b"9223372036854775807", b"-9223372036854775808", b"9223372036854775806", b"4611686018427387904"]
)
SMALL = st.integers(-6, 6).map(lambda number: b"%d" % number)
INTEGER = st.one_of(SMALL, SMALL, SMALL, EXTREME, BAD_NUMBER)
INDEX = st.one_of(SMALL, SMALL, SMALL, SMALL, EXTREME, BAD_NUMBER)
COUNT = st.one_of(st.integers(-1, 6).map(lambda number: b"%d" % number), BAD_NUMBER, EXTREME)
SCORE = st.one_of(  # without -0, which Redis keeps or not by the set's encoding
    SMALL,
    SMALL,
    st.sampled_from([b"1.5", b"-2.25", b"1e3", b".5", b"5.", b"+5", b"inf", b"-inf", b"+inf", b"Infinity", b"0.1"]),
    st.sampled_from([b"nan", b"", b" 1", b"1 ", b"x", b"1e400", b"1_0", b"1e-400"]),
)
# The ends of a range are read by C's strtod alone, which takes blanks and huge numbers; that is not imitated.
END = SCORE.filter(lambda text: text not in {b" 1", b"1e400", b"1e-400"})
# INCRBYFLOAT counts in C's long double, whose range beyond a float's is not imitated.
DECIMAL = st.one_of(SMALL, END, st.sampled_from([b"3.0", b"1e20", b"1e-5", b"0.30000000000000004", b"5.0e3", b"1e17"]))
VALUE = st.one_of(
    SMALL, DECIMAL, EXTREME, st.sampled_from([b"", b"hello", b"\x00\xff", b"10", b"3.0", b"abcdefghij", b"01"])
)
MEMBER = st.sampled_from([b"a", b"b", b"c", b"d", b"", b"\xff", b"aa"])
RANGE_SCORE = st.one_of(END, END, END.map(lambda text: b"(" + text), st.sampled_from([b"-inf", b"+inf", b"("]))
RANGE_LEX = st.one_of(
    st.sampled_from([b"-", b"+"]), MEMBER.map(lambda text: b"[" + text), MEMBER.map(lambda text: b"(" + text), MEMBER
)
ENTRY = st.one_of(  # numbers that strtoull would take and no client writes, such as +1, are not imitated
    st.integers(0, 9).map(lambda number: b"%d" % number),
    st.tuples(st.integers(0, 9), st.integers(0, 3)).map(lambda parts: b"%d-%d" % parts),
    st.sampled_from([b"7-*", b"18446744073709551615", b"18446744073709551616", b"x", b"-", b"+", b"1-", b"-1", b"1-x"]),
)
RANGE_ENTRY = st.one_of(st.sampled_from([b"-", b"+"]), ENTRY, ENTRY.map(lambda text: b"(" + text), st.just(b"("))
SECONDS = st.sampled_from([b"100", b"1000", b"100000", b"0", b"-1", b"x", b"9223372036854775807", b"9223372036854776"])
MILLISECONDS = st.sampled_from([b"200000", b"5000000", b"0", b"-1", b"x", b"9223372036854775807"])
# Far from each other, so that a millisecond between the two stores changes no comparison.
EPOCH = st.sampled_from(
    [b"9000000000", b"9900000000", b"9999999999999", b"1", b"0", b"-5", b"x", b"9223372036854775807"]
)
GLOB = st.one_of(
    st.sampled_from([b"*", b"s*", b"?1", b"[a-l]?", b"[^s]*", b"\\s1", b"*1", b"", b"**", b"[", b"l[", b"l[1", b"[]*"]),
    st.text(alphabet="shlt12*?[]^-\\", max_size=6).map(str.encode),
)


def one(*parts: st.SearchStrategy[Any] | bytes) -> st.SearchStrategy[Command]:
    """Join parts to a command; a part may be several words."""
    strategies = [st.just(part) if isinstance(part, bytes) else part for part in parts]
    return st.tuples(*strategies).map(
        lambda words: tuple(word for part in words for word in (part if isinstance(part, tuple) else (part,)))
    )


def many(*parts: st.SearchStrategy[bytes], most: int = 3) -> st.SearchStrategy[Command]:
    """Repeat a group of words."""
    return st.lists(st.tuples(*parts), min_size=1, max_size=most).map(
        lambda groups: tuple(w for g in groups for w in g)
    )


def maybe(*choices: st.SearchStrategy[Any] | bytes, most: int = 2) -> st.SearchStrategy[Command]:
    """Take none or some of the options, in any order, in any case."""
    options = st.one_of([one(choice) for choice in choices])
    cases = st.sampled_from([bytes.upper, bytes.upper, bytes.lower])
    return st.lists(st.tuples(options, cases), max_size=most).map(
        lambda taken: tuple(
            case(option[0]) if i == 0 else option[i] for option, case in taken for i in range(len(option))
        )
    )


EXPIRY = (one(b"EX", SECONDS), one(b"PX", MILLISECONDS), one(b"EXAT", EPOCH), one(b"PXAT", EPOCH), b"EX")
CONDITIONS = maybe(b"NX", b"XX", b"GT", b"LT", b"NO")
LIMIT = one(b"LIMIT", SMALL, SMALL)

COMMANDS: dict[str, st.SearchStrategy[Command]] = {
    "string": st.one_of(
        one(b"GET", S),
        one(b"SET", S, VALUE),
        one(b"SET", S, VALUE, maybe(b"NX", b"XX", b"GET", b"KEEPTTL", b"NONSENSE", *EXPIRY, most=3)),
        one(b"SETNX", S, VALUE),
        one(b"SETEX", S, SECONDS, VALUE),
        one(b"PSETEX", S, MILLISECONDS, VALUE),
        one(b"GETSET", S, VALUE),
        one(b"GETDEL", S),
        one(b"GETEX", S, maybe(b"PERSIST", b"NO", one(b"EX", b"100"), one(b"PXAT", b"9999999999999"))),
        one(b"MGET", many(K)),
        one(b"MSET", many(S, VALUE)),
        one(b"MSET", many(S)),
        one(b"APPEND", S, VALUE),
        one(b"STRLEN", S),
        one(b"GETRANGE", S, INDEX, INDEX),
        one(b"SETRANGE", S, st.sampled_from([b"0", b"1", b"7", b"-1", b"x", b"999999999999"]), VALUE),
        one(b"INCR", S),
        one(b"DECR", S),
        one(b"INCRBY", S, INTEGER),
        one(b"DECRBY", S, INTEGER),
        one(b"INCRBYFLOAT", S, DECIMAL),
    ),
    "key": st.one_of(
        one(b"DEL", many(K)),
        one(b"UNLINK", many(K)),
        one(b"EXISTS", many(K)),
        one(b"TOUCH", many(K)),
        one(b"TYPE", K),
        one(b"EXPIRE", K, SECONDS, CONDITIONS),
        one(b"PEXPIRE", K, MILLISECONDS, CONDITIONS),
        one(b"EXPIREAT", K, EPOCH, CONDITIONS),
        one(b"PEXPIREAT", K, EPOCH, CONDITIONS),
        one(b"TTL", K),
        one(b"PTTL", K),
        one(b"EXPIRETIME", K),
        one(b"PEXPIRETIME", K),
        one(b"PERSIST", K),
        one(b"RENAME", K, K),
        one(b"KEYS", GLOB),
        one(b"SCAN", b"0", b"COUNT", b"1000", b"MATCH", GLOB),
        one(b"SCAN", b"0", b"COUNT", b"1000", b"TYPE", st.sampled_from([b"string", b"hash", b"zset", b"LIST"])),
        one(b"SCAN", st.sampled_from([b"x", b"0"]), maybe(one(b"COUNT", st.sampled_from([b"0", b"x"])), b"MATCH")),
        one(b"DBSIZE"),
        one(b"FLUSHALL", maybe(b"ASYNC", b"SYNC", b"NO")),
        one(b"FLUSHDB"),
        one(b"PING", maybe(b"a", b"b")),
        one(b"ECHO", VALUE),
    ),
    "hash": st.one_of(
        one(b"HSET", H, many(FIELD, VALUE)),
        one(b"HSET", H, many(FIELD)),
        one(b"HSETNX", H, FIELD, VALUE),
        one(b"HGET", H, FIELD),
        one(b"HMGET", H, many(FIELD)),
        one(b"HGETALL", H),
        one(b"HDEL", H, many(FIELD)),
        one(b"HLEN", H),
        one(b"HSTRLEN", H, FIELD),
        one(b"HEXISTS", H, FIELD),
        one(b"HINCRBY", H, FIELD, INTEGER),
        one(b"HKEYS", H),
        one(b"HVALS", H),
        one(b"HSCAN", H, b"0", maybe(one(b"MATCH", st.sampled_from([b"*", b"f", b"[gh]"])), one(b"COUNT", COUNT))),
    ),
    "list": st.one_of(
        one(b"LPUSH", L, many(MEMBER)),
        one(b"RPUSH", L, many(MEMBER)),
        one(b"RPUSH", L, many(MEMBER, most=6)),
        one(b"LPOP", L),
        one(b"RPOP", L),
        one(b"LPOP", L, COUNT),
        one(b"RPOP", L, COUNT),
        one(b"LLEN", L),
        one(b"LRANGE", L, INDEX, INDEX),
        one(b"LREM", L, st.one_of(SMALL, BAD_NUMBER), MEMBER),
        one(b"LINDEX", L, INDEX),
        one(b"LSET", L, st.one_of(SMALL, BAD_NUMBER), MEMBER),
        one(b"LTRIM", L, INDEX, INDEX),
        one(b"LMOVE", L, L, *[st.sampled_from([b"LEFT", b"RIGHT", b"left", b"x"])] * 2),
        one(b"RPOPLPUSH", L, L),
        one(b"LPOS", L, MEMBER, maybe(one(b"RANK", INTEGER), one(b"COUNT", COUNT), one(b"MAXLEN", COUNT), b"RANK")),
    ),
    "set": st.one_of(
        one(b"SADD", T, many(MEMBER)),
        one(b"SREM", T, many(MEMBER)),
        one(b"SMEMBERS", T),
        one(b"SISMEMBER", T, MEMBER),
        one(b"SMISMEMBER", T, many(MEMBER)),
        one(b"SCARD", T),
        one(b"SPOP", T, st.sampled_from([b"100", b"0", b"-1", b"x"])),
        one(b"SRANDMEMBER", T, st.sampled_from([b"100", b"0", b"x"])),
        one(b"SMOVE", T, T, MEMBER),
    ),
    "zset": st.one_of(
        one(b"ZADD", Z, many(SCORE, MEMBER)),
        one(b"ZADD", Z, maybe(b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR", most=3), many(SCORE, MEMBER)),
        one(b"ZADD", Z, many(SCORE)),
        one(b"ZINCRBY", Z, SCORE, MEMBER),
        one(b"ZREM", Z, many(MEMBER)),
        one(b"ZSCORE", Z, MEMBER),
        one(b"ZMSCORE", Z, many(MEMBER)),
        one(b"ZCARD", Z),
        one(b"ZRANK", Z, MEMBER),
        one(b"ZREVRANK", Z, MEMBER),
        one(b"ZRANGE", Z, INDEX, INDEX, maybe(b"WITHSCORES", b"REV", LIMIT)),
        one(b"ZRANGE", Z, RANGE_SCORE, RANGE_SCORE, b"BYSCORE", maybe(b"WITHSCORES", b"REV", LIMIT)),
        one(b"ZADD", Y, many(st.just(b"0"), MEMBER, most=5)),
        one(b"ZRANGE", Y, RANGE_LEX, RANGE_LEX, b"BYLEX", maybe(b"WITHSCORES", b"REV", LIMIT)),
        one(b"ZRANGEBYSCORE", Z, RANGE_SCORE, RANGE_SCORE, maybe(b"WITHSCORES", LIMIT, b"REV")),
        one(b"ZREVRANGEBYSCORE", Z, RANGE_SCORE, RANGE_SCORE, maybe(b"WITHSCORES", LIMIT)),
        one(b"ZREVRANGE", Z, INDEX, INDEX, maybe(b"WITHSCORES")),
        one(b"ZCOUNT", Z, RANGE_SCORE, RANGE_SCORE),
        one(b"ZPOPMIN", Z),
        one(b"ZPOPMIN", Z, COUNT),
        one(b"ZPOPMAX", Z, COUNT),
        one(b"ZREMRANGEBYSCORE", Z, RANGE_SCORE, RANGE_SCORE),
        one(b"ZREMRANGEBYRANK", Z, INDEX, INDEX),
    ),
}
TRIM = st.one_of(
    one(st.sampled_from([b"MAXLEN", b"maxlen"]), maybe(b"=", b"~", most=1), COUNT),
    one(b"MINID", maybe(b"=", b"~", most=1), ENTRY),
    one(b"MAXLEN", b"~", COUNT, b"LIMIT", COUNT),
)
COMMANDS["stream"] = st.one_of(
    one(b"XADD", X, ENTRY, many(FIELD, VALUE)),
    one(b"XADD", X, ENTRY, many(FIELD, VALUE)),
    one(b"XADD", X, maybe(b"NOMKSTREAM", TRIM), ENTRY, many(FIELD)),
    one(b"XADD", X, TRIM, ENTRY, many(FIELD, VALUE)),
    one(b"XTRIM", X, maybe(TRIM)),
    one(b"XDEL", X, many(ENTRY)),
    one(b"XLEN", X),
    one(b"XRANGE", X, RANGE_ENTRY, RANGE_ENTRY, maybe(one(b"COUNT", COUNT), b"NO")),
    one(b"XREVRANGE", X, RANGE_ENTRY, RANGE_ENTRY, maybe(one(b"COUNT", COUNT))),
)
COMMANDS["wrong arity"] = st.tuples(
    st.sampled_from([b"GET", b"SET", b"MSET", b"HSET", b"ZADD", b"LPOP", b"PING", b"NOPE"]), st.lists(K, max_size=5)
).map(lambda parts: (parts[0], *parts[1]))

# -- scripts -----------------------------------------------------------------------------------------------------

CALL = b"return redis.call(unpack(ARGV))"
PCALL = b"local reply = redis.pcall(unpack(ARGV)) return reply"
CAUGHT = (
    b"local ok, reply = pcall(redis.call, unpack(ARGV)) if ok then return {'fine'} end return {'caught', type(reply)}"
)
DESCRIBE = b"""
local function show(value)
  if type(value) == 'table' and value.err then return 'err:' .. string.match(value.err, '^%S*') end
  if type(value) == 'table' and value.ok then return 'ok:' .. value.ok end
  return type(value) .. ':' .. (type(value) == 'table' and #value or tostring(value))
end
local reply = redis.pcall(unpack(ARGV))
local lines = {show(reply)}
if type(reply) == 'table' then
  for index, member in ipairs(reply) do lines[index + 1] = show(member) end
end
return lines
"""
ENCODED = b"""
local reply = redis.pcall(unpack(ARGV))
return type(reply) == 'table' and reply.err and 'error' or cjson.encode({reply})
"""
PLAIN_COMMANDS = st.one_of([COMMANDS[kind] for kind in ("string", "list", "zset", "wrong arity")])
ANY_COMMAND = st.one_of(list(COMMANDS.values()))


def script(source: bytes, commands: st.SearchStrategy[Command]) -> st.SearchStrategy[Command]:
    """Let a script run a command."""
    return commands.map(lambda command: (b"EVAL", source, b"0", *command))


SCRIPTED = st.one_of(
    script(CALL, ANY_COMMAND),
    script(PCALL, ANY_COMMAND),
    script(CAUGHT, ANY_COMMAND),
    script(DESCRIBE, ANY_COMMAND),
    script(ENCODED, PLAIN_COMMANDS),
)

# -- what counts as equal ----------------------------------------------------------------------------------------

_UNORDERED = {b"SMEMBERS", b"HKEYS", b"HVALS", b"KEYS", b"SPOP", b"SRANDMEMBER"}
_TIMES = {b"TTL": 2, b"PTTL": 2000, b"EXPIRETIME": 2, b"PEXPIRETIME": 2000}


def plain(command: Command, reply: Any) -> Any:
    """Take out of a reply what two equal servers may answer differently: order, times, and the words of errors."""
    if isinstance(reply, RedisReplyError):
        return f"error {reply.code}"
    name = command[0].upper()
    if name == b"EVAL":
        return plain_script(command[1], command[3:], reply)
    if name in _UNORDERED and isinstance(reply, list):
        return sorted(reply)
    if name == b"SCAN":
        return reply[0], sorted(reply[1])
    if name == b"HSCAN":
        return reply[0], pairs(reply[1])
    return Time(reply, _TIMES[name]) if name in _TIMES and reply > 0 else reply


def plain_script(source: bytes, command: Command, reply: Any) -> Any:
    """Do the same for the reply of a script that ran a command."""
    if source == DESCRIBE:
        return [] if command[0] in _TIMES else sorted(reply)
    if source not in {CALL, PCALL}:
        return errors_by_code(reply)
    return pairs(reply) if command[0] == b"HGETALL" else plain(command, number(reply))


def pairs(flat: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Sort the fields of a hash that came flat."""
    return sorted(zip(flat[::2], flat[1::2], strict=True))


def errors_by_code(reply: Any) -> Any:
    """Show the errors within a list by their codes."""
    if isinstance(reply, list):
        return [errors_by_code(member) for member in reply]
    return f"error {reply.code}" if isinstance(reply, RedisReplyError) else reply


def number(reply: Any) -> Any:
    """Read the decimal numbers in a script's reply, which servers write with more or fewer digits."""
    if isinstance(reply, list):
        return [number(member) for member in reply]
    try:
        return float(reply) if isinstance(reply, bytes) and b"." in reply else reply
    except ValueError:
        return reply


class Time(int):
    """A time that equals another one a little later."""

    tolerance: int

    def __new__(cls, value: int, tolerance: int) -> Self:
        """Keep the tolerance."""
        time = super().__new__(cls, value)
        time.tolerance = tolerance
        return time

    def __eq__(self, other: object) -> bool:
        """Compare."""
        return isinstance(other, int) and abs(int(self) - int(other)) <= self.tolerance

    __hash__ = None  # type: ignore[assignment]


# -- the test ----------------------------------------------------------------------------------------------------

STATE: list[Command] = [
    command
    for kind, keys in _KEYS.items()
    for name in keys
    for command in [
        (b"TYPE", name),
        (b"PTTL", name),
        {
            "string": (b"GET", name),
            "hash": (b"HGETALL", name),
            "list": (b"LRANGE", name, b"0", b"-1"),
            "set": (b"SMEMBERS", name),
            "stream": (b"XRANGE", name, b"-", b"+"),
        }.get(kind, (b"ZRANGE", name, b"0", b"-1", b"WITHSCORES")),
    ]
]


class Pair:
    """A real server and `memory://`, empty at first, that get the same commands."""

    def __init__(self, url: str) -> None:
        """Connect to both."""
        self._runner = asyncio.Runner()
        self._real, self._memory = self._runner.run(self._open(url))

    @staticmethod
    async def _open(url: str) -> tuple[RedisClient, RedisClient]:
        return await connect(url).open(), await connect("memory://conformance").open()

    def run(self, commands: list[Command]) -> list[tuple[Command, Any, Any]]:
        """Run commands on both; return each with the two replies."""
        script = [(b"FLUSHALL",), *commands, *STATE, (b"FLUSHALL",)]

        async def both() -> tuple[list[Any], list[Any]]:
            return await self._real.pipeline(script), await self._memory.pipeline(script)

        return list(zip(script, *self._runner.run(both()), strict=True))

    def close(self) -> None:
        """Close both."""

        async def both() -> None:
            await self._real.aclose()
            await self._memory.aclose()

        self._runner.run(both())
        self._runner.close()


@pytest.fixture(scope="module")
def pair(redis_server: RedisServer) -> Iterator[Pair]:
    """Connect to a server and to `memory://`."""
    pair = Pair(redis_server.url)
    ((_, version, _), *_) = pair.run([(b"EXPIRETIME", b"version")])[1:]
    if isinstance(version, RedisReplyError):
        pair.close()
        pytest.skip("this server is older than Redis 7, which memory:// follows")
    yield pair
    pair.close()


def check(pair: Pair, commands: list[Command]) -> None:
    """Fail on the first command that the two answer differently."""
    for command, real, memory in pair.run(commands):
        expected, found = plain(command, real), plain(command, memory)
        assert isinstance(found, type(expected)), (command, expected, found)
        assert found == expected, command


EXAMPLES = 80
random_test = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("kind", COMMANDS)
def test_random_commands_of_one_kind(pair: Pair, kind: str) -> None:
    """Every command of one kind answers as a real server does, whatever the arguments and what was there before."""

    @random_test
    @given(st.lists(COMMANDS[kind], min_size=1, max_size=25))
    def same(commands: list[Command]) -> None:
        check(pair, commands)

    same()


def test_random_commands_of_all_kinds(pair: Pair) -> None:
    """Commands of all kinds on each other's keys answer as a real server does."""

    @random_test
    @given(st.lists(ANY_COMMAND, min_size=1, max_size=40))
    def same(commands: list[Command]) -> None:
        check(pair, commands)

    same()


def test_random_commands_within_scripts(pair: Pair) -> None:
    """A command that a script calls gives it the same Lua values and errors as on a real server."""

    @random_test
    @given(st.lists(st.one_of(ANY_COMMAND, SCRIPTED, SCRIPTED), min_size=1, max_size=40))
    def same(commands: list[Command]) -> None:
        check(pair, commands)

    same()


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=6),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(min_size=1, max_size=4), inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)
RECODE = b"return cjson.encode({cjson.decode(ARGV[1])})"


def test_random_json_within_scripts(pair: Pair) -> None:
    """`cjson` reads and writes any document as a real server does."""

    @random_test
    @given(st.lists(JSON, min_size=1, max_size=5), st.booleans())
    def same(documents: list[Any], ascii_only: bool) -> None:
        commands: list[Command] = [
            (b"EVAL", RECODE, b"0", json.dumps(d, ensure_ascii=ascii_only).encode()) for d in documents
        ]
        for command, real, memory in pair.run(commands):
            if command[0] == b"EVAL":
                assert json.loads(memory) == json.loads(real), command

    same()


LUA_SCALAR = st.one_of(
    st.sampled_from(["nil", "true", "false", "0/0", "1/0", "-1/0", "2^53", "-2^63", "2^64", "1e300"]),
    st.integers(-100, 100).map(str),
    st.floats(-1e6, 1e6).map(repr),
    st.binary(max_size=6).map(lambda text: "'" + "".join(f"\\{byte:03d}" for byte in text) + "'"),
)
LUA_FIELD = st.tuples(
    st.sampled_from(["ok", "err", "x", "double", "map", "set"]), LUA_SCALAR.filter(lambda text: text != "0/0")
).map(" = ".join)
LUA = st.recursive(
    LUA_SCALAR,
    lambda inner: st.lists(st.one_of(inner, inner, inner, LUA_FIELD), max_size=5).map(
        lambda m: "{" + ", ".join(m) + "}"
    ),
    max_leaves=15,
)


def test_random_values_out_of_scripts(pair: Pair) -> None:
    """Whatever a script returns becomes the same reply as on a real server."""

    @random_test
    @given(st.lists(LUA, min_size=1, max_size=8))
    def same(values: list[str]) -> None:
        check(pair, [(b"EVAL", f"return {value}".encode(), b"0") for value in values])

    same()
