"""Rustforge's Alembic migrations: brought up by themselves, or as a branch of an application's own history.

By themselves: [`Database.upgrade`][rustforge.db.Database.upgrade] creates and changes the tables, and keeps the
reached version in the table `rustforge_version`.

In an application's history: add the folder to its `alembic.ini`, and the metadata to its `env.py`. Then
`alembic upgrade heads` brings both, `alembic upgrade rustforge@head` only these, and `alembic check` knows the tables.

```ini
[alembic]
script_location = migrations
path_separator = newline
version_locations =
    migrations/versions
    rustforge.db:migrations/versions
```

```python
target_metadata = [Base.metadata, rustforge.db.metadata]
```
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["VERSIONS", "VERSION_TABLE", "upgrade_connection"]

VERSIONS: str = str(Path(__file__).parent / "versions")
"""The folder of the migrations, for `version_locations` in Python code."""

VERSION_TABLE: str = "rustforge_version"
"""The table that holds the version which `Database.upgrade` has reached."""

_LOCK = 0x7275_7374_6462  # "rustdb"


def upgrade_connection(connection: Connection) -> None:
    """Bring the tables up to date within the connection's transaction; processes that do it at once take turns."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, version_table=VERSION_TABLE)
    command.upgrade(config, "head")
