"""Statements that SQLite and PostgreSQL share, and SQLAlchemy writes for each of them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Table

__all__ = ["insert_new", "upsert"]


async def upsert(session: AsyncSession, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows by their primary key; one that is there already gets the new values."""
    if not rows:
        return
    statement = _insert(session, table)
    new = {name: statement.excluded[name] for name in rows[0] if not table.c[name].primary_key}
    await session.execute(statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=new), rows)


async def insert_new(
    session: AsyncSession | AsyncConnection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    unique: Sequence[ColumnElement[Any]],
    values: dict[str, ColumnElement[Any]],
) -> set[Any]:
    """Insert the rows that are not there already by the columns of a unique constraint.

    Args:
        session: Within which transaction.
        table: The table; its primary key has one column, whose value each row gives.
        rows: What they have.
        unique: The columns.
        values: What all rows have in common, such as their time by the database's clock.

    Returns:
        The primary keys of those that were inserted.
    """
    if not rows:
        return set()
    statement = _insert(session, table).values(values).on_conflict_do_nothing(index_elements=list(unique))
    return set((await session.execute(statement.returning(*table.primary_key), rows)).scalars())


def _insert(session: AsyncSession | AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    dialect = session.dialect if isinstance(session, AsyncConnection) else session.get_bind(clause=table).dialect
    return sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)
