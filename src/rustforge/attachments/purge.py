"""The removal of objects that have no row any more, after the commit that took it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import select

from rustforge.attachments.records import lock_path
from rustforge.db.tables import attachments
from rustforge.jobs.job import Job, JobContext

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    from rustforge.storage import Storage

__all__ = ["PurgeObject", "purge"]


class PurgeObject(Job):
    """Removes an object from the storage unless a row uses it.

    It is pushed into the outbox by the change that leaves the object without a row, so you need not.

    Attributes:
        path: The object's key.
    """

    NAME: ClassVar[str] = "rustforge.purge_object"
    path: str

    async def handle(self, ctx: JobContext) -> None:
        """Remove it."""
        async with ctx.db.transaction() as session:
            await purge(session, ctx.storage, self.path)


async def purge(session: AsyncSession | AsyncConnection, storage: Storage, path: str) -> bool:
    """Remove an object from the storage unless a row uses it.

    Args:
        session: A transaction for this alone, as others wait for it that mean the same object.
        storage: Where the object is.
        path: Its key.

    Returns:
        Whether no row uses it, so that it is gone.
    """
    await lock_path(session, path)
    row = await session.execute(select(attachments.c.id).where(attachments.c.path == path))
    if row.first() is not None:
        return False
    await storage.delete_many([path])
    return True
