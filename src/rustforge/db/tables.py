"""Rustforge's tables, as SQLAlchemy Core metadata.

Text that may hold anything (payloads, options, errors) is stored as text, not in a JSON type, so that a row is read as
it was written and a bad one does not keep the others from being read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

__all__ = ["attachments", "deliveries", "failed_jobs", "metadata", "outbox_jobs", "utc_now", "webhook_endpoints"]


class _UtcDateTime(TypeDecorator[datetime]):
    """A point in time that is aware of being UTC, on SQLite too, which has no type for it."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = DateTime(timezone=True)
    cache_ok: bool | None = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write UTC; without its zone where the database keeps none."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _UtcNow(FunctionElement[datetime]):
    """The expression behind `utc_now`."""

    type: TypeEngine[datetime] = _UtcDateTime()
    inherit_cache: bool | None = True


@compiles(_UtcNow, "sqlite")
def _on_sqlite(element: _UtcNow, compiler: SQLCompiler, **kwargs: Any) -> str:
    del element, compiler, kwargs
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


@compiles(_UtcNow)
def _elsewhere(element: _UtcNow, compiler: SQLCompiler, **kwargs: Any) -> str:
    del element
    return str(compiler.process(func.clock_timestamp(), **kwargs))


def utc_now() -> ColumnElement[datetime]:
    """Write the database's own time while the statement runs, also in a transaction that is older."""
    return _UtcNow()


_NUMBER = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER counts by itself there

metadata: MetaData = MetaData()
"""The metadata of all tables below."""

outbox_jobs: Table = Table(
    "outbox_jobs",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("queue", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("delay_ms", BigInteger, nullable=False),
    Column("created_at", _UtcDateTime, nullable=False),
    Column("enqueued_at", _UtcDateTime),
    sqlite_autoincrement=True,
)
"""Jobs that were pushed within a transaction; `seq` is their order. Those with `enqueued_at` are about to go."""

failed_jobs: Table = Table(
    "failed_jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_name", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("group_id", Text),
    Column("payload", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failed_at", _UtcDateTime, nullable=False),
    Column("retry", Text),
    Index("ix_failed_jobs_failed_at", "failed_at", "id"),
    Index("ix_failed_jobs_queue", "queue", "failed_at", "id"),
    Index("ix_failed_jobs_job_name", "job_name", "failed_at", "id"),
    Index("ix_failed_jobs_group_id", "group_id", "failed_at", "id"),
)
"""Jobs that failed for good. `retry` is `begun` while a retry is under way, and `done` when the row is about to go."""

attachments: Table = Table(
    "attachments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_type", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("single", Boolean, nullable=False),
    Column("position", Integer, nullable=False),
    Column("path", Text, nullable=False, unique=True),
    Column("content_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("name", Text),
    Column("checksum", Text),
    Column("meta", Text, nullable=False),
    Column("created_at", _UtcDateTime, nullable=False),
    Column("updated_at", _UtcDateTime, nullable=False),
    Index("ix_attachments_owner", "owner_type", "owner_id", "field", "position"),
    Index(
        "ux_attachments_single",
        *("owner_type", "owner_id", "field"),
        unique=True,
        sqlite_where=text("single"),
        postgresql_where=text("single"),
    ),
)
"""Files of the application's rows: which slot of which row, and where the storage has the object."""

deliveries: Table = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Column("response_status", Integer),
    Column("created_at", _UtcDateTime, nullable=False),
    Column("updated_at", _UtcDateTime, nullable=False),
    Column("sent_at", _UtcDateTime),
    UniqueConstraint("event_id", "channel", "target", name="ux_deliveries_event"),
    Index("ix_deliveries_created_at", "created_at", "id"),
    Index("ix_deliveries_status", "status", "created_at", "id"),
    Index("ix_deliveries_event", "event", "created_at", "id"),
    Index("ix_deliveries_target", "channel", "target", "created_at", "id"),
)
"""What went, or is to go, to one target of one channel for one event, and what became of it."""

webhook_endpoints: Table = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("failing_since", _UtcDateTime),
    Column("created_at", _UtcDateTime, nullable=False),
    Column("updated_at", _UtcDateTime, nullable=False),
    Index("ix_webhook_endpoints_owner", "owner", "created_at", "id"),
)
"""Where webhooks go: which events each wants, and what signs them."""
