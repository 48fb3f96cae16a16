"""The script engine of `memory://`: its sandbox, its log, and what becomes of it."""

from __future__ import annotations

import gc
import logging
import weakref
from typing import TYPE_CHECKING

import pytest

from rustforge.errors import RedisReplyError
from rustforge.redis import RedisUrl, Script
from rustforge.redis.memory import MemoryClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL = RedisUrl.parse("memory://lua")
FORBIDDEN = (
    "io os require dofile loadfile debug package module newproxy getfenv setfenv python print string.dump "
    "coroutine.nothing"
)


@pytest.fixture
async def client() -> AsyncIterator[MemoryClient]:
    """Open a store of the test's own."""
    async with MemoryClient(URL) as client:
        yield client


@pytest.mark.parametrize("name", FORBIDDEN.split())
async def test_a_script_reaches_nothing_but_its_library(client: MemoryClient, name: str) -> None:
    """Neither files, modules, the interpreter nor this process can be reached, in a chunk of its own neither."""
    inside = (
        f"local ok, found = pcall(function() return {name} end) return ok and found ~= nil and 'reached' or 'closed'"
    )
    assert await client.call("EVAL", inside, 0) == b"closed"
    chunk = f"return loadstring([[{inside}]])()"
    assert await client.call("EVAL", chunk, 0) == b"closed"
    parts = f"local parts = {{[[{inside}]]}} return load(function() return table.remove(parts) end)()"
    assert await client.call("EVAL", parts, 0) == b"closed"


@pytest.mark.parametrize(
    "source",
    [
        "string.format = nil",
        "redis.call = nil",
        "cjson.encode = nil",
        "KEYS.x, other = 1, 2",
        "_G.leak = 1",
        "rawset(_G, 'leak', 1)",
        "rawset(string, 'format', nil)",
        "setmetatable(_G, {})",
        "setmetatable(redis, {})",
        "getmetatable('').__index = {}",
        "getmetatable(_G).__index = {}",
    ],
)
async def test_a_script_changes_nothing_for_the_next(client: MemoryClient, source: str) -> None:
    """What all scripts share is closed, whichever way one tries."""
    with pytest.raises(RedisReplyError):
        await client.call("EVAL", source, 0)
    look = "return {type(string.format), type(redis.call), type(cjson.encode), ('x'):upper(), rawget(_G, 'leak')}"
    assert await client.call("EVAL", look, 0) == [b"function", b"function", b"function", b"X"]


async def test_bytecode_is_refused(client: MemoryClient) -> None:
    """Bytecode can break out of any sandbox, so only text is compiled."""
    with pytest.raises(RedisReplyError, match="bytecode is not allowed"):
        await client.call("EVAL", b"\x1bLuaQ", 0)
    assert await client.call("EVAL", "return {loadstring('\\27LuaQ')}", 0) == []


async def test_a_scripts_log_goes_to_the_log(client: MemoryClient, caplog: pytest.LogCaptureFixture) -> None:
    """`redis.log` writes to Python's logging, at the level that it names."""
    with caplog.at_level(logging.DEBUG, "rustforge"):
        await client.call("EVAL", "redis.log(redis.LOG_WARNING, 'one', 2) redis.log(redis.LOG_VERBOSE, 'three')", 0)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "script: one 2"),
        (logging.DEBUG, "script: three"),
    ]
    for wrong in ("redis.log(1)", "redis.log('x', 'y')", "redis.log(9, 'x')"):
        with pytest.raises(RedisReplyError, match=r"redis\.log|log level|debug level"):
            await client.call("EVAL", wrong, 0)


async def test_a_table_within_itself_is_an_error(client: MemoryClient) -> None:
    """A reply without end is refused, and so is JSON without end."""
    with pytest.raises(RedisReplyError, match="stack limit"):
        await client.call("EVAL", "local t = {} t[1] = t return t", 0)
    with pytest.raises(RedisReplyError, match="excessive depth"):
        await client.call("EVAL", "local t = {} t[1] = t local text = cjson.encode(t) return text", 0)
    with pytest.raises(RedisReplyError, match="ERR"):
        await client.call("EVAL", "local value = cjson.decode(ARGV[1]) return value", 0, "[" * 100_000)


async def test_an_error_names_its_line(client: MemoryClient) -> None:
    """The message says which script failed, and on which line."""
    script = Script("lines", "local a = 1\n\nlocal b = redis.call('INCR', KEYS[1], 'x')\nreturn b")
    with pytest.raises(RedisReplyError, match=f"script: {script.digest}, on @user_script:3"):
        await client.run(script, ["a"])
    with pytest.raises(RedisReplyError, match=r"user_script:2: boom"):
        await client.call("EVAL", "\nerror('boom')", 0)


async def test_the_runtime_is_freed_with_its_store() -> None:
    """The engine and Lua hold each other, yet both are collected when their store is closed."""
    client = await MemoryClient(URL).open()
    await client.call("EVAL", "return redis.call('SET', 'a', 1)", 0)
    engine = weakref.ref(client._database.engine)
    await client.aclose()
    gc.collect()
    assert engine() is None


async def test_each_store_has_its_own_runtime() -> None:
    """What a script knows in one store is unknown in another."""
    async with MemoryClient(URL) as first, MemoryClient(RedisUrl.parse("memory://other")) as second:
        digest = await first.call("SCRIPT", "LOAD", "return 1")
        assert await first.call("SCRIPT", "EXISTS", digest) == [1]
        assert await second.call("SCRIPT", "EXISTS", digest) == [0]
