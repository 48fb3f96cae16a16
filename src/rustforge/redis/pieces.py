"""The pieces of a pipeline that a cluster's nodes run: each has its slot, and its answers find back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustforge.errors import InvalidArgumentError, RedisReplyError
from rustforge.redis.commands import split
from rustforge.redis.multiplexer import pack
from rustforge.redis.slots import command_slot, key_slot
from rustforge.redis.waiting import LATER, REDIRECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rustforge.redis.topology import Node
    from rustforge.types import CommandArgument

__all__ = [
    "ASKING",
    "Piece",
    "all_answers",
    "common_slot",
    "cut",
    "distribute",
    "in_order",
    "total",
    "tracked_read",
    "values",
]

ASKING = pack("ASKING")
"""Goes before a command that an ASK sent to another node."""

_NOT_RUN = REDIRECTIONS | LATER
_NO_ANSWERS: list[Any] = []
_CACHING = pack("CLIENT", "CACHING", "YES")
_MULTI, _EXEC = pack("MULTI"), pack("EXEC")


class Piece:
    """A part of a pipeline that one node runs as a whole: a command, or a transaction.

    Attributes:
        slot: Where its keys are, or `None`.
        payload: What is sent: the commands, after an ASK with ASKING before them.
        expected: How many answers that brings.
        target: The node to which an ASK sends it, this once.
        answers: What the commands brought.
    """

    __slots__ = ("_commands", "answers", "expected", "payload", "size", "slot", "target")

    def __init__(self, slot: int | None, commands: bytes, size: int = 1) -> None:
        """Say where the commands go, and how many they are."""
        self.slot: int | None = slot
        self._commands = commands
        self.payload: bytes = commands
        self.size: int = size
        self.expected: int = size
        self.target: Node | None = None
        self.answers: list[Any] = _NO_ANSWERS

    def ask(self, target: Node) -> None:
        """Send it to the node of an ASK the next time."""
        self.target = target
        self.payload = ASKING + self._commands
        self.expected = self.size + 1

    def unask(self) -> bool:
        """Send it to the owner of its slot the next time; return whether it went elsewhere now."""
        if self.target is None:
            return False
        self.target, self.payload, self.expected = None, self._commands, self.size
        return True


class _TrackedRead(Piece):
    """A read with CLIENT CACHING before it. That and ASKING cancel each other, but not around a transaction."""

    __slots__ = ()

    def ask(self, target: Node) -> None:
        """Send it to the node of an ASK the next time."""
        self.target = target
        self.payload = ASKING + _MULTI + self._commands + _EXEC
        self.expected = self.size + 3


def tracked_read(key: CommandArgument) -> Piece:
    """Read a key's value and time to live so that the node tells of its next change."""
    return _TrackedRead(key_slot(key), _CACHING + pack("GET", key) + pack("PTTL", key), 3)


def cut(commands: Sequence[Sequence[CommandArgument]]) -> list[Piece]:
    """Cut a pipeline into pieces.

    Raises:
        InvalidArgumentError: The keys of a transaction are in several slots.
    """
    return [
        Piece(command_slot(part[0]), pack(*part[0])) if len(part) == 1 else _transaction(part)
        for part in split(commands)
    ]


def _transaction(commands: Sequence[Sequence[CommandArgument]]) -> Piece:
    keys = [command[1] for command in commands if command_slot(command) is not None]
    slot = common_slot(keys, "a transaction") if keys else None
    return Piece(slot, b"".join([pack(*command) for command in commands]), len(commands))


def common_slot(keys: Sequence[CommandArgument], what: str) -> int:
    """Compute the slot that all keys share.

    Raises:
        InvalidArgumentError: They do not.
    """
    slot = key_slot(keys[0])
    for key in keys[1:]:
        if key_slot(key) != slot:
            msg = (
                f"the keys of {what} must be in one slot of the Redis Cluster, but {keys[0]!r} and {key!r} are in two; "
                "keys with the same text in braces, a hash tag, share a slot: {user:1}:name and {user:1}:age"
            )
            raise InvalidArgumentError(msg)
    return slot


def distribute(answers: list[Any], pieces: list[Piece]) -> Iterator[tuple[Piece, RedisReplyError]]:
    """Give each piece its answers, and yield those that did not run."""
    if len(answers) == len(pieces):
        for piece, answer in zip(pieces, answers, strict=True):
            piece.answers = [answer]
            if isinstance(answer, RedisReplyError) and answer.code in _NOT_RUN:
                yield piece, answer
        return
    end = 0
    for piece in pieces:
        start, end = end, end + piece.expected
        piece.answers = answers[end - piece.size : end]
        for answer in answers[start:end]:
            if isinstance(answer, RedisReplyError) and answer.code in _NOT_RUN:
                yield piece, answer
                break


def in_order(pieces: list[Piece]) -> list[Any]:
    """Give all answers in one line."""
    return [answer for piece in pieces for answer in piece.answers]


def all_answers(pieces: list[Piece]) -> list[list[Any]]:
    """Give each piece's answers."""
    return [piece.answers for piece in pieces]


def values(pieces: list[Piece]) -> list[bytes | None]:
    """Make an MGET's answer of many GETs', for which a key of another type is as good as none."""
    found: list[bytes | None] = []
    for piece in pieces:
        [answer] = piece.answers
        if not isinstance(answer, RedisReplyError):
            found.append(answer)
        elif answer.code == "WRONGTYPE":
            found.append(None)
        else:
            raise answer
    return found


def total(pieces: list[Piece]) -> int:
    """Add up, unless there is an error among the answers."""
    answers = in_order(pieces)
    for answer in answers:
        if isinstance(answer, RedisReplyError):
            raise answer
    return sum(answers)
