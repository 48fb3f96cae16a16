"""The SQL database: one engine for SQLite and PostgreSQL, its transactions, Rustforge's tables and their migrations."""

from __future__ import annotations

from rustforge.db.engine import Database as Database
from rustforge.db.migrations import VERSIONS as VERSIONS
from rustforge.db.tables import metadata as metadata

__all__ = ["VERSIONS", "Database", "metadata"]
