"""Run Lua scripts the way Redis 7 does: in a sandbox, with `redis.call` and `cjson`, and strings as bytes."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from importlib import resources
from typing import TYPE_CHECKING, Any

from lupa import lua51 as _lua51  # type: ignore[import-untyped, unused-ignore]

from rustforge.errors import RedisReplyError
from rustforge.redis.embedded.errors import reply_error
from rustforge.redis.embedded.parse import MAX_INTEGER, MIN_INTEGER, show_double
from rustforge.redis.embedded.registry import Status, find

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustforge.redis.embedded.database import Database

__all__ = ["ScriptEngine"]

_lupa: Any = _lua51  # the package has no types that fit
_kind: Callable[[object], object] = type

_logger = logging.getLogger(__name__)
_LEVELS = {0: logging.DEBUG, 1: logging.DEBUG, 2: logging.INFO, 3: logging.WARNING}
_SPREAD = 1000
_PLAIN, _LIST, _STATUS, _ERROR = range(4)


class ScriptEngine:
    """The Lua runtime of one store."""

    def __init__(self, database: Database) -> None:
        """Start the runtime and close its sandbox."""
        self._database = database
        self._lua: Any = _lupa.LuaRuntime(
            encoding=None, unpack_returned_tuples=True, register_eval=False, register_builtins=False
        )
        self._scripts: dict[bytes, Any] = {}
        self._null: Any
        self._failure: BaseException | None = None
        prelude = resources.files("rustforge.redis.embedded").joinpath("prelude.lua").read_bytes()
        self._table: Callable[..., Any] = self._lua.table_from
        self._compile: Callable[[bytes], Any]
        self._run: Callable[..., Any]
        self._compile, self._run, self._null = self._lua.execute(prelude, self._call, _sha1hex, _log, self._decode)

    def knows(self, digest: bytes) -> bool:
        """Tell whether a script was loaded."""
        return digest in self._scripts

    def forget(self) -> None:
        """Drop all scripts."""
        self._scripts.clear()

    def load(self, source: bytes, digest: bytes) -> None:
        """Compile a script.

        Raises:
            RedisReplyError: It is no Lua.
        """
        function, problem = self._compile(source)
        if function is None:
            msg = f"ERR Error compiling script (new function): {problem.decode(errors='replace')}"
            raise reply_error(msg)
        self._scripts[digest] = function

    def run(self, digest: bytes, keys: list[bytes], args: list[bytes]) -> Any:
        """Run a script that was loaded.

        Raises:
            RedisReplyError: It failed, or returned an error.
        """
        database = self._database
        database.freeze()
        database.resp3 = False
        try:
            if len(keys) + len(args) <= _SPREAD:
                answer = self._run(self._scripts[digest], len(keys), *keys, *args)
            else:
                answer = self._run(self._scripts[digest], self._table(keys), self._table(args))
        finally:
            database.resp3 = True
            database.thaw()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if answer[0]:
            try:
                reply = self._reply(answer[1])
            except RecursionError:
                reply = reply_error("ERR reached lua stack limit")
            if isinstance(reply, RedisReplyError):
                raise reply
            return reply
        text, where = answer[1:]
        text = text.decode(errors="replace") if isinstance(text, bytes) else "ERR unknown error"
        msg = f"{text} script: {digest.decode()}, on {where.decode()}."
        raise reply_error(msg)

    # -- from Lua ------------------------------------------------------------------------------------------------

    def _reply(self, value: Any) -> Any:
        """Turn what a script returned into a reply; an error stands in its place."""
        kind = _kind(value)
        if kind is bytes or value is None:
            return value
        if kind is bool:
            return 1 if value else None
        if kind is int or kind is float:
            return _truncate(value)
        return self._table_reply(value) if _lupa.lua_type(value) == "table" else None

    def _table_reply(self, value: Any) -> Any:
        """Turn a table into a reply: what its field says, or else a list."""
        fields = dict(value.items())
        if isinstance(text := fields.get(b"err"), bytes):
            return reply_error(_line(text).decode(errors="replace"))
        if isinstance(text := fields.get(b"ok"), bytes):
            return Status(_line(text))
        number: Any = fields.get(b"double")
        kind = _kind(number)
        if kind is int or kind is float:
            return float(number)
        for name, turn in ((b"map", self._map), (b"set", self._set)):
            if _lupa.lua_type(members := fields.get(name)) == "table":
                return turn(members)
        replies: list[Any] = []
        while (member := fields.get(len(replies) + 1)) is not None:
            replies.append(self._reply(member))
        return replies

    def _map(self, members: Any) -> dict[Any, Any]:
        return {self._reply(key): self._reply(member) for key, member in members.items()}

    def _set(self, members: Any) -> list[Any]:
        return [self._reply(key) for key in members]

    # -- to Lua --------------------------------------------------------------------------------------------------

    def _call(self, *args: Any) -> tuple[Any, ...]:
        """Run a command for a script; return the kind of the reply and what it is made of."""
        try:
            reply = self._execute(args)
        except RedisReplyError as error:
            return _ERROR, str(error).encode()
        except BaseException as failure:  # noqa: BLE001 - it must not be lost in the script's own error handling
            self._failure = failure
            return _ERROR, b"ERR internal error"
        kind = _kind(reply)
        if kind is bytes or kind is int:
            return _PLAIN, reply
        if kind is Status:
            return _STATUS, reply
        if kind is list and len(reply) <= _SPREAD:
            return _LIST, *map(self._value, reply)
        return _PLAIN, self._value(reply)

    def _execute(self, args: tuple[Any, ...]) -> Any:
        if not args:
            msg = "ERR Please specify at least one argument for this redis lib call"
            raise reply_error(msg)
        words = [word if type(word) is bytes else _word(word) for word in args]
        command = find(words[0])
        if command is None:
            msg = "ERR Unknown Redis command called from script"
            raise reply_error(msg)
        if not command.fewest <= len(words) <= command.most:
            msg = "ERR Wrong number of args calling Redis command from script"
            raise reply_error(msg)
        if not command.in_script:
            msg = "ERR This Redis command is not allowed from script"
            raise reply_error(msg)
        return command.function(self._database, *words[1:])

    def _value(self, reply: Any) -> Any:
        """Turn a reply into a Lua value, in the form of RESP2."""
        kind = _kind(reply)
        if kind is bytes or kind is int:
            return reply
        if reply is None:
            return False
        if kind is float:
            return show_double(reply)
        if kind is Status:
            return self._table({b"ok": bytes(reply)})
        if kind is dict:
            reply = [word for pair in reply.items() for word in pair]
        return self._table([self._value(member) for member in reply])

    # -- JSON ----------------------------------------------------------------------------------------------------

    def _decode(self, text: bytes) -> tuple[bytes | None, Any]:
        """Read JSON for a script: return what is wrong with it, and the value."""
        try:
            value = json.loads(text.decode("utf-8", "surrogateescape"), parse_int=float)
            return None, self._from_json(value)
        except (ValueError, RecursionError) as error:
            return f"Expected value but found invalid token: {error}".encode(), None

    def _from_json(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if value is None:
            return self._null
        if _kind(value) is list:
            return self._table([self._from_json(member) for member in value])
        if _kind(value) is dict:
            return self._table({self._from_json(key): self._from_json(member) for key, member in value.items()})
        return value


def _word(value: Any) -> bytes:
    """Write a number that a script gave as an argument."""
    if type(value) in {int, float}:
        return show_double(value)
    msg = "ERR Lua redis lib command arguments must be strings or integers"
    raise reply_error(msg)


def _truncate(number: float) -> int:
    """Turn a Lua number into an integer as a C cast does on the usual machines."""
    if math.isfinite(number) and MIN_INTEGER <= number <= MAX_INTEGER:
        return int(number)
    return MIN_INTEGER


def _line(text: bytes) -> bytes:
    """Make a status or an error of one line; like a C string it ends at a zero."""
    return text.partition(b"\0")[0].replace(b"\r", b" ").replace(b"\n", b" ")


def _sha1hex(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


def _log(level: int, text: bytes) -> None:
    _logger.log(_LEVELS[int(level)], "script: %s", text.decode(errors="replace"))
