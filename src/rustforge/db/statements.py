"""Statements that SQLite and PostgreSQL share, and SQLAlchemy writes for each of them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["upsert"]


async def upsert(session: AsyncSession, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows by their primary key; one that is there already gets the new values."""
    if not rows:
        return
    on_sqlite = session.get_bind().dialect.name == "sqlite"
    statement = sqlite.insert(table) if on_sqlite else postgresql.insert(table)
    new = {name: statement.excluded[name] for name in rows[0] if not table.c[name].primary_key}
    await session.execute(statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=new), rows)
