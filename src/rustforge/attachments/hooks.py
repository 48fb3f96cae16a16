"""What happens to files when something else happens to their rows: owners that are deleted, transactions that end.

The hooks are SQLAlchemy's, so the changes below are part of the transaction that causes them.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, delete, event, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Mapper, Session, object_session

from rustforge.attachments.purge import PurgeObject, purge
from rustforge.attachments.records import is_key
from rustforge.attachments.slots import owner_of, owner_type_of, slots_of, text_of_key
from rustforge.db.tables import attachments
from rustforge.errors import StorageError
from rustforge.jobs.outbox import JobBuffer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Pool, Result
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import ORMExecuteState, SessionTransaction, UOWTransaction

    from rustforge.storage import Storage

__all__ = ["drop", "drop_of_owners", "remember"]

_logger = logging.getLogger("rustforge.attachments")

GRACE = 10.0
"""Seconds for which a new object is kept after a rollback, so that the transaction can be tried again with it."""

_BATCH = 500
_DELETED = "rustforge_attachments_deleted"
_NEW = "rustforge_attachments_new"
_tasks: set[asyncio.Task[None]] = set()


def drop(session: Session, which: ColumnElement[bool]) -> int:
    """Delete rows of attachments, and have their objects removed after the commit; return how many."""
    paths = session.execute(delete(attachments).where(which).returning(attachments.c.path)).scalars().all()
    JobBuffer(session).push_many_sync([PurgeObject(path=path) for path in paths if is_key(path)])
    return len(paths)


def drop_of_owners(session: Session, owner_type: str, owner_ids: Sequence[str]) -> None:
    """Delete the rows of owners that are gone."""
    for start in range(0, len(owner_ids), _BATCH):
        ids = owner_ids[start : start + _BATCH]
        drop(session, (attachments.c.owner_type == owner_type) & attachments.c.owner_id.in_(ids))


# -- owners that are deleted ------------------------------------------------------------------------------------------


@event.listens_for(Mapper, "after_delete")
def _note_deleted(mapper: Mapper[Any], connection: Connection, target: object) -> None:
    """Note that a flush deletes an owner, by itself or by a cascade."""
    del connection
    session = object_session(target)
    if session is not None and slots_of(mapper.class_):
        owner = owner_of(target)
        session.info.setdefault(_DELETED, {}).setdefault(owner.type, []).append(owner.id)


@event.listens_for(Session, "before_flush")
def _forget_deleted(session: Session, *_: object) -> None:
    """Forget what a flush had noted that failed."""
    session.info.pop(_DELETED, None)


@event.listens_for(Session, "after_flush")
def _drop_of_deleted(session: Session, flush_context: UOWTransaction) -> None:
    """Delete the rows of the owners that a flush has deleted; who was about to add one has seen that by now."""
    del flush_context
    for owner_type, owner_ids in session.info.pop(_DELETED, {}).items():
        drop_of_owners(session, owner_type, owner_ids)


@event.listens_for(Session, "do_orm_execute")
def _delete_many(state: ORMExecuteState) -> Result[Any] | None:
    """Delete the rows of the owners that a `delete()` of the ORM deletes."""
    mapper = state.bind_mapper if state.is_delete else None
    if mapper is None or isinstance(state.parameters, list) or not any(map(slots_of, _classes(mapper))):
        return None
    key = [getattr(mapper.class_, mapper.get_property_by_column(column).key) for column in mapper.primary_key]
    query = select(*key).with_for_update(of=mapper.class_)
    where: ColumnElement[bool] | None = getattr(state.statement, "whereclause", None)
    query = query if where is None else query.where(where)
    found = state.session.execute(query, state.parameters, bind_arguments=state.bind_arguments).all()
    result = state.invoke_statement()
    drop_of_owners(state.session, owner_type_of(mapper), [text_of_key(row) for row in found])
    return result


def _classes(mapper: Mapper[Any]) -> list[type[Any]]:
    return [one.class_ for one in mapper.self_and_descendants]


# -- transactions that are rolled back --------------------------------------------------------------------------------


@dataclass
class _New:
    """The objects that a transaction has attached.

    Attributes:
        storage: Where they are.
        engine: The database, for a look at it when the transaction has ended; `None` where it cannot be told.
        paths: Their keys.
        doubtful: Whether a part of the transaction was rolled back.
    """

    storage: Storage
    engine: Engine | None
    paths: set[str] = field(default_factory=set[str])
    doubtful: bool = False


def remember(session: AsyncSession, storage: Storage, path: str) -> None:
    """Have an object removed if the transaction that attaches it is rolled back."""
    sync = session.sync_session
    if _NEW not in sync.info:
        bind = sync.get_bind(clause=attachments)
        sync.info[_NEW] = _New(storage, bind if isinstance(bind, Engine) else None)
    sync.info[_NEW].paths.add(path)
    if not event.contains(sync, "after_commit", _committed):
        event.listen(sync, "after_commit", _committed)
        event.listen(sync, "after_soft_rollback", _rolled_back)
        event.listen(sync, "after_transaction_end", _ended)


def _committed(session: Session) -> None:
    if not session.in_nested_transaction():  # the end of a savepoint is no commit
        new: _New | None = session.info.pop(_NEW, None)
        if new is not None and new.doubtful:
            _discard(new)


def _rolled_back(session: Session, _transaction: SessionTransaction) -> None:
    new: _New | None = session.info.get(_NEW)
    if new is not None:
        new.doubtful = True


def _ended(session: Session, transaction: SessionTransaction) -> None:
    """Discard what no commit has taken, also where the session was just closed."""
    if transaction.parent is None and (new := session.info.pop(_NEW, None)) is not None:
        _discard(new)


def _discard(new: _New) -> None:
    """Remove objects in a while, unless a row uses them by then."""
    if new.engine is not None:
        later = _discard_later(AsyncEngine(new.engine), new.engine.pool, new.storage, new.paths)
        task = asyncio.get_running_loop().create_task(later)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


async def _discard_later(engine: AsyncEngine, pool: Pool, storage: Storage, paths: Iterable[str]) -> None:
    await asyncio.sleep(GRACE)
    for path in paths:
        if engine.pool is not pool:  # the database was closed, and nobody would close it again: the sweep does the rest
            return
        try:
            async with engine.begin() as connection:
                await purge(connection, storage, path)
        except (StorageError, SQLAlchemyError, OSError) as error:
            _logger.warning("%s was not removed after a rollback: %s: %s", path, type(error).__name__, error)
