"""The tables, by Alembic: the shop's, and Rustforge's as a branch beside them.

On the command line it is `alembic -c shop/alembic.ini upgrade heads`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rustforge.db import Database

INI = Path(__file__).parents[1] / "alembic.ini"


async def upgrade(db: Database) -> None:
    """Bring all tables up to date."""
    async with db.engine.begin() as connection:
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = Config(INI)
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")
