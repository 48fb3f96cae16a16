"""Who is in a channel or room, for as long as their processes say so."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, TypeAlias

from rustforge import codec
from rustforge.errors import InvalidArgumentError, RedisError
from rustforge.jobs.envelope import new_id
from rustforge.notify.realtime.message import PresenceMember, write_payload
from rustforge.notify.realtime.scripts import PRESENCE

if TYPE_CHECKING:
    from collections.abc import Collection

    from rustforge.redis import RedisClient

__all__ = ["Presence"]

_logger = logging.getLogger("rustforge.notify")

_Entry: TypeAlias = tuple[str, bytes, bytes]
_LONGEST_NAME = 200
_LONGEST_INFO = 4096
_AT_ONCE = 500
_NEWS_MS = 60_000


class Presence:
    """The members that this process keeps present.

    Attributes:
        members: For each channel or room, by what its keys start with, the connections with their members.
    """

    def __init__(self, client: RedisClient, lease_ms: int) -> None:
        """Start with nobody; a member who is not kept is gone after `lease_ms` milliseconds."""
        self.members: dict[str, dict[str, _Entry]] = {}
        self._client = client
        self._lease = lease_ms

    async def join(self, base: str, member: object, info: object) -> str:
        """Let a member be present.

        Returns:
            The connection, for `leave`.

        Raises:
            InvalidArgumentError: The name or the information cannot be used.
            RedisError: Redis does not answer.
        """
        if not isinstance(member, str) or not 0 < len(member) <= _LONGEST_NAME:
            msg = f"member must be text of 1 to {_LONGEST_NAME} characters, not {member!r}"
            raise InvalidArgumentError(msg)
        connection = new_id()
        entry = (connection, write_payload(member, 8 * _LONGEST_NAME), write_payload(info, _LONGEST_INFO))
        self.members.setdefault(base, {})[connection] = entry
        try:
            await self._run(base, "keep", [entry])
        except BaseException:
            self._forget(base, connection)
            raise
        return connection

    async def leave(self, base: str, *connections: str) -> None:
        """Let connections go; where Redis does not answer they are gone when their time is over."""
        for connection in connections:
            self._forget(base, connection)
        with contextlib.suppress(RedisError):
            await self._run(base, "leave", [(connection,) for connection in connections])

    async def aclose(self) -> None:
        """Let all go."""
        for base, entries in list(self.members.items()):
            await self.leave(base, *list(entries))

    async def keep(self, others: Collection[str]) -> None:
        """Say that the members are still present, and look who is not in the other places."""
        for base, entries in list(self.members.items()):
            await self._try(base, "keep", list(entries.values()))
        for base in others:
            if base not in self.members:
                await self._try(base, "list", [])

    async def show(self, base: str) -> list[PresenceMember]:
        """List who is present, by name.

        Raises:
            RedisError: Redis does not answer.
        """
        found: dict[str, PresenceMember] = {}
        for line in await self._run(base, "list", []):
            member, _, info = line.partition(b"\n")
            name = codec.decode(member)
            found[name] = PresenceMember(name, codec.decode(info))
        return [found[name] for name in sorted(found)]

    def _forget(self, base: str, connection: str) -> None:
        entries = self.members.get(base, {})
        entries.pop(connection, None)
        if not entries:
            self.members.pop(base, None)

    async def _try(self, base: str, what: str, entries: list[_Entry]) -> None:
        try:
            await self._run(base, what, entries)
        except RedisError as error:
            _logger.debug("who is present in %s was not said: %s", base, error)

    async def _run(self, base: str, what: str, entries: list[_Entry] | list[tuple[str]]) -> list[bytes]:
        answer: list[bytes] = []
        for start in range(0, len(entries) or 1, _AT_ONCE):
            words = [word for entry in entries[start : start + _AT_ONCE] for word in entry]
            answer = await self._client.run(PRESENCE, [base], [what, self._lease, _NEWS_MS, *words], retry=True)
        return answer
