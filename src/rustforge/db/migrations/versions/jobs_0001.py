"""Create the tables of the jobs: `outbox_jobs` and `failed_jobs`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "rustforge_0001"
down_revision: str | None = None
branch_labels: tuple[str, ...] | None = ("rustforge",)
depends_on: str | None = None


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "outbox_jobs",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.Text(), nullable=False, unique=True),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("delay_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("enqueued_at", sa.DateTime(timezone=True), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "failed_jobs",
        sa.Column("id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry", sa.Text(), nullable=True),
    )
    op.create_index("ix_failed_jobs_failed_at", "failed_jobs", ["failed_at", "id"])
    op.create_index("ix_failed_jobs_queue", "failed_jobs", ["queue", "failed_at", "id"])
    op.create_index("ix_failed_jobs_job_name", "failed_jobs", ["job_name", "failed_at", "id"])
    op.create_index("ix_failed_jobs_group_id", "failed_jobs", ["group_id", "failed_at", "id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("failed_jobs")
    op.drop_table("outbox_jobs")
