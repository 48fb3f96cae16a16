"""Models with slots, a place with a database, queues and a storage, and files to attach there."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship

from rustforge.attachments import (
    AttachmentInput,
    AttachmentRules,
    Attachments,
    attachment_jobs,
    hooks,
    many_slot,
    single_slot,
)
from rustforge.db import Database
from rustforge.db.tables import attachments, outbox_jobs
from rustforge.jobs import Queue, Worker
from rustforge.jobs.outbox import OutboxFlusher
from rustforge.storage import Storage, new_key
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

PICTURES = AttachmentRules(allowed=["image/*"])


class Base(DeclarativeBase):
    """The models of the tests."""


class Article(Base):
    """A row with a slot of each kind."""

    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    hidden: Mapped[bool] = mapped_column(default=False)
    comments: Mapped[list[Comment]] = relationship(cascade="all, delete-orphan")
    cover = single_slot(PICTURES)
    gallery = many_slot(PICTURES, max_count=3)


class Comment(Base):
    """A row that goes with its article."""

    __tablename__ = "comments"

    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id", ondelete="CASCADE"))
    files = many_slot(PICTURES)


class WithAvatar:
    """What several models have in common."""

    avatar = single_slot(PICTURES)


class Person(WithAvatar, Base):
    """A row whose key is a UUID, and whose class has others below it."""

    __tablename__ = "people"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012 - SQLAlchemy's way

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    kind: Mapped[str] = mapped_column(default="person")


class Author(Person):
    """One of the same table, with a slot of its own."""

    __mapper_args__ = {"polymorphic_identity": "author"}  # noqa: RUF012

    portrait = single_slot(PICTURES)


class Editor(Person):
    """One with a table of its own for the rest."""

    __tablename__ = "editors"
    __mapper_args__ = {"polymorphic_identity": "editor"}  # noqa: RUF012

    id: Mapped[uuid.UUID] = mapped_column(ForeignKey("people.id"), primary_key=True)
    desk: Mapped[str] = mapped_column(default="")
    stamp = single_slot(PICTURES)


class Odd(Base):
    """A row of a table whose name cannot stand in a key, so that it never has files."""

    __tablename__ = "odd tables"

    id: Mapped[int] = mapped_column(primary_key=True)
    cover = single_slot(PICTURES)


class Page(MappedAsDataclass, Base):
    """A row whose key has two parts, and whose objects cannot be hashed."""

    __tablename__ = "pages"

    book: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    scan = single_slot(PICTURES)


@dataclass(frozen=True)
class Desk:
    """A place to attach files at.

    Attributes:
        db: The database, with the tables of the models.
        queue: The queues.
        storage: The storage.
        place: The addresses, for a process that works there too.
    """

    db: Database
    queue: Queue
    storage: Storage
    place: dict[str, str] = field(default_factory=dict[str, str])
    settings: Any = None
    cache: Any = None

    @property
    def extensions(self) -> Mapping[str, Any]:
        """Have none."""
        return {}

    def at(self, session: AsyncSession) -> Attachments:
        """Attach within a session."""
        return Attachments(session, self.storage)

    async def file(self, place: str = "articles/cover", data: bytes = b"picture", **facts: Any) -> AttachmentInput:
        """Store a file, as `receive` does."""
        owner, _, name = place.partition("/")
        path = new_key(owner, name, "png")
        await self.storage.put(path, data, content_type="image/png")
        return AttachmentInput(path, "image/png", len(data), **facts)

    async def article(self, **columns: Any) -> Article:
        """Add an article."""
        async with self.db.transaction() as session:
            article = Article(**columns)
            session.add(article)
            await session.flush()
            session.expunge(article)
        return article

    async def until_one_waits(self) -> None:
        """Wait until a transaction waits for another one; on SQLite nobody can tell, and none gets so far."""
        if self.db.is_postgresql:
            await wait_until(self._one_waits)

    async def _one_waits(self) -> bool:
        async with self.db.reading() as session:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            return bool(await session.scalar(text(f"{waiting} AND datname = current_database()")))

    async def paths(self) -> set[str]:
        """List the objects that rows use."""
        async with self.db.reading() as session:
            return set(await session.scalars(select(attachments.c.path)))

    async def keys(self) -> set[str]:
        """List the objects that there are."""
        return {stored.key async for stored in self.storage.list()}

    async def waiting(self) -> int:
        """Count the jobs in the outbox."""
        async with self.db.reading() as session:
            return await session.scalar(select(func.count()).select_from(outbox_jobs)) or 0

    async def work(self) -> None:
        """Let a worker do all that was committed."""
        await OutboxFlusher(self).flush()
        await Worker(self, lease=2).register(*attachment_jobs).run_until_empty()


async def tidy(desk: Desk) -> set[str]:
    """Let a worker do what is to be done, check that the storage has what the rows use and no more, and list it."""
    await desk.work()
    keys = await desk.keys()
    assert keys == await desk.paths()
    return keys


@asynccontextmanager
async def open_desk(database_url: str, prefix: str, storage_url: str, redis_url: str = "") -> AsyncGenerator[Desk]:
    """Open a database with the tables, a storage, and queues, which are in this process unless told."""
    redis_url = redis_url or f"memory://{prefix}"
    place = {"database": database_url, "redis": redis_url, "prefix": prefix, "storage": storage_url}
    async with (
        Database(database_url) as db,
        Queue.connect(redis_url, prefix=prefix) as queue,
        Storage.connect(storage_url) as storage,
    ):
        await db.upgrade()
        async with db.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield Desk(db, queue, storage, place)
        removals = tuple(hooks._tasks)  # those after a rollback, which would go on when the database is closed
        for removal in removals:
            removal.cancel()
        await asyncio.gather(*removals, return_exceptions=True)
