"""What the clients know of commands: which must not be shared, which belong together, and how they look when sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hiredis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rustforge.types import CommandArgument

__all__ = ["UNSHAREABLE", "refusal", "spellings", "split", "tracked", "unpack"]


def spellings(names: str) -> frozenset[CommandArgument]:
    """Give command names in the forms in which they are written: upper and lower case, text and bytes."""
    texts = [*names.upper().split(), *names.lower().split()]
    return frozenset([*texts, *(text.encode() for text in texts)])


UNSHAREABLE = spellings(
    "multi exec discard watch select hello reset quit monitor "
    "subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe"
)
"""Commands that would change the connection for every other task."""

_MULTI = spellings("multi")
_EXEC = spellings("exec discard")


def refusal(name: CommandArgument) -> ValueError:
    """Make the error for a command that must not be sent alone over a shared connection."""
    return ValueError(
        f"{name!s} would change the connection that all tasks share; put a transaction into one pipeline, and the "
        "database number into the URL"
    )


def split(commands: Sequence[Sequence[CommandArgument]]) -> Iterator[Sequence[Sequence[CommandArgument]]]:
    """Cut a pipeline into what runs or fails together: a transaction from MULTI to EXEC, else a single command."""
    start: int | None = None
    for index, command in enumerate(commands):
        if start is None and command[0] in _MULTI:
            start = index
        elif start is None:
            yield (command,)
        elif command[0] in _EXEC:
            yield commands[start : index + 1]
            start = None
    if start is not None:
        yield commands[start:]


def tracked(value: Any, remaining: Any) -> tuple[bytes | None, int]:
    """Return what a tracked read brought, or raise what went wrong with it."""
    for answer in (value, remaining):
        if isinstance(answer, Exception):
            raise answer
    return value, remaining


def unpack(payload: bytes) -> list[list[bytes]]:
    """Read commands back from the form in which they are sent."""
    reader = hiredis.Reader()
    reader.feed(payload)
    commands: list[list[bytes]] = []
    while (command := reader.gets()) is not False:
        commands.append(command)
    return commands
