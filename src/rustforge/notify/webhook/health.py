"""What deliveries read and write of endpoints, in one statement for all that are under way in this process."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary, ref

from sqlalchemy import select, update

from rustforge import codec
from rustforge.db.tables import deliveries
from rustforge.db.tables import webhook_endpoints as table
from rustforge.notify.batching import Batcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.dml import ReturningUpdate

    from rustforge.db import Database

__all__ = ["EndpointHealth", "EndpointState"]


class EndpointState(NamedTuple):
    """What a delivery needs of its endpoint. It is read for each attempt, so that a change counts at once.

    Attributes:
        id: The endpoint's id.
        url: Where to.
        secrets: The secrets, each with the time at which it ends; a text of JSON.
        enabled: Whether it gets anything.
        disabled_reason: Why it gets nothing.
        failing_since: Since when every delivery has failed.
    """

    id: str
    url: str
    secrets: str
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None

    def signing(self, now: float) -> list[str]:
        """Return the secrets that sign at a time, the newest first."""
        return [secret for secret, end in codec.decode(self.secrets.encode()) if end is None or end > now]

    def __repr__(self) -> str:
        """Show it without its secrets."""
        return f"<EndpointState {self.id}>"


class EndpointHealth:
    """Reads the endpoints of deliveries, and notes which of them fail."""

    def __init__(self, db: Database) -> None:
        """Say where they are; `EndpointHealth.of` gives the one that all share."""
        self._db = ref(db)  # which knows this one
        self._reads: Batcher[str, EndpointState | None] = Batcher(self._read)
        self._fails: Batcher[tuple[str, float], None] = Batcher(self._note_failing)
        self._works: Batcher[str, None] = Batcher(self._note_working)

    @classmethod
    def of(cls, db: Database) -> EndpointHealth:
        """Return the one of this database on this event loop."""
        loop = asyncio.get_running_loop()
        owner, found = _healths.get(db, (None, None))
        if found is None or owner is not loop:
            found = cls(db)
            _healths[db] = loop, found
        return found

    async def read(self, endpoint_id: str) -> EndpointState | None:
        """Read an endpoint; `None` where it was removed."""
        return await self._reads.ask(endpoint_id)

    async def note_success(self, endpoint: EndpointState) -> None:
        """Forget that an endpoint failed."""
        if endpoint.failing_since is not None:
            await self._works.ask(endpoint.id)

    async def note_failure(self, endpoint: EndpointState, now: float, patience: float, *, gone: bool = False) -> bool:
        """Note that an endpoint fails, and disable it where nothing has reached it for too long.

        Args:
            endpoint: The endpoint, as it was before.
            now: The time.
            patience: The seconds for which every delivery may fail.
            gone: Whether it said that it wants nothing any more.

        Returns:
            Whether it was disabled now.
        """
        if gone:
            async with self._open().transaction() as session:
                disabling = _disabling(endpoint.id, "the receiver answered 410 Gone", now)
                return (await session.execute(disabling)).first() is not None
        if endpoint.failing_since is None:
            await self._fails.ask((endpoint.id, now))
            return False
        if now - endpoint.failing_since.timestamp() < patience:
            return False
        return await self._disable_unreached(endpoint.id, now, patience)

    async def _disable_unreached(self, endpoint_id: str, now: float, patience: float) -> bool:
        reason = f"every delivery has failed for {patience / 86400:g} days"
        overdue = table.c.failing_since <= _moment(now - patience)
        reached = select(deliveries.c.id).where(
            deliveries.c.channel == "webhook",
            deliveries.c.target == table.c.id,
            deliveries.c.sent_at > table.c.failing_since,
        )
        async with self._open().transaction() as session:
            disabling = _disabling(endpoint_id, reason, now).where(overdue, ~reached.exists())
            if (await session.execute(disabling)).first() is not None:
                return True
            # A success of the same moment was not seen when the first failure was noted.
            again = update(table).where(table.c.id == endpoint_id, table.c.enabled, overdue)
            await session.execute(again.values(failing_since=_moment(now)))
        return False

    async def _read(self, ids: Sequence[str]) -> list[EndpointState | None]:
        query = select(*[table.c[name] for name in EndpointState._fields]).where(table.c.id.in_(set(ids)))
        async with self._open().reading() as session:
            found = {row.id: EndpointState(*row) for row in await session.execute(query)}
        return [found.get(one) for one in ids]

    async def _note_failing(self, failures: Sequence[tuple[str, float]]) -> list[None]:
        begin = _moment(min(time for _, time in failures))
        await self._set([one for one, _ in failures], begin, table.c.failing_since.is_(None))
        return [None] * len(failures)

    async def _note_working(self, ids: Sequence[str]) -> list[None]:
        await self._set(ids, None, table.c.failing_since.is_not(None))
        return [None] * len(ids)

    async def _set(self, ids: Sequence[str], failing_since: datetime | None, changes: ColumnElement[bool]) -> None:
        some = select(table.c.id).where(table.c.id.in_(set(ids)), changes)
        locked = some.order_by(table.c.id).with_for_update()  # who locks rows does so in one order
        async with self._open().transaction() as session:
            changing = update(table).where(table.c.id.in_(locked.scalar_subquery()), changes)
            await session.execute(changing.values(failing_since=failing_since))

    def _open(self) -> Database:
        found = self._db()
        assert found is not None  # noqa: S101 - who asks has it
        return found


_healths: WeakKeyDictionary[Database, tuple[asyncio.AbstractEventLoop, EndpointHealth]] = WeakKeyDictionary()


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)


def _disabling(endpoint_id: str, reason: str, now: float) -> ReturningUpdate[tuple[str]]:
    values = {"enabled": False, "disabled_reason": reason, "updated_at": _moment(now)}
    return update(table).where(table.c.id == endpoint_id, table.c.enabled).values(values).returning(table.c.id)
