"""The script commands; the Lua runtime is loaded with the first script."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from rustforge.redis.embedded.errors import reply_error, wrong_arity
from rustforge.redis.embedded.parse import integer
from rustforge.redis.embedded.registry import OK, command, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustforge.redis.embedded.database import Database
    from rustforge.redis.embedded.lua import ScriptEngine
    from rustforge.types import CommandArgument

__all__ = ["run_script"]


def _engine(database: Database) -> ScriptEngine:
    """Return what runs scripts, making it the first time."""
    if database.engine is None:
        from rustforge.redis.embedded.lua import ScriptEngine  # noqa: PLC0415 - it loads the Lua runtime

        database.engine = ScriptEngine(database)
    engine: ScriptEngine = database.engine
    return engine


def run_script(
    database: Database,
    source: str,
    digest: str,
    keys: Sequence[CommandArgument],
    args: Sequence[CommandArgument],
) -> Any:
    """Run a script that the caller knows, keeping it for EVALSHA."""
    engine = _engine(database)
    name = digest.encode()
    if not engine.knows(name):
        engine.load(source.encode(), name)
    return engine.run(name, [encode(key) for key in keys], [encode(arg) for arg in args])


def _split(count: bytes, words: tuple[bytes, ...]) -> tuple[list[bytes], list[bytes]]:
    """Part the words after a script into KEYS and ARGV."""
    number = integer(count)
    if number > len(words):
        msg = "ERR Number of keys can't be greater than number of args"
        raise reply_error(msg)
    if number < 0:
        msg = "ERR Number of keys can't be negative"
        raise reply_error(msg)
    return list(words[:number]), list(words[number:])


def _digest(source: bytes) -> bytes:
    return hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()


@command("EVAL", in_script=False)
def eval_(database: Database, source: bytes, count: bytes, *words: bytes) -> Any:
    """Run a script."""
    keys, args = _split(count, words)
    engine = _engine(database)
    digest = _digest(source)
    if not engine.knows(digest):
        engine.load(source, digest)
    return engine.run(digest, keys, args)


@command("EVALSHA", in_script=False)
def evalsha(database: Database, digest: bytes, count: bytes, *words: bytes) -> Any:
    """Run a script that was loaded."""
    keys, args = _split(count, words)
    engine = _engine(database)
    if not engine.knows(digest.lower()):
        msg = "NOSCRIPT No matching script. Please use EVAL."
        raise reply_error(msg)
    return engine.run(digest.lower(), keys, args)


@command("SCRIPT", fewest=2, in_script=False)
def script(database: Database, subcommand: bytes, *words: bytes) -> Any:
    """Load scripts, look for them, or forget all: LOAD, EXISTS, FLUSH."""
    engine = _engine(database)
    name = subcommand.upper()
    if name == b"LOAD":
        if len(words) != 1:
            msg = "script|load"
            raise wrong_arity(msg)
        digest = _digest(words[0])
        if not engine.knows(digest):
            engine.load(words[0], digest)
        return digest
    if name == b"EXISTS":
        if not words:
            msg = "script|exists"
            raise wrong_arity(msg)
        return [int(engine.knows(digest.lower())) for digest in words]
    if name == b"FLUSH":
        if len(words) > 1 or not {word.upper() for word in words} <= {b"SYNC", b"ASYNC"}:
            msg = "ERR SCRIPT FLUSH only support SYNC|ASYNC option"
            raise reply_error(msg)
        engine.forget()
        return OK
    msg = f"ERR unknown subcommand '{subcommand.decode(errors='replace')[:128]}'. Try SCRIPT HELP."
    raise reply_error(msg)
