"""The tables of the shop; `migrations` makes them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime, Dialect, ForeignKey, TypeDecorator, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from rustforge.attachments import AttachmentRules, Resize, single_slot


class Moment(TypeDecorator[datetime]):
    """A point in time in UTC, also on SQLite, which keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        """Say that it is UTC."""
        del dialect
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """What the tables have in common."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: Moment()}


class Article(Base):
    """An article to read."""

    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    body: Mapped[str]
    status: Mapped[str] = mapped_column(default="published", index=True)
    view_count: Mapped[int] = mapped_column(default=0)
    views_seen: Mapped[int] = mapped_column(default=0)
    """How far the counter in Redis was when it was last added to `view_count`."""

    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    cover = single_slot(
        AttachmentRules(
            allowed=["image/*"], max_size=5 * 1024 * 1024, resize=Resize(width=1600)
        )
    )


class ArticleTerm(Base):
    """A word of an article, by which it is found."""

    __tablename__ = "article_terms"

    article_id: Mapped[int] = mapped_column(
        ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True
    )
    term: Mapped[str] = mapped_column(primary_key=True, index=True)


class Order(Base):
    """An order that a customer has placed."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[uuid.UUID] = mapped_column(
        Uuid(), unique=True, default=uuid.uuid4
    )
    customer_email: Mapped[str]
    total_cents: Mapped[int]
    currency: Mapped[str]
    status: Mapped[str] = mapped_column(default="placed")
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    fingerprint: Mapped[str]
    """A hash of what was ordered: a key that comes again must come with it."""

    created_at: Mapped[datetime] = mapped_column(default=now)

    items: Mapped[list[OrderItem]] = relationship(
        order_by="OrderItem.id", lazy="selectin"
    )


class OrderItem(Base):
    """A line of an order."""

    __tablename__ = "order_items"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(
        ForeignKey("orders.id", ondelete="CASCADE"), index=True
    )
    sku: Mapped[str]
    quantity: Mapped[int]
    price_cents: Mapped[int]
