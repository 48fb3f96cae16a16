"""The sweep: objects without a row, and rows without an owner."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import Field, TypeAdapter
from sqlalchemy import select, tuple_

from rustforge.attachments.hooks import drop
from rustforge.attachments.purge import PurgeObject, purge
from rustforge.attachments.records import is_key
from rustforge.attachments.slots import known_mappers, root_of, slots_of, text_of_key
from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.db.tables import attachments
from rustforge.errors import InvalidArgumentError
from rustforge.jobs.job import Job, JobContext
from rustforge.storage.keys import QUARANTINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Mapper

    from rustforge.clock import Clock
    from rustforge.db import Database
    from rustforge.storage import Storage
    from rustforge.types import Duration

__all__ = ["SweepOrphans", "Swept", "attachment_jobs", "sweep"]

_DAY = 24 * 3600.0
_BATCH = 500
_MADE = re.compile(r"/\d{4}/\d\d/\d\d/[0-9a-f]{32}(\.[a-z0-9]{1,16})?")
"""How a key goes on behind owner and field that `new_key` has made; others are somebody else's."""


class Swept(NamedTuple):
    """What a sweep has removed.

    Attributes:
        objects: How many objects without a row.
        rows: How many rows without an owner, whose objects follow.
    """

    objects: int
    rows: int


class SweepOrphans(Job):
    """Removes objects that no row uses: uploads that came to nothing, and what a dead process left.

    It looks at the keys that the server made for slots that the worker knows, and at the quarantine; at nothing else.
    Let the scheduler enqueue it once a day.

    Attributes:
        older_than: How old an object must be, in seconds; a day unless set. Longer than it ever takes from storing a
            file to the commit of its row.
        owners: Tables in which the owners of attachments are looked up; attachments of rows that are not there any
            more go, too.

    Example:
        ```python
        scheduler.cron("30 3 * * *", SweepOrphans(owners=["articles"]))
        ```
    """

    NAME: ClassVar[str] = "rustforge.sweep_orphans"
    older_than: float = Field(default=_DAY, gt=0, allow_inf_nan=False)
    owners: Sequence[str] = ()

    async def handle(self, ctx: JobContext) -> dict[str, int]:
        """Remove them, and tell how many."""
        swept = await sweep(ctx.db, ctx.storage, older_than=self.older_than, owners=self.owners)
        ctx.logger.info("removed %s objects without a row, %s rows without an owner", swept.objects, swept.rows)
        return swept._asdict()


attachment_jobs: list[type[Job]] = [PurgeObject, SweepOrphans]
"""The jobs of attachments, for a worker: `Worker(ctx).register(*attachment_jobs)`."""


async def sweep(
    db: Database,
    storage: Storage,
    *,
    older_than: Duration = _DAY,
    owners: Sequence[str] = (),
    clock: Clock = SYSTEM_CLOCK,
) -> Swept:
    """Remove objects that no row uses, and rows whose owner is gone.

    Args:
        db: The database.
        storage: The storage.
        older_than: How old an object must be, in seconds or as a `timedelta`.
        owners: Tables in which the owners of attachments are looked up.
        clock: By which an object is old.

    Returns:
        How many of each.

    Raises:
        InvalidArgumentError: No class with slots that this process knows has one of the tables.
        StorageError: The storage cannot be reached.

    Example:
        ```python
        await sweep(ctx.db, ctx.storage, older_than=timedelta(days=7))
        ```
    """
    known = known_mappers()
    if unknown := set(owners) - known.keys():
        msg = (
            f"no class with slots has the table {', '.join(sorted(unknown))}: import it in the worker; "
            f"known are: {', '.join(sorted(known)) or 'none'}"
        )
        raise InvalidArgumentError(msg)
    rows = 0
    for owner in owners:
        rows += await _drop_ownerless(db, root_of(known[owner][0]), owner)
    before = clock.time() - milliseconds(older_than, "older_than") / 1000
    prefixes = {f"{owner}/{name}" for owner, found in known.items() for one in found for name in slots_of(one.class_)}
    objects = 0
    for prefix in sorted(filter(is_key, prefixes)):
        async for keys in _batches(_old(storage, prefix, before)):
            made = [key for key in keys if _MADE.fullmatch(key, len(prefix))]
            objects += await _purge_unused(db, storage, made)
    async for keys in _batches(_old(storage, QUARANTINE, before)):
        await storage.delete_many(keys)
        objects += len(keys)
    return Swept(objects, rows)


async def _old(storage: Storage, prefix: str, before: float) -> AsyncIterator[str]:
    """List the keys of objects that were stored before a time."""
    async for stored in storage.list(prefix):
        if stored.modified.timestamp() < before:
            yield stored.key


async def _batches(keys: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    batch: list[str] = []
    async for key in keys:
        batch.append(key)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _purge_unused(db: Database, storage: Storage, keys: list[str]) -> int:
    async with db.reading() as session:
        used = set(await session.scalars(select(attachments.c.path).where(attachments.c.path.in_(keys))))
    purged = 0
    for key in keys:
        if key not in used:
            async with db.transaction() as session:
                purged += await purge(session, storage, key)
    return purged


async def _drop_ownerless(db: Database, root: Mapper[Any], owner_type: str) -> int:
    """Drop the attachments whose owner is gone, batch by batch.

    The attachments are read before their owners, and those that were read are deleted, so that an owner that appears
    meanwhile, with attachments of its own, keeps them.
    """
    total, last = 0, ""
    of_type = attachments.c.owner_type == owner_type
    query = select(attachments.c.id, attachments.c.owner_id).where(of_type).order_by(attachments.c.id).limit(_BATCH)
    while True:
        async with db.transaction() as session:
            rows = (await session.execute(query.where(attachments.c.id > last))).all()
            if not rows:
                return total
            last = rows[-1].id
            there = await _find_owners(session, root, {row.owner_id for row in rows})
            gone = [row.id for row in rows if row.owner_id in there and not there[row.owner_id]]
            if gone:
                total += await session.run_sync(drop, attachments.c.id.in_(gone))


async def _find_owners(session: AsyncSession, root: Mapper[Any], owner_ids: set[str]) -> dict[str, bool]:
    """Tell which owners are there; one whose id cannot be read as a primary key is left out."""
    keys = {owner_id: key for owner_id in owner_ids if (key := _read_key(root, owner_id)) is not None}
    if not keys:
        return {}
    columns = root.primary_key
    if len(columns) == 1:
        among = columns[0].in_([key[0] for key in keys.values()])
    else:
        among = tuple_(*columns).in_(list(keys.values()))
    found = await session.execute(select(*columns).where(among))
    there = {text_of_key(row) for row in found}
    return {owner_id: owner_id in there for owner_id in keys}


def _read_key(root: Mapper[Any], owner_id: str) -> tuple[Any, ...] | None:
    """Read what `text_of_key` wrote."""
    columns = root.primary_key
    try:
        parts = [owner_id] if len(columns) == 1 else json.loads(owner_id)
        key = tuple(_read_part(column.type.python_type, part) for column, part in zip(columns, parts, strict=True))
    except (ValueError, TypeError, NotImplementedError):
        return None
    return key if text_of_key(key) == owner_id else None


def _read_part(kind: type[Any], part: str) -> Any:
    return bytes.fromhex(part) if kind is bytes else TypeAdapter(kind).validate_python(part)
