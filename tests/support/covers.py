"""A process that forks a child for each order, which replaces an article's cover and dies at a set point.

The points are those of `tests.support.crashes`, and the steps of the storage: `put`, and `delete` of what was replaced.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from rustforge.attachments import attachment_jobs
from rustforge.db import Database
from rustforge.jobs import Worker
from rustforge.jobs.outbox import OutboxFlusher
from rustforge.storage import Storage
from tests.support.attaching import Article, Desk
from tests.support.crashes import FragileQueue, Steps, main

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustforge.storage import StoredObject

REPLACE = ("put 1", "after put 1", "commit 1", "after commit 1", "enqueue 1", "after enqueue 1")
PURGE = ("delete 1", "after delete 1")


class FragileStorage(Storage):
    """A storage that dies at its point."""

    async def put(self, key: str, *args: Any, **options: Any) -> StoredObject:
        """Store, and die before or after."""
        FragileQueue.steps.before("put")
        stored = await super().put(key, *args, **options)
        FragileQueue.steps.after("put")
        return stored

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Remove, and die before or after."""
        FragileQueue.steps.before("delete")
        await super().delete_many(keys)
        FragileQueue.steps.after("delete")


async def work(order: dict[str, Any]) -> None:
    """Replace the cover, and have the old one removed, until the point is reached."""
    steps = FragileQueue.steps = Steps(order["point"])
    async with (
        Database(order["database"]) as db,
        FragileQueue.connect(order["redis"], prefix=order["prefix"]) as queue,
    ):
        desk = Desk(db, queue, FragileStorage(order["storage"]))
        file = await desk.file()
        event.listen(db.engine.sync_engine, "commit", lambda _: steps.before("commit"))
        event.listen(db.engine.sync_engine, "begin", lambda _: steps.after("commit"))
        async with db.transaction() as session:
            await desk.at(session).set(await session.get_one(Article, order["article"]), "cover", file)
        await OutboxFlusher(SimpleNamespace(db=db, queue=queue)).flush()
        await Worker(desk, lease=1).register(*attachment_jobs).run_until_empty()


if __name__ == "__main__":
    main(work)
