"""What Alembic runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from alembic import context

import rustforge.db
from rustforge.db import Database
from shop.models import Base
from shop.settings import ShopSettings

if TYPE_CHECKING:
    from sqlalchemy import Connection


def migrate(connection: Connection) -> None:
    """Run the migrations within the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=[Base.metadata, rustforge.db.metadata],
    )
    with context.begin_transaction():
        context.run_migrations()


async def migrate_at_url() -> None:
    """Run them at DATABASE_URL, for the command line."""
    async with (
        Database(ShopSettings().database_url) as db,
        db.engine.begin() as connection,
    ):
        await connection.run_sync(migrate)


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_at_url())
