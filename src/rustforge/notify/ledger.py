"""The rows of the deliveries that are under way in this process: read and marked many at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, get_args
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Integer, Text, bindparam, func, null, select, update

from rustforge.db.tables import deliveries as table
from rustforge.db.tables import utc_now
from rustforge.jobs.rows import plain
from rustforge.notify.batching import Batcher
from rustforge.notify.deliveries import DeliveryStatus, read_delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Update

    from rustforge.db import Database
    from rustforge.notify.deliveries import Delivery

__all__ = ["Ledger", "Mark"]


class Mark(NamedTuple):
    """What became of an attempt.

    Attributes:
        id: The delivery's id.
        status: Where it stands now; `None` leaves it.
        attempts: How many attempts came to an end by it.
        error: What went wrong.
        response_status: What the receiver answered.
    """

    id: str
    status: DeliveryStatus | None = None
    attempts: int = 0
    error: str | None = None
    response_status: int | None = None


class Ledger:
    """Reads and marks deliveries, in one statement for all that are under way."""

    def __init__(self, db: Database) -> None:
        """Say where they are; `Ledger.of` gives the one that all share."""
        self._db = ref(db)  # which knows this one
        self._reads: Batcher[str, Any] = Batcher(self._read)
        self._marks: Batcher[Mark, None] = Batcher(self._mark)

    @classmethod
    def of(cls, db: Database) -> Ledger:
        """Return the one of this database on this event loop."""
        loop = asyncio.get_running_loop()
        home, found = _ledgers.get(db, (None, None))
        if found is None or home is not loop:
            found = cls(db)
            _ledgers[db] = loop, found
        return found

    async def read(self, delivery_id: str) -> Delivery | None:
        """Read a delivery; `None` where there is none with this id."""
        row = await self._reads.ask(delivery_id)
        return None if row is None else read_delivery(row)

    async def mark(self, mark: Mark) -> None:
        """Note what became of an attempt; what was sent stays sent, whoever comes later."""
        await self._marks.ask(mark)

    async def _read(self, ids: Sequence[str]) -> list[Any]:
        async with self._open().reading() as session:
            rows = (await session.execute(select(table).where(table.c.id.in_(ids)))).all()
        found = {row.id: row for row in rows}
        return [found.get(one) for one in ids]

    async def _mark(self, marks: Sequence[Mark]) -> list[None]:
        kinds: dict[DeliveryStatus | None, list[Mark]] = {}
        for mark in sorted(marks, key=lambda one: one.id):  # who locks rows does so in one order
            kinds.setdefault(mark.status, []).append(mark)
        async with self._open().transaction() as session:
            connection = await session.connection()
            for status, some in kinds.items():
                await connection.execute(_STATEMENTS[status], [_parameters(one) for one in some])
        return [None] * len(marks)

    def _open(self) -> Database:
        found = self._db()
        assert found is not None  # noqa: S101 - who asks has it
        return found


_ledgers: WeakKeyDictionary[Database, tuple[asyncio.AbstractEventLoop, Ledger]] = WeakKeyDictionary()


def _statement(status: DeliveryStatus | None) -> Update:
    """Write how a row is marked: nothing changes one that was sent, and only that it was sent one that was skipped."""
    final = {"sent": ("sent",), "pending": ("pending", "sent", "skipped")}.get(status or "", ("sent", "skipped"))
    open_ = [table.c.status != one for one in final]
    values: dict[str, Any] = {
        "attempts": table.c.attempts + bindparam("tried"),
        "last_error": null() if status == "sent" else func.coalesce(bindparam("error", type_=Text), table.c.last_error),
        "response_status": func.coalesce(bindparam("answer", type_=Integer), table.c.response_status),
        "updated_at": utc_now(),
    }
    if status is not None:
        values["status"] = status
    if status == "sent":
        values["sent_at"] = utc_now()
    return update(table).where(table.c.id == bindparam("delivery"), *open_).values(values)


_STATEMENTS = {status: _statement(status) for status in (None, *get_args(DeliveryStatus))}


def _parameters(mark: Mark) -> dict[str, Any]:
    error = None if mark.error is None else plain(mark.error)
    return {"delivery": mark.id, "tried": mark.attempts, "error": error, "answer": mark.response_status}
