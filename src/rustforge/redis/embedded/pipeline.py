"""Run the commands of one pipeline, with MULTI and EXEC in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustforge.errors import RedisReplyError
from rustforge.redis.embedded.errors import reply_error
from rustforge.redis.embedded.registry import OK, Status, encode, execute, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustforge.redis.embedded.database import Database
    from rustforge.types import CommandArgument

__all__ = ["run_all"]

_QUEUED = Status(b"QUEUED")


def run_all(database: Database, commands: Sequence[Sequence[CommandArgument]]) -> list[Any]:
    """Run commands in order; an error stands in its command's place."""
    transaction = _Transaction(database)
    replies: list[Any] = []
    for args in commands:
        try:
            replies.append(transaction.run(args))
        except RedisReplyError as error:
            replies.append(error)
    return replies


class _Transaction:
    """Runs commands, and queues those that stand between MULTI and EXEC."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: list[Sequence[CommandArgument]] | None = None
        self._broken = False

    def run(self, args: Sequence[CommandArgument]) -> Any:
        """Return the reply, or raise it."""
        name = encode(args[0]).upper()
        if name not in {b"MULTI", b"EXEC", b"DISCARD"}:
            return execute(self._database, args) if self._queue is None else self._put(args, self._queue)
        if (name == b"MULTI") != (self._queue is None):
            msg = "ERR MULTI calls can not be nested" if name == b"MULTI" else f"ERR {name.decode()} without MULTI"
            raise reply_error(msg)
        if self._queue is None:
            self._queue, self._broken = [], False
            return OK
        queue, self._queue = self._queue, None
        if name == b"DISCARD":
            return OK
        if self._broken:
            msg = "EXECABORT Transaction discarded because of previous errors."
            raise reply_error(msg)
        return run_all(self._database, queue)

    def _put(self, args: Sequence[CommandArgument], queue: list[Sequence[CommandArgument]]) -> bytes:
        try:
            prepare(args)
        except RedisReplyError:
            self._broken = True
            raise
        queue.append(args)
        return _QUEUED
