"""Create the table of the attachments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "rustforge_0002"
down_revision: str | None = "rustforge_0001"
branch_labels: tuple[str, ...] | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "attachments",
        sa.Column("id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("owner_type", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False, unique=True),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("checksum", sa.Text(), nullable=True),
        sa.Column("meta", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_attachments_owner", "attachments", ["owner_type", "owner_id", "field", "position"])
    op.create_index(
        "ux_attachments_single",
        "attachments",
        ["owner_type", "owner_id", "field"],
        unique=True,
        sqlite_where=sa.text("single"),
        postgresql_where=sa.text("single"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("attachments")
