"""The table of commands: each is a function of the database and its arguments as bytes."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from rustforge.redis.embedded.errors import reply_error, wrong_arity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rustforge.errors import RedisReplyError
    from rustforge.redis.embedded.database import Database
    from rustforge.types import CommandArgument

__all__ = ["COMMANDS", "OK", "Command", "Status", "command", "encode", "execute", "find", "prepare"]

_SHOWN = 128


class Status(bytes):
    """A reply that Redis sends as a status: scripts see it as a table with the field `ok`."""

    __slots__ = ()


OK = Status(b"OK")


class Command:
    """One command.

    Attributes:
        name: Its name, in lower case as in error texts.
        function: What it does.
        fewest: How many words it has at least, its name included.
        most: How many it has at most.
        in_script: Whether a script may call it.
    """

    __slots__ = ("fewest", "function", "in_script", "most", "name")

    def __init__(self, name: str, function: Callable[..., Any], *, fewest: int, in_script: bool) -> None:
        """Read the number of arguments from the function's signature; the database takes the place of the name."""
        parameters = inspect.signature(function).parameters.values()
        required = [p for p in parameters if p.kind is not p.VAR_POSITIONAL and p.default is p.empty]
        self.name: str = name
        self.function: Callable[..., Any] = function
        self.in_script: bool = in_script
        self.fewest: int = max(fewest, len(required))
        self.most: int = sys.maxsize if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(parameters)


COMMANDS: dict[str | bytes, Command] = {}
"""Each command under its name in upper and lower case, as text and as bytes."""

Function = TypeVar("Function", bound="Callable[..., Any]")


def command(name: str, *, fewest: int = 0, in_script: bool = True) -> Callable[[Function], Function]:
    """Put a function into the table.

    Its first parameter is the database, the others are the command's arguments; their number is the arity.

    Args:
        name: The command, in upper case.
        fewest: How many words it has at least, its name included, where the signature does not say so.
        in_script: Whether a script may call it.
    """

    def register(function: Function) -> Function:
        entry = Command(name.lower(), function, fewest=fewest, in_script=in_script)
        for spelling in (name, name.lower()):
            COMMANDS[spelling] = COMMANDS[spelling.encode()] = entry
        return function

    return register


def encode(argument: CommandArgument) -> bytes:
    """Write an argument as it travels to a server.

    Raises:
        TypeError: It is neither text, bytes nor a number.
    """
    if type(argument) is str:
        return argument.encode()
    if type(argument) is int:
        return b"%d" % argument
    if type(argument) is float:
        return repr(argument).encode()
    if isinstance(argument, str):
        return argument.encode()
    if isinstance(argument, (bytes, memoryview)):
        return bytes(argument)
    msg = "A tuple item must be str, int, float or bytes."
    raise TypeError(msg)


def find(name: CommandArgument) -> Command | None:
    """Look a command up, in whatever case it is written."""
    entry = COMMANDS.get(name) if isinstance(name, (str, bytes)) else None  # the usual spellings
    return entry or COMMANDS.get(encode(name).upper())


def _unknown(name: bytes, arguments: Sequence[bytes]) -> RedisReplyError:
    """Make the error for a command that does not exist."""
    shown = ""
    for argument in arguments:
        if len(shown) >= _SHOWN:
            break
        shown += f"'{argument.decode(errors='replace')[: _SHOWN - len(shown)]}' "
    word = name[:_SHOWN].decode(errors="replace")
    return reply_error(f"ERR unknown command '{word}', with args beginning with: {shown}")


def prepare(args: Sequence[CommandArgument]) -> tuple[Command, list[bytes]]:
    """Look a command up and check how many arguments it has.

    Raises:
        RedisReplyError: It does not exist, or not with so many.
    """
    entry = find(args[0])
    words = [word if type(word) is bytes else encode(word) for word in args[1:]]
    if entry is None:
        raise _unknown(encode(args[0]), words)
    if not entry.fewest <= len(args) <= entry.most:
        raise wrong_arity(entry.name)
    return entry, words


def execute(database: Database, args: Sequence[CommandArgument]) -> Any:
    """Run one command.

    Raises:
        RedisReplyError: What Redis would answer.
    """
    entry, words = prepare(args)
    return entry.function(database, *words)
