"""What Alembic runs when Rustforge brings its own tables up to date; an application's history has its own `env.py`."""

from __future__ import annotations

from alembic import context

from rustforge.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=context.config.attributes["version_table"],
    transactional_ddl=False,  # the caller's transaction holds all of it
)
with context.begin_transaction():
    context.run_migrations()
